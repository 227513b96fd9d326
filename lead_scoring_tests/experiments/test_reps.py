"""When reps are drawn it is reps that count; when leads are, reps who work both arms are told."""

import numpy as np
import pytest
from scipy.stats import ttest_ind

from lead_scoring_assets.evaluation.metrics import CONFIDENCE
from lead_scoring_assets.experiments.one_look import Counts, difference
from lead_scoring_assets.experiments.reps import correlation_within_reps, difference_by_rep, shared_reps

RATE, CORRELATION = 0.2, 0.1


def draw(random: np.random.Generator, reps: int, leads: int, rate: float = RATE) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes of `reps` reps with some `leads` leads each, whose own rates differ (beta): as alike as `CORRELATION`."""
    strength = 1 / CORRELATION - 1
    rates = random.beta(rate * strength, (1 - rate) * strength, reps)
    sizes = random.poisson(leads, reps) + 1
    which = np.repeat(np.arange(reps), sizes)
    names = np.array([f"rep {number}" for number in range(reps)], dtype=object)
    return (random.random(len(which)) < rates[which]).astype(float), names[which]


def test_the_interval_over_reps_covers_and_the_one_over_leads_does_not() -> None:
    random = np.random.default_rng(5)
    covered = naive = 0
    for _ in range(400):
        won, reps = draw(random, 40, 50)
        is_treatment = np.array([int(rep.split()[1]) % 2 == 0 for rep in reps])
        found = difference_by_rep(won, reps, is_treatment)
        covered += found.low <= 0 <= found.high
        treated, control = won[is_treatment], won[~is_treatment]
        by_lead = difference(Counts(len(control), int(control.sum()), len(treated), int(treated.sum())))
        naive += by_lead.low <= 0 <= by_lead.high
    assert 0.92 <= covered / 400 <= 0.98
    assert naive / 400 < 0.75


def test_reps_with_one_lead_each_are_leads() -> None:
    """Then it is Welch's t test of single outcomes."""
    random = np.random.default_rng(6)
    won, is_treatment = (random.random(300) < 0.3).astype(float), random.random(300) < 0.4
    names = np.array([f"rep {n}" for n in range(300)], dtype=object)
    found = difference_by_rep(won, names, is_treatment)
    expected = ttest_ind(won[is_treatment], won[~is_treatment], equal_var=False).confidence_interval(CONFIDENCE)
    assert (found.low, found.high) == (pytest.approx(expected.low), pytest.approx(expected.high))


def test_too_few_reps_are_no_interval() -> None:
    won, reps = draw(np.random.default_rng(7), 6, 500)
    found = difference_by_rep(won, reps, np.isin(reps, ["rep 0", "rep 1"]))
    assert np.isnan(found.low)
    assert found.n >= 2


def test_how_alike_the_leads_of_a_rep_are_is_found() -> None:
    found = [correlation_within_reps(*draw(np.random.default_rng(seed), 200, 40)) for seed in range(10)]
    assert np.mean(found) == pytest.approx(CORRELATION, abs=0.01)
    alone = np.array([f"rep {n}" for n in range(20)], dtype=object)
    assert np.isnan(correlation_within_reps(np.ones(20), alone))
    assert np.isnan(correlation_within_reps(np.ones(20), np.array(["rep"] * 20, dtype=object)))


def test_shared_reps_are_told_with_their_share() -> None:
    reps = np.array(["a", "a", "b", "b", "c", "c", None, None], dtype=object)
    found = shared_reps(reps, np.array([True, False, True, True, False, False, True, False]))
    assert (found.reps, found.shared, found.leads_of_shared) == (3, 1, pytest.approx(1 / 3))
    assert found.sentence is not None
    assert "1 of 3 reps worked leads of both arms (33% of the leads)" in found.sentence
    assert shared_reps(reps, np.array([rep == "a" for rep in reps])).sentence is None
    assert shared_reps(np.array([None, None], dtype=object), np.array([True, False])).sentence is None
