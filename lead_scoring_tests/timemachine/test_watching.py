"""What is measured in memory is what monitoring would have put into its tables."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from lead_scoring_assets.labels.maturity import first_rows, labels_known_at, matured_cohort
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.models.training_set import TrainingWindow, build_training_set
from lead_scoring_assets.monitoring.drift.concept import measure_concept
from lead_scoring_assets.monitoring.drift.groups import feature_groupings
from lead_scoring_assets.monitoring.drift.measure import Limits, measure_drift
from lead_scoring_assets.monitoring.drift.outcomes import Outcomes
from lead_scoring_assets.monitoring.drift.prediction import measure_scores
from lead_scoring_assets.monitoring.drift.presets import acting
from lead_scoring_assets.monitoring.drift.reference import build_reference
from lead_scoring_assets.monitoring.performance.matured import cohorts, measure
from lead_scoring_assets.retraining.facts import DriftWindow
from lead_scoring_assets.settings import DriftPolicy, Settings
from lead_scoring_assets.timemachine.library import ClosedForm, Library, Model
from lead_scoring_assets.timemachine.policies import Policy
from lead_scoring_assets.timemachine.recorded import Recorded, read_recorded
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
    assert Watch(recorded).drift("drift", 5, model, 7, SETTINGS) == expected
    assert expected.judged == 2


def champion(recorded: Recorded) -> Model:
    model = Library(recorded, SETTINGS, ClosedForm()).candidate(2)
    assert isinstance(model, Model)
    return model


def in_order(features: pa.Table) -> pa.Table:
    return features.sort_by([("lead_id", "ascending"), ("known_at", "ascending"), ("period", "ascending")])


def told(recorded: Recorded, place: int, rows: Sequence[Mapping[str, object]]) -> DriftWindow:
    of = {"period": recorded.periods[place].key, "model_version": 4}
    return DriftWindow.of([{**row, **of} for row in rows])


@pytest.mark.parametrize("policy", ["recommended", "doc_003"])
def test_drift_of_scores_is_that_of_the_table(policy: DriftPolicy) -> None:
    features, labels = corrected()
    recorded = read_recorded(features, labels, SETTINGS)
    settings, model = acting_settings(policy), champion(recorded)
    is_current = np.array(in_order(features)["period"].to_pylist()) == recorded.periods[5].key
    # A lead that was corrected is scored again, and its score is one of the period's.
    assert is_current.sum() > len(recorded.arrivals(5))
    scores = model.probabilities[is_current]
    measured = measure_scores(model.probabilities[model.holdout], scores, settings.drift, settings.watching)
    expected = told(recorded, 5, acting(policy, [asdict(measured)]))
    assert Watch(recorded).drift("prediction_drift", 5, model, 4, settings) == expected
    assert expected.n == len(scores)


def test_drift_of_outcomes_is_that_of_the_table() -> None:
    features, labels = corrected()
    recorded = read_recorded(features, labels, SETTINGS)
    model = champion(recorded)
    period = recorded.periods[5]
    begin, end = matured_cohort(period, WINDOW)
    chosen = "(SELECT * FROM features WHERE created_at >= $1 AND created_at < $2 AND known_at <= $3)"
    matured = query(
        f"SELECT f.*, l.label FROM {first_rows(chosen, 'known_at')} f "
        f"LEFT JOIN {labels_known_at('labels', '$3')} l USING (lead_id) ORDER BY f.lead_id",
        {"features": features, "labels": labels},
        [begin, end, period.end],
    ).to_pandas()
    known = matured[matured["label"].notna()]
    assert 50 < len(known) < len(matured)
    first = dict(zip(in_order(features)["lead_id"].to_pylist()[::-1], range(features.num_rows)[::-1], strict=True))
    now = Outcomes(
        known["label"].to_numpy(dtype=float),
        model.probabilities[[first[lead] for lead in known["lead_id"]]],
        len(matured),
    )
    window = TrainingWindow.of(recorded.periods[2], WINDOW, SETTINGS.training.window_months)
    rows = build_training_set(recorded.periods[2], window, features, labels, SETTINGS.registry).to_pandas()
    holdout = rows[rows["split"] == "holdout"]
    then = Outcomes(holdout["label"].to_numpy(dtype=float), model.probabilities[model.holdout], len(holdout))
    registry = SETTINGS.registry
    groupings = feature_groupings(holdout, known, registry.numeric_features, registry.category_features)
    rate = SETTINGS.drift.false_discovery_rate
    measured = measure_concept(then, now, groupings, SETTINGS.watching, SETTINGS.performance, rate)
    expected = told(recorded, 5, [asdict(row) for row in measured])
    assert Watch(recorded).drift("concept_drift", 5, model, 4, SETTINGS) == expected
    assert expected.judged >= 2


@pytest.mark.parametrize("policy", ["doc_000", "doc_001", "doc_003"])
def test_the_documents_thresholds_act_as_in_the_table(policy: DriftPolicy) -> None:
    features, labels = corrected()
    recorded = read_recorded(features, labels, SETTINGS)
    model = champion(recorded)
    ordered = in_order(features).to_pandas()
    reference = build_reference(
        ordered.iloc[model.train_rows], SETTINGS.registry.numeric_features, SETTINGS.registry.category_features
    )
    current = ordered[ordered["period"] == recorded.periods[5].key]
    limits = {field.name: getattr(SETTINGS.drift, field.name) for field in fields(Limits)}
    rows = [asdict(row) for row in measure_drift(reference, current, **limits)]
    # Figures that are compared row by row count here, and nowhere else.
    assert any(row["ks_statistic"] for row in rows)
    found = Watch(recorded).drift("drift", 5, model, 4, acting_settings(policy))
    assert found == told(recorded, 5, acting(policy, rows))


def acting_settings(policy: DriftPolicy) -> Settings:
    return Policy("p", "", {"watching": {"policy": policy}}).applied_to(SETTINGS)


def test_what_is_measured_once_is_told_of_each_policys_own_version() -> None:
    recorded = read_recorded(*corrected(), SETTINGS)
    model, watch = champion(recorded), Watch(recorded)
    one, other = (watch.drift("drift", 5, model, version, SETTINGS) for version in (1, 9))
    assert (one.model_version, other.model_version) == (1, 9)
    assert one.drifted is other.drifted


def test_a_training_has_the_data_that_is_counted() -> None:
    recorded = read_recorded(*corrected(), SETTINGS)
    rows, _ = recorded.training_rows(recorded.periods[4])
    counted = Watch(recorded).training_data(4)
    assert counted.rows + counted.holdout_rows == len(rows)
    assert counted.positives + counted.holdout_positives == rows["label"].sum()
    assert counted.holdout_rows == (rows["split"] == "holdout").sum()
    assert timedelta(days=10) == WINDOW
