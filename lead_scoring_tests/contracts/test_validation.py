"""Texts against their contract: each row is typed exactly or named with its fault, whatever the text."""

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lead_scoring_assets.contracts.columns import Column
from lead_scoring_assets.contracts.validation import Validated, arrow_schema, validate


def column(kind: str, **changes: Any) -> Column:
    return Column(**{"kind": kind, "role": "context", "why": "w", **changes})


COLUMNS = {
    "id": column("text"),
    "age": column("integer", minimum=15, maximum=110),
    "value": column("number", required=False),
    "job": column("category", categories=("clerk", "other")),
    "at": column("timestamp"),
    "free": column("category", required=False),
}
GOOD = {"id": "a-1", "age": "42", "value": "-1.5e3", "job": "clerk", "at": "2008-05-01", "free": "x"}


def texts(*rows: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=list(COLUMNS), dtype="string")


def one(kind: str, text: str, **changes: Any) -> Validated:
    return validate(pd.DataFrame({"x": [text]}, dtype="string"), {"x": column(kind, **changes)})


def value(kind: str, text: str, **changes: Any) -> Any:
    checked = one(kind, text, **changes)
    assert checked.reasons.empty, checked.reasons.tolist()
    return checked.accepted["x"].iloc[0]


def reason(kind: str, text: str, **changes: Any) -> str:
    checked = one(kind, text, **changes)
    assert checked.accepted.empty
    return str(checked.reasons.iloc[0])


def test_a_row_within_its_contract_is_typed() -> None:
    checked = validate(texts(GOOD), COLUMNS)
    assert checked.reasons.empty
    assert checked.accepted.to_dict("records") == [
        {
            "id": "a-1",
            "age": 42,
            "value": -1500.0,
            "job": "clerk",
            "at": pd.Timestamp("2008-05-01", tz="UTC"),
            "free": "x",
        }
    ]
    table = pa.Table.from_pandas(checked.accepted, schema=arrow_schema(COLUMNS), preserve_index=False)
    assert table.schema.field("age").type == pa.int64()
    assert table.schema.field("at").type == pa.timestamp("us", tz="UTC")


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("id", "", "id: is required and empty"),
        ("id", "  ", "id: is required and empty"),
        ("age", "", "age: is required and empty"),
        ("age", "-3", "age: expected at least 15, found '-3'"),
        ("age", "14", "age: expected at least 15, found '14'"),
        ("age", "111", "age: expected at most 110, found '111'"),
        ("age", "42.5", "age: expected a whole number, found '42.5'"),
        ("age", "forty", "age: expected a number, found 'forty'"),
        ("age", "nan", "age: expected a number, found 'nan'"),
        ("value", "1,5", "value: expected a number, found '1,5'"),
        ("value", "inf", "value: expected a number, found 'inf'"),
        ("value", "1e999", "value: expected a number, found '1e999'"),
        ("job", "Clerk", "job: expected one of clerk, other, found 'Clerk'"),
        ("job", "", "job: is required and empty"),
        ("at", "yesterday", "at: expected an ISO 8601 date or time, found 'yesterday'"),
        ("at", "", "at: is required and empty"),
    ],
)
def test_each_fault_is_named(name: str, text: str, told: str) -> None:
    checked = validate(texts(GOOD, {**GOOD, name: text}, GOOD), COLUMNS)
    assert checked.reasons.to_dict() == {1: told}
    assert checked.accepted.index.tolist() == [0, 2]


def test_a_row_with_several_faults_names_them_all() -> None:
    (told,) = validate(texts({**GOOD, "id": "", "age": "-3", "at": "?"}), COLUMNS).reasons
    assert told == (
        "id: is required and empty; age: expected at least 15, found '-3'; "
        "at: expected an ISO 8601 date or time, found '?'"
    )


def test_a_missing_column_faults_every_row_unless_it_is_optional() -> None:
    checked = validate(texts(GOOD, GOOD).drop(columns=["age", "value"]), COLUMNS)
    assert checked.reasons.tolist() == ["age: is required and empty"] * 2
    kept = validate(texts(GOOD).drop(columns=["value", "free"]), COLUMNS).accepted
    assert kept[["value", "free"]].isna().all().all()


def test_missing_values_that_may_be_missing_stay_missing() -> None:
    for kind in ("integer", "number", "category", "text", "timestamp"):
        assert pd.isna(value(kind, " ", required=False))


def test_no_rows_and_no_columns() -> None:
    empty = validate(texts(), COLUMNS)
    assert (len(empty.accepted), len(empty.reasons)) == (0, 0)
    assert list(empty.accepted.columns) == list(COLUMNS)
    assert len(validate(texts(GOOD), {}).accepted) == 1


def test_positions_are_kept() -> None:
    rows = texts(GOOD, {**GOOD, "age": "x"}, GOOD)
    rows.index = pd.Index([70, 3, 12])
    checked = validate(rows, COLUMNS)
    assert checked.accepted.index.tolist() == [70, 12]
    assert checked.reasons.index.tolist() == [3]


# --- Numbers


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(0.1 + 0.2)
@example(5e-324)
def test_a_number_is_read_to_the_last_digit(number: float) -> None:
    assert value("number", repr(number)) == number


@given(st.integers(-(2**53) + 1, 2**53 - 1))
def test_a_whole_number_is_read_exactly(number: int) -> None:
    assert value("integer", str(number)) == number
    assert value("integer", f"{number}.0") == number


@given(st.integers(2**53, 10**400))
@example(2**53 + 1)
@example(2**63)
@example(2**64)
@example(10**300)
def test_a_whole_number_that_would_not_be_exact_is_refused(number: int) -> None:
    for text in (str(number), f"-{number}"):
        assert reason("integer", text).startswith("x: expected a ")


@pytest.mark.parametrize("text", ["0x10", "1_000", "1 000", "١٢", "１２", "--1", "1e", ".", "e5", "True", "1\n2", "½"])
def test_what_only_python_or_people_read_as_a_number_is_refused(text: str) -> None:
    assert reason("number", text).startswith("x: expected a number, found ")


@pytest.mark.parametrize(
    ("text", "number"), [("+5", 5), ("1.", 1), (".5", 0.5), ("1E2", 100), (" 7 ", 7), ("007", 7), ("1e-400", 0)]
)
def test_plain_spellings_are_numbers(text: str, number: float) -> None:
    assert value("number", text) == number


def test_bounds_are_included() -> None:
    assert [value("integer", text, minimum=1, maximum=3) for text in ("1", "2", "3")] == [1, 2, 3]
    assert reason("number", "3.0000001", maximum=3) == "x: expected at most 3, found '3.0000001'"
    assert reason("number", "0.9999999", minimum=1) == "x: expected at least 1, found '0.9999999'"


# --- Times


@given(st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)), st.integers(-720, 840))  # noqa: DTZ001
def test_a_time_is_read_in_utc_to_the_microsecond(moment: datetime, offset_minutes: int) -> None:
    assert value("timestamp", moment.isoformat()) == moment.replace(tzinfo=UTC)
    away = moment.replace(tzinfo=UTC).astimezone(timezone(timedelta(minutes=offset_minutes)))
    assert value("timestamp", away.isoformat()) == moment.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    ["now", "today", "NOW", "NaT", "2008", "2008-05", "20080501", "01/05/2008", "1.5.2008", "2008-5-1", "2008-02-30",
     "2009-02-29", "2008-13-01", "0000-01-01", "9999-12-31", "2008-05-01T25:00", "2008-05-01T24:00", "2008-05-01x",
     "2008-05-01 noon", "2008-05-01T10:00+99:99", "1199145600", "2008-05-01\nnow"],
)  # fmt: skip
def test_what_is_no_full_iso_date_is_refused(text: str) -> None:
    assert reason("timestamp", text) == f"x: expected an ISO 8601 date or time, found {text!r}"


# --- Anything


def test_a_huge_cell_makes_a_short_reason() -> None:
    for kind in ("integer", "timestamp"):
        assert len(reason(kind, "x" * 1_000_000)) < 200
    assert len(reason("category", "x" * 1_000_000, categories=("a",))) < 200


cells = st.one_of(
    st.none(),
    st.text(max_size=20),
    st.text("0123456789+-.eE_ ,nainfT:Z", max_size=12),
    st.sampled_from(
        [*GOOD.values(), "", " ", "-1", "1e300", "now", "NaT", "nan", "inf", "2008-05-01T10:00:00+04:00", "\x00"]
    ),
)


@settings(max_examples=80)
@given(st.lists(st.fixed_dictionaries(dict.fromkeys(COLUMNS, cells)), max_size=6))
def test_every_row_is_accepted_or_has_a_reason(rows: list[dict[str, str | None]]) -> None:
    """Whatever the texts, no row is lost, none is in both, and what is accepted keeps its contract."""
    frame = texts(*rows)
    checked = validate(frame, COLUMNS)
    assert sorted([*checked.accepted.index, *checked.reasons.index]) == list(frame.index)
    assert all(isinstance(told, str) and told for told in checked.reasons)
    for row in checked.accepted.to_dict("records"):
        assert row["id"] == row["id"].strip() != ""
        assert 15 <= row["age"] <= 110
        assert pd.isna(row["value"]) or math.isfinite(row["value"])
        assert row["job"] in ("clerk", "other")
        assert row["at"].tzinfo is not None
    pa.Table.from_pandas(checked.accepted, schema=arrow_schema(COLUMNS), preserve_index=False)


@settings(max_examples=20)
@given(st.lists(st.fixed_dictionaries(dict.fromkeys(COLUMNS, cells)), min_size=1, max_size=6))
def test_a_row_is_judged_by_itself(rows: list[dict[str, str | None]]) -> None:
    together = validate(texts(*rows), COLUMNS).reasons.to_dict()
    alone = {at: validate(texts(row), COLUMNS).reasons.to_dict().get(0) for at, row in enumerate(rows)}
    assert together == {at: told for at, told in alone.items() if told is not None}
