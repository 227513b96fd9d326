"""Health of what arrived: shares that rose, how many leads came, and rates of false alarms by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lead_scoring_assets.monitoring.drift.health import Health, Measure, SharePair, judge_shares
from lead_scoring_assets.settings import Watching

pytestmark = pytest.mark.filterwarnings("error")

WATCHING = Watching()


def judge(*pairs: SharePair) -> list[Health]:
    return judge_shares(pairs, WATCHING, 200, 0.01)


def missing(found: int, n: int, found_before: int, n_before: int, measure: Measure = "missing") -> Health:
    return judge(SharePair(measure, "phone", found, n, found_before, n_before))[0]


@pytest.mark.parametrize(
    ("now", "before", "status"),
    [
        (0.02, 0.02, "ok"),
        (0.069, 0.02, "ok"),  # 4.9 percentage points
        (0.071, 0.02, "warning"),
        (0.16, 0.02, "critical"),  # risen, and more than a tenth of all
        (0.40, 0.40, "ok"),  # much, and as ever
        (0.46, 0.40, "critical"),
        (0.00, 0.40, "ok"),  # what got better is no fault
    ],
)
def test_nulls_by_percentage_points_and_by_their_level(now: float, before: float, status: str) -> None:
    found = missing(round(now * 20_000), 20_000, round(before * 100_000), 100_000)
    assert found.status == status
    assert found.change_pp == pytest.approx(100 * (now - before))


def test_the_interval_is_wilsons_and_the_test_fishers() -> None:
    found = missing(30, 300, 10, 700)
    interval = stats.binomtest(30, 300).proportion_ci(method="wilson")
    assert (found.value, found.low, found.high) == pytest.approx((0.1, interval.low, interval.high))
    before = stats.binomtest(10, 700).proportion_ci(method="wilson")
    below, above = (
        math.hypot(0.1 - interval.low, before.high - 1 / 70),
        math.hypot(interval.high - 0.1, 1 / 70 - before.low),
    )
    change = 0.1 - 1 / 70
    assert (found.change_low_pp, found.change_high_pp) == pytest.approx(
        (100 * (change - below), 100 * (change + above))
    )
    expected = stats.fisher_exact([[30, 270], [10, 690]], alternative="greater").pvalue
    assert found.adjusted_p_value == pytest.approx(expected)


def test_a_tenth_of_a_few_rows_is_not_established() -> None:
    assert missing(22, 200, 12, 200).status == "ok"
    assert missing(1, 9, 0, 9_000).status == "insufficient_data"


def test_rejected_rows_are_judged_by_their_level_so_that_a_lasting_fault_does_not_become_usual() -> None:
    assert missing(500, 10_000, 5_000, 100_000, "rejected").status == "warning"
    assert missing(2_000, 10_000, 20_000, 100_000, "rejected").status == "critical"
    assert missing(50, 10_000, 500, 100_000, "rejected").status == "ok"
    # In the very first period there is nothing to compare with, and a fault is one all the same.
    assert missing(40, 100, 0, 0, "rejected").status == "critical"
    assert missing(500, 10_000, 5_000, 100_000, "duplicates").status == "ok"


@pytest.mark.parametrize("pair", [(0, 0, 0, 0), (0, 0, 5, 50), (0, 1, 0, 0), (1, 1, 0, 0)])
def test_too_little_is_said_so(pair: tuple[int, int, int, int]) -> None:
    found = missing(*pair)
    assert found.status == "insufficient_data"
    assert found.reason


def test_false_alarms_over_many_columns() -> None:
    """Stated: at most 1 % over all shares together; 20 columns, 300 rows now, half of each missing at random."""
    rng = np.random.default_rng(0)
    runs, rung = 200, 0
    for _ in range(runs):
        now, before = rng.binomial(300, 0.5, 20), rng.binomial(2_000, 0.5, 20)
        pairs = [
            SharePair("missing", f"c{i}", int(a), 300, int(b), 2_000)
            for i, (a, b) in enumerate(zip(now, before, strict=True))
        ]
        rung += any(found.status != "ok" for found in judge(*pairs))
    assert stats.binom.sf(rung - 1, runs, 0.01) > 0.001


@given(st.lists(st.tuples(*[st.integers(0, 500)] * 4), max_size=8))
def test_every_pair_has_its_row_whatever_stands_beside_it(numbers: list[tuple[int, int, int, int]]) -> None:
    pairs = [
        SharePair("missing", f"c{i}", min(a, b), max(a, b), min(c, d), max(c, d))
        for i, (a, b, c, d) in enumerate(numbers)
    ]
    found = judge(*pairs)
    assert [row.subject for row in found] == [pair.subject for pair in pairs]
    for pair, row in zip(pairs, found, strict=True):
        alone = judge(pair)[0]
        assert (row.value, row.change_pp) == (alone.value, alone.change_pp)
        if row.status != "ok":
            # Company makes an alarm rarer, never more frequent.
            assert alone.status == row.status
