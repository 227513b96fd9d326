"""Prediction drift: planted faults, worlds without drift, agreement with scipy, and scores nobody wanted."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lead_scoring_assets.monitoring.drift.prediction import (
    ScoreDrift,
    largest_gap_at_least,
    largest_tie_share,
    measure_scores,
)
from lead_scoring_assets.settings import Drift, Watching

pytestmark = pytest.mark.filterwarnings("error")

DRIFT, WATCHING = Drift(), Watching()


def scores(n: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).beta(1.5, 9, n)


def judge(reference: Any, current: Any) -> ScoreDrift:
    return measure_scores(np.asarray(reference, dtype=float), np.asarray(current, dtype=float), DRIFT, WATCHING)


# Planted faults.


def test_scores_cut_to_a_quarter_are_drift_although_their_own_histogram_has_not_changed() -> None:
    """A document correlates histograms that each have their own bins: those of scores and of a quarter of them are one."""
    found = judge(scores(2_000), scores(2_000, 1) * 0.25)
    assert (found.status, found.severity) == ("drift", "HIGH")
    assert found.ks_low is not None
    assert found.ks_low > WATCHING.score_ks_drift
    assert found.mean_shift_percent == pytest.approx(-75, abs=3)


@pytest.mark.parametrize("value", [0.0, 0.12, 1.0])
@pytest.mark.parametrize("n", [8, 500])
def test_one_score_for_everyone_is_critical_at_once(value: float, n: int) -> None:
    found = judge(scores(500), np.full(n, value))
    assert (found.status, found.severity, found.largest_tie_share) == ("drift", "CRITICAL", 1.0)
    assert "same score" in found.reason


def test_nearly_one_score_is_one_score_and_rounding_does_not_hide_it() -> None:
    noise = np.random.default_rng(0).normal(0.5, 1e-6, 400)
    assert judge(scores(500), noise).severity == "CRITICAL"
    mostly = np.concatenate([np.full(480, 0.3), scores(20)])
    assert judge(scores(500), mostly).severity == "CRITICAL"
    assert judge(scores(500), np.concatenate([np.full(460, 0.3), scores(40)])).severity == "HIGH"


def test_constant_scores_are_seen_without_a_reference() -> None:
    assert judge([], np.ones(10)).severity == "CRITICAL"
    assert judge([], scores(10)).status == "not_computable"


def test_a_model_that_always_gave_one_score_has_not_changed() -> None:
    usual = np.concatenate([np.full(990, 0.1), scores(10)])
    assert judge(usual, np.full(50, 0.1)).severity == "UNKNOWN"


@pytest.mark.parametrize("n", [1, 2, 7])
def test_a_few_equal_scores_are_chance(n: int) -> None:
    assert judge(scores(500), np.ones(n)).status == "insufficient_data"


def test_a_clear_shift_of_the_mean_is_a_warning_also_where_the_psi_is_small() -> None:
    found = judge(scores(20_000), scores(20_000, 1) * 0.85)
    assert (found.status, found.severity) == ("warning", "MEDIUM")
    assert found.psi_debiased is not None
    assert found.psi_debiased < DRIFT.psi_warning
    assert "mean score moved by -1" in found.reason


def test_a_shift_within_the_limit_is_none_however_many_rows() -> None:
    assert judge(scores(200_000), scores(200_000, 1) * 0.93).status == "ok"


# Worlds without drift.


@pytest.mark.parametrize(("n", "runs"), [(200, 150), (500, 150), (5_000, 40), (100_000, 3), (1_000_000, 1)])
def test_false_alarms(n: int, runs: int) -> None:
    """Stated: at most 1 % at any n. So many of so few runs would have a chance of less than one in a thousand."""
    rung = sum(judge(scores(n, 2 * run), scores(n, 2 * run + 1)).status != "ok" for run in range(runs))
    assert stats.binom.sf(rung - 1, runs, DRIFT.false_discovery_rate) > 0.001


def test_ties_make_no_alarm() -> None:
    """A small forest gives few distinct scores."""
    rng = np.random.default_rng(0)
    values = np.array([0.02, 0.05, 0.2, 0.6])
    for _ in range(30):
        draw = [rng.choice(values, 500, p=[0.7, 0.2, 0.08, 0.02]) for _ in range(2)]
        assert judge(*draw).status == "ok"


@pytest.mark.parametrize(("n", "factor", "power"), [(200, 0.5, 0.95), (5_000, 0.8, 0.95)])
def test_power(n: int, factor: float, power: float) -> None:
    rung = sum(judge(scores(n, 2 * i), factor * scores(n, 2 * i + 1)).status != "ok" for i in range(20))
    assert rung / 20 >= power


def test_the_interval_of_the_mean_shift_covers() -> None:
    covered = 0
    for run in range(200):
        found = judge(scores(400, 2 * run), scores(600, 2 * run + 1) * 0.9)
        assert found.mean_shift_low is not None
        assert found.mean_shift_high is not None
        covered += found.mean_shift_low <= -10 <= found.mean_shift_high
    assert stats.binomtest(covered, 200, 0.95).pvalue > 0.001


# Closed forms and other people's implementations.


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(200, 900))
def test_agreement_with_scipy_and_numpy(seed: int, n: int) -> None:
    then, now = scores(300, seed), scores(n, seed + 1) ** 1.1
    found = judge(then, now)
    expected = stats.ks_2samp(then, now)
    assert found.ks_statistic == pytest.approx(expected.statistic, abs=1e-9)
    assert (found.mean_current, found.sd_current) == pytest.approx((now.mean(), now.std(ddof=1)))
    edges = np.histogram_bin_edges(np.concatenate([then, now]), 20)
    counts = [np.histogram(values, edges)[0] for values in (then, now)]
    assert found.bin_correlation == pytest.approx(np.corrcoef(*counts)[0, 1])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_largest_tie_share_against_a_loop(values: list[float]) -> None:
    most = max(sum(a <= b <= a + 1e-4 for b in values) for a in values)
    assert largest_tie_share(np.array(values)) == pytest.approx(most / len(values))


def test_the_bound_of_the_gap_keeps_its_level() -> None:
    rng = np.random.default_rng(0)
    true = float(np.max(stats.norm.cdf(np.linspace(-4, 4, 999)) - stats.norm.cdf(np.linspace(-4, 4, 999), 0.5)))
    above = 0
    for _ in range(400):
        gap = stats.ks_2samp(rng.normal(size=300), rng.normal(0.5, 1, 200)).statistic
        above += largest_gap_at_least(gap, 300, 200, 0.1) > true
    assert above / 400 <= 0.1


# Scores nobody wanted.


@pytest.mark.parametrize(
    ("then", "now", "status"),
    [
        ([], [], "not_computable"),
        ([], [0.2], "not_computable"),
        ([0.1], [0.2], "insufficient_data"),
        (scores(500), [], "insufficient_data"),
        (scores(500), [math.nan] * 300, "insufficient_data"),
        (scores(500), [math.inf, -1.0, 2.0], "insufficient_data"),
        ([math.nan] * 500, scores(500), "not_computable"),
    ],
)
def test_too_little_is_said_so(then: Any, now: Any, status: str) -> None:
    found = judge(then, now)
    assert found.status == status
    assert found.psi is None
    assert found.reason


def test_what_is_no_probability_is_left_out_and_told() -> None:
    found = judge(scores(500), np.concatenate([scores(500, 1), [math.nan, math.inf, -0.1, 1.1]]))
    assert (found.status, found.n_current) == ("ok", 500)
    assert "4 scores are no probability" in found.reason


def test_a_mean_of_nothing_has_no_shift_in_percent() -> None:
    assert judge(np.zeros(300), scores(300)).mean_shift_percent is None


@settings(max_examples=30)
@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=30), st.integers(0, 400))
def test_no_input_raises(strange: list[float], n: int) -> None:
    assert judge(np.concatenate([scores(n), strange]), [*strange, *scores(n, 1)]).reason
