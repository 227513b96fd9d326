"""Probabilities at their word: scikit-learn's figures, and calibration error against chance and against the truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics
from sklearn.calibration import calibration_curve

from lead_scoring_assets.evaluation.probabilities import brier, calibration, calibration_errors, log_loss
from lead_scoring_tests.evaluation.worlds import arrays, calibrated, labelled_scores, tolerance


@given(labelled_scores, st.integers(0, 2**32))
def test_weighted_losses_are_scikit_learns(rows: list[tuple[int, float]], seed: int) -> None:
    labels, scores = arrays(rows)
    weights = np.random.default_rng(seed).integers(1, 5, size=(3, len(labels))).astype(np.float64)
    losses, squares = log_loss(labels, scores)(weights), brier(labels, scores)(weights)
    for weight, loss, square in zip(weights, losses, squares, strict=True):
        cut = np.clip(scores, 1e-15, 1 - 1e-15)
        assert loss == pytest.approx(sklearn_metrics.log_loss(labels, cut, sample_weight=weight), rel=1e-9)
        assert square == pytest.approx(
            sklearn_metrics.brier_score_loss(labels, scores, sample_weight=weight), abs=1e-12
        )


def test_a_certain_and_wrong_score_costs_much_and_not_everything() -> None:
    loss = log_loss(np.array([1.0, 0.0]), np.array([0.0, 0.0]))(np.ones((1, 2)))
    assert loss == pytest.approx([-np.log(1e-15) / 2])


def test_calibration_by_hand() -> None:
    found = calibration(np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.1, 0.3, 0.6, 0.8]), bins=2)
    assert list(found.n) == [2, 2]
    assert found.mean_score == pytest.approx([0.2, 0.7])
    assert found.rate == pytest.approx([0, 1])
    assert found.error == pytest.approx((2 * 0.2 + 2 * 0.3) / 4)


def test_bins_are_scikit_learns_quantiles() -> None:
    labels, scores = calibrated(np.random.default_rng(0), 1_000)
    rate, promised = calibration_curve(labels, scores, n_bins=10, strategy="quantile")
    found = calibration(labels, scores)
    assert list(found.n) == [100] * 10
    assert found.rate == pytest.approx(rate)
    assert found.mean_score == pytest.approx(promised)


@given(labelled_scores, st.integers(0, 2**32))
def test_bins_hold_every_lead_once_whatever_the_order(rows: list[tuple[int, float]], seed: int) -> None:
    labels, scores = arrays(rows)
    found = calibration(labels, scores)
    assert found.n.sum() == len(labels)
    assert found.n @ found.rate == pytest.approx(labels.sum())
    assert found.n @ found.mean_score == pytest.approx(scores.sum())
    assert (np.diff(found.mean_score) > 0).all()
    order = np.random.default_rng(seed).permutation(len(labels))
    assert calibration(labels[order], scores[order]).error == pytest.approx(found.error, abs=1e-12)


def test_a_calibrated_model_is_not_called_miscalibrated_by_the_edges_of_bins() -> None:
    """Rate against the lower edge of each tenth of the scores would say 0.05 of any perfect model."""
    rng = np.random.default_rng(1)
    scores = rng.random(200_000)
    labels = (rng.random(200_000) < scores).astype(np.float64)
    assert calibration(labels, scores).error < 0.004
    edge = np.floor(scores * 10) / 10
    assert abs(np.mean(labels - edge)) > 0.045


def test_chance_explains_the_error_of_a_calibrated_model() -> None:
    """`ece` is far from 0 with few leads, and `ece_if_calibrated` says so: 95 % of perfect models lie in its range."""
    worlds, inside, begins_at_0 = 200, 0, 0
    rng = np.random.default_rng(2)
    values, by_chance = [], []
    for world in range(worlds):
        ece, chance = calibration_errors(*calibrated(rng, 400), samples=200, seed=world)
        inside += chance.low <= ece.value <= chance.high
        begins_at_0 += ece.low == 0
        values.append(ece.value)
        by_chance.append(chance.value)
    assert inside / worlds == pytest.approx(0.95, abs=tolerance(worlds))
    assert begins_at_0 / worlds >= 0.975 - tolerance(worlds, 0.975)
    assert np.mean(values) > 0.03
    assert np.mean(values) == pytest.approx(np.mean(by_chance), rel=0.05)


@pytest.mark.parametrize("shift", [0.4, 1.0])
def test_the_interval_holds_the_true_calibration_error(shift: float) -> None:
    """400 worlds each, 300 to 5,000 leads, scores right, too high, too bold, too timid: 94.3 to 99.8 % held the truth."""
    _, scores = calibrated(np.random.default_rng(3), 1_000_000, shift)
    log_odds = np.log(scores / (1 - scores)) - shift
    truth = float(np.mean(scores - 1 / (1 + np.exp(-log_odds))))  # all scores too high: the mean gap is the error
    worlds, hits, found_out = 150, 0, 0
    rng = np.random.default_rng(4)
    for world in range(worlds):
        ece, chance = calibration_errors(*calibrated(rng, 1_000, shift), samples=200, seed=world)
        hits += ece.low <= truth <= ece.high
        found_out += ece.value > chance.high
        assert ece.low <= ece.value <= ece.high
    assert hits / worlds >= 0.95 - tolerance(worlds)
    assert found_out / worlds > 0.6


def test_no_error_by_luck_is_no_proof_of_perfection() -> None:
    ece, chance = calibration_errors(np.tile([1.0, 0.0], 100), np.full(200, 0.5), samples=500, seed=1)
    assert (ece.value, ece.low) == (0.0, 0.0)
    assert ece.high > 0.05
    assert chance.value == pytest.approx(np.sqrt(0.25 / 200) * np.sqrt(2 / np.pi), rel=0.15)  # E|N(0, σ²)|


@pytest.mark.parametrize("scores", [[], [0.5], [0.5, np.nan, 0.2]])
def test_nothing_to_say_is_nan(scores: list[float]) -> None:
    for found in calibration_errors(np.zeros(len(scores)), np.array(scores), 100, 1):
        assert np.isnan([found.value, found.low, found.high]).all()
        assert found.n == len(scores)
