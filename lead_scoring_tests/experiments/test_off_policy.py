"""What another policy would bring, against a world whose truth is known."""

from dataclasses import dataclass

import numpy as np
import pytest

from lead_scoring_assets.experiments.off_policy import Logged, PolicyValue, Predicted, policy_value

LEADS, WORLDS = 1_500, 500


def chance(context: np.ndarray, is_treatment: np.ndarray) -> np.ndarray:
    """The treatment helps leads above the middle and harms the others."""
    return 0.1 + 0.3 * context + np.where(is_treatment, 0.3 * (context - 0.5), 0.0)


@dataclass(frozen=True)
class Estimates:
    values: list[PolicyValue]
    naive: list[float]
    truth: float


@pytest.fixture(scope="module")
def estimates() -> Estimates:
    """The policy: treatment above 0.5. Logged: the treatment oftener the LOWER a lead is, so that plain means mislead."""
    random = np.random.default_rng(8)
    values, naive = [], []
    for _ in range(WORLDS):
        context = random.random(LEADS)
        wants = context > 0.5
        propensity = 0.8 - 0.6 * context
        is_treatment = random.random(LEADS) < propensity
        reward = (random.random(LEADS) < chance(context, is_treatment)).astype(float)
        logged = Logged(
            np.where(is_treatment, propensity, 1 - propensity), (is_treatment == wants).astype(float), reward
        )
        # A model that is good, and not right.
        predicted = Predicted(0.9 * chance(context, is_treatment) + 0.02, 0.9 * chance(context, wants) + 0.02)
        values.append(policy_value(logged, 100, predicted))
        naive.append(float(reward[is_treatment].mean()))
    context = (np.arange(1_000_000) + 0.5) / 1_000_000
    return Estimates(values, naive, float(chance(context, context > 0.5).mean()))


@pytest.mark.parametrize("estimator", ["inverse_propensity", "self_normalised", "doubly_robust"])
def test_the_truth_is_met_on_average_and_covered(estimates: Estimates, estimator: str) -> None:
    found = [getattr(value, estimator) for value in estimates.values]
    assert np.mean([f.value for f in found]) == pytest.approx(estimates.truth, abs=0.004)
    assert 0.925 <= np.mean([f.low <= estimates.truth <= f.high for f in found]) <= 0.975


def test_the_mean_of_who_got_the_treatment_would_mislead(estimates: Estimates) -> None:
    assert abs(np.mean(estimates.naive) - estimates.truth) > 0.05


def test_predictions_make_the_interval_narrower(estimates: Estimates) -> None:
    widths = {
        name: np.mean([getattr(value, name).high - getattr(value, name).low for value in estimates.values])
        for name in ("inverse_propensity", "doubly_robust")
    }
    assert widths["doubly_robust"] < 0.95 * widths["inverse_propensity"]


def test_too_little_overlap_is_refused_with_its_numbers() -> None:
    propensity = np.array([0.001] * 3 + [0.999] * 5_000)
    logged = Logged(propensity, np.array([1.0] * 3 + [0.0] * 5_000), np.ones(5_003))
    found = policy_value(logged, 200)
    assert found.status == "insufficient_data"
    assert found.effective_n == pytest.approx(3)
    assert found.reason == "worth 3 leads of 5,003, expected at least 200: explore more, or longer"
    assert np.isnan(found.self_normalised.value)


@pytest.mark.parametrize("wrong", [0.0, -0.1, 1.5, np.nan])
def test_what_was_not_drawn_is_no_evidence(wrong: float) -> None:
    found = policy_value(Logged(np.array([0.5, wrong]), np.ones(2), np.ones(2)), 1)
    assert found.status == "not_computable"
    assert "1 of 2 leads" in found.reason


def test_nothing_logged_is_refused() -> None:
    assert policy_value(Logged(np.empty(0), np.empty(0), np.empty(0)), 1).status == "insufficient_data"


def test_drawn_one_to_one_the_value_of_an_arm_is_its_mean() -> None:
    random = np.random.default_rng(9)
    is_treatment, reward = random.random(4_000) < 0.5, random.random(4_000)
    found = policy_value(Logged(np.full(4_000, 0.5), is_treatment.astype(float), reward), 100)
    assert found.self_normalised.value == pytest.approx(reward[is_treatment].mean())
    assert found.effective_n == pytest.approx(is_treatment.sum())
