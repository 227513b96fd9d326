"""What monitoring would have said: drift and matured performance of a live model, each measured once. As arrays, no tables."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta

import numpy as np

from lead_scoring_assets.labels.maturity import matured_cohort
from lead_scoring_assets.models.training_set import HOLDOUT, TRAIN
from lead_scoring_assets.monitoring.drift.counts import Counts, total
from lead_scoring_assets.monitoring.drift.reference import ReferenceState, build_reference, count_frame
from lead_scoring_assets.monitoring.drift.verdict import Limits, measure_counts
from lead_scoring_assets.monitoring.performance.matured import Cohort, measure
from lead_scoring_assets.retraining.facts import DriftWindow, MaturedAuc, TrainingData
from lead_scoring_assets.settings import Drift, Performance
from lead_scoring_assets.timemachine.library import Model
from lead_scoring_assets.timemachine.recorded import Floats, Positions, Recorded, instant


@dataclass
class Watch:
    """Measures on demand and remembers: many policies have the same model live in the same periods."""

    recorded: Recorded
    _references: dict[int, tuple[Model, ReferenceState]] = field(default_factory=dict)
    _counts: dict[tuple[int, int], Counts] = field(default_factory=dict)
    _cohorts: dict[int, tuple[Positions, Floats]] = field(default_factory=dict)
    _performance: dict[tuple[int, tuple[int | None, ...], Performance], MaturedAuc | None] = field(default_factory=dict)
    _data: dict[int, TrainingData] = field(default_factory=dict)

    def drift(self, place: int, model: Model, version: int, settings: Drift) -> DriftWindow:
        """Features of the window that ends with `periods[place]` against the rows on which `model` was trained.

        `version`: what the policy calls the model.
        """
        reference = self._reference(model)
        places = range(max(0, place - settings.window_periods + 1), place + 1)
        counts = total(self._counted(each, model) for each in places)
        found = measure_counts(reference, counts, Limits.of(settings))
        of = {"period": self.recorded.periods[place].key, "model_version": version}
        return DriftWindow.of([{**asdict(drift), **of} for drift in found])

    def performance(self, place: int, live: Sequence[Model | None], settings: Performance) -> MaturedAuc | None:
        """AUC of the newest of `live` (one model a period, up to `periods[place]`) on the leads that matured in that period.

        As in the tables a lead answers for its first score; None where that model scored none of them, or there is none.
        """
        if (champion := live[place]) is None:
            return None
        rows, labels = self._cohort(place)
        period_of = self.recorded.period_of[rows]
        oldest = int(period_of.min()) if len(rows) else place
        models = [id(model) if model else None for model in live[oldest : place + 1]]
        key = (place, tuple(models), settings)
        if key not in self._performance:
            is_scored = np.array([model is not None for model in models])[period_of - oldest]
            rows, labels, period_of = rows[is_scored], labels[is_scored], period_of[is_scored]
            lead = self.recorded.lead[rows]
            is_first = np.concatenate([[True], lead[1:] != lead[:-1]]) if len(lead) else np.zeros(0, dtype=bool)
            is_mine = np.array([model == id(champion) for model in models])[period_of - oldest] & is_first
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
        key = (place, id(model))
        if key not in self._counts:
            frame = self.recorded.frame.iloc[self.recorded.rows_of(place)]
            self._counts[key] = count_frame(self._reference(model), frame)
        return self._counts[key]

    def _reference(self, model: Model) -> ReferenceState:
        if id(model) not in self._references:
            registry, frame = self.recorded.settings.registry, self.recorded.frame.iloc[model.train_rows]
            found = build_reference(frame, registry.numeric_features, registry.category_features)
            # Kept with the model, so that nothing else can ever have its identity.
            self._references[id(model)] = (model, found)
        return self._references[id(model)][1]

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
