"""Dagster shell of promotion: the decision is recorded and carried out."""

from dataclasses import replace
from datetime import datetime

import dagster as dg
import pyarrow as pa

from lead_scoring_assets.evaluation.metrics import Metric
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.models.registry import RegisteredModel
from lead_scoring_assets.models.rows import candidate_of, holdout_of, row_of, rows_of
from lead_scoring_assets.partitions import ONE_RUN, PERIODS, periods_of
from lead_scoring_assets.periods import Period
from lead_scoring_assets.promotion.best_so_far import Row
from lead_scoring_assets.promotion.comparing import gather
from lead_scoring_assets.promotion.deployments import Deployment, Deployments
from lead_scoring_assets.promotion.following import follow
from lead_scoring_assets.promotion.gate import Decision, Evidence, Verdict, decide_promotion
from lead_scoring_assets.promotion.lifecycle import Action
from lead_scoring_assets.promotion.people import REQUESTED_BY_TAG
from lead_scoring_assets.promotion.records import SCHEMA, decision_row
from lead_scoring_assets.promotion.trigger import trigger_of

_CARRIED_OUT_AS: dict[Verdict, Action] = {"promoted": "promoted", "awaiting_approval": "proposed"}


@dg.asset(
    partitions_def=PERIODS,
    backfill_policy=ONE_RUN,
    group_name="promotion",
    owners=["team:machine-learning"],
    kinds={"mlflow", "deltalake"},
)
def promotion_decision(
    context: dg.AssetExecutionContext,
    installation: dg.ResourceParam[Installation],
    trained_model: pa.Table,
    model_evaluation: pa.Table,
    training_set: pa.Table,
) -> pa.Table:
    """May the period's model replace the champion? The verdict, every number and the reason; a yes is carried out."""
    deployments = Deployments(installation.lakehouse)
    gate, calendar = installation.settings.gate, installation.settings.calendar
    table, periods = context.asset_key.path[-1], periods_of(context)
    decided = _decisions_before(installation, table, periods[0])
    rows: list[dict[str, object]] = []
    for period in periods:
        until = calendar.next(period).end
        trigger = trigger_of(period.key, installation.events, gate.mode)
        candidate = candidate_of(trained_model, period)
        evidence: Evidence | None = None
        if candidate is None:
            refusal = row_of(trained_model, period)["refusal"]
            decision = Decision("no_candidate", f"no model was trained: {refusal}")
        else:
            metrics, holdout = _metrics(model_evaluation, period), holdout_of(training_set, period)
            history = deployments.before(period, until)
            evidence = gather(installation, candidate, metrics, holdout, history, [*decided, *rows])
            decision = decide_promotion(evidence, gate, trigger.mode)
            decision = _carry_out(context, deployments, candidate, period, until, decision)
        rows.append(decision_row(period, candidate.version if candidate else None, evidence, decision, trigger, gate))
        champion = evidence.champion.version if evidence and evidence.champion else "none"
        context.add_asset_metadata(
            {"verdict": decision.verdict, "reason": decision.reason, "mode": trigger.mode, "champion": champion},
            partition_key=period.key,
        )
    # The table leads, the rest follows: a process that dies in between is put right by the next command.
    if (remark := follow(installation)) is not None:
        context.log.warning(remark)
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _carry_out(
    context: dg.AssetExecutionContext,
    deployments: Deployments,
    candidate: RegisteredModel,
    period: Period,
    until: datetime,
    decision: Decision,
) -> Decision:
    """Record a yes; a promotion that comes too late, because something newer has gone live, is told as superseded."""
    if decision.verdict not in _CARRIED_OUT_AS:
        return decision
    step = Deployment(
        version=candidate.version,
        effective_at=period.end,
        period=period.key,
        bundle=candidate.bundle,
        fingerprint=candidate.fingerprint,
        actor=f"gate, run {context.run.run_id}",
        reason=decision.reason,
        action=_CARRIED_OUT_AS[decision.verdict],
        requested_by=context.run.tags.get(REQUESTED_BY_TAG),
    )
    deployments.record(step, until)
    if decision.verdict == "promoted" and all(live.version != candidate.version for live in deployments.history()):
        return replace(
            decision, verdict="superseded", reason=f"not carried out, a newer decision stands: {decision.reason}"
        )
    return decision


def _decisions_before(installation: Installation, table: str, first: Period) -> list[Row]:
    """Earlier rows of the table that is being made."""
    if not installation.lakehouse.exists(table):
        return []
    rows = installation.lakehouse.read(table).to_pylist()
    return [row for row in rows if row["decided_at"] < first.end]


def _metrics(model_evaluation: pa.Table, period: Period) -> dict[str, Metric]:
    rows = rows_of(model_evaluation, period).to_dict("records")
    return {r["metric"]: Metric(r["metric"], r["value"], r["low"], r["high"], r["n"]) for r in rows}
