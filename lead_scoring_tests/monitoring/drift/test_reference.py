"""Bins of the reference window: where values fall, what is pooled, what survives storage."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lead_scoring_assets.monitoring.drift.binning import RARE_ROWS
from lead_scoring_assets.monitoring.drift.reference import bin_counts, build_reference, category_counts, split_numbers
from lead_scoring_assets.monitoring.drift.reference_state import ReferenceColumn

pytestmark = pytest.mark.filterwarnings("error")

any_numbers = st.lists(
    st.one_of(st.integers(-5, 5).map(float), st.floats(allow_nan=True, allow_infinity=True)), max_size=60
)


def numeric_column(values: object, bins: int = 10) -> ReferenceColumn:
    return build_reference(pd.DataFrame({"x": values}), ["x"], [], bins=bins).columns[0]


def categorical_column(values: object) -> ReferenceColumn:
    return build_reference(pd.DataFrame({"x": values}), [], ["x"]).columns[0]


def labelled(column: ReferenceColumn, values: object = None) -> dict[str, int]:
    counts = column.bin_counts if values is None else bin_counts(column, pd.Series(values)).tolist()
    return dict(zip(column.bin_labels, counts, strict=True))


def counted_one_by_one(column: ReferenceColumn, values: list[float]) -> list[int]:
    counts = [0] * len(column.bin_labels)
    n_intervals = len(column.edges) - 1
    for value in values:
        if np.isnan(value):
            counts[-1] += 1
        elif np.isinf(value):
            counts[-2] += 1
        elif value in column.lone_values:
            counts[n_intervals + column.lone_values.index(value)] += 1
        else:
            bins = zip(column.edges[:-1], column.edges[1:], strict=True)
            counts[next(i for i, (low, high) in enumerate(bins) if low < value <= high)] += 1
    return counts


def test_quantile_bins_hold_equal_shares_and_reach_to_infinity() -> None:
    column = numeric_column(np.random.default_rng(1).permutation(np.arange(1000.0)))
    assert column.edges == (-np.inf, 99, 199, 299, 399, 499, 599, 699, 799, 899, np.inf)
    assert column.bin_counts == (100,) * 10 + (0, 0)


def test_a_value_on_an_edge_belongs_to_the_bin_below() -> None:
    column = numeric_column(np.arange(1000.0))
    assert bin_counts(column, pd.Series([99.0, 99.0001, -1e300, 1e300])).tolist() == [2, 1, *[0] * 7, 1, 0, 0]


@pytest.mark.parametrize("bins", [2, 3, 7, 10, 20])
def test_bins_that_do_not_divide_the_rows_differ_by_one_row_at_most(bins: int) -> None:
    intervals = numeric_column(np.arange(1003.0), bins=bins).bin_counts[:-2]
    assert len(intervals) == bins
    assert max(intervals) - min(intervals) <= 1


def test_a_lone_value_gets_its_own_bin_and_the_rest_keeps_its_shape() -> None:
    days = np.concatenate([np.full(820, -1.0), np.arange(180.0)])
    column = numeric_column(days)
    assert column.lone_values == (-1.0,)
    assert labelled(column)["= -1"] == 820
    assert column.bin_counts[:9] == (20,) * 9  # the other 180 rows, in the 9 bins left
    assert labelled(column, [-1.0, -1.0000001])["= -1"] == 1


def test_a_value_with_exactly_its_share_is_not_alone() -> None:
    column = numeric_column([0.0] * 100 + list(range(1, 901)))
    assert column.lone_values == ()
    assert numeric_column([0.0] * 101 + list(range(1, 900))).lone_values == (0.0,)


def test_a_constant_has_one_bin_and_anything_else_another() -> None:
    column = numeric_column([7.0] * 300)
    assert labelled(column) == {"(-inf, inf]": 0, "= 7": 300, "not finite": 0, "missing": 0}
    assert labelled(column, [7, 6, 8, None, np.inf]) == {"(-inf, inf]": 2, "= 7": 1, "not finite": 1, "missing": 1}


def test_a_thin_rest_is_not_cut_below_the_rare_share() -> None:
    column = numeric_column([0.0] * 9_880 + list(range(1, 121)))  # 1.2 % rest: two bins of 0.6 %
    assert column.bin_counts[:-3] == (60, 60)


@given(any_numbers, any_numbers, st.integers(2, 12))
def test_every_row_falls_into_the_bin_that_the_definition_names(
    reference: list[float], current: list[float], bins: int
) -> None:
    column = numeric_column(np.array(reference, dtype=float), bins=bins)
    assert list(column.bin_counts) == counted_one_by_one(column, reference)
    assert bin_counts(column, pd.Series(current, dtype=float)).tolist() == counted_one_by_one(column, current)


@given(any_numbers, st.integers(2, 12))
def test_edges_ascend_and_no_interval_is_empty_in_the_reference(reference: list[float], bins: int) -> None:
    column = numeric_column(np.array(reference, dtype=float), bins=bins)
    assert all(np.diff(column.edges) > 0)
    assert len(column.edges) - 1 + len(column.lone_values) <= max(bins, len(column.lone_values) + 1)
    if len(column.edges) > 2:
        assert min(column.bin_counts[: len(column.edges) - 1]) > 0


@given(st.lists(st.sampled_from(["a", "b", "c", "d", None]), max_size=50), st.integers(0, 50))
def test_bin_counts_of_two_parts_add_up(values: list[str | None], cut: int) -> None:
    column = categorical_column(["a"] * 50 + ["b"] * 30 + ["c"] * 2)
    parts = [bin_counts(column, pd.Series(part, dtype=object)) for part in (values[:cut], values[cut:])]
    whole = bin_counts(column, pd.Series(values, dtype=object))
    assert (parts[0] + parts[1]).tolist() == whole.tolist()
    assert whole.sum() == len(values)


def test_what_is_not_a_finite_number_is_counted_apart_from_what_is_missing() -> None:
    values = pd.Series([1.5, "2.5", "n/a", np.inf, "-inf", None, np.nan, pd.NA, [1], 10**400, True], dtype=object)
    finite, n_not_finite, n_missing = split_numbers(values)
    assert finite.tolist() == [1.5, 2.5, 1.0]
    assert (n_not_finite, n_missing) == (5, 3)


@pytest.mark.parametrize(
    "values",
    [
        pd.Series([1, 2, None], dtype="Int64"),
        pd.Series([1, 2, None], dtype="Float32"),
        pd.Series([1, 2, None], dtype="float32"),
        pd.Series(["1", "2", None], dtype="string"),
        pd.Series([1, 2, None], dtype="category"),
    ],
    ids=lambda values: str(values.dtype),
)
def test_every_kind_of_numeric_column_reads_alike(values: "pd.Series[int]") -> None:
    finite, n_not_finite, n_missing = split_numbers(values)
    assert finite.tolist() == [1.0, 2.0]
    assert (n_not_finite, n_missing) == (0, 1)


def test_dates_in_a_numeric_column_are_not_numbers() -> None:
    finite, n_not_finite, n_missing = split_numbers(pd.Series([pd.Timestamp("2024-01-01"), pd.NaT]))
    assert (len(finite), n_not_finite, n_missing) == (0, 1, 1)


def test_categories_are_rare_below_half_a_percent() -> None:
    values = ["a"] * 9_000 + ["kept"] * 50 + ["pooled"] * 49 + [None] * 901
    assert labelled(categorical_column(values)) == {
        "a": 9_000,
        "kept": 50,
        "other": 49,
        "new category": 0,
        "missing": 901,
    }


def test_categories_are_rare_below_ten_rows() -> None:
    column = categorical_column(["a"] * 280 + ["kept"] * RARE_ROWS + ["pooled"] * (RARE_ROWS - 1))
    assert column.categories == ("a", "kept")
    assert labelled(column, ["pooled", "unheard of"]) == {
        "a": 0,
        "kept": 0,
        "other": 1,
        "new category": 1,
        "missing": 0,
    }


def test_whole_numbers_stay_the_same_category_when_a_null_makes_them_floats() -> None:
    column = categorical_column([1, 2] * 100)
    assert labelled(column, [1.0, 2.0, np.nan]) == {"1": 1, "2": 1, "other": 0, "new category": 0, "missing": 1}


def test_categories_survive_every_dtype() -> None:
    expected = {"a": 2, "b": 1, None: 1}
    for dtype in (object, "string", pd.CategoricalDtype(["a", "b", "never seen"])):
        assert category_counts(pd.Series(["a", "a", "b", None], dtype=dtype)) == expected
    assert category_counts(pd.Series([["x"], ["x"], {"y": 1}, None])) == {"['x']": 2, "{'y': 1}": 1, None: 1}


def test_a_column_listed_twice_and_too_few_bins_are_refused() -> None:
    frame = pd.DataFrame({"x": [1.0]})
    with pytest.raises(ValueError, match="listed twice: x"):
        build_reference(frame, ["x"], ["x"])
    with pytest.raises(ValueError, match="bins=1"):
        build_reference(frame, ["x"], [], bins=1)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_bins_follow_an_increasing_transform(seed: int) -> None:
    values = np.random.default_rng(seed).integers(-40, 40, 300).astype(float)
    assert numeric_column(values).bin_counts == numeric_column(values**3 + 5).bin_counts
