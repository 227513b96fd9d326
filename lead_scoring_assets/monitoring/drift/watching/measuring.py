"""One period watched: the rows of `prediction_drift`, `calibration_drift`, `concept_drift`, `drift_policies` and
`data_health`. Dagster only asks for them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lead_scoring_assets.assessment.explanations import sample_of
from lead_scoring_assets.errors import LakehouseError
from lead_scoring_assets.evaluation.metrics import Floats
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.monitoring.drift import calibration, concept, importance
from lead_scoring_assets.monitoring.drift.groups import feature_groupings
from lead_scoring_assets.monitoring.drift.health import Health, judge_shares
from lead_scoring_assets.monitoring.drift.importance import SAMPLE_LEADS, ImportanceShift, measure_importance
from lead_scoring_assets.monitoring.drift.outcomes import OutcomeDrift, Outcomes, not_judged
from lead_scoring_assets.monitoring.drift.prediction import SCORE, ScoreDrift, measure_scores
from lead_scoring_assets.monitoring.drift.presets import PRESETS, acting, alarms
from lead_scoring_assets.monitoring.drift.volume import judge_volume
from lead_scoring_assets.monitoring.drift.watching.arrivals import count_arrivals
from lead_scoring_assets.monitoring.drift.watching.cohorts import Watched, load_watched, newly_matured, scored_in
from lead_scoring_assets.periods import Period
from lead_scoring_assets.promotion.deployments import Deployment, Deployments, newest_of

Row = dict[str, Any]

_PLACE = [("period", pa.string()), ("as_of", pa.timestamp("us", tz="UTC"))]
_MODEL = [*_PLACE, ("model_version", pa.int64()), ("reference_period", pa.string())]
_TEXTS = ("feature", "kind", "status", "reason", "severity", "measure", "subject")
_COUNTS = ("n_reference", "n_current", "positives", "n", "n_before")


def _schema(place: list[tuple[str, pa.DataType]], kind: Any, more: Sequence[tuple[str, pa.DataType]] = ()) -> pa.Schema:
    def type_of(name: str) -> pa.DataType:
        return pa.string() if name in _TEXTS else pa.int64() if name in _COUNTS else pa.float64()

    return pa.schema([*place, *((field.name, type_of(field.name)) for field in fields(kind)), *more])


SCORES_SCHEMA = _schema(_MODEL, ScoreDrift, [("calibrated_status", pa.string())])
OUTCOMES_SCHEMA = _schema(_MODEL, OutcomeDrift)
IMPORTANCE_SCHEMA = _schema(_MODEL, ImportanceShift)
HEALTH_SCHEMA = _schema(_PLACE, Health)
POLICIES_SCHEMA = pa.schema(
    [
        *_PLACE,
        ("model_version", pa.int64()),
        *((name, pa.string()) for name in ("scope", "policy")),
        *((name, pa.bool_()) for name in ("acts", "would_alarm")),
        *((name, pa.int64()) for name in ("n_judged", "n_drifted")),
        *((name, pa.string()) for name in ("severity", "drifted", "reason")),
    ]
)


@dataclass(frozen=True)
class WatchedPeriod:
    """The rows of one period, by table. Each table has at least one, so that silence is not taken for calm."""

    prediction: list[Row]
    calibration: list[Row]
    concept: list[Row]
    importance: list[Row]
    policies: list[Row]


class Watch:
    """Watches periods of one installation; a champion is loaded once, however many periods it was live for."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._history = Deployments(installation.lakehouse).history()
        self._loaded: dict[int, Watched | str] = {}
        self._contributions: dict[int, Floats] = {}

    def watch(self, period: Period) -> WatchedPeriod:
        """Everything that is said of the models of `period`: of its scores, and of the leads that matured in it."""
        settings = self._installation.settings
        scores = self._scores(period)
        champion = self._champion(period)
        return WatchedPeriod(
            prediction=acting(settings.watching.policy, scores),
            **self._outcomes(period, champion),
            importance=[self._row(period, champion, self._importance(period, champion))],
            policies=self._policies(period, champion, scores),
        )

    def _scores(self, period: Period) -> list[Row]:
        """A row for each model that scored leads of the period: one, unless a damaged one was replaced meanwhile."""
        installation, settings = self._installation, self._installation.settings
        scored = installation.lakehouse.read("lead_scores", periods=[period.key], columns=["model_version", SCORE])
        versions = sorted(set(scored["model_version"].to_pylist()))
        champion = self._champion(period)
        if not versions and champion is not None:
            versions = [champion.version]
        if not versions:
            return [self._row(period, None, _unknown_scores("no model was live: nothing was scored"))]
        found = []
        for version in versions:
            deployment = next((past for past in reversed(self._history) if past.version == version), None)
            watched = self._load(deployment, version)
            now = scored.filter(pc.equal(scored["model_version"], version))[SCORE].to_numpy()
            if isinstance(watched, str):
                # Scores that are all the same are seen without a reference.
                drift = measure_scores(np.empty(0), now, settings.drift, settings.watching)
                drift = drift if drift.severity == "CRITICAL" else _unknown_scores(watched, len(now))
            else:
                drift = measure_scores(watched.holdout.outcomes.scores, now, settings.drift, settings.watching)
            found.append({**self._row(period, deployment, drift), "model_version": version})
        return found

    def _outcomes(self, period: Period, champion: Deployment | None) -> dict[str, list[Row]]:
        """Rows of calibration and concept drift, of the champion that was live at the period's start."""
        settings = self._installation.settings
        features = tuple(settings.registry.features)
        asked = {"calibration": calibration.QUESTIONS, "concept": (concept.RATE, concept.SCORE, *features)}

        def silent(reason: str) -> dict[str, list[Row]]:
            nobody = Outcomes(np.empty(0), np.empty(0), 0)
            return {
                family: [
                    self._row(period, champion, row)
                    for row in not_judged(names, nobody, None, "not_computable", reason)
                ]
                for family, names in asked.items()
            }

        if champion is None:
            return silent("no model was live")
        if champion.period >= period.key:
            return silent(f"champion v{champion.version} was trained on leads that matured in {period.key}")
        watched = self._load(champion, champion.version)
        if isinstance(watched, str):
            return silent(watched)
        try:
            matured = newly_matured(self._installation, period, watched.scorer)
        except LakehouseError as problem:
            return silent(str(problem))
        rate, needed = settings.drift.false_discovery_rate, settings.performance
        numeric, categorical = settings.registry.numeric_features, settings.registry.category_features
        kept = calibration.measure_calibration(matured.outcomes, settings.watching, needed, rate)
        then = watched.holdout
        groupings = feature_groupings(then.features, matured.features, numeric, categorical)
        moved = concept.measure_concept(then.outcomes, matured.outcomes, groupings, settings.watching, needed, rate)
        gone = [name for name in features if name not in groupings]
        reason = "the column is missing from the holdout or from the newer leads"
        moved += not_judged(gone, matured.outcomes, len(then.outcomes.labels), "not_computable", reason)
        return {
            "calibration": [self._row(period, champion, row) for row in kept],
            "concept": [self._row(period, champion, row) for row in moved],
        }

    def _importance(self, period: Period, champion: Deployment | None) -> ImportanceShift:
        """Whether the champion that was live at the period's start scored its leads for the reasons of its holdout."""
        settings = self._installation.settings
        if champion is None:
            return importance.not_judged("not_computable", "no model was live")
        watched = self._load(champion, champion.version)
        if isinstance(watched, str):
            return importance.not_judged("not_computable", watched)
        scorer = watched.scorer
        try:
            newer = scored_in(self._installation, period, scorer, SAMPLE_LEADS)
        except LakehouseError as problem:
            return importance.not_judged("not_computable", str(problem))
        if champion.version not in self._contributions:
            sample = sample_of(watched.holdout.features, settings.training.seed, SAMPLE_LEADS)
            self._contributions[champion.version] = scorer.contributions(sample)[:, :-1]
        return measure_importance(
            self._contributions[champion.version],
            scorer.contributions(newer)[:, :-1],
            scorer.columns,
            settings.watching,
            settings.drift.minimum_rows,
            settings.drift.false_discovery_rate,
        )

    def _policies(self, period: Period, champion: Deployment | None, scores: list[Row]) -> list[Row]:
        """What every policy says of the features and of the scores."""
        lakehouse, acts = self._installation.lakehouse, self._installation.settings.watching.policy
        features: list[Row] = []
        if lakehouse.exists("feature_drift"):
            features = lakehouse.read("feature_drift", periods=[period.key]).to_pylist()
        said = []
        for scope, rows in (("features", features), ("scores", scores)):
            for preset in PRESETS.values():
                alarm = alarms(preset, rows)
                place = {**self._place(period), "model_version": champion.version if champion else None}
                said.append(
                    {
                        **place,
                        "scope": scope,
                        "policy": preset.name,
                        "acts": preset.name == acts,
                        "would_alarm": alarm.would_alarm,
                        "severity": alarm.severity,
                        "n_judged": alarm.n_judged,
                        "n_drifted": len(alarm.drifted),
                        "drifted": ", ".join(alarm.drifted),
                        "reason": alarm.reason,
                    }
                )
        return said

    def _champion(self, period: Period) -> Deployment | None:
        """Who was live when the period began, and has scored it."""
        return newest_of([past for past in self._history if past.effective_at <= period.start])

    def _load(self, deployment: Deployment | None, version: int) -> Watched | str:
        """The champion with its holdout, or why there is none."""
        if version not in self._loaded:
            try:
                if deployment is None:
                    raise LakehouseError(f"v{version} has scored, and was never deployed")
                self._loaded[version] = load_watched(self._installation, deployment)
            except LakehouseError as problem:
                self._loaded[version] = str(problem)
        return self._loaded[version]

    def _row(
        self, period: Period, champion: Deployment | None, found: ScoreDrift | OutcomeDrift | ImportanceShift
    ) -> Row:
        model: Mapping[str, Any] = {
            "model_version": champion.version if champion else None,
            "reference_period": champion.period if champion else None,
        }
        return {**self._place(period), **model, **asdict(found)}

    @staticmethod
    def _place(period: Period) -> Row:
        return {"period": period.key, "as_of": period.end}


def health_of(installation: Installation, period: Period) -> list[Row]:
    """The rows of `data_health` of one period: shares first, the volume last."""
    settings = installation.settings
    arrived = count_arrivals(installation, period)
    rate = settings.drift.false_discovery_rate
    found = judge_shares(arrived.shares, settings.watching, settings.drift.minimum_rows, rate)
    found.append(judge_volume(arrived.now, arrived.before, rate))
    return [{"period": period.key, "as_of": period.end, **asdict(health)} for health in found]


def _unknown_scores(reason: str, n: int = 0) -> ScoreDrift:
    return ScoreDrift("not_computable", reason, "UNKNOWN", 0, n)
