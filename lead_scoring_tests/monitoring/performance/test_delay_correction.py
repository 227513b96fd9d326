"""Corrected for what is not known yet: against worlds whose truth is known, closed forms and loops."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.evaluation.metrics import Metric, auc
from lead_scoring_assets.monitoring.performance import delay_correction
from lead_scoring_assets.monitoring.performance.delay_correction import DelayCorrection, KnownByAge
from lead_scoring_assets.monitoring.performance.expected_labels import estimates, reckon
from lead_scoring_assets.monitoring.performance.open_leads import MaturedLeads, OpenLeads
from lead_scoring_tests.monitoring.performance.worlds import EVEN, HASTY, World, opened

MANY = 60_000


def estimated(world: World, oldest: float = 30.0, before: World | None = None) -> tuple[OpenLeads, dict[str, Metric]]:
    """One large sample: what is left between estimate and truth is bias."""
    leads = world.open(np.random.default_rng(1), MANY, oldest)
    matured = (before or world).matured(np.random.default_rng(2), MANY)
    found = estimates(leads, DelayCorrection.learn(leads, matured), 0.2, 0)
    return leads, {metric.name: metric for metric in found}


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lead_scoring_assets.monitoring.performance.expected_labels.RESAMPLES", 40)


def test_a_true_rate_of_12_5_percent_does_not_read_3_7() -> None:
    leads, found = estimated(EVEN, oldest=13.0)
    assert leads.converted.mean() == pytest.approx(0.037, abs=0.003)
    assert leads.truth.mean() == pytest.approx(0.125, abs=0.004)
    rate = found["conversion_rate"]
    assert rate.value == pytest.approx(0.125, abs=0.008)
    assert rate.low <= 0.1244 <= rate.high


def test_auc_where_good_leads_close_faster() -> None:
    leads, found = estimated(HASTY)
    assert auc(leads.truth, leads.scores).value == pytest.approx(0.681, abs=0.005)
    assert auc(leads.converted, leads.scores).value == pytest.approx(0.730, abs=0.008)
    assert found["auc"].value == pytest.approx(auc(leads.truth, leads.scores).value, abs=0.008)


def test_without_groups_of_scores_the_auc_stays_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted fault: this is what the groups are for. The rate does not need them."""
    monkeypatch.setattr(delay_correction, "MOST_GROUPS", 1)
    leads, found = estimated(HASTY)
    assert found["auc"].value > auc(leads.truth, leads.scores).value + 0.03
    assert found["conversion_rate"].value == pytest.approx(leads.truth.mean(), abs=0.004)


@pytest.mark.parametrize("world", [EVEN, HASTY, replace(EVEN, optimism=0.6)])
def test_every_figure_is_that_of_the_complete_labels(world: World) -> None:
    leads, found = estimated(world)
    complete = {m.name: m for m in estimates(leads, _Known(leads.truth), 0.2, 0)}
    tolerance = {"conversion_rate": 0.004, "calibration_gap": 0.004, "brier": 0.004, "auc": 0.01}
    for name, metric in found.items():
        assert metric.value == pytest.approx(complete[name].value, abs=tolerance.get(name, 0.02)), name


def test_a_gap_of_calibration_is_seen_before_labels_are_complete() -> None:
    """Scores promise some 8 points too much, not the 10 that the labels known so far make of it."""
    leads, found = estimated(replace(EVEN, optimism=0.6))
    gap = found["calibration_gap"]
    assert gap.value == pytest.approx(leads.truth.mean() - leads.scores.mean(), abs=0.004)
    assert gap.high < 0


def test_where_nothing_is_delayed_it_is_the_plain_figure() -> None:
    rng = np.random.default_rng(0)
    scores, truth, _ = EVEN.draw(rng, 2_000)
    leads = opened(scores, truth, np.zeros(2_000), rng.uniform(0, 30, 2_000))
    matured = replace(EVEN.matured(rng, 2_000), delays_days=np.where(truth == 1, 0.0, np.nan), labels=truth)
    assert DelayCorrection.learn(leads, matured).expected() == pytest.approx(leads.truth)


def test_changed_delays_are_what_it_cannot_see_and_what_its_error_shows() -> None:
    slower = replace(EVEN, median_days=14.0)
    leads, found = estimated(slower, before=EVEN)
    assert found["conversion_rate"].high < leads.truth.mean()
    matured = EVEN.matured(np.random.default_rng(2), MANY)
    told = {r.error.name: r.error for r in reckon(leads, DelayCorrection.learn(leads, matured), 0.2, 0)}
    assert told["conversion_rate"].high < -0.02
    assert told["auc"].low <= 0 <= told["auc"].high  # as slow for all scores: the ranking is none the worse


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=12), st.integers(0, 20))
def test_known_by_age_against_a_loop(rows: list[tuple[int, int]], seed: int) -> None:
    lags = np.array([min(row) for row in rows], dtype=np.float64)
    delays = np.array([max(row) for row in rows], dtype=np.float64)
    ages, counts = np.arange(11.0), np.random.default_rng(seed).integers(0, 3, (2, len(rows))).astype(np.float64)
    order = np.argsort(delays, kind="stable")
    shares = KnownByAge.over(ages, delays, lags).share(counts)
    for sample, of_sample in enumerate(counts):
        for place, age in enumerate(ages):
            known = sum(c for c, row in zip(of_sample, order, strict=True) if delays[row] <= age)
            arrived = sum(c for c, row in zip(of_sample, order, strict=True) if lags[row] <= age)
            assert shares[sample, place] == (known / arrived if arrived else 0.0)


def test_the_rate_of_one_group_is_the_formula() -> None:
    """Conversions known at once, after 10 and after 20 days, a third each: F is 1/3, 2/3, 1."""
    delays = np.array([0.0, 10, 20])
    matured = MaturedLeads(np.ones(3, dtype=np.int64), np.full(3, 0.5), np.ones(3), np.zeros(3), delays, delays)
    labels = np.array([1.0, np.nan, np.nan, 1.0])
    leads = OpenLeads(1, np.full(4, 0.5), np.array([5.0, 5, 15, 25]), labels, labels)
    assert DelayCorrection.learn(leads, matured).expected().sum() == pytest.approx(4 * 2 / (1 / 3 + 1 / 3 + 2 / 3 + 1))


def test_leads_that_arrive_late_do_not_count_as_slow() -> None:
    """Everyone is heard of on day 8 and converts that day: at age 9, and among those known here, all is known."""
    m = 40
    delays = np.full(m, 8.5)
    matured = MaturedLeads(np.ones(m, dtype=np.int64), np.full(m, 0.5), np.ones(m), np.full(m, 8.0), delays, delays)
    leads = OpenLeads(1, np.full(10, 0.5), np.full(10, 9.0), np.repeat([1.0, np.nan], 5), np.zeros(10))
    assert DelayCorrection.learn(leads, matured).expected().sum() == 5.0


def test_groups_are_by_rank_within_a_version() -> None:
    """A forerunner whose scores were a third of these ones teaches the same."""
    rng = np.random.default_rng(0)
    leads, matured = HASTY.open(rng, 3_000), HASTY.matured(rng, 6_000)
    half = np.arange(6_000) % 2 == 0
    mixed = replace(matured, versions=np.where(half, 1, 2), scores=np.where(half, matured.scores, matured.scores / 3))
    one, two = (DelayCorrection.learn(leads, of).expected().sum() for of in (matured, mixed))
    assert two == pytest.approx(one, rel=0.03)
    assert DelayCorrection.learn(leads, matured).groups[0][1].m == pytest.approx(
        DelayCorrection.learn(leads, matured).groups[-1][1].m, abs=2
    )


def test_too_young_to_say_is_no_number() -> None:
    """Not one of these could be known yet: the rate is neither 0 nor something else."""
    rng = np.random.default_rng(0)
    matured = EVEN.matured(rng, 2_000)
    slow = replace(matured, delays_days=matured.delays_days + 5)
    leads = EVEN.open(rng, 300, oldest=1.0)
    found = estimates(leads, DelayCorrection.learn(leads, slow), 0.2, 0)
    assert {m.name for m in found if np.isnan(m.value)} >= {"conversion_rate", "auc", "brier"}


class _Known:
    def __init__(self, labels: np.ndarray) -> None:
        self.labels = labels

    def expected(self) -> np.ndarray:
        return self.labels

    def redrawn(self, weights: np.ndarray, draws: np.random.Generator) -> np.ndarray:
        return np.broadcast_to(self.labels, weights.shape)
