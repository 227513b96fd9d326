"""Everything that is said of a model: names, agreement with the closed forms, money, and input nobody wanted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lead_scoring_assets.evaluation.judge import judge
from lead_scoring_assets.evaluation.metrics import Metric, evaluate
from lead_scoring_assets.settings import Evaluation
from lead_scoring_tests.evaluation.worlds import arrays, calibrated, labelled_scores

SETTINGS = Evaluation(bootstrap_samples=100)


def figures(labels: np.ndarray, scores: np.ndarray, *more: object, by: Evaluation = SETTINGS) -> dict[str, Metric]:
    return {metric.name: metric for metric in judge(labels, scores, by, 1, *more)}  # type: ignore[arg-type]


@settings(max_examples=30)
@given(labelled_scores, st.integers(0, 2**32))
def test_the_order_of_rows_changes_no_bit(rows: list[tuple[int, float]], seed: int) -> None:
    labels, scores = arrays(rows)
    values = np.arange(len(labels)) % 3 + 1.0
    order = np.random.default_rng(seed).permutation(len(labels))
    found, other = figures(labels, scores, values), figures(labels[order], scores[order], values[order])
    for name, metric in found.items():
        assert np.array_equal(
            (metric.value, metric.low, metric.high),
            (other[name].value, other[name].low, other[name].high),
            equal_nan=True,
        ), name


@settings(max_examples=30)
@given(labelled_scores)
def test_values_are_those_of_the_closed_forms(rows: list[tuple[int, float]]) -> None:
    labels, scores = arrays(rows)
    found = figures(labels, scores)
    for metric in evaluate(labels, scores):
        value = found[metric.name].value
        assert found[metric.name].n == metric.n
        assert np.isnan(value) or np.isnan(metric.value) or value == pytest.approx(metric.value, abs=1e-12)


def test_intervals_are_near_the_closed_forms() -> None:
    labels, scores = calibrated(np.random.default_rng(0), 3_000)
    found = figures(labels, scores, by=Evaluation(bootstrap_samples=1_000))
    for metric in evaluate(labels, scores):
        width = metric.high - metric.low
        assert (found[metric.name].low, found[metric.name].high) == pytest.approx(
            (metric.low, metric.high), abs=0.15 * width
        )


def test_every_share_that_is_asked_for_and_always_the_tenth() -> None:
    labels, scores = calibrated(np.random.default_rng(1), 500)
    found = list(figures(labels, scores, by=Evaluation(bootstrap_samples=100, top_shares=(0.025, 0.3))))
    assert found == [
        *("auc", "average_precision", "brier", "log_loss", "ece", "ece_if_calibrated"),
        *(
            f"{figure}_at_{share}_percent"
            for share in ("2.5", "10", "30")
            for figure in ("precision", "recall", "lift")
        ),
        *("mean_score", "conversion_rate", "expected_revenue_at_capacity", "expected_revenue_per_worked_lead"),
        "expected_revenue_gain_at_capacity",
    ]


def test_lift_is_precision_over_the_rate() -> None:
    labels, scores = calibrated(np.random.default_rng(2), 1_000)
    found = figures(labels, scores)
    for share in (5, 10, 20):
        lift, precision = found[f"lift_at_{share}_percent"], found[f"precision_at_{share}_percent"]
        assert lift.value == pytest.approx(precision.value / found["conversion_rate"].value)
        assert lift.low < lift.value < lift.high


def test_revenue_by_hand() -> None:
    """The best two of ten are worked: one converts and brings 70. All bring 100, so random order brings 20."""
    labels = np.array([1.0, 0, 1, 0, 0, 0, 0, 0, 0, 0])
    scores, values = np.linspace(0.9, 0.1, 10), np.array([70.0, np.nan, 30, 5, 5, 5, 5, 5, 5, 5])
    found = figures(labels, scores, values)
    assert found["expected_revenue_at_capacity"].value == 70
    assert found["expected_revenue_per_worked_lead"].value == 35
    assert found["expected_revenue_gain_at_capacity"].value == 70 - 20
    unknown = figures(
        labels, scores, np.full(10, np.nan), by=Evaluation(bootstrap_samples=100, value_per_conversion=8.0)
    )
    assert unknown["expected_revenue_at_capacity"].value == 8


def test_a_model_that_knows_nothing_gains_nothing_over_random_order() -> None:
    rng = np.random.default_rng(3)
    same = figures(np.repeat([1.0, 0.0], [60, 440]), np.full(500, 0.12))["expected_revenue_gain_at_capacity"]
    assert (same.value, same.low, same.high) == pytest.approx((0, 0, 0), abs=1e-9)
    gains = [
        figures((rng.random(500) < 0.12).astype(np.float64), rng.random(500))["expected_revenue_gain_at_capacity"]
        for _ in range(100)
    ]
    assert np.mean([gain.low > 0 or gain.high < 0 for gain in gains]) < 0.05 + 3.5 * np.sqrt(0.05 * 0.95 / 100)


def test_nobody_converted_is_not_known_without_error() -> None:
    labels, scores = np.zeros(200), np.random.default_rng(4).random(200) * 0.1
    found = figures(labels, scores)
    assert found["precision_at_10_percent"].value == found["conversion_rate"].value == 0
    assert found["precision_at_10_percent"].high > 0.1
    assert found["conversion_rate"].high > 0.01
    for name in ("auc", "average_precision", "recall_at_10_percent", "lift_at_10_percent"):
        assert np.isnan([found[name].value, found[name].low, found[name].high]).all(), name


def test_no_leads_and_no_numbers_give_the_same_names_and_no_figure() -> None:
    names = list(figures(*calibrated(np.random.default_rng(5), 100)))
    for labels, scores in ((np.empty(0), np.empty(0)), (np.array([1.0, 0, 0]), np.array([0.2, np.nan, 0.1]))):
        found = figures(labels, scores)
        assert list(found) == names
        assert all(np.isnan([metric.value, metric.low, metric.high]).all() for metric in found.values())
        assert all(metric.n == len(labels) for metric in found.values())


def test_the_seed_decides() -> None:
    labels, scores = calibrated(np.random.default_rng(6), 300)
    assert judge(labels, scores, SETTINGS, 1) == judge(labels, scores, SETTINGS, 1)
    assert judge(labels, scores, SETTINGS, 1) != judge(labels, scores, SETTINGS, 2)
