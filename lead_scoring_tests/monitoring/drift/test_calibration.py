"""Calibration drift: Cox's slope and level against peers and closed forms, worlds that keep the promise and that break it."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, logit

from lead_scoring_assets.monitoring.drift.calibration import LEVEL, SLOPE, measure_calibration
from lead_scoring_assets.monitoring.drift.outcomes import OutcomeDrift, Outcomes
from lead_scoring_assets.settings import Performance, Watching

pytestmark = pytest.mark.filterwarnings("error")

WATCHING = Watching()
NEEDED = Performance(minimum_rows=100, minimum_positives=20)


def cohort(n: int, seed: int, *, shift: float = 0.0, slope: float = 1.0) -> Outcomes:
    """Scores as a model gives them; outcomes whose log odds are `shift` + `slope` × those of the scores."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(-2, 1, n)
    return Outcomes((rng.random(n) < expit(shift + slope * odds)).astype(float), expit(odds), n)


def judge(found: Outcomes) -> dict[str, OutcomeDrift]:
    return {row.feature: row for row in measure_calibration(found, WATCHING, NEEDED, 0.01)}


def test_the_level_is_conversions_over_promises() -> None:
    found = judge(Outcomes(np.repeat([1.0, 0.0], [130, 870]), np.tile([0.05, 0.15], 500), 1_000))[LEVEL]
    assert found.effect == pytest.approx(0.3)
    interval = stats.binomtest(130, 1_000).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((interval.low / 0.1 - 1, interval.high / 0.1 - 1))
    assert found.p_value == pytest.approx(2 * stats.binom.sf(129, 1_000, 0.1))


def test_the_slope_is_the_maximum_of_the_likelihood() -> None:
    """Against a general optimiser; the error against the curvature by finite differences."""
    from scipy.optimize import minimize

    found = cohort(2_000, 0, slope=0.6)
    odds = logit(found.scores)

    def loss(weights: Any) -> float:
        margin = weights[0] * odds + weights[1]
        return float((np.logaddexp(0, margin) - found.labels * margin).sum())

    best = minimize(loss, [1.0, 0.0], method="BFGS")
    slope = judge(found)[SLOPE]
    assert slope.effect == pytest.approx(best.x[0] - 1, abs=1e-4)
    assert slope.low is not None
    assert slope.high is not None
    step = 1e-3 * np.eye(2)
    curvature = np.array(
        [
            [
                (loss(best.x + a + b) - loss(best.x + a - b) - loss(best.x - a + b) + loss(best.x - a - b)) / 4e-6
                for a in step
            ]
            for b in step
        ]
    )
    error = math.sqrt(np.linalg.inv(curvature)[0, 0])
    assert (slope.high - slope.low) / 2 == pytest.approx(stats.norm.isf(0.025) * error, rel=1e-3)


@pytest.mark.parametrize(("n", "runs"), [(200, 200), (500, 200), (5_000, 100), (100_000, 5), (1_000_000, 1)])
def test_false_alarms(n: int, runs: int) -> None:
    """Stated: at most 1 % for both questions together, at any n."""
    needed = Performance(minimum_rows=100, minimum_positives=10)
    rung = sum(
        any(row.status in ("drift", "warning") for row in measure_calibration(cohort(n, run), WATCHING, needed, 0.01))
        for run in range(runs)
    )
    assert stats.binom.sf(rung - 1, runs, 0.01) > 0.001


def test_a_gap_that_does_not_matter_is_no_drift_however_many_leads() -> None:
    found = judge(cohort(1_000_000, 0, shift=0.05, slope=0.95))
    assert {row.status for row in found.values()} == {"ok"}
    assert found[LEVEL].p_value == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("change", "question", "sign"),
    [({"shift": 0.6}, LEVEL, 1), ({"shift": -0.8}, LEVEL, -1), ({"slope": 0.4}, SLOPE, -1), ({"slope": 1.8}, SLOPE, 1)],
)
def test_power(change: dict[str, float], question: str, sign: int) -> None:
    found = [judge(cohort(5_000, seed, **change))[question] for seed in range(20)]
    assert sum(row.status == "drift" for row in found) >= 19
    assert all(row.effect is not None and math.copysign(1, row.effect) == sign for row in found)


def test_scores_that_no_longer_rank_have_a_slope_of_nothing_and_reversed_ones_a_negative_one() -> None:
    rng = np.random.default_rng(0)
    useless = Outcomes((rng.random(5_000) < 0.15).astype(float), expit(rng.normal(-2, 1, 5_000)), 5_000)
    assert judge(useless)[SLOPE].effect == pytest.approx(-1, abs=0.15)
    reversed_slope = judge(cohort(5_000, 0, slope=-0.5))[SLOPE].effect
    assert reversed_slope == pytest.approx(-1.5, abs=0.15)


def test_coverage_of_the_slopes_interval() -> None:
    inside = 0
    for seed in range(200):
        row = judge(cohort(1_000, seed, slope=0.7))[SLOPE]
        assert row.low is not None
        assert row.high is not None
        inside += row.low <= -0.3 <= row.high
    assert stats.binomtest(inside, 200, 0.95).pvalue > 0.001


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (Outcomes(np.empty(0), np.empty(0), 0), "insufficient_data"),
        (Outcomes(np.ones(1), np.full(1, 0.5), 1), "insufficient_data"),
        (Outcomes(np.zeros(500), np.full(500, 0.5), 500), "insufficient_data"),
        (Outcomes(np.ones(500), np.full(500, 0.5), 500), "insufficient_data"),
        (Outcomes(np.tile([0.0, 1.0], 250), np.full(500, math.nan), 500), "not_computable"),
        (Outcomes(np.tile([0.0, 1.0], 250), np.full(500, math.inf), 500), "not_computable"),
    ],
)
def test_too_little_is_said_so(found: Outcomes, status: str) -> None:
    assert {row.status for row in judge(found).values()} == {status}
    assert all(row.reason and row.effect is None for row in judge(found).values())


def test_labels_that_came_first_are_not_taken_for_the_cohort() -> None:
    whole = cohort(2_000, 0)
    early = Outcomes(whole.labels[:1_000], whole.scores[:1_000], 2_000)
    assert {row.status for row in judge(early).values()} == {"insufficient_data"}
    assert "coverage 50%" in judge(early)[LEVEL].reason


def test_one_score_for_everyone_has_a_level_and_no_slope() -> None:
    same = judge(Outcomes(np.tile([0.0, 1.0], 250), np.full(500, 0.5), 500))
    assert (same[LEVEL].status, same[SLOPE].status) == ("ok", "not_computable")


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_scores_that_are_certain_and_wrong_are_drift(score: float) -> None:
    assert judge(Outcomes(np.tile([0.0, 1.0], 250), np.full(500, score), 500))[LEVEL].status == "drift"


def test_outcomes_that_the_scores_separate_end_in_an_answer() -> None:
    odds = np.linspace(-3, 3, 400)
    found = judge(Outcomes((odds > 0).astype(float), expit(odds), 400))
    assert found[LEVEL].status == "ok"
    assert found[SLOPE].status in ("ok", "warning", "drift", "not_computable")
