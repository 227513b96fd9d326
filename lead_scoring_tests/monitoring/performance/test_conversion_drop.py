"""Whether fewer convert: the log ratio's interval against simulation and the planted limits."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.monitoring.performance.conversion_drop import pooled, relative_drop
from lead_scoring_tests.evaluation.worlds import tolerance


def test_the_interval_holds_the_true_drop() -> None:
    """95 % nominal, both rates drawn; also where it hangs on a dozen conversions."""
    rng = np.random.default_rng(0)
    for n, n_before, now, before in ((2_000, 6_000, 0.10, 0.125), (300, 900, 0.04, 0.05)):
        drops = [
            relative_drop((rng.binomial(n, now), n), (rng.binomial(n_before, before), n_before)) for _ in range(1_000)
        ]
        held = [drop.low <= 1 - now / before <= drop.high for drop in drops]
        assert np.mean(held) == pytest.approx(0.95, abs=tolerance(1_000))


@given(st.integers(0, 50), st.integers(1, 50), st.integers(51, 500), st.integers(51, 500))
def test_the_value_lies_in_its_interval(now: int, before: int, n: int, n_before: int) -> None:
    drop = relative_drop((now, n), (before, n_before))
    assert drop.value == pytest.approx(1 - (now / n) / (before / n_before))
    assert drop.low <= drop.value + 1e-9
    assert drop.value <= max(drop.high, 1.0)
    assert drop.high < 1


def test_that_nobody_converts_any_more_is_a_drop() -> None:
    drop = relative_drop((0, 1_000), (500, 4_000))
    assert drop.value == 1.0
    assert drop.low > 0.9


@pytest.mark.parametrize(("now", "before"), [((0, 0), (5, 10)), ((5, 10), (0, 10)), ((5, 10), (0, 0))])
def test_nothing_to_compare_with(now: tuple[int, int], before: tuple[int, int]) -> None:
    assert math.isnan(relative_drop(now, before).value)


def test_all_cohorts_of_all_models_count_by_their_leads() -> None:
    rows = [
        {"metric": "conversion_rate", "positives": 10, "n": 100},
        {"metric": "conversion_rate", "positives": 5, "n": 20},
        {"metric": "auc", "positives": 10, "n": 100},
        {"metric": "conversion_rate", "positives": 0, "n": 0},
    ]
    assert pooled(rows) == (15, 120)
    assert pooled([]) == (0, 0)
