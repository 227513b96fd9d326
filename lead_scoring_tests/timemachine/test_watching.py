"""What is measured in memory is what monitoring would have put into its tables."""

from dataclasses import asdict, fields
from datetime import timedelta

import numpy as np
import pyarrow as pa

from lead_scoring_assets.labels.maturity import matured_cohort
from lead_scoring_assets.monitoring.drift.measure import Limits, measure_drift
from lead_scoring_assets.monitoring.drift.reference import build_reference
from lead_scoring_assets.monitoring.performance.matured import cohorts, measure
from lead_scoring_assets.retraining.facts import DriftWindow
from lead_scoring_assets.timemachine.library import ClosedForm, Library, Model
from lead_scoring_assets.timemachine.recorded import read_recorded
from lead_scoring_assets.timemachine.watching import Watch
from lead_scoring_tests.timemachine.test_recorded import SETTINGS, corrected
from lead_scoring_tests.timemachine.worlds import WINDOW


def test_performance_is_that_of_the_table_also_where_leads_come_twice() -> None:
    features, labels = corrected()
    recorded = read_recorded(features, labels, SETTINGS)
    library = Library(recorded, SETTINGS, ClosedForm())
    old, new = library.candidate(2), library.candidate(3)
    assert isinstance(old, Model)
    assert isinstance(new, Model)
    # Nobody was live until the fourth period, the second model from the fifth on.
    live = [None, None, None, old, *[new] * (len(recorded.periods) - 4)]
    scored = [row for row in range(len(recorded.lead)) if live[recorded.period_of[row]] is not None]
    models = [live[recorded.period_of[row]] for row in scored]
    ordered = features.sort_by([("lead_id", "ascending"), ("known_at", "ascending"), ("period", "ascending")])
    scores = ordered.select(["period", "lead_id", "created_at"]).take(scored)
    scores = scores.append_column("scored_at", ordered["known_at"].take(pa.array(scored)))
    scores = scores.append_column("model_version", pa.array([1 if model is old else 2 for model in models]))
    probabilities = [model.probabilities[row] for row, model in zip(scored, models, strict=True) if model]
    scores = scores.append_column("probability", pa.array(probabilities))
    watch, compared = Watch(recorded), 0
    for place in range(3, 8):
        period = recorded.periods[place]
        found = watch.performance(place, live, SETTINGS.performance)
        expected = [
            row
            for cohort in cohorts(scores, labels, *matured_cohort(period, WINDOW), period.end)
            for row in measure(cohort, SETTINGS.performance, period.key, period.end)
            if row["metric"] == "auc" and row["model_version"] == (1 if live[place] is old else 2)
        ]
        assert (found is None) == (not expected)
        if found is not None:
            [row] = expected
            assert (found.status, found.reason, found.n) == (row["status"], row["reason"], row["n"])
            assert np.allclose([found.value, found.low, found.high], [row["value"], row["low"], row["high"]])
            compared += found.status == "ok"
    assert compared >= 3
    assert watch.performance(2, live, SETTINGS.performance) is None


def test_drift_is_that_of_the_table() -> None:
    features, labels = corrected()
    recorded = read_recorded(features, labels, SETTINGS)
    model = Library(recorded, SETTINGS, ClosedForm()).candidate(3)
    assert isinstance(model, Model)
    ordered = features.sort_by([("lead_id", "ascending"), ("known_at", "ascending")]).to_pandas()
    reference = build_reference(
        ordered.iloc[model.train_rows], SETTINGS.registry.numeric_features, SETTINGS.registry.category_features
    )
    current = ordered[ordered["period"] == recorded.periods[5].key]
    limits = {field.name: getattr(SETTINGS.drift, field.name) for field in fields(Limits)}
    rows = measure_drift(reference, current, **limits)
    place = {"period": recorded.periods[5].key, "model_version": 7}
    expected = DriftWindow.of([{**asdict(row), **place} for row in rows])
    assert Watch(recorded).drift(5, model, 7, SETTINGS.drift) == expected
    assert expected.judged == 2


def test_a_training_has_the_data_that_is_counted() -> None:
    recorded = read_recorded(*corrected(), SETTINGS)
    rows, _ = recorded.training_rows(recorded.periods[4])
    counted = Watch(recorded).training_data(4)
    assert counted.rows + counted.holdout_rows == len(rows)
    assert counted.positives + counted.holdout_positives == rows["label"].sum()
    assert counted.holdout_rows == (rows["split"] == "holdout").sum()
    assert timedelta(days=10) == WINDOW
