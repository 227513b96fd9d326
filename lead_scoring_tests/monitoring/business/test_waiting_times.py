"""The censored median: a slow reference in fractions, what it must give without censoring, and how often it covers."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.monitoring.business.waiting_times import median_wait, survival

WATCHED = st.lists(st.tuples(st.integers(0, 30), st.booleans()), min_size=1, max_size=40)


def slow_survival(watched: list[tuple[int, bool]]) -> dict[int, Fraction]:
    """By the definition: at each time, the product over earlier times of the share that went on."""
    found, left = {}, Fraction(1)
    for moment in sorted({time for time, _ in watched}):
        waiting = sum(time >= moment for time, _ in watched)
        events = sum(time == moment and happened for time, happened in watched)
        left *= Fraction(waiting - events, waiting)
        if events:
            found[moment] = left
    return found


@given(WATCHED)
def test_survival_and_median_are_those_of_the_definition(watched: list[tuple[int, bool]]) -> None:
    times, happened = np.array(watched, dtype=np.float64).T
    moments, survived, _ = survival(times, happened)
    slow = slow_survival(watched)
    assert moments.tolist() == list(slow)
    assert survived == pytest.approx([float(share) for share in slow.values()])

    found = median_wait("days", times, happened)
    halved = [moment for moment, share in slow.items() if share <= Fraction(1, 2)]
    if not halved:
        assert np.isnan(found.value)
        return
    assert found.value == halved[0]
    assert found.low <= found.value <= found.high


@given(st.lists(st.integers(0, 100), min_size=1, max_size=50))
def test_without_censoring_it_is_the_plain_median(times: list[int]) -> None:
    found = median_wait("days", np.array(times, dtype=np.float64), np.ones(len(times)))
    assert found.value == sorted(times)[(len(times) - 1) // 2]


@given(WATCHED, st.sampled_from([0.5, 24.0]))
def test_hours_and_days_tell_the_same(watched: list[tuple[int, bool]], unit: float) -> None:
    times, happened = np.array(watched, dtype=np.float64).T
    one, other = median_wait("t", times, happened), median_wait("t", times * unit, happened)
    np.testing.assert_allclose(
        [other.value, other.low, other.high], np.array([one.value, one.low, one.high]) * unit, rtol=1e-12
    )


def test_nobody_and_never_are_no_median() -> None:
    assert np.isnan(median_wait("days", np.empty(0), np.empty(0)).value)
    assert np.isnan(median_wait("days", np.arange(9.0), np.zeros(9)).value)


def test_the_interval_covers_and_censoring_makes_it_no_faster() -> None:
    """Half of an exponential world have come by its median, though a third is watched no longer than that."""
    rng, median = np.random.default_rng(1), 10 * np.log(2)
    covered, naive, values = 0, [], []
    for _ in range(500):
        true, watched = rng.exponential(10, 80), rng.uniform(0, 30, 80)
        times, happened = np.minimum(true, watched), (true <= watched).astype(np.float64)
        found = median_wait("days", times, happened)
        covered += found.low <= median <= found.high
        values.append(found.value)
        naive.append(np.median(times[happened == 1]))
    assert 0.92 < covered / 500 < 0.98
    assert abs(np.mean(values) / median - 1) < 0.04
    assert np.mean(naive) / median < 0.75  # what leaving out those who still wait would have said
