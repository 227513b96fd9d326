"""The local surrogate: exact where the model is additive, honest about its fit where it is not."""

import math

import numpy as np
import pandas as pd
import pytest

from lead_scoring_assets.assessment.explanations import explain_lead
from lead_scoring_assets.assessment.surrogate import agreement, explain_locally, largest
from lead_scoring_tests.models.scorers import REGISTRY, AdditiveScorer, leads, real_scorer

pytestmark = pytest.mark.filterwarnings("error")

ADDITIVE = AdditiveScorer(
    {
        "visits": lambda visits: 0.3 * visits.astype(float),
        "noise": lambda noise: -0.5 * noise.astype(float),
        "job": lambda job: 0.7 * (job == "student"),
    }
)
LEAD = pd.DataFrame({"visits": [9.0], "age": [30.0], "noise": [1.5], "job": ["student"]})
OTHERS = leads(3_000)


class Together:
    """The odds hang on two values together only: neither does anything by itself."""

    @property
    def columns(self) -> list[str]:
        return ["visits", "noise"]

    def probabilities(self, features: pd.DataFrame) -> np.ndarray:
        same = (features["visits"].astype(float) > 0) == (features["noise"].astype(float) > 0)
        return np.where(same, 0.8, 0.2)


def test_an_additive_model_gives_its_own_contributions() -> None:
    """Four standard errors of 20,000 draws whose log odds have a standard deviation of about 0.8, and the ridge."""
    found = explain_locally(ADDITIVE, LEAD, OTHERS, seed=1, samples=20_000)
    exact = ADDITIVE.contributions(LEAD)[0] - ADDITIVE.contributions(OTHERS).mean(axis=0)
    assert list(found.effects.values()) == pytest.approx(exact[:-1].tolist(), abs=0.06)
    assert list(found.effects) == ADDITIVE.columns


def test_fidelity_is_one_where_nothing_is_left_to_chance() -> None:
    """All other leads are alike, so that replacing a value always does the same."""
    alike = pd.concat([OTHERS.dropna().head(1)] * 10)
    found = explain_locally(ADDITIVE, LEAD, alike, seed=1)
    assert found.fidelity == pytest.approx(1, abs=1e-3)
    assert found.additivity == found.fidelity
    exact = ADDITIVE.contributions(LEAD)[0] - ADDITIVE.contributions(alike)[0]
    assert list(found.effects.values()) == pytest.approx(exact[:-1].tolist(), rel=0.02)


def test_fidelity_tells_where_no_line_fits() -> None:
    lead, other = pd.DataFrame({"visits": [1.0], "noise": [1.0]}), pd.DataFrame({"visits": [-1.0], "noise": [-1.0]})
    # The best plane through the four corners, each with its closeness: 0, 1, 1 or 2 values replaced.
    corners = np.array([[1, 1, 1], [1, 1, 0], [1, 0, 1], [1, 0, 0]], dtype=np.float64)
    target, weights = np.array([1.0, 0.0, 0.0, 1.0]), np.exp(-np.array([0, 1, 1, 2]) / (0.75**2 * 2))
    fit = corners @ np.linalg.lstsq(corners * np.sqrt(weights)[:, None], target * np.sqrt(weights), rcond=None)[0]
    level = weights @ target / weights.sum()
    expected = 1 - weights @ (target - fit) ** 2 / (weights @ (target - level) ** 2)
    assert expected < 0.4
    found = explain_locally(Together(), lead, other, seed=1, samples=20_000)
    assert found.fidelity == pytest.approx(expected, abs=0.02)
    assert found.additivity == pytest.approx(expected, abs=0.02)


def test_fidelity_is_the_weighted_r2_of_the_fit() -> None:
    """Another way to the same figures: scikit-learn's ridge and score on the same made-up leads."""
    from sklearn.linear_model import Ridge

    seen: list[pd.DataFrame] = []

    class Watched(AdditiveScorer):
        def probabilities(self, features: pd.DataFrame) -> np.ndarray:
            seen.append(features)
            return super().probabilities(features)

    watched = Watched(
        {"visits": lambda visits: visits.astype(float) ** 2 / 20, "noise": lambda noise: noise.astype(float)}
    )
    found = explain_locally(watched, LEAD, OTHERS, seed=3, samples=500)
    (made_up,) = seen
    kept = np.stack([made_up["visits"] == -1, made_up["noise"] == 1.5], axis=1)
    # A visit count is often drawn that is the lead's own: seen from outside, only the noise tells what was kept.
    assert 0.4 < kept[:, 1].mean() < 0.6
    draws = np.random.default_rng(3)
    kept = np.repeat(draws.random((250, 2)) < 0.5, 2, axis=0)
    kept[:2] = True
    p = AdditiveScorer.probabilities(watched, made_up)
    log_odds = np.log(p / (1 - p))
    weights = np.exp(-(~kept).sum(axis=1) / (0.75**2 * 2))
    ridge = Ridge(alpha=1e-3 * weights.sum()).fit(kept, log_odds, sample_weight=weights)
    assert list(found.effects.values()) == pytest.approx(ridge.coef_.tolist(), abs=1e-9)
    assert found.intercept == pytest.approx(ridge.intercept_, abs=1e-9)
    assert found.fidelity == pytest.approx(ridge.score(kept, log_odds, sample_weight=weights), abs=1e-9)


def test_drawing_lowers_fidelity_but_not_additivity() -> None:
    found = explain_locally(ADDITIVE, LEAD, OTHERS, seed=1, samples=4_000)
    assert found.fidelity < 0.9
    assert found.additivity > 0.97


def test_an_odd_number_of_samples_is_refused() -> None:
    with pytest.raises(ValueError, match="expected an even number of samples, found 11"):
        explain_locally(ADDITIVE, LEAD, OTHERS, seed=1, samples=11)


def test_same_seed_same_surrogate() -> None:
    one, again, other = (explain_locally(ADDITIVE, LEAD, OTHERS, seed) for seed in (1, 1, 2))
    assert one == again
    assert one != other


def test_a_model_that_says_always_the_same_has_no_fidelity() -> None:
    found = explain_locally(AdditiveScorer({"visits": lambda visits: 0.0 * visits.astype(float)}), LEAD, OTHERS, seed=1)
    assert found.effects == {"visits": pytest.approx(0, abs=1e-9)}
    assert math.isnan(found.fidelity)
    assert math.isnan(found.additivity)


def test_probabilities_of_0_and_1_stay_finite() -> None:
    extreme = AdditiveScorer({"visits": lambda visits: 100.0 * (visits.astype(float) - 4)})
    found = explain_locally(extreme, LEAD, OTHERS, seed=1)
    assert math.isfinite(found.effects["visits"])
    assert found.effects["visits"] > 0


@pytest.mark.parametrize(("n", "others"), [(0, 5), (2, 5), (1, 0)])
def test_what_cannot_be_explained_is_refused(n: int, others: int) -> None:
    with pytest.raises(ValueError, match=f"expected one lead and a background, found {n} and {others} rows"):
        explain_locally(ADDITIVE, leads(n), leads(others), seed=1)


def test_largest_goes_by_size_and_then_by_order() -> None:
    effects = {"a": 0.1, "b": -2.0, "c": 2.0, "d": 0.0}
    assert largest(effects, 3) == ["b", "c", "a"]


def test_agreement_counts_the_common_features() -> None:
    found = explain_locally(ADDITIVE, LEAD, OTHERS, seed=1)
    assert agreement(found, {"visits": 3.0, "noise": -2.0, "job": 0.1}, k=1) == 1.0
    assert agreement(found, {"visits": 0.0, "noise": -2.0, "job": 0.1}, k=1) == 0.0
    assert agreement(found, {"visits": 3.0, "noise": 2.0, "job": 0.1}, k=3) == 1.0
    assert math.isnan(agreement(found, {}, k=3))


@pytest.mark.parametrize("algorithm", ["xgboost", "logistic"])
def test_a_real_model_and_its_surrogate_mostly_agree(algorithm: str) -> None:
    """Two of four features by chance: one half of them in common."""
    scorer = real_scorer(algorithm)
    background, rows = leads(500, seed=1), leads(20, seed=2)
    shares = []
    for place in range(len(rows)):
        lead = rows.iloc[[place]]
        found = explain_locally(scorer, lead, background, seed=place)
        shares.append(agreement(found, explain_lead(scorer, lead, REGISTRY).contributions, k=2))
        assert 0 < found.fidelity < found.additivity <= 1
    assert np.mean(shares) > 0.75
