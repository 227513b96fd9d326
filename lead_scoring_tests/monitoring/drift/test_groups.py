"""Groups of a column: every row in one, chosen by the first window alone."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.monitoring.drift.groups import feature_groupings, group_column, group_numbers

pytestmark = pytest.mark.filterwarnings("error")


@given(
    st.lists(st.one_of(st.none(), st.floats(allow_infinity=True)), max_size=50),
    st.lists(st.one_of(st.none(), st.floats(allow_infinity=True)), max_size=50),
    st.integers(2, 6),
)
def test_every_number_is_in_one_group_and_the_reference_alone_cuts(
    then: list[float | None], now: list[float | None], groups: int
) -> None:
    first, second = (np.array(column, dtype=np.float64) for column in (then, now))
    found = group_numbers(first, second, groups)
    assert (len(found.then), len(found.now)) == (len(then), len(now))
    assert all(0 <= cell < len(found.names) for cell in [*found.then, *found.now])
    assert len(found.names) <= groups + 1
    assert group_numbers(first, np.empty(0), groups).names == found.names


def test_categories_that_are_rare_new_or_missing_have_their_place() -> None:
    then = pd.Series(["a"] * 5 + ["b"] * 3 + [None])
    now = pd.Series(["b", "new", None, "a"])
    found = group_column(then, now, is_number=False)
    assert found.names == ("a", "b", "other", "missing")
    assert found.now.tolist() == [1, 2, 3, 0]
    assert found.then.tolist() == [0] * 5 + [1] * 3 + [3]


def test_a_hundred_thousand_categories_are_a_dozen_and_the_rest() -> None:
    names = pd.Series([f"c{i}" for i in range(100_000)])
    assert len(group_column(names, names, is_number=False).names) == 14


def test_a_feature_that_one_window_lacks_has_no_groups() -> None:
    then, now = pd.DataFrame({"age": [1.0], "job": ["a"]}), pd.DataFrame({"job": ["b"]})
    assert set(feature_groupings(then, now, ["age"], ["job"])) == {"job"}
