"""From the tables to the facts that decide, as of now. Nothing is decided here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.labels.maturity import first_rows, labels_known_at
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.models.training_set import TrainingWindow
from lead_scoring_assets.periods import Period
from lead_scoring_assets.promotion.deployments import Deployment, Deployments
from lead_scoring_assets.promotion.lifecycle import Lifecycle
from lead_scoring_assets.retraining.facts import (
    CandidateVerdict,
    Champion,
    DriftWindow,
    Facts,
    Judgement,
    MaturedAuc,
    Request,
    Row,
    TrainingData,
    drift_windows,
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
    first_live_at: datetime | None
    decisions: Sequence[dict[str, Any]]
    lifecycle: Lifecycle

    def decision_of(self, period: str) -> dict[str, Any] | None:
        return next((decision for decision in self.decisions if decision["period"] == period), None)

    @property
    def judgements(self) -> list[Judgement]:
        """What became of every candidate, oldest first; a period that gave none is not among them."""
        return [
            Judgement(row["period"], row["decided_at"], self._verdict(row))
            for row in self.decisions
            if row["verdict"] != "no_candidate"
        ]

    def _verdict(self, decision: Row) -> CandidateVerdict:
        """As the gate said, unless people or a damaged model have had the last word since."""
        version = decision["candidate_version"]
        if version in self.lifecycle.left:
            return "taken_back"
        if version in self.lifecycle.rejected:
            return "rejected"
        if version in self.lifecycle.went_live:
            return "promoted"
        verdict: CandidateVerdict = decision["verdict"]
        return verdict


def look(installation: Installation) -> Situation | None:
    """The situation now, or None while no period has closed."""
    now = installation.clock.now()
    period = installation.settings.calendar.last_closed(now)
    if period is None:
        return None
    deployments = Deployments(installation.lakehouse)
    live = [step.effective_at for step in deployments.history() if step.effective_at <= now]
    return Situation(
        now=now,
        period=period,
        has_arrived=bool(_rows(installation, "arrived_files", period)),
        champion=deployments.champion_at(now),
        first_live_at=min(live, default=None),
        decisions=sorted(_rows(installation, "promotion_decision"), key=lambda decision: decision["decided_at"]),
        lifecycle=deployments.lifecycle(),
    )


def gather(
    installation: Installation,
    situation: Situation,
    *,
    request: Request | None = None,
    in_flight: str | None = None,
    answered: str | None = None,
) -> Facts:
    """Everything that the decision about the newest closed period looks at; how much there is to train on is counted apart."""
    period, champion, judgements = situation.period, situation.champion, situation.judgements
    return Facts(
        now=situation.now,
        period=period.key,
        champion=Champion(champion.version, _promised_auc(installation, champion)) if champion else None,
        first_live_at=situation.first_live_at,
        drift=_windows(installation, "feature_drift", situation),
        concept_drift=_windows(installation, "concept_drift", situation),
        prediction_drift=_windows(installation, "prediction_drift", situation),
        performance=_matured_auc(installation, situation),
        new_labels=_labels_known(installation, judgements[-1].judged_at if judgements else None, situation.now),
        judgements=judgements,
        request=request,
        is_ingested=situation.has_arrived,
        in_flight=in_flight,
        answered=answered,
    )


def count_training_data(installation: Installation, period: Period) -> TrainingData:
    """What `training_set` would hold for `period` with the labels known at its end, counted and not read."""
    lakehouse, settings = installation.lakehouse, installation.settings
    if not all(map(lakehouse.exists, ("lead_features", "ground_truth_labels"))):
        return TrainingData(0, 0, 0, 0)
    conversion_window = timedelta(days=settings.labels.conversion_window_days)
    window = TrainingWindow.of(period, conversion_window, settings.training.window_months)
    first = settings.calendar.containing(max(window.start, settings.calendar.start))
    keys = [known.key for known in settings.calendar.through(period, first)]
    chosen = "(SELECT * FROM features WHERE known_at <= $5 AND created_at >= $1)"
    [counted] = query(
        f"""
        SELECT count_if(created_at < $2) AS rows, count_if(created_at < $2 AND label = 1) AS positives,
               count_if(created_at >= $3) AS holdout_rows, count_if(created_at >= $3 AND label = 1) AS holdout_positives
        FROM (SELECT f.created_at, l.label
              FROM {first_rows(chosen, "known_at")} f JOIN {labels_known_at("labels", "$5")} l USING (lead_id)
              WHERE f.created_at < $4)
        """,  # noqa: S608  # only our own names are pasted in
        {
            "features": lakehouse.scan("lead_features", periods=keys),
            "labels": lakehouse.scan("ground_truth_labels", periods=keys),
        },
        [window.start, window.embargo, window.holdout, window.end, period.end],
    ).to_pylist()
    # DuckDB counts in decimals, and of no rows NULL.
    return TrainingData(**{name: int(count or 0) for name, count in counted.items()})


def _windows(installation: Installation, table: str, situation: Situation) -> list[DriftWindow]:
    """What was measured against the champion at any time, and against whomever in the newest period."""
    if not installation.lakehouse.exists(table) or situation.champion is None:
        return []
    rows = query(
        "SELECT * FROM measured WHERE period <= $1 AND (model_version = $2 OR period = $1)",
        {"measured": installation.lakehouse.scan(table)},
        [situation.period.key, situation.champion.version],
    )
    return drift_windows(rows.to_pylist())


def _matured_auc(installation: Installation, situation: Situation) -> MaturedAuc | None:
    champion = situation.champion
    for row in _rows(installation, "model_performance", situation.period):
        if champion is not None and row["metric"] == "auc" and row["model_version"] == champion.version:
            if row["status"] != "ok":
                return MaturedAuc(row["status"], row["reason"])
            return MaturedAuc(**{name: row[name] for name in ("status", "reason", "value", "low", "high", "n")})
    return None


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


def _promised_auc(installation: Installation, champion: Deployment) -> float | None:
    if not installation.lakehouse.exists("model_evaluation"):
        return None
    rows = installation.lakehouse.read("model_evaluation", periods=[champion.period]).to_pylist()
    found = [row["value"] for row in rows if row["metric"] == "auc" and row["version"] == champion.version]
    return float(found[0]) if found else None
