"""What monitoring would have said of a live model: drift of features, scores and outcomes, and matured performance, each
measured once. By monitoring's own functions, from arrays instead of tables."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from typing import Any, Literal

import numpy as np

from lead_scoring_assets.labels.maturity import matured_cohort
from lead_scoring_assets.models.training_set import HOLDOUT, TRAIN
from lead_scoring_assets.monitoring.drift.concept import measure_concept
from lead_scoring_assets.monitoring.drift.counts import Counts, total
from lead_scoring_assets.monitoring.drift.exact import ExactComparison
from lead_scoring_assets.monitoring.drift.groups import feature_groupings
from lead_scoring_assets.monitoring.drift.outcomes import Outcomes
from lead_scoring_assets.monitoring.drift.prediction import measure_scores
from lead_scoring_assets.monitoring.drift.presets import acting
from lead_scoring_assets.monitoring.drift.reference import ReferenceState, build_reference, count_frame, read_frame
from lead_scoring_assets.monitoring.drift.verdict import Limits, measure_counts
from lead_scoring_assets.monitoring.performance.matured import Cohort, measure
from lead_scoring_assets.retraining.facts import DriftWindow, MaturedAuc, TrainingData
from lead_scoring_assets.settings import Performance, Settings
from lead_scoring_assets.timemachine.library import Model
from lead_scoring_assets.timemachine.recorded import Floats, Positions, Recorded, instant

DriftCause = Literal["drift", "concept_drift", "prediction_drift"]
Rows = list[dict[str, Any]]


@dataclass
class Watch:
    """Measures on demand and remembers: many policies have the same model live in the same periods."""

    recorded: Recorded
    _references: dict[Model, ReferenceState] = field(default_factory=dict)
    _counts: dict[tuple[int, Model], Counts] = field(default_factory=dict)
    _cohorts: dict[int, tuple[Positions, Floats]] = field(default_factory=dict)
    _windows: dict[tuple[object, ...], DriftWindow] = field(default_factory=dict)
    _performance: dict[tuple[int, tuple[Model | None, ...], Performance], MaturedAuc | None] = field(
        default_factory=dict
    )
    _data: dict[int, TrainingData] = field(default_factory=dict)

    def drift(self, cause: DriftCause, place: int, model: Model, version: int, settings: Settings) -> DriftWindow:
        """What `cause` looks at, in the window that ends with `periods[place]`, in which `model` was live.

        `version`: what the policy calls the model. `settings`: those of the policy.
        """
        key = (cause, place, model, settings.drift, settings.watching, settings.performance)
        if key not in self._windows:
            measures = {"drift": self._features, "prediction_drift": self._scores, "concept_drift": self._outcomes}
            of = {"period": self.recorded.periods[place].key, "model_version": version}
            self._windows[key] = DriftWindow.of([{**row, **of} for row in measures[cause](place, model, settings)])
        return replace(self._windows[key], model_version=version)

    def performance(self, place: int, live: Sequence[Model | None], settings: Performance) -> MaturedAuc | None:
        """AUC of the newest of `live` (one model a period, up to `periods[place]`) on the leads that matured in that period.

        As in the tables a lead answers for its first score; None where that model scored none of them, or there is none.
        """
        if (champion := live[place]) is None:
            return None
        rows, labels = self._cohort(place)
        period_of = self.recorded.period_of[rows]
        oldest = int(period_of.min()) if len(rows) else place
        models = tuple(live[oldest : place + 1])
        key = (place, models, settings)
        if key not in self._performance:
            is_scored = np.array([model is not None for model in models])[period_of - oldest]
            rows, labels, period_of = rows[is_scored], labels[is_scored], period_of[is_scored]
            lead = self.recorded.lead[rows]
            is_first = np.concatenate([[True], lead[1:] != lead[:-1]]) if len(lead) else np.zeros(0, dtype=bool)
            is_mine = np.array([model is champion for model in models])[period_of - oldest] & is_first
            self._performance[key] = self._judged(place, champion, rows[is_mine], labels[is_mine], settings)
        return self._performance[key]

    def training_data(self, place: int) -> TrainingData:
        """What a training as of the end of `periods[place]` would have."""
        if place not in self._data:
            rows, _ = self.recorded.training_rows(self.recorded.periods[place])
            labels = {split: rows.loc[rows["split"] == split, "label"] for split in (TRAIN, HOLDOUT)}
            self._data[place] = TrainingData(
                rows=len(labels[TRAIN]),
                positives=int(labels[TRAIN].sum()),
                holdout_rows=len(labels[HOLDOUT]),
                holdout_positives=int(labels[HOLDOUT].sum()),
            )
        return self._data[place]

    def _features(self, place: int, model: Model, settings: Settings) -> Rows:
        """Features against the rows on which `model` was trained."""
        reference, policy = self._reference(model), settings.watching.policy
        places = range(max(0, place - settings.drift.window_periods + 1), place + 1)
        counts = total(self._counted(each, model) for each in places)
        # Row by row is what only the documents' thresholds look at.
        exact = self._compared(places, reference) if policy != "recommended" else None
        found = measure_counts(reference, counts, Limits.of(settings.drift), exact)
        return acting(policy, [asdict(drift) for drift in found])

    def _scores(self, place: int, model: Model, settings: Settings) -> Rows:
        """The period's scores against those of the holdout."""
        then, now = (model.probabilities[rows] for rows in (model.holdout, self.recorded.rows_of(place)))
        found = measure_scores(then, now, settings.drift, settings.watching)
        return acting(settings.watching.policy, [asdict(found)])

    def _outcomes(self, place: int, model: Model, settings: Settings) -> Rows:
        """What came of the newest matured leads, whoever scored them, against the holdout; by a lead's first row."""
        recorded, registry = self.recorded, self.recorded.settings.registry
        rows, labels = self._cohort(place)
        leads = int(recorded.is_first[rows].sum())
        is_judged = recorded.is_first[rows] & np.isfinite(labels)
        rows, labels = rows[is_judged], labels[is_judged]
        then = Outcomes(model.holdout_labels, model.probabilities[model.holdout], len(model.holdout))
        now = Outcomes(labels, model.probabilities[rows], leads)
        frames = (recorded.frame.iloc[model.holdout], recorded.frame.iloc[rows])
        groupings = feature_groupings(*frames, registry.numeric_features, registry.category_features)
        rate = settings.drift.false_discovery_rate
        found = measure_concept(then, now, groupings, settings.watching, settings.performance, rate)
        return [asdict(drift) for drift in found]

    def _judged(
        self, place: int, champion: Model, rows: Positions, labels: Floats, settings: Performance
    ) -> MaturedAuc | None:
        if not len(rows):
            return None
        is_known, period = np.isfinite(labels), self.recorded.periods[place]
        cohort = Cohort(0, len(rows), labels[is_known], champion.probabilities[rows[is_known]])
        auc = next(row for row in measure(cohort, settings, period.key, period.end) if row["metric"] == "auc")
        names = ("status", "reason", "value", "low", "high", "n")
        return MaturedAuc(**{name: auc[name] for name in names})  # type: ignore[arg-type]  # a row of the table

    def _counted(self, place: int, model: Model) -> Counts:
        """The period's rows in the bins of the model's reference. Counts add, whatever a policy's window and limits are."""
        key = (place, model)
        if key not in self._counts:
            frame = self.recorded.frame.iloc[self.recorded.rows_of(place)]
            self._counts[key] = count_frame(self._reference(model), frame)
        return self._counts[key]

    def _compared(self, places: range, reference: ReferenceState) -> Mapping[str, ExactComparison]:
        rows = np.concatenate([self.recorded.rows_of(place) for place in places])
        return read_frame(reference, self.recorded.frame.iloc[rows])[1]

    def _reference(self, model: Model) -> ReferenceState:
        if model not in self._references:
            registry, frame = self.recorded.settings.registry, self.recorded.frame.iloc[model.train_rows]
            found = build_reference(frame, registry.numeric_features, registry.category_features)
            # What is missing together is told to people, and asks for nothing.
            self._references[model] = replace(found, missingness=None)
        return self._references[model]

    def _cohort(self, place: int) -> tuple[Positions, Floats]:
        """All rows of the leads whose conversion window closed in the period, and their labels at its end."""
        if place not in self._cohorts:
            period = self.recorded.periods[place]
            begin, end = matured_cohort(period, timedelta(days=self.recorded.settings.labels.conversion_window_days))
            created = self.recorded.created_at
            is_in = (created >= instant(begin)) & (created < instant(end)) & (self.recorded.period_of <= place)
            rows = np.flatnonzero(is_in)
            self._cohorts[place] = (rows, self.recorded.labels_at(period.end)[rows])
        return self._cohorts[place]
