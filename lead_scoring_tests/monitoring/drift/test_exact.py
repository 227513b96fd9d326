"""Kolmogorov-Smirnov and Wasserstein, row by row: scipy, closed forms, ties, values too large for a float."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

from lead_scoring_assets.monitoring.drift import gap_and_area
from lead_scoring_assets.monitoring.drift.distribution import Distribution
from lead_scoring_assets.monitoring.drift.exact import compare_exactly, kolmogorov_smirnov

pytestmark = pytest.mark.filterwarnings("error")

numbers = st.lists(st.one_of(st.integers(-4, 4).map(float), st.floats(-1e6, 1e6)), min_size=1, max_size=80)


@given(numbers)
def test_a_distribution_holds_every_row(values: list[float]) -> None:
    found = Distribution.of(np.array(values))
    assert found.sorted_values.tolist() == sorted(values)
    assert found.n == len(values)
    assert np.all(np.diff(found.values) > 0)
    assert found.standard_deviation() == pytest.approx(np.std(values), rel=1e-9, abs=1e-9)


@pytest.fixture
def cut() -> Iterator[Callable[[int, int], None]]:
    """Cells and blocks of other sizes."""
    with pytest.MonkeyPatch.context() as patched:

        def to(cell: int, block: int) -> None:
            patched.setattr(gap_and_area, "CELL", cell)
            patched.setattr(gap_and_area, "CELLS", 10**9)  # however many rows there are
            patched.setattr(gap_and_area, "BLOCK", block)

        yield to


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(numbers, numbers, st.sampled_from([1, 2, 7]), st.sampled_from([1, 4, 14, gap_and_area.BLOCK]))
def test_both_agree_with_scipy_however_the_rows_are_cut_into_cells(
    cut: Callable[[int, int], None], a: list[float], b: list[float], cell: int, block: int
) -> None:
    cut(cell, block)
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


def merged(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """By the definition: both distribution functions at every value."""
    values = np.sort(np.concatenate([a, b]))
    there = [np.searchsorted(np.sort(side), values, side="right") / len(side) for side in (a, b)]
    gap = np.abs(there[0] - there[1])
    return float(gap.max()), float(np.sum(gap[:-1] * np.diff(values)))


@settings(max_examples=40)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 0.001, 0.3]),
    st.sampled_from([20_000, 3_000]),
    st.sampled_from(["normal", "ties", "mostly one", "far out", "far from zero"]),
)
def test_many_rows_of_which_few_are_merged_give_the_definition(seed: int, shift: float, rows: int, shape: str) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=20_000), rng.normal(shift, 1, size=rows)
    if shape == "ties":
        a, b = a.round(2), b.round(2)
    elif shape == "mostly one":
        a, b = (np.where(rng.random(len(side)) < 0.8, -1.0, side) for side in (a, b))
    elif shape == "far out":  # an outlier of both windows cancels, and must take no digit of the others along
        a, b = (np.append(side, [-1e15, 1e15]) for side in (a, b))
    elif shape == "far from zero":
        a, b = a + 1e9, b + 1e9
    found, (gap, area) = compare_exactly(Distribution.of(a), Distribution.of(b)), merged(a, b)
    assert found is not None
    assert found.wasserstein is not None
    assert found.ks.statistic == pytest.approx(gap, abs=1e-12)
    # Where the outliers' own mass differs, that is the distance.
    assert found.wasserstein == pytest.approx(area, rel=1e-9, abs=1e-12)


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=40), st.integers(1, 9))
def test_windows_that_are_equal_but_for_how_often_do_not_differ(values: list[float], times: int) -> None:
    found = compare_exactly(Distribution.of(np.array(values)), Distribution.of(np.array(values * times)))
    assert found is not None
    assert (found.ks.statistic, found.wasserstein) == (0, 0)


def test_windows_of_as_many_rows_travel_row_by_row() -> None:
    a, b = np.random.default_rng(2).standard_cauchy((2, 200_000))
    found = compare_exactly(Distribution.of(a), Distribution.of(b))
    assert found is not None
    assert found.wasserstein == pytest.approx(np.mean(np.abs(np.sort(a) - np.sort(b))), rel=1e-9)


@given(st.floats(-1e12, 1e12), st.floats(1e-3, 1e3), st.integers(0, 2**32 - 1))
def test_the_deviation_keeps_its_digits_far_from_zero(centre: float, scale: float, seed: int) -> None:
    values = centre + scale * np.random.default_rng(seed).normal(size=500).round(2)
    assert Distribution.of(values).standard_deviation() == pytest.approx(np.std(values - values[0]), rel=1e-9)


@given(numbers)
def test_zeros_of_either_sign_are_one_value(values: list[float]) -> None:
    some = np.array([*values, 0.0, -0.0])
    found = [Distribution.of(part).values.tobytes() for part in (some, some[::-1].copy())]
    assert found[0] == found[1]


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
