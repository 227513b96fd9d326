"""The trend: the likelihood's own maximum, planted slopes, and no alarm where rates only jump about."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit

from lead_scoring_assets.monitoring.business.trend import conversion_trend


def test_the_slope_is_that_of_the_greatest_likelihood() -> None:
    cohorts = [(12, 100), (30, 220), (9, 90), (25, 150), (40, 210)]
    converted, leads = np.array(cohorts, dtype=np.float64).T

    def minus_log_likelihood(beta: np.ndarray) -> float:
        rate = expit(beta[0] + beta[1] * np.arange(5))
        return -float((converted * np.log(rate) + (leads - converted) * np.log1p(-rate)).sum())

    best = minimize(minus_log_likelihood, [-2.0, 0.0], tol=1e-12).x
    found = conversion_trend(cohorts)
    assert found.change == pytest.approx(np.expm1(best[1]), abs=1e-4)
    assert (found.first, found.last) == pytest.approx(tuple(expit(best[0] + best[1] * np.array([0, 4]))), abs=1e-4)


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(80, 400)), min_size=4, max_size=12))
def test_looked_at_backwards_a_rise_is_a_fall(cohorts: list[tuple[int, int]]) -> None:
    one, other = conversion_trend(cohorts), conversion_trend(cohorts[::-1])
    assert 1 + one.change == pytest.approx(1 / (1 + other.change))
    assert 1 + one.low == pytest.approx(1 / (1 + other.high))


@pytest.mark.parametrize("cohorts", [[], [(1, 10)] * 3, [(0, 100)] * 8, [(7, 7)] * 8, [(0, 0)] * 8])
def test_too_little_is_no_trend(cohorts: list[tuple[int, int]]) -> None:
    assert np.isnan(conversion_trend(cohorts).change)


def test_a_planted_fall_is_found_and_rates_that_only_jump_about_are_not() -> None:
    """Months differ by a tenth more than chance makes them: a plain test for trend would call many of them a trend."""
    rng, runs = np.random.default_rng(3), 400

    def clear(slope: float) -> float:
        found = []
        for _ in range(runs):
            log_odds = -2 + slope * np.arange(12) + rng.normal(0, 0.15, 12)
            cohorts = [(int(rng.binomial(2_000, expit(one))), 2_000) for one in log_odds]
            found.append(conversion_trend(cohorts).words == "falling")
        return float(np.mean(found))

    assert clear(0.0) < 0.045  # 2.5 % on one side
    assert clear(-0.05) > 0.8
