"""The one map from features to numbers: what is unseen, missing or too large is NaN, whatever a request looks like."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.models.encoder import Encoder
from lead_scoring_assets.settings import Home

pytestmark = pytest.mark.filterwarnings("error")

REGISTRY = Home(Path(__file__).resolve().parents[2]).settings.registry
ENCODER = Encoder(numeric=("x",), categories={"colour": ("red", "green", "blue")})


def encode(x: object, colour: object) -> list[list[float | None]]:
    matrix = ENCODER.encode(pd.DataFrame({"x": x, "colour": colour}))
    assert matrix.dtype == np.float32
    return [[None if math.isnan(value) else value for value in row] for row in matrix.tolist()]


def test_columns_follow_the_registry_numbers_first() -> None:
    encoder = Encoder.from_registry(REGISTRY)
    assert encoder.columns == [*REGISTRY.numeric_features, *REGISTRY.category_features]
    assert sorted(encoder.columns) == sorted(REGISTRY.features)
    kinds = ["q" if REGISTRY.features[name].is_numeric else "c" for name in encoder.columns]
    assert encoder.feature_types == kinds
    assert encoder.categories["education"] == ("primary", "secondary", "tertiary", "unknown")


def test_a_category_is_its_place_in_the_list() -> None:
    assert encode([1.0, -2.5, 0.0], ["red", "blue", "green"]) == [[1, 0], [-2.5, 2], [0, 1]]


@pytest.mark.parametrize("value", ["purple", "Red", " red", "", None, np.nan, pd.NA, 0, 1.0, True])
def test_unseen_and_missing_categories_are_nan(value: object) -> None:
    assert encode([1.0, 1.0], pd.Series(["red", value], dtype=object)) == [[1, 0], [1, None]]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *[(value, None) for value in (None, np.nan, pd.NA, "", "many", math.inf, -math.inf, "inf", "nan", [1], {})],
        *[(value, None) for value in (1e39, -1e39, 1e308, "1e39", 10**39)],  # finite, but not in 32 bits
        *[(value, 7.0) for value in (7, 7.0, "7", " 7.0 ", np.int64(7), np.float32(7))],
        (3.4e38, float(np.float32(3.4e38))),
        (1e-50, 0.0),
    ],
)
def test_what_is_no_number_of_32_bits_is_nan(value: object, expected: float | None) -> None:
    assert encode(pd.Series([1.0, value], dtype=object), ["red", "red"]) == [[1, 0], [expected, 0]]


@pytest.mark.parametrize(
    "kind", ["float64", "float32", "Int64", "Float64", "int16", "object", "string", "double[pyarrow]"]
)
def test_the_type_of_a_column_is_irrelevant(kind: str) -> None:
    assert encode(pd.Series([3, 4], dtype=kind), ["red", "red"]) == [[3, 0], [4, 0]]
    if not kind.startswith("int"):
        assert encode(pd.Series([3, None], dtype=kind), ["red", "red"]) == [[3, 0], [None, 0]]


@pytest.mark.parametrize("column", [[None, None], [np.nan, np.nan], pd.Series([pd.NA, pd.NA], dtype="Int64")])
def test_columns_that_hold_nothing(column: object) -> None:
    assert encode(column, [None, None]) == [[None, None], [None, None]]


@given(
    st.lists(st.sampled_from(["red", "green", "blue", "purple", None]), max_size=20),
    st.permutations(["red", "green", "blue", "purple"]),
    st.booleans(),
)
def test_the_order_of_a_requests_own_categories_is_irrelevant(
    values: list[str | None], order: list[str], ordered: bool
) -> None:
    plain = encode([0.0] * len(values), pd.Series(values, dtype=object))
    coded = pd.Series(pd.Categorical(values, categories=order, ordered=ordered))
    assert encode([0.0] * len(values), coded) == plain


@given(st.lists(st.tuples(st.floats(allow_subnormal=False), st.text(max_size=3)), max_size=20))
def test_each_row_is_encoded_as_if_alone(rows: list[tuple[float, str]]) -> None:
    frame = pd.DataFrame(rows, columns=["x", "colour"])
    together = ENCODER.encode(frame)
    assert together.shape == (len(rows), 2)
    assert not np.isinf(together).any()
    for i in range(len(rows)):
        np.testing.assert_array_equal(ENCODER.encode(frame.iloc[[i]]), together[[i]])


def test_other_columns_and_the_order_of_columns_are_irrelevant() -> None:
    frame = pd.DataFrame({"x": [1.0], "colour": ["blue"]})
    other = pd.DataFrame({"duration": [99], "colour": ["blue"], "x": [1.0]}, index=["some index"])
    np.testing.assert_array_equal(ENCODER.encode(frame), ENCODER.encode(other))


def test_a_column_that_is_not_there_is_named() -> None:
    with pytest.raises(KeyError, match="colour"):
        ENCODER.encode(pd.DataFrame({"x": [1.0]}))


NUMBERS = [None, 0.0, -2.5, 7.0, 1e-50, 3.4e38, 1e39, -1e308, math.inf, -math.inf, math.nan]
WHOLE = [None, 0, -3, 2**53 + 1, 2**62]
TEXTS = [None, "red", "green", "blue", "purple", "Red", "", "7", " 7.0 ", "inf"]
ARROW = [
    *[(kind, NUMBERS) for kind in (pa.float64(), pa.float32())],
    (pa.int64(), WHOLE),
    (pa.uint8(), [None, 0, 7, 255]),
    (pa.bool_(), [None, True, False]),
    (pa.null(), [None]),
    *[(kind, TEXTS) for kind in (pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string()))],
    (pa.dictionary(pa.int8(), pa.large_string()), TEXTS),
    (pa.dictionary(pa.int32(), pa.int64()), WHOLE),
]


@pytest.mark.parametrize(("kind", "values"), ARROW)
@given(data=st.data())
def test_a_batch_of_arrow_is_encoded_as_its_frame(kind: pa.DataType, values: list[object], data: st.DataObject) -> None:
    drawn = data.draw(st.lists(st.sampled_from(values), max_size=12))
    column = pa.array(drawn, kind)
    start = data.draw(st.integers(0, len(drawn)))
    batch = pa.record_batch([column, column], names=["colour", "x"]).slice(start)
    found = ENCODER.encode_batch(batch)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, ENCODER.encode(batch.to_pandas()))


def test_a_dictionary_with_a_gap_or_a_word_twice() -> None:
    """As files may have them: what the dictionary lacks is missing, and a word's places are one category."""
    words = pa.array(["blue", None, "purple", "blue"])
    column = pa.DictionaryArray.from_arrays(pa.array([3, 0, 1, None, 2], pa.int32()), words)
    found = ENCODER.encode_batch(pa.record_batch([pa.nulls(5, pa.float64()), column], names=["x", "colour"]))
    np.testing.assert_array_equal(found[:, 1], [2, 2, np.nan, np.nan, np.nan])


def test_a_column_that_a_batch_lacks_is_named() -> None:
    with pytest.raises(KeyError, match="colour"):
        ENCODER.encode_batch(pa.record_batch([pa.array([1.0])], names=["x"]))


names = st.text(min_size=1, max_size=8)


@given(
    st.lists(names, unique=True, max_size=5),
    st.dictionaries(names, st.lists(names, unique=True).map(tuple), max_size=5),
)
def test_json_round_trip(numeric: list[str], categories: dict[str, tuple[str, ...]]) -> None:
    encoder = Encoder(tuple(numeric), categories)
    back = Encoder.from_json(encoder.to_json())
    assert back == encoder
    assert back.columns == encoder.columns  # dicts are equal in any order; columns are not
    assert back.to_json() == encoder.to_json()


def test_json_is_plain() -> None:
    assert json.loads(ENCODER.to_json()) == {"numeric": ["x"], "categories": {"colour": ["red", "green", "blue"]}}
