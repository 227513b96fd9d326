"""Kullback-Leibler: closed form, direction, scipy. The other distances are tested with the engine in `test_measure.py`."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lead_scoring_assets.monitoring.drift.distances import kullback_leibler_divergence, population_stability_index

two_windows = st.integers(2, 12).flatmap(
    lambda bins: st.tuples(*[st.lists(st.integers(0, 5_000), min_size=bins, max_size=bins).filter(any)] * 2)
)


def test_kl_of_two_bins_is_its_closed_form() -> None:
    expected = 0.5 * math.log(0.5 / 0.6) + 0.5 * math.log(0.5 / 0.4)
    assert kullback_leibler_divergence([60, 40], [50, 50], smoothing=0) == pytest.approx(expected, abs=1e-12)


def test_new_mass_weighs_more_than_mass_that_is_gone() -> None:
    came = kullback_leibler_divergence([1_000, 0], [900, 100])
    went = kullback_leibler_divergence([900, 100], [1_000, 0])
    assert came > 4 * went > 0


@given(two_windows)
def test_kl_agrees_with_scipy_and_both_directions_are_the_psi(windows: tuple[list[int], list[int]]) -> None:
    a, b = map(np.asarray, windows)
    p, q = (a + 0.5)[a + b > 0], (b + 0.5)[a + b > 0]
    there, back = kullback_leibler_divergence(a, b), kullback_leibler_divergence(b, a)
    assert there == pytest.approx(stats.entropy(q, p), abs=1e-9)
    assert there + back == pytest.approx(population_stability_index(a, b), abs=1e-9)
    assert there >= 0
