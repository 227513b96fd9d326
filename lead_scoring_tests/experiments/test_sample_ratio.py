"""The sample ratio: sound experiments are not blocked however often one looks, a planted loss is found."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from lead_scoring_assets.experiments.always_valid import log_evidence
from lead_scoring_assets.experiments.sample_ratio import _STRENGTH, SIGNIFICANCE, check_sample_ratio


@given(st.integers(1, 10_000), st.integers(1, 10_000), st.floats(0.05, 0.95))
def test_the_p_value_is_the_chi_squares(control: int, treatment: int, planned: float) -> None:
    units = control + treatment
    expected = chisquare([treatment, control], [planned * units, (1 - planned) * units]).pvalue
    assert check_sample_ratio(control, treatment, planned).p_value == pytest.approx(expected, abs=1e-9)


def test_52_to_48_is_found_and_50_to_50_is_not() -> None:
    found = check_sample_ratio(24_000, 26_000, 0.5)
    assert found.is_mismatch
    assert "do NOT fit the plan: 52.00% got the treatment, 50.00% were drawn" in found.sentence
    assert not check_sample_ratio(25_050, 24_950, 0.5).is_mismatch
    assert not check_sample_ratio(90_100, 9_900, 0.1).is_mismatch


def test_nobody_was_drawn_yet() -> None:
    assert not check_sample_ratio(0, 0, 0.5).is_mismatch


@pytest.mark.parametrize("planned", [0.5, 0.1])
def test_looked_at_every_day_hardly_any_sound_experiment_is_blocked(planned: float) -> None:
    """60 days of 1,000 units; a chi-square at the same limit would block several times as many as it says."""
    units = 1_000 * np.arange(1, 61)
    treated = np.random.default_rng(11).binomial(1_000, planned, (20_000, 60)).cumsum(1)
    blocked = (
        log_evidence(treated, np.broadcast_to(units, treated.shape), planned, _STRENGTH) >= -np.log(SIGNIFICANCE)
    ).any(1)
    squared = (treated - planned * units) ** 2 / (units * planned * (1 - planned))
    assert blocked.mean() <= SIGNIFICANCE
    assert (squared > 10.83).any(1).mean() > 3 * SIGNIFICANCE


def test_a_planted_loss_is_found_in_all_experiments_within_fifty_thousand_units() -> None:
    treated = np.random.default_rng(12).binomial(50_000, 0.52, 300)
    assert all(check_sample_ratio(50_000 - int(n), int(n), 0.5).is_mismatch for n in treated)
