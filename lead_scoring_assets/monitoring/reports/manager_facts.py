"""What the manager's report tells of a period, read from tables: nothing is measured or judged here."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lead_scoring_assets.events.log import Event
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.monitoring.business import kpis
from lead_scoring_assets.periods import Period
from lead_scoring_assets.predictions.buckets import LOWEST_BUCKET
from lead_scoring_assets.promotion.deployments import Deployment, Deployments

ALERT = "alert"
"""The kind of event under which alerts are recorded."""
PERIODS_SHOWN = 12

Row = Mapping[str, Any]


@dataclass(frozen=True)
class ManagerFacts:
    """One period as its tables tell it. What happened in [start, end) counts: models, decisions, alerts.

    `scored`: leads by bucket, of this period and of the one before. `figures`: rows of `business_kpis` by bucket and name.
    `history`: (period, promised rate, conversion rate, low, high) of the newest matured cohorts. `not_assessed`: why none of
    the features could be compared with those the model learned from; None where one could. `waiting`: the candidate in
    staging, and `rollout` the newest step of its rollout, where there is one. `approval`: as the gate's settings have it.
    """

    name: str
    period: Period
    simulated_part: str
    buckets: tuple[str, ...]
    scored: Mapping[str, int]
    scored_before: Mapping[str, int]
    rejected: int
    figures: Mapping[tuple[str, str], Row]
    history: list[tuple[str, float | None, float, float, float]]
    drifted: list[str]
    assessed: int
    not_assessed: str | None
    champion: Deployment | None
    steps: list[Deployment]
    decisions: list[Row]
    waiting: int | None
    rollout: Row | None
    approval: str
    alerts: list[Event]

    @property
    def as_of(self) -> datetime:
        return self.period.end

    @property
    def total(self) -> int:
        return sum(self.scored.values())

    def figure(self, kpi: str, bucket: str = kpis.ALL) -> Row | None:
        """A figure that can be told; None where there is none, or too little for it."""
        row = self.figures.get((bucket, kpi))
        return row if row is not None and row["status"] == "ok" and row["value"] is not None else None


def gather(installation: Installation, period: Period) -> ManagerFacts:
    """Read what the report of `period` needs; a table that does not exist yet has nothing to tell."""
    settings, deployments = installation.settings, Deployments(installation.lakehouse)
    calendar = settings.calendar
    measured = _rows(installation, "feature_drift", [period.key])
    since = [past.key for past in calendar.through(period)][-PERIODS_SHOWN:]
    kpi_rows = _rows(installation, kpis.TABLE, since)
    steps = deployments.steps()
    during = [step for step in steps if period.start <= step.effective_at < period.end]
    decisions = _rows(installation, "promotion_decision", None)
    problems = [e for e in installation.events.events(kind=ALERT) if e.evidence.get("topic", "problem") == "problem"]
    staged = [step for step in steps if step.effective_at < period.end]
    waiting = staged[-1].version if staged and staged[-1].action == "proposed" else None
    assessed = sum(row["psi_debiased"] is not None for row in measured)
    return ManagerFacts(
        name=settings.name,
        period=period,
        simulated_part=settings.simulated_part,
        buckets=(*settings.scoring.buckets, LOWEST_BUCKET),
        scored=_by_bucket(installation, period),
        scored_before=_by_bucket(installation, calendar.previous(period)) if period.start > calendar.start else {},
        rejected=len(_rows(installation, "rejected_rows", [period.key])),
        figures={(row["bucket"], row["kpi"]): row for row in kpi_rows if row["period"] == period.key},
        history=_history(kpi_rows),
        drifted=sorted(row["feature"] for row in measured if row["status"] == "drift"),
        assessed=assessed,
        not_assessed=measured[0]["reason"] if measured and not assessed else None,
        champion=deployments.champion_at(period.start),
        steps=during,
        decisions=sorted(
            (row for row in decisions if period.start <= row["decided_at"] < period.end), key=lambda r: r["decided_at"]
        ),
        waiting=waiting,
        rollout=_rollout_of(installation, waiting, period),
        approval=settings.gate.approval,
        alerts=[event for event in problems if period.start <= event.happened_at < period.end],
    )


def _rollout_of(installation: Installation, version: int | None, period: Period) -> Row | None:
    """The last that was recorded of the version's rollouts up to the period's end."""
    rows = [
        row for row in _rows(installation, "rollouts", None) if row["version"] == version and row["at"] < period.end
    ]
    return max(rows, key=lambda row: row["sequence"], default=None)


def _rows(installation: Installation, table: str, periods: list[str] | None) -> list[dict[str, Any]]:
    if not installation.lakehouse.exists(table):
        return []
    found: list[dict[str, Any]] = installation.lakehouse.read(table, periods=periods).to_pylist()
    return found


def _by_bucket(installation: Installation, period: Period) -> dict[str, int]:
    """New leads: those that were scored before, and only changed, are not counted again."""
    found = query(
        "SELECT bucket, count(*) AS n FROM scores WHERE previous_period IS NULL GROUP BY bucket",
        {"scores": installation.lakehouse.scan("lead_scores", periods=[period.key])},
    ).to_pylist()
    return {row["bucket"]: row["n"] for row in found}


def _history(rows: list[dict[str, Any]]) -> list[tuple[str, float | None, float, float, float]]:
    told = {(row["period"], row["kpi"]): row for row in rows if row["bucket"] == kpis.ALL and row["value"] is not None}
    return [
        (key, (told.get((key, "promised_rate")) or {}).get("value"), row["value"], row["low"], row["high"])
        for (key, kpi), row in sorted(told.items())
        if kpi == "conversion_rate"
    ]
