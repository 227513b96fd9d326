"""Health of what arrived: shares that rose, how many leads came, and rates of false alarms by simulation."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lead_scoring_assets.monitoring.drift.health import Health, Measure, SharePair, Volume, judge_shares, judge_volume
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


# How many leads came.


def months(*leads: int) -> list[Volume]:
    return [Volume(count, 30.0) for count in leads]


def test_poisson_counts_have_the_closed_form() -> None:
    found = judge_volume(Volume(100, 30.0), months(100, 100, 100, 100, 100), 0.05)
    half = stats.t.isf(0.025, 4) * math.sqrt(100 * (1 + 1 / 5))
    assert (found.expected, found.low, found.high) == pytest.approx((100, 100 - half, 100 + half))


def test_a_longer_month_is_expected_to_bring_more() -> None:
    found = judge_volume(Volume(310, 31.0), months(280, 300, 320, 300), 0.01)
    assert found.expected == pytest.approx(310)


@pytest.mark.parametrize(("leads", "status"), [(1_000, "ok"), (500, "warning"), (1_600, "warning")])
def test_far_more_or_fewer_than_usual(leads: int, status: str) -> None:
    assert judge_volume(Volume(leads, 30.0), months(980, 1_040, 990, 1_010, 1_030, 950), 0.01).status == status


def test_what_varies_much_may_vary() -> None:
    assert judge_volume(Volume(500, 30.0), months(400, 1_900, 800, 1_500, 600, 1_000), 0.01).status == "ok"


@pytest.mark.parametrize(
    ("before", "severity"),
    [
        (months(100, 120, 90, 110), "CRITICAL"),
        (months(0, 0, 0, 0), "LOW"),
        (months(9, 0, 14, 0, 11, 0), "LOW"),  # every other period brings none: as usual
        ([], "LOW"),
    ],
)
def test_nothing_has_a_status_of_its_own(before: list[Volume], severity: str) -> None:
    found = judge_volume(Volume(0, 30.0), before, 0.01)
    assert (found.status, found.severity) == ("nothing_arrived", severity)


@pytest.mark.parametrize(
    ("before", "status"),
    [([], "insufficient_data"), (months(5, 5, 5), "insufficient_data"), (months(0, 0, 0, 0), "not_computable")],
)
def test_without_a_history_nothing_is_expected(before: list[Volume], status: str) -> None:
    found = judge_volume(Volume(7, 30.0), before, 0.01)
    assert (found.status, found.expected) == (status, None)


@pytest.mark.parametrize("dispersion", [1, 5, 50])
@pytest.mark.parametrize("history", [4, 12])
def test_false_alarms_of_the_volume(dispersion: int, history: int) -> None:
    """Stated 1 %; counts that vary fifty times more than Poisson's are skew, and 2 % is what an interval then keeps."""
    rng = np.random.default_rng(0)

    def came(days: float) -> int:
        mean = 10 * days
        if dispersion == 1:
            return int(rng.poisson(mean))
        return int(rng.negative_binomial(mean / (dispersion - 1), 1 / dispersion))

    runs = 400
    rung = sum(
        judge_volume(
            Volume(came(30), 30), [Volume(came(days), days) for days in rng.choice([28.0, 30.0, 31.0], history)], 0.01
        ).status
        != "ok"
        for _ in range(runs)
    )
    assert stats.binom.sf(rung - 1, runs, 0.02) > 0.001


@given(st.lists(st.integers(0, 10_000), max_size=15), st.integers(0, 10_000))
def test_the_interval_holds_what_was_expected_and_no_less_than_nothing(before: list[int], leads: int) -> None:
    found: Any = judge_volume(Volume(leads, 30.0), months(*before), 0.01)
    if found.expected is not None:
        assert 0 <= found.low <= found.expected <= found.high
        assert found.status in ("ok", "warning", "nothing_arrived")
    assert replace(found, reason="").value == leads
