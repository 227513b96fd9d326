"""Calibration: against an independent optimiser, against scikit-learn, in simulated worlds, at the edges."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit, logit

from lead_scoring_assets.errors import TrainingError
from lead_scoring_assets.models.calibration import LEAST_OF_EACH_OUTCOME, Calibrator, fit_calibrator, identity
from lead_scoring_assets.models.learners import fit
from lead_scoring_assets.models.recipe import Recipe


def world(n: int, slope: float, intercept: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Margins, and outcomes whose true log odds are slope × margin + intercept."""
    rng = np.random.default_rng(seed)
    margins = rng.normal(-1, 1.5, n)
    return margins, (rng.random(n) < expit(slope * margins + intercept)).astype(np.float64)


def cross_entropy(weights: np.ndarray, margins: np.ndarray, labels: np.ndarray) -> float:
    """Platt's objective with his smoothed targets, written down plainly."""
    positives, negatives = labels.sum(), (1 - labels).sum()
    targets = np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    odds = weights[0] * margins + weights[1]
    return float((np.logaddexp(0, odds) - targets * odds).sum())


# The fit.


@pytest.mark.parametrize(("slope", "intercept"), [(1, 0), (0.3, -1), (2.5, 1.5), (0.05, 0)])
@pytest.mark.parametrize("scale", [1e-3, 1, 1e3])
def test_the_fit_is_the_minimum_that_another_optimiser_finds(slope: float, intercept: float, scale: float) -> None:
    margins, labels = world(1_000, slope, intercept, seed=1)
    found = fit_calibrator(margins * scale, labels)
    best = minimize(cross_entropy, [0.5, 0.0], args=(margins, labels), method="Nelder-Mead", tol=1e-10)
    assert found.slope * scale == pytest.approx(best.x[0], abs=1e-4)
    assert found.intercept == pytest.approx(best.x[1], abs=1e-4)


def test_it_is_scikit_learns_sigmoid_calibration() -> None:
    from sklearn.calibration import _sigmoid_calibration

    margins, labels = world(500, 0.6, -0.5, seed=2)
    minus_slope, minus_intercept = _sigmoid_calibration(margins, labels)
    found = fit_calibrator(margins, labels)
    assert (found.slope, found.intercept) == pytest.approx((-minus_slope, -minus_intercept), abs=1e-3)


def test_true_slope_and_intercept_are_found_without_bias() -> None:
    """Means over 200 worlds, within four standard errors of the truth; a seed that is fixed, not chosen."""
    found = [fit_calibrator(*world(1_500, 0.6, -0.5, seed)) for seed in range(200)]
    for values, truth in (([c.slope for c in found], 0.6), ([c.intercept for c in found], -0.5)):
        assert (
            abs(np.mean(values) - truth) < 4 * np.std(values) / np.sqrt(len(values)) + 0.005
        )  # O(1/n) bias of the MLE


@given(st.integers(0, 2**32), st.integers(60, 300), st.floats(-3, 3), st.floats(-1, 1))
def test_probabilities_match_the_targets_on_average_and_keep_the_order(
    seed: int, n: int, slope: float, intercept: float
) -> None:
    margins, labels = world(n, slope, intercept, seed)
    assume(min(labels.sum(), n - labels.sum()) >= LEAST_OF_EACH_OUTCOME)
    calibrator = fit_calibrator(margins, labels)
    assert calibrator.slope > 0
    positives, negatives = labels.sum(), n - labels.sum()
    target = (positives * (positives + 1) / (positives + 2) + negatives / (negatives + 2)) / n
    probabilities = calibrator.probabilities(margins)
    assert probabilities.mean() == pytest.approx(target, abs=1e-6)
    order = np.argsort(margins)
    assert (np.diff(calibrator.log_odds(margins)[order]) >= 0).all()


@given(st.permutations(range(100)))
def test_the_order_of_rows_is_irrelevant(order: list[int]) -> None:
    margins, labels = world(100, 1, 1, seed=3)
    plain, other = fit_calibrator(margins, labels), fit_calibrator(margins[order], labels[order])
    assert (other.slope, other.intercept) == pytest.approx((plain.slope, plain.intercept), abs=1e-9)


def test_the_same_rows_give_the_same_bytes() -> None:
    assert fit_calibrator(*world(500, 1, 0, 4)).to_json() == fit_calibrator(*world(500, 1, 0, 4)).to_json()


# Edges.


def test_an_order_that_is_the_wrong_way_round_is_kept_and_only_the_rate_is_met() -> None:
    margins, labels = world(1_000, -0.8, -2, seed=5)
    calibrator = fit_calibrator(margins, labels)
    assert calibrator.slope == 1
    assert calibrator.probabilities(margins).mean() == pytest.approx(labels.mean(), abs=2e-3)


def test_margins_that_are_all_the_same_give_the_rate() -> None:
    labels = np.repeat([0.0, 1.0], [300, 100])
    calibrator = fit_calibrator(np.full(400, 3.7), labels)
    assert calibrator.slope == 1
    assert calibrator.probabilities(np.array([3.7]))[0] == pytest.approx(0.25, abs=2e-3)


def test_outcomes_that_margins_separate_give_finite_numbers() -> None:
    margins = np.r_[np.linspace(-2, -1, 50), np.linspace(1, 2, 50)]
    calibrator = fit_calibrator(margins, np.repeat([0.0, 1.0], 50))
    assert 1 < calibrator.slope < 100
    assert 0.9 < calibrator.probabilities(np.array([2.0]))[0] < 1


@pytest.mark.parametrize("positives", [0, 1, LEAST_OF_EACH_OUTCOME - 1])
@pytest.mark.parametrize("is_turned", [False, True])
def test_too_few_leads_of_an_outcome_change_nothing(positives: int, is_turned: bool) -> None:
    labels = np.repeat([1.0, 0.0], [positives, 500])
    margins = np.random.default_rng(0).normal(size=len(labels))
    assert fit_calibrator(margins, 1 - labels if is_turned else labels) == identity()


def test_enough_leads_do() -> None:
    labels = np.repeat([1.0, 0.0], [LEAST_OF_EACH_OUTCOME, 500])
    assert fit_calibrator(np.random.default_rng(0).normal(size=len(labels)), labels) != identity()


def test_no_rows_change_nothing() -> None:
    assert fit_calibrator(np.empty(0), np.empty(0)) == identity()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_margin_that_is_no_number_is_refused(value: float) -> None:
    margins, labels = world(100, 1, 0, 6)
    margins[7] = value
    with pytest.raises(TrainingError, match="1 margins are not finite"):
        fit_calibrator(margins, labels)


@given(st.lists(st.floats(-700, 700), max_size=20))
def test_the_identity_is_the_logistic_function(margins: list[float]) -> None:
    values = np.array(margins, dtype=np.float64)
    assert np.array_equal(identity().log_odds(values), values)
    np.testing.assert_allclose(identity().probabilities(values), expit(values), rtol=1e-12, atol=0)


def test_no_margin_is_too_far_out() -> None:
    found = Calibrator(2.0, 1.0).probabilities(np.array([-1e300, -1e3, 0.0, 1e3, 1e300]))
    np.testing.assert_allclose(found, [0, 0, expit(1), 1, 1], atol=1e-300)


@given(st.floats(1e-6, 1e6), st.floats(-1e6, 1e6))
def test_json_round_trip(slope: float, intercept: float) -> None:
    calibrator = Calibrator(slope, intercept)
    assert Calibrator.from_json(calibrator.to_json()) == calibrator


# What it is for.


def expected_calibration_error(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Ten bins of equally many leads (Naeini et al. 2015), written down plainly."""
    bins = np.array_split(np.argsort(probabilities, kind="stable"), 10)
    return float(sum(len(b) / len(labels) * abs(labels[b].mean() - probabilities[b].mean()) for b in bins))


@pytest.mark.parametrize(
    ("algorithm", "parameters"),
    [
        ("xgboost", {"rounds": 40, "max_depth": 3, "eta": 0.1}),
        ("lightgbm", {"rounds": 40, "num_leaves": 7}),
        ("logistic", {"C": 1}),
    ],
)
def test_class_weights_distort_probabilities_and_calibration_mends_them(algorithm: str, parameters: dict) -> None:
    """12 % convert. Balanced weights push the mean probability towards a half; on fresh leads it is right again."""
    rng = np.random.default_rng(7)
    matrix = rng.normal(size=(9_000, 3)).astype(np.float32)
    labels = (rng.random(9_000) < expit(matrix[:, 0] - 2.4)).astype(np.float64)
    train, held, fresh = slice(0, 3_000), slice(3_000, 6_000), slice(6_000, 9_000)
    recipe = Recipe(algorithm, parameters, "balanced", 1)  # type: ignore[arg-type]
    learner = fit(recipe, matrix[train], labels[train], ["q"] * 3)
    calibrator = fit_calibrator(learner.margins(matrix[held]), labels[held])
    margins, outcome = learner.margins(matrix[fresh]), labels[fresh]
    raw, calibrated = identity().probabilities(margins), calibrator.probabilities(margins)
    error = np.sqrt(
        2 * outcome.mean() * (1 - outcome.mean()) / 3_000
    )  # of two rates: the held-out one's and this one's
    assert raw.mean() - outcome.mean() > 0.2
    assert abs(calibrated.mean() - outcome.mean()) < 4 * error
    assert expected_calibration_error(outcome, raw) > 0.2
    assert expected_calibration_error(outcome, calibrated) < 0.035
    assert np.array_equal(np.argsort(raw, kind="stable"), np.argsort(calibrated, kind="stable"))
    assert logit(calibrated) == pytest.approx(calibrator.slope * margins + calibrator.intercept, abs=1e-9)
