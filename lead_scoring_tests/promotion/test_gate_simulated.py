"""What the gate lets in, by simulation: how often a worse model passes, how often one that is as good, how far losses add up.

The world: a score with true log odds; each model sees it through noise of its own and is calibrated. One lead in eight
converts. A model with more noise ranks worse by a known amount.
"""

from functools import cache

import numpy as np
import pytest

from lead_scoring_assets.evaluation.metrics import Metric, PairedDifference, auc_difference, brier_difference
from lead_scoring_assets.promotion.best_so_far import best_so_far
from lead_scoring_assets.promotion.deployments import Deployment
from lead_scoring_assets.promotion.gate import Comparison, Evidence, Mode, decide_promotion
from lead_scoring_assets.settings import Gate
from lead_scoring_tests.promotion.worlds import NOW

GATE = Gate(minimum_precision_at_10_percent=0.0)
FINE = Metric("any", 0.8, 0.78, 0.82, 2_000)
LOW_BRIER = Metric("brier", 0.1, 0.09, 0.11, 2_000)
SPREAD = 1.2


def scores(rng: np.random.Generator, true: np.ndarray, noise: float, shift: float = 0.0) -> np.ndarray:
    seen = true + noise * rng.normal(size=len(true))
    shrunk = SPREAD**2 / (SPREAD**2 + noise**2)
    return 1 / (1 + np.exp(-(seen * shrunk - 2.35 + shift)))


def comparison(rng: np.random.Generator, n: int, noise: float, champion_shift: float) -> Comparison:
    true = rng.normal(size=n) * SPREAD
    labels = (rng.random(n) < 1 / (1 + np.exp(-(true - 2.4)))).astype(float)
    candidate, champion = scores(rng, true, noise), scores(rng, true, 0.5, champion_shift)
    return Comparison(1, n, auc_difference(labels, candidate, champion), brier_difference(labels, candidate, champion))


@cache
def accepted(n: int, noise: float, champion_shift: float, mode: Mode, worlds: int = 150) -> float:
    rng = np.random.default_rng(n)
    passed = 0
    for _ in range(worlds):
        against = comparison(rng, n, noise, champion_shift)
        passed += decide_promotion(Evidence(FINE, LOW_BRIER, FINE, against, against), GATE, mode).verdict == "promoted"
    return passed / worlds


@pytest.mark.parametrize("n", [500, 1_500, 5_000, 10_000])
def test_a_model_that_loses_the_margin_seldom_passes(n: int) -> None:
    """True loss 0.012, margin 0.010: at most 2.5 % by construction; of 150 worlds, 9 or more would be a surprise."""
    assert accepted(n, 0.65, 0.0, "refresh") <= 8 / 150


@pytest.mark.parametrize("n", [500, 1_500, 5_000])
def test_clearly_better_probabilities_do_not_let_in_a_model_that_loses_two_margins(n: int) -> None:
    """True loss 0.028 against a champion whose probabilities are far off: the other way in has a floor as well."""
    assert accepted(n, 0.8, 1.0, "refresh") <= 8 / 150


def test_as_good_a_model_passes_once_there_are_rows_enough() -> None:
    power = {n: accepted(n, 0.5, 0.0, "refresh") for n in (500, 1_500, 5_000, 10_000)}
    assert power[500] < 0.3 < power[5_000] < power[10_000]
    assert power[10_000] > 0.5


def test_a_refresh_after_drift_is_possible_with_1500_leads() -> None:
    """The champion's probabilities are off by a shift of the base rate, the ranking is the same."""
    assert accepted(1_500, 0.5, 1.0, "refresh") > 0.35
    assert accepted(1_500, 0.5, 1.0, "refresh") > accepted(1_500, 0.5, 0.0, "refresh") + 0.1


@pytest.mark.parametrize("n", [500, 1_500, 5_000])
def test_in_mode_improve_as_good_is_not_enough(n: int) -> None:
    assert accepted(n, 0.5, 0.0, "improve") <= 8 / 150


# The ratchet: each candidate is a little worse than the champion of the day.


def chain(n: int, loss: float, rounds: int, seed: int, brier: float = 0.0) -> float:
    """True AUC that is live in the end, less the first champion's, after `rounds` candidates each `loss` worse."""
    rng = np.random.default_rng(seed)
    error = 0.0117 * np.sqrt(1_500 / n) / np.sqrt(2)  # of each model, as measured in the world above
    half = 1.96 * error * np.sqrt(2)
    true, history, decisions = {1: 0.0}, [live(1)], []
    for version in range(2, rounds + 2):
        champion, best = history[-1].version, best_so_far(history, decisions, set())
        assert best is not None
        true[version] = true[champion] - loss
        seen = {v: true[v] + rng.normal(0, error) for v in {version, champion, best.version}}

        def against(other: int, seen: dict[int, float] = seen, version: int = version) -> Comparison:
            value = seen[version] - seen[other]
            return Comparison(
                other, n, PairedDifference(value, value - half, value + half), PairedDifference(brier, brier, brier)
            )

        found = Evidence(FINE, LOW_BRIER, FINE, against(champion), against(best.version))
        decision = decide_promotion(found, GATE, "refresh")
        low = against(best.version).auc.low
        decisions.append({"candidate_version": version, "best_version": best.version, "best_auc_difference_low": low})
        if decision.verdict == "promoted":
            history.append(live(version))
    return true[history[-1].version]


def live(version: int) -> Deployment:
    return Deployment(version, NOW, f"{version:04}", "bundle", str(version), "gate", "reason")


def test_with_many_rows_the_first_small_loss_passes_and_the_second_is_refused() -> None:
    assert chain(1_000_000, 0.008, 1, seed=0) == pytest.approx(-0.008)
    assert chain(1_000_000, 0.008, 30, seed=0) == pytest.approx(-0.008)


@pytest.mark.parametrize("n", [1_500, 10_000, 50_000])
@pytest.mark.parametrize("loss", [0.002, 0.004, 0.008])
def test_small_losses_do_not_add_up_beyond_the_margin(n: int, loss: float) -> None:
    ends = [chain(n, loss, 30, seed) for seed in range(60)]
    assert np.mean(ends) >= -GATE.refresh_margin
    assert np.quantile(ends, 0.05) >= -2.5 * GATE.refresh_margin


@pytest.mark.parametrize("n", [1_500, 10_000])
def test_nor_beyond_two_margins_where_probabilities_get_clearly_better_each_time(n: int) -> None:
    ends = [chain(n, 0.008, 30, seed, brier=-0.01) for seed in range(60)]
    assert np.mean(ends) >= -2 * GATE.refresh_margin
    assert np.quantile(ends, 0.05) >= -4 * GATE.refresh_margin
