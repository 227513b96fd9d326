"""Intervals: how often they hold the truth, and what they say where there is nothing to say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from lead_scoring_assets.timemachine.uncertainty import LEAST_PERIODS, over_leads, over_periods, over_worlds


def autocorrelated(draws: np.random.Generator, n: int, rho: float) -> np.ndarray:
    values = draws.normal(size=n + 30)
    for place in range(1, n + 30):
        values[place] += rho * values[place - 1]
    return values[30:]


@pytest.mark.parametrize(("rho", "least", "least_of_all"), [(0.0, 0.92, 0.92), (0.5, 0.85, 0.72)])
def test_intervals_over_periods_hold_the_truth(rho: float, least: float, least_of_all: float) -> None:
    draws, single, all_of_them = np.random.default_rng(7), [], []
    for seed in range(60):
        found = over_periods({str(i): autocorrelated(draws, 25, rho) for i in range(6)}, seed).values()
        single.append(np.mean([interval.low <= 0 <= interval.high for interval in found]))
        all_of_them.append(all(interval.low_of_all <= 0 <= interval.high_of_all for interval in found))
    assert np.mean(single) >= least
    assert np.mean(all_of_them) >= least_of_all
    # Nor do they hold everything.
    assert not all(i.low <= 0 <= i.high for i in over_periods({"a": draws.normal(1, 1, 25)}, 1).values())


def test_intervals_over_leads_hold_the_truth() -> None:
    draws, held = np.random.default_rng(3), []
    for seed in range(200):
        parts = {name: [draws.exponential(1.0, 50) * (draws.random(50) < 0.2) for _ in range(6)] for name in "abc"}
        found = over_leads(parts, dict.fromkeys("abc", 10.0), seed)
        held.append([found["a"].low <= 300 * 0.2 - 10 <= found["a"].high])
        held[-1].append(all(i.low_of_all <= 50 <= i.high_of_all for i in found.values()))
    single, of_all = np.mean(held, axis=0)
    assert 0.91 <= single <= 0.985
    assert 0.90 <= of_all <= 0.985


def test_policies_that_did_the_same_have_one_interval_and_those_that_did_nothing_none() -> None:
    draws = np.random.default_rng(1)
    parts = [draws.normal(size=40) for _ in range(5)]
    found = over_leads({"a": parts, "b": parts, "zero": [np.zeros(40)] * 5}, {"a": 0.0, "b": 2.0, "zero": 7.0}, seed=1)
    assert found["a"].value - found["b"].value == pytest.approx(2.0)
    assert found["a"].low - found["b"].low == pytest.approx(2.0)
    assert (found["zero"].low, found["zero"].high_of_all) == pytest.approx((-7.0, -7.0), abs=1e-6)


@given(st.integers(1, 5), st.integers(LEAST_PERIODS, 30), st.integers(0, 1_000))
def test_the_interval_for_all_is_no_narrower(policies: int, n: int, seed: int) -> None:
    draws = np.random.default_rng(seed)
    for found in over_periods({str(i): draws.normal(size=n) for i in range(policies)}, seed).values():
        assert found.low <= found.value + 1e-9
        assert found.high >= found.value - 1e-9
        # Percentiles of a skewed sample may reach a little further on one side.
        assert found.high_of_all - found.low_of_all >= 0.9 * (found.high - found.low)


def test_few_periods_or_worlds_say_nothing() -> None:
    assert np.isnan(over_periods({"a": np.ones(LEAST_PERIODS - 1)}, 1)["a"].low)
    assert np.isnan(over_worlds({"a": np.array([1.0, 2.0])})["a"].low)
    assert over_worlds({"a": np.array([1.0, 2.0])})["a"].value == 1.5
    assert over_leads({}, {}, 1) == over_periods({}, 1) == {}


def test_over_worlds_is_students() -> None:
    values = np.array([3.0, 5.0, 4.0, 8.0])
    expected = ttest_1samp(values, 0).confidence_interval(0.95)
    found = over_worlds({"a": values, "b": -values})
    assert (found["a"].low, found["a"].high) == pytest.approx((expected.low, expected.high))
    assert found["a"].low_of_all < found["a"].low
    assert found["b"].high == pytest.approx(-found["a"].low)
