"""Reasons of scores: closed forms, false alarms of the permutation, coverage of the cautious interval, power, and refusals."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lead_scoring_assets.monitoring.drift.importance import (
    ImportanceShift,
    importance_shares,
    measure_importance,
)
from lead_scoring_assets.settings import Watching

WATCHING = Watching()
COLUMNS = [f"x{place}" for place in range(5)]
STRENGTHS = np.array([1.0, 0.6, 0.3, 0.1, 0.0])
RUNS = 100

strengths = st.lists(st.floats(0, 1e3), min_size=5, max_size=5)


def contributions(rng: np.random.Generator, n: int, scale: Any = STRENGTHS) -> np.ndarray:
    """As a model's are: heavy tails, and features that go together within a lead."""
    return (rng.standard_t(5, size=(n, 5)) + 0.5 * rng.normal(size=(n, 1))) * scale


def measure(before: np.ndarray, now: np.ndarray, limit: float = WATCHING.importance_gap) -> ImportanceShift:
    watching = Watching(importance_gap=limit)
    return measure_importance(before, now, COLUMNS, watching, minimum_rows=100, false_alarm_rate=0.01)


@given(strengths, st.floats(1e-3, 1e3))
def test_shares_add_up_and_do_not_know_the_unit(weights: list[float], unit: float) -> None:
    effects = np.array([weights, [-weight for weight in weights]])
    shares = importance_shares(effects)
    assert shares.sum() == pytest.approx(1 if any(weight * unit > 0 for weight in weights) else 0)
    assert importance_shares(effects * unit) == pytest.approx(shares, abs=1e-9)


def test_what_moved_to_another_feature_is_the_distance() -> None:
    """Contributions without spread: the first feature gives 20 of its 60 % to the third."""
    signs = np.random.default_rng(1).choice([-1.0, 1.0], size=(300, 1))
    before, now = (signs * np.array(shares) for shares in ([6.0, 3, 1, 0, 0], [4.0, 3, 3, 0, 0]))
    found = measure(before, now)
    assert found.distance == pytest.approx(0.2)
    assert (found.status, found.severity) == ("drift", "HIGH")
    assert all(told in found.reason for told in ("x0 60% → 40%", "x2 10% → 30%", "x1 30% → 30%"))
    assert measure(before, -before).distance == 0  # which way a feature pushes is not how much


@pytest.mark.parametrize(("n", "m"), [(200, 200), (400, 150)])
def test_false_alarms(n: int, m: int) -> None:
    """p <= 0.01 in no more than 1 % of worlds without change, and an alarm in none where chance does not carry so far."""
    rng = np.random.default_rng([n, m])
    found = [measure(contributions(rng, n), contributions(rng, m)) for _ in range(RUNS)]
    assert stats.binom.sf(sum(each.p_value <= 0.01 for each in found) - 1, RUNS, 0.01) > 0.001
    assert stats.binom.sf(sum(each.p_value <= 0.20 for each in found) - 1, RUNS, 0.20) > 0.001
    assert stats.binom.cdf(sum(each.p_value <= 0.20 for each in found), RUNS, 0.20) > 0.001  # it is no smaller either
    assert {each.status for each in found} == {"ok"}


def test_the_interval_holds_the_truth_and_trivial_shifts_do_not_ring() -> None:
    """A shift of 5 % is there in truth, half of the limit; windows of different sizes and spread."""
    rng = np.random.default_rng(5)
    scale = np.array([1.0, 0.6, 0.3, 0.1, 0.0]) * [1, 1, 1.45, 1, 1]
    true = np.abs(scale / scale.sum() - STRENGTHS / STRENGTHS.sum()).sum() / 2
    assert 0.04 < true < 0.06
    found = [measure(contributions(rng, 400), contributions(rng, 300, scale)) for _ in range(RUNS)]
    missed = sum(not each.low <= true <= each.high for each in found)
    assert stats.binom.sf(missed - 1, RUNS, 0.05) > 0.001
    assert {each.status for each in found} == {"ok"}


def test_a_shift_beyond_the_limit_is_seen() -> None:
    rng = np.random.default_rng(6)
    scale = STRENGTHS * [0.4, 1, 2.5, 1, 1]
    found = [measure(contributions(rng, 600), contributions(rng, 600, scale)).status for _ in range(10)]
    assert set(found) == {"drift"}


@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.02, 0.05, 0.10]))
def test_numbers_of_a_verdict_agree_with_each_other(seed: int, limit: float) -> None:
    rng = np.random.default_rng(seed)
    before, now = contributions(rng, 200), contributions(rng, 300, STRENGTHS * rng.uniform(0.5, 2, 5))
    found: Any = measure(before, now, limit)
    assert 0 <= found.low <= found.distance <= found.high <= 1
    assert 0 < found.p_value <= found.minimum_effect_p_value <= 1
    assert (found.status == "ok") == (found.p_value > 0.01 or found.distance <= limit)
    assert measure(before, now, limit) == found


SOME = contributions(np.random.default_rng(7), 200)


@pytest.mark.parametrize(
    ("before", "now", "status", "reason"),
    [
        (
            SOME[:0],
            SOME,
            "insufficient_data",
            "100 leads are needed of both windows; found 0 of the holdout and 200 newer",
        ),
        (SOME, SOME[:1], "insufficient_data", "found 200 of the holdout and 1 newer"),
        (SOME, np.where(SOME > 4, np.inf, SOME), "not_computable", "no finite number"),
        (SOME, SOME * 0, "not_computable", "the same score"),
    ],
)
def test_what_cannot_be_said_is_said_so(before: np.ndarray, now: np.ndarray, status: str, reason: str) -> None:
    found = measure(before, now)
    assert (found.status, found.distance, found.low, found.p_value) == (status, None, None, None)
    assert reason in found.reason
