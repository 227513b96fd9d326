"""What the retraining decisions look at: facts from the tables as of now. Nothing is decided here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.periods import Period
from lead_scoring_assets.promotion.deployments import Deployment, Deployments
from lead_scoring_assets.retraining.decisions import (
    Cause,
    RetrainingDecision,
    decide_on_calendar,
    decide_on_drift,
    decide_on_label_volume,
    decide_on_performance,
)


@dataclass(frozen=True)
class Situation:
    """The newest closed period, the champion, and every promotion decision so far (oldest first).

    `has_arrived`: the period's files have been ingested, so that a training of it would learn from them.
    """

    now: datetime
    period: Period
    has_arrived: bool
    champion: Deployment | None
    decisions: Sequence[dict[str, Any]]

    def decision_of(self, period: str) -> dict[str, Any] | None:
        return next((decision for decision in self.decisions if decision["period"] == period), None)

    @property
    def last_trained_at(self) -> datetime | None:
        """When a candidate was last trained and judged, whatever the verdict."""
        judged = [d["decided_at"] for d in self.decisions if d["verdict"] != "no_candidate"]
        return max(judged, default=None)


def look(installation: Installation) -> Situation | None:
    """The situation now, or None while no period has closed."""
    now = installation.clock.now()
    period = installation.settings.calendar.last_closed(now)
    if period is None:
        return None
    decisions = _rows(installation, "promotion_decision")
    return Situation(
        now=now,
        period=period,
        has_arrived=bool(_rows(installation, "arrived_files", period)),
        champion=Deployments(installation.lakehouse).champion_at(now),
        decisions=sorted(decisions, key=lambda decision: decision["decided_at"]),
    )


def decide(cause: Cause, installation: Installation, situation: Situation) -> RetrainingDecision:
    """Gather the facts that `cause` needs, and decide."""
    settings, period = installation.settings, situation.period
    version = situation.champion.version if situation.champion else None
    if cause == "drift":
        return decide_on_drift(period.key, _rows(installation, "feature_drift", period), version)
    if cause == "label_volume":
        since = situation.last_trained_at
        new_labels = _labels_known(installation, since, situation.now)
        return decide_on_label_volume(period.key, new_labels, settings.retraining.new_labels, since, version)
    if cause == "performance":
        rows = _rows(installation, "model_performance", period)
        promised = _promised_auc(installation, situation.champion)
        return decide_on_performance(period.key, rows, version, promised, settings.performance)
    return decide_on_calendar(period.key, situation.now, situation.last_trained_at, settings.retraining.calendar_months)


def _rows(installation: Installation, table: str, period: Period | None = None) -> list[dict[str, Any]]:
    if not installation.lakehouse.exists(table):
        return []
    rows: list[dict[str, Any]] = installation.lakehouse.read(
        table, periods=[period.key] if period else None
    ).to_pylist()
    return rows


def _labels_known(installation: Installation, after: datetime | None, until: datetime) -> int:
    if not installation.lakehouse.exists("ground_truth_labels"):
        return 0
    # A label that was corrected is not a new one.
    counted = query(
        "SELECT count(*) AS n FROM labels WHERE revision = 1 AND ($1 IS NULL OR label_known_at > $1) AND label_known_at <= $2",
        {"labels": installation.lakehouse.scan("ground_truth_labels")},
        [after, until],
    )
    return int(counted["n"][0].as_py())


def _promised_auc(installation: Installation, champion: Deployment | None) -> float | None:
    if champion is None or not installation.lakehouse.exists("model_evaluation"):
        return None
    rows = installation.lakehouse.read("model_evaluation", periods=[champion.period]).to_pylist()
    found = [row["value"] for row in rows if row["metric"] == "auc" and row["version"] == champion.version]
    return float(found[0]) if found else None
