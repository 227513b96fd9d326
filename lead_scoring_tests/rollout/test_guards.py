"""What is violated and what is not: closed forms, limits beyond chance, and worlds in which nothing is wrong."""

from dataclasses import replace
from math import isnan, log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.evaluation.means import Z
from lead_scoring_assets.rollout.guards import (
    Answers,
    Stratum,
    conversion_drop,
    judge_conversions,
    judge_errors,
    judge_latency,
    p95_of,
)
from lead_scoring_tests.rollout.worlds import POLICY, answers, latencies

# Errors.


def wilson_low(errors: int, n: int) -> float:
    """Wilson's lower bound as the smaller root of (p - rate)² = z² rate (1 - rate) / n."""
    p = errors / n
    return float(min(np.roots([1 + Z**2 / n, -(2 * p + Z**2 / n), p**2])))


@given(st.integers(200, 20_000).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))))
def test_errors_take_back_where_the_lower_bound_is_above_two_percent(drawn: tuple[int, int]) -> None:
    n, errors = drawn
    expected = "violated" if wilson_low(errors, n) > 0.02 + 1e-12 else "ok"
    assert judge_errors(Answers(n, errors), POLICY).status == expected


@pytest.mark.parametrize(
    ("errors", "n", "status"),
    [(1, 20, "insufficient_data"), (20, 20, "insufficient_data"), (4, 200, "ok"), (8, 200, "violated")],
)
def test_one_error_in_twenty_is_not_five_percent(errors: int, n: int, status: str) -> None:
    found = judge_errors(Answers(n, errors), POLICY)
    assert found.status == status
    assert f"{n:,}" in found.reason


# Latency.


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=400))
def test_the_percentile_is_numpys_between_values_that_occurred(milliseconds: list[float]) -> None:
    found = p95_of(np.array(milliseconds))
    assert found.value == np.quantile(milliseconds, 0.95)
    assert found.low <= found.value <= found.high


def test_twenty_values_have_no_upper_bound() -> None:
    assert p95_of(np.arange(20.0)).high == np.inf
    assert isnan(p95_of(np.empty(0)).value)


def test_the_percentiles_interval_covers_as_promised() -> None:
    draws, true = np.random.default_rng(5), np.exp(0.5 * 1.6448536269514722)
    covered = 0
    for _ in range(2_000):
        found = p95_of(latencies(draws, 300, 1.0))
        covered += found.low <= true <= found.high
    # At least 95 %, since ranks are whole numbers; three standard errors of the simulation.
    assert 0.95 - 3 * sqrt(0.95 * 0.05 / 2_000) <= covered / 2_000 <= 0.99


@pytest.mark.parametrize(
    ("candidate", "control", "status"),
    [
        (10.0, 1.0, "ok"),  # ten times as slow, and still fast
        (60.0, 50.0, "ok"),  # above 50 ms, by a fifth
        (200.0, 50.0, "violated"),
        (90.0, 50.0, "ok"),  # 1.8 times, and not beyond chance
    ],
)
def test_slow_is_what_passes_both_limits_beyond_chance(candidate: float, control: float, status: str) -> None:
    assert judge_latency(answers(p95_ms=candidate), answers(p95_ms=control), POLICY).status == status


@pytest.mark.parametrize(("candidate", "control"), [(199, 5_000), (5_000, 199)])
def test_both_models_need_timed_answers(candidate: int, control: int) -> None:
    found = judge_latency(answers(candidate, p95_ms=900.0), answers(control), POLICY)
    assert (found.status, found.reason[:10]) == ("insufficient_data", "199 of 200")


# Conversions.


@given(st.integers(1, 499), st.integers(500, 2_000), st.integers(1, 499), st.integers(500, 2_000))
def test_of_one_share_the_interval_is_that_of_the_log_ratio(a: int, n: int, c: int, m: int) -> None:
    found = conversion_drop([Stratum(a, n, c, m)])
    ratio, error = a / n * m / c, sqrt(1 / a - 1 / n + 1 / c - 1 / m)  # Katz and others (1978)
    assert found.value == pytest.approx(1 - ratio, abs=1e-8)
    # Greenland and Robins pool the rates' variance; with one stratum it is near the plain one.
    assert log(1 - found.low) == pytest.approx(log(ratio) + Z * error, abs=0.25 * Z * error)
    assert found.low <= found.value <= found.high


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(50, 90), st.integers(0, 50), st.integers(50, 90)), max_size=4)
)
def test_neither_the_order_of_shares_nor_one_without_leads_matters(rows: list[tuple[int, int, int, int]]) -> None:
    strata = [Stratum(*row) for row in rows]
    found = conversion_drop(strata)
    again = conversion_drop([Stratum(0, 0, 3, 100), *reversed(strata)])
    assert (found.value, found.n) == pytest.approx((again.value, again.n), nan_ok=True)


def test_a_good_week_with_more_of_the_candidates_leads_is_not_its_merit() -> None:
    """Both convert alike in either week; the candidate gets 5 % of the poor week and half of the good one."""
    weeks = [Stratum(5, 100, 95, 1_900), Stratum(200, 1_000, 200, 1_000)]
    pooled = (205 / 1_100) / (295 / 2_900)
    assert pooled > 1.8
    assert conversion_drop(weeks).value == 0


def test_a_candidate_whose_leads_never_convert_is_taken_back() -> None:
    assert judge_conversions([Stratum(0, 1_000, 125, 1_000)], POLICY, "").status == "violated"


@pytest.mark.parametrize(
    "strata", [[], [Stratum(0, 999, 40, 1_000)], [Stratum(0, 1_000, 40, 999)], [Stratum(3, 1_900, 0, 1_900)]]
)
def test_too_few_matured_leads_say_so(strata: list[Stratum]) -> None:
    found = judge_conversions(strata, POLICY, "as known on a day")
    assert found.status == "insufficient_data"
    assert "1,000 of each are needed" in found.reason


def test_a_tenth_less_is_allowed_and_a_third_less_is_not() -> None:
    assert judge_conversions([Stratum(1_125, 10_000, 1_250, 10_000)], POLICY, "").status == "ok"
    assert judge_conversions([Stratum(833, 10_000, 1_250, 10_000)], POLICY, "").status == "violated"
    wider = POLICY.model_copy(update={"maximum_conversion_drop": 0.5})
    assert judge_conversions([Stratum(833, 10_000, 1_250, 10_000)], wider, "").status == "ok"


@pytest.mark.parametrize(("base", "effect"), [(0.125, 1.0), (0.125, 0.8), (0.03, 1.0)])
def test_the_ratios_interval_covers_as_promised(base: float, effect: float) -> None:
    draws, runs = np.random.default_rng(3), 2_000
    weeks = ((0.8, 150, 2_850), (1.0, 300, 2_700), (1.3, 1_500, 1_500))  # how good a week is, leads of both
    drawn = [
        (draws.binomial(n, base * good * effect, runs), n, draws.binomial(m, base * good, runs), m)
        for good, n, m in weeks
    ]
    covered = 0
    for run in range(runs):
        found = conversion_drop([Stratum(int(a[run]), n, int(c[run]), m) for a, n, c, m in drawn])
        covered += found.low <= 1 - effect <= found.high
    assert abs(covered / runs - 0.95) < 4 * sqrt(0.95 * 0.05 / runs)


def test_reasons_hold_the_numbers() -> None:
    told = judge_conversions([Stratum(100, 1_000, 125, 1_000)], POLICY, "as known on 2026-04-18").reason
    assert "-20.0 %" in told.replace("%", " %")
    assert "1,000 matured leads of the candidate and 1,000 of the champion as known on 2026-04-18" in told
    slow = replace(answers(), errors=150)
    assert judge_errors(slow, POLICY).reason == "3.00% errors [2.56%, 3.51%] of 5,000, limit 2.00%"
