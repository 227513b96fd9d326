"""Lift and baseline: known figures, intervals that cover, and a bucket that is no better is not called better."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lead_scoring_assets.monitoring.business.comparing import against_baseline, lift


def test_lift_is_the_buckets_rate_over_that_of_all() -> None:
    # 327 of 1,000 among 10,000 leads of which 1,000 convert.
    found = lift(327, 1_000, 1_000, 10_000)
    assert found.value == pytest.approx(3.27)
    assert 1 < found.low < 3.27 < found.high
    assert lift(0, 50, 100, 1_000).value == 0
    assert lift(0, 50, 100, 1_000).high > 0


@pytest.mark.parametrize("counts", [(0, 0, 5, 10), (0, 10, 0, 100), (5, 10, 5, 10)])
def test_what_cannot_be_compared_is_no_figure(counts: tuple[int, int, int, int]) -> None:
    assert np.isnan(lift(*counts).value)


@given(st.integers(0, 60), st.integers(60, 200), st.integers(0, 300), st.integers(300, 900))
def test_the_others_of_a_bucket_mirror_it(won: int, n: int, others_won: int, others: int) -> None:
    """A bucket is above all leads exactly when the others are below, and so are their whole intervals."""
    assume(won + others_won > 0)
    one = lift(won, n, won + others_won, n + others)
    rest = lift(others_won, others, won + others_won, n + others)
    assert (one.low > 1) == (rest.high < 1)


def test_intervals_cover_and_a_bucket_that_is_no_better_is_seldom_called_better() -> None:
    rng, runs = np.random.default_rng(2), 2_000
    for rate, other_rate, n, others in [(0.12, 0.12, 300, 1_700), (0.4, 0.1, 150, 850), (0.3, 0.1, 600, 400)]:
        truth = rate / ((n * rate + others * other_rate) / (n + others))
        found = []
        for _ in range(runs):
            won, rest = rng.binomial(n, rate), rng.binomial(others, other_rate)
            found.append(lift(won, n, won + rest, n + others))
        covered = np.mean([f.low <= truth <= f.high for f in found])
        assert 0.93 < covered < 0.965
        if rate == other_rate:
            assert np.mean([f.low > 1 for f in found]) < 0.05  # 2.5 % on one side where many convert; 3 to 4 % with 36


def test_one_conversion_proves_nothing() -> None:
    assert lift(1, 60, 1, 360).low < 1


def test_fifteen_percent_more_than_the_baseline() -> None:
    found = against_baseline((1_150, 10_000), [(500, 5_000), (500, 5_000)])
    assert found.value == pytest.approx(0.15)
    assert 0 < found.low < 0.15 < found.high
    agreed = against_baseline((1_150, 10_000), 0.10)
    assert agreed.value == pytest.approx(0.15)
    assert found.low < agreed.low < agreed.high < found.high  # a baseline that is known adds no doubt
    assert np.isnan(against_baseline((5, 100), [(0, 100)]).value)
