"""Kolmogorov-Smirnov and Wasserstein, row by row: scipy, closed forms, ties, values too large for a float."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lead_scoring_assets.monitoring.drift import exact
from lead_scoring_assets.monitoring.drift.exact import Distribution, compare_exactly, kolmogorov_smirnov

pytestmark = pytest.mark.filterwarnings("error")

numbers = st.lists(st.one_of(st.integers(-4, 4).map(float), st.floats(-1e6, 1e6)), min_size=1, max_size=80)


@given(numbers)
def test_a_distribution_holds_every_row(values: list[float]) -> None:
    found = Distribution.of(np.array(values))
    assert found.sorted_values.tolist() == sorted(values)
    assert found.n == len(values)
    assert np.all(np.diff(found.values) > 0)
    assert found.standard_deviation() == pytest.approx(np.std(values), rel=1e-9, abs=1e-9)


@given(numbers, numbers, st.sampled_from([2, 7, exact._BLOCK]))
def test_both_agree_with_scipy_however_the_rows_are_cut_into_blocks(a: list[float], b: list[float], block: int) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(exact, "_BLOCK", block)
        found = compare_exactly(Distribution.of(np.array(a)), Distribution.of(np.array(b)))
    assert found is not None
    if len(a) + len(b) > 2:  # of one row each, scipy divides by none
        expected = stats.ks_2samp(a, b, method="asymp")
        assert found.ks.statistic == pytest.approx(expected.statistic, abs=1e-9)
        assert found.ks.p_value == pytest.approx(expected.pvalue, abs=1e-9)
    distance = stats.wasserstein_distance(a, b)
    assert found.wasserstein == pytest.approx(distance, rel=1e-9, abs=1e-9)
    if np.std(a) > 0:
        assert found.wasserstein_sd == pytest.approx(distance / np.std(a), rel=1e-6, abs=1e-9)
    else:
        assert found.wasserstein_sd is None


def test_a_shift_is_a_distance_of_itself() -> None:
    values = np.random.default_rng(1).normal(size=100_000)
    found = compare_exactly(Distribution.of(values), Distribution.of(values + 0.25))
    assert found is not None
    assert found.wasserstein == pytest.approx(0.25, abs=1e-9)
    assert found.wasserstein_sd == pytest.approx(0.25 / values.std(), abs=1e-9)


@settings(max_examples=5)
@given(st.integers(0, 2**32 - 1))
def test_large_windows_have_the_p_value_of_small_ones_formula(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=30_000), rng.normal(0.01, 1, size=25_000)
    found, expected = kolmogorov_smirnov(a, b), stats.ks_2samp(a, b, method="asymp")
    assert found is not None
    assert found.statistic == pytest.approx(expected.statistic, abs=1e-12)
    assert found.p_value == pytest.approx(expected.pvalue, abs=0.005)


def test_a_side_without_rows_has_no_comparison() -> None:
    some, none = Distribution.of(np.array([1.0])), Distribution()
    assert compare_exactly(some, none) is None
    assert compare_exactly(none, some) is None


def test_values_too_large_for_a_float_have_a_gap_and_no_distance() -> None:
    huge = np.array([-1.7e308, 1.7e308, 0.0])
    found = compare_exactly(Distribution.of(huge), Distribution.of(-huge[:2]))
    assert found is not None
    assert found.ks.statistic == pytest.approx(1 / 6)
    assert (found.wasserstein, found.wasserstein_sd) == (None, None)
