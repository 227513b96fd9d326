"""What the capacity reached and what the tenths kept of their promise, against scikit-learn and calibrated worlds."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_score, recall_score

from lead_scoring_assets.evaluation.metrics import Floats, Metric
from lead_scoring_assets.monitoring.performance.worked import figures_at_work
from lead_scoring_assets.settings import Home
from lead_scoring_tests.evaluation.worlds import arrays, calibrated, labelled_scores, tolerance

EVALUATION = Home(Path(__file__).resolve().parents[3]).settings.evaluation.model_copy(update={"bootstrap_samples": 100})


def of(labels: Floats, scores: Floats) -> dict[str, Metric]:
    return {metric.name: metric for metric in figures_at_work(labels, scores, EVALUATION, 0)}


@given(st.integers(20, 60), st.integers(0, 1_000))
def test_at_capacity_as_scikit_learn_has_it(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, labels = rng.permutation(n) / n, np.append(rng.integers(0, 2, n - 5), np.ones(5))
    called = scores >= np.sort(scores)[n - max(1, n // 5)]
    found = of(labels, scores)
    for name, peer in (("precision", precision_score), ("recall", recall_score), ("f1", f1_score)):
        assert found[f"{name}_at_20_percent"].value == pytest.approx(peer(labels, called, zero_division=0.0)), name


@given(labelled_scores)
def test_the_order_of_the_leads_changes_nothing(rows: list[tuple[int, float]]) -> None:
    one, two = of(*arrays(rows)), of(*arrays(rows[::-1]))
    assert {name: repr(metric) for name, metric in one.items()} == {name: repr(metric) for name, metric in two.items()}


@given(labelled_scores)
def test_tenths_hold_every_lead_once(rows: list[tuple[int, float]]) -> None:
    labels, scores = arrays(rows)
    found = of(labels, scores)
    rates = [metric for name, metric in found.items() if name.startswith("rate_in_tenth_")]
    promised = [metric for name, metric in found.items() if name.startswith("mean_score_in_tenth_")]
    assert len(rates) == len(promised) <= 10
    assert sum(metric.n for metric in rates) == len(labels)
    assert sum(metric.value * metric.n for metric in rates) == pytest.approx(labels.sum())
    assert sum(metric.value * metric.n for metric in promised) == pytest.approx(scores.sum())
    assert [metric.value for metric in promised] == sorted(metric.value for metric in promised)


def test_a_calibrated_model_keeps_what_each_tenth_promises() -> None:
    """By the mean score of the tenth, not by its edge, which lies below its leads."""
    labels, scores = calibrated(np.random.default_rng(0), 100_000)
    found = of(labels, scores)
    assert found["ece"].value < 0.01
    for place in range(1, 11):
        promised, rate = found[f"mean_score_in_tenth_{place}"], found[f"rate_in_tenth_{place}"]
        assert rate.low - 0.005 <= promised.value <= rate.high + 0.005


def test_promises_that_are_too_high_are_seen_in_every_tenth() -> None:
    found = of(*calibrated(np.random.default_rng(0), 100_000, shift=0.7))
    assert found["ece"].low > found["ece_if_calibrated"].high
    assert all(
        found[f"rate_in_tenth_{place}"].high < found[f"mean_score_in_tenth_{place}"].value for place in range(1, 11)
    )


def test_f1_holds_its_truth() -> None:
    """95 % nominal. What is estimated is the figure of a great many such leads."""
    true = of(*calibrated(np.random.default_rng(99), 400_000))["f1_at_20_percent"].value
    held = []
    for seed in range(120):
        metric = of(*calibrated(np.random.default_rng(seed), 500))["f1_at_20_percent"]
        held.append(metric.low <= true <= metric.high)
    assert np.mean(held) == pytest.approx(0.95, abs=tolerance(120))


def test_nobody_gives_no_figure() -> None:
    assert all(np.isnan(metric.value) for metric in of(np.empty(0), np.empty(0)).values())
