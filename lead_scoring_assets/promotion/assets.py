"""Dagster shell of promotion: the decision is recorded and carried out."""

import dagster as dg
import numpy as np
import pandas as pd
import pyarrow as pa

from lead_scoring_assets.evaluation.metrics import Metric
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.models.registry import ModelRegistry, RegisteredModel
from lead_scoring_assets.models.rows import candidate_of, holdout_of, row_of, rows_of
from lead_scoring_assets.models.scorer import load_scorer
from lead_scoring_assets.partitions import ONE_RUN, PERIODS, periods_of
from lead_scoring_assets.periods import Period
from lead_scoring_assets.promotion.deployments import Deployment, Deployments
from lead_scoring_assets.promotion.gate import Comparison, Decision, compare, decide_promotion

DECISION_SCHEMA = pa.schema(
    [("period", pa.string()), ("decided_at", pa.timestamp("us", tz="UTC")), ("candidate_version", pa.int64())]
    + [("champion_version", pa.int64()), ("verdict", pa.string()), ("reason", pa.string())]
    + [(f"{metric}_difference{edge}", pa.float64()) for metric in ("auc", "brier") for edge in ("", "_low", "_high")]
)


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
    """May the period's model replace the champion? The verdict, the reason in words, and, for a yes, the deployment."""
    deployments, registry = Deployments(installation.lakehouse), ModelRegistry(installation.home)
    rows = []
    for period in periods_of(context):
        champion = _champion_before(deployments, period)
        candidate = candidate_of(trained_model, period)
        comparison: Comparison | None = None
        if candidate is None:
            refusal = row_of(trained_model, period)["refusal"]
            decision = Decision("no_candidate", f"no model was trained: {refusal}")
        else:
            comparison = _compare(installation, candidate, champion, holdout_of(training_set, period))
            metrics = _metrics(model_evaluation, period)
            decision = decide_promotion(metrics["auc"], metrics["brier"], comparison, installation.settings.gate)
            if decision.verdict == "promoted":
                deployments.record(_deployment(candidate, period, decision, context.run.run_id))
        rows.append(
            {
                "period": period.key,
                "decided_at": period.end,
                "candidate_version": candidate.version if candidate else None,
                "champion_version": champion.version if champion else None,
                "verdict": decision.verdict,
                "reason": decision.reason,
                **_differences(comparison),
            }
        )
        context.add_asset_metadata(
            {
                "verdict": decision.verdict,
                "reason": decision.reason,
                "champion": champion.version if champion else "none",
            },
            partition_key=period.key,
        )
    # The table leads, the alias follows: a process that dies in between is put right by the next decision.
    newest = deployments.newest()
    if newest is not None:
        registry.point_champion_to(newest.version)
    return pa.Table.from_pylist(rows, schema=DECISION_SCHEMA)


def _champion_before(deployments: Deployments, period: Period) -> Deployment | None:
    """The champion that this period's candidate meets: never the period's own, when it is decided again."""
    champion = deployments.champion_at(period.end)
    return deployments.champion_at(period.start) if champion and champion.period == period.key else champion


def _compare(
    installation: Installation, candidate: RegisteredModel, champion: Deployment | None, holdout: pd.DataFrame
) -> Comparison | None:
    if champion is None:
        return None
    data = installation.home.data
    return compare(
        champion.version,
        holdout["label"].to_numpy(dtype=np.float64),
        load_scorer(data / candidate.bundle, candidate.fingerprint).probabilities(holdout),
        load_scorer(champion.folder(data), champion.fingerprint).probabilities(holdout),
    )


def _deployment(candidate: RegisteredModel, period: Period, decision: Decision, run_id: str) -> Deployment:
    return Deployment(
        version=candidate.version,
        effective_at=period.end,
        period=period.key,
        bundle=candidate.bundle,
        fingerprint=candidate.fingerprint,
        actor=f"gate, run {run_id}",
        reason=decision.reason,
    )


def _metrics(model_evaluation: pa.Table, period: Period) -> dict[str, Metric]:
    rows = rows_of(model_evaluation, period).to_dict("records")
    return {r["metric"]: Metric(r["metric"], r["value"], r["low"], r["high"], r["n"]) for r in rows}


def _differences(comparison: Comparison | None) -> dict[str, float]:
    if comparison is None:
        return {}
    pairs = {"auc": comparison.auc, "brier": comparison.brier}
    return {
        f"{name}_difference{edge}": value
        for name, pair in pairs.items()
        for edge, value in (("", pair.value), ("_low", pair.low), ("_high", pair.high))
    }
