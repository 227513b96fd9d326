"""How many leads came: closed forms, the stated rate of false alarms with and without seasons and growth, and power."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lead_scoring_assets.monitoring.drift.volume import Volume, judge_volume


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


def test_one_odd_month_does_not_let_expect_anything() -> None:
    usual, odd = [980, 1_040, 990, 1_010, 1_030, 950], 4_000
    found = judge_volume(Volume(500, 30.0), months(*usual, odd), 0.01)
    assert found == replace(
        judge_volume(Volume(500, 30.0), months(*usual), 0.01), reason=found.reason
    )  # as if it had not been
    assert found.reason.endswith("without the one odd period among them")
    assert judge_volume(Volume(odd, 30.0), months(*usual, odd), 0.01).status == "warning"  # and again the next month
    assert judge_volume(Volume(odd, 30.0), months(*usual, odd, odd), 0.01).status == "ok"  # two are a new level


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


# Seasons and growth.


def of_two_years(rng: np.random.Generator, seasons: np.ndarray, growth: float, dispersion: float) -> list[Volume]:
    """A year of periods, each with the same season a year before it; counts vary `dispersion` times as much as Poisson's."""

    def came(means: np.ndarray) -> np.ndarray:
        return (
            rng.poisson(means) if dispersion == 1 else rng.negative_binomial(means / (dispersion - 1), 1 / dispersion)
        )

    then, now = came(seasons), came(growth * seasons)
    return [Volume(int(n), 30.0, Volume(int(a), 30.0)) for n, a in zip(now, then, strict=True)]


def test_the_season_of_a_year_ago_is_expected_to_grow_as_the_others_have() -> None:
    before = [Volume(2 * leads, 30.0, Volume(leads, 30.0)) for leads in (100, 400, 100, 400)]
    found = judge_volume(Volume(1_600, 30.0, Volume(800, 30.0)), before, 0.05)
    half = stats.t.isf(0.025, 3) * math.sqrt(1_600 * (1 + 2 + 1_600 / 2_000 + 1_600 / 1_000))
    assert (found.expected, found.low, found.high) == pytest.approx((1_600, 1_600 - half, 1_600 + half))
    assert found.status == "ok"
    assert "from 800 a year ago and 2.00 times as many in 4 earlier periods" in found.reason
    assert judge_volume(Volume(1_600, 30.0), before, 0.05).expected == pytest.approx(500)  # its own season is not known


def test_a_season_of_another_length_counts_by_its_days() -> None:
    before = [Volume(100, 30.0, Volume(100, 30.0)) for _ in range(5)]
    assert judge_volume(Volume(280, 28.0, Volume(290, 29.0)), before, 0.05).expected == pytest.approx(280)


def test_too_few_seasons_are_no_reason_to_refuse() -> None:
    before = [*months(100, 110, 90), Volume(100, 30.0, Volume(100, 30.0))]
    found = judge_volume(Volume(100, 30.0, Volume(500, 30.0)), before, 0.05)
    assert found.expected == pytest.approx(100)
    nobody_then = [Volume(100, 30.0, Volume(0, 30.0)) for _ in range(6)]
    assert judge_volume(Volume(100, 30.0, Volume(0, 30.0)), nobody_then, 0.05).expected == pytest.approx(100)


@pytest.mark.parametrize("dispersion", [1, 10])
@pytest.mark.parametrize("growth", [0.6, 1.0, 1.7])
@pytest.mark.parametrize("periods", [5, 12])
def test_false_alarms_with_seasons_and_growth(dispersion: int, growth: float, periods: int) -> None:
    """Stated 1 %; what varies ten times more than Poisson's is skew, and 2 % is what an interval then keeps."""
    rng = np.random.default_rng([dispersion, periods, int(10 * growth)])
    runs, rung = 400, 0
    for _ in range(runs):
        *before, now = of_two_years(rng, rng.choice([150.0, 300.0, 900.0], periods + 1), growth, dispersion)
        rung += judge_volume(now, before, 0.01).status != "ok"
    assert stats.binom.sf(rung - 1, runs, 0.02) > 0.001


def test_a_fall_that_the_mean_of_a_seasonal_year_would_hide_is_seen() -> None:
    """Half of a busy month is as many as an ordinary one: only who knows the season misses the others."""
    rng = np.random.default_rng(1)
    seasons = np.array([300.0] * 9 + [900.0] * 3 + [900.0])
    seen = {True: 0, False: 0}
    for _ in range(100):
        *before, now = of_two_years(rng, seasons, 1.0, 1)
        now = replace(now, leads=now.leads // 2)
        seen[True] += judge_volume(now, before, 0.01).status != "ok"
        seen[False] += judge_volume(replace(now, year_ago=None), before, 0.01).status != "ok"
    assert seen[True] > 95
    assert seen[False] < 5
