"""Texts against their contract: each row is typed exactly or named with its fault, whatever the text."""

import math
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from lead_scoring_assets.contracts.columns import OUTCOME_COLUMNS, Column
from lead_scoring_assets.contracts.validation import Validated, arrow_schema, validate
from lead_scoring_assets.errors import SettingsError


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


def texts(*rows: dict[str, Any], lines: list[int] | None = None) -> pa.Table:
    """Rows of text at lines 0, 1, … (or those given)."""
    cells = {name: pa.array([row.get(name) for row in rows], pa.string()) for name in COLUMNS}
    return pa.table({"source_line": pa.array(lines or list(range(len(rows))), pa.int64()), **cells})


def told(checked: Validated) -> dict[int, str]:
    return dict(zip(checked.reasons["source_line"].to_pylist(), checked.reasons["reason"].to_pylist(), strict=True))


def lines(checked: Validated) -> list[int]:
    found: list[int] = checked.accepted["source_line"].to_pylist()
    return found


def one(kind: str, text: str | None, zone: str = "UTC", form: str | None = None, **changes: Any) -> Validated:
    rows = pa.table({"source_line": [0], "x": pa.array([text], pa.string())})
    return validate(rows, {"x": column(kind, **changes)}, time_zone=zone, time_format=form)


def value(kind: str, text: str, zone: str = "UTC", form: str | None = None, **changes: Any) -> Any:
    checked = one(kind, text, zone, form, **changes)
    assert told(checked) == {}
    return checked.accepted["x"][0].as_py()


def reason(kind: str, text: str, zone: str = "UTC", form: str | None = None, **changes: Any) -> str:
    checked = one(kind, text, zone, form, **changes)
    assert checked.accepted.num_rows == 0
    return told(checked)[0]


def test_a_row_within_its_contract_is_typed() -> None:
    checked = validate(texts(GOOD), COLUMNS)
    assert told(checked) == {}
    assert checked.accepted.to_pylist() == [
        {
            "source_line": 0,
            "id": "a-1",
            "age": 42,
            "value": -1500.0,
            "job": "clerk",
            "at": datetime(2008, 5, 1, tzinfo=UTC),
            "free": "x",
        }
    ]
    assert checked.accepted.schema == pa.schema([("source_line", pa.int64()), *arrow_schema(COLUMNS)])
    assert checked.accepted.schema.field("age").type == pa.int64()
    assert checked.accepted.schema.field("at").type == pa.timestamp("us", tz="UTC")


@pytest.mark.parametrize(
    ("name", "text", "expected"),
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
def test_each_fault_is_named(name: str, text: str, expected: str) -> None:
    checked = validate(texts(GOOD, {**GOOD, name: text}, GOOD), COLUMNS)
    assert told(checked) == {1: expected}
    assert lines(checked) == [0, 2]


def test_a_row_with_several_faults_names_them_all() -> None:
    assert list(told(validate(texts({**GOOD, "id": "", "age": "-3", "at": "?"}), COLUMNS)).values()) == [
        "id: is required and empty; age: expected at least 15, found '-3'; at: expected an ISO 8601 date or time, found '?'"
    ]


def test_a_missing_column_faults_every_row_unless_it_is_optional() -> None:
    checked = validate(texts(GOOD, GOOD).drop_columns(["age", "value"]), COLUMNS)
    assert list(told(checked).values()) == ["age: is required and empty"] * 2
    kept = validate(texts(GOOD).drop_columns(["value", "free"]), COLUMNS).accepted
    assert [kept["value"].to_pylist(), kept["free"].to_pylist()] == [[None], [None]]


def test_missing_values_that_may_be_missing_stay_missing() -> None:
    for kind in ("integer", "number", "category", "text", "timestamp"):
        assert value(kind, " ", required=False) is None
        assert told(one(kind, None, required=False)) == {}


def test_no_rows_and_no_columns() -> None:
    empty = validate(texts(), COLUMNS)
    assert (empty.accepted.num_rows, empty.reasons.num_rows) == (0, 0)
    assert empty.accepted.column_names == ["source_line", *COLUMNS]
    assert validate(texts(GOOD), {}).accepted.to_pylist() == [{"source_line": 0}]


def test_positions_are_kept() -> None:
    checked = validate(texts(GOOD, {**GOOD, "age": "x"}, GOOD, lines=[3, 12, 70]), COLUMNS)
    assert lines(checked) == [3, 70]
    assert list(told(checked)) == [12]


def test_names_that_sql_would_take_for_something_else_are_only_names() -> None:
    odd = {name: column("integer") for name in ("select", 'a"b', "t0", "Age", "age", "x; DROP TABLE texts", "it's")}
    rows = pa.table({"source_line": [7], **{name: [str(n)] for n, name in enumerate(odd)}})
    assert validate(rows, odd).accepted.to_pylist() == [{"source_line": 7, **{name: n for n, name in enumerate(odd)}}]
    assert value("category", "it's", categories=("it's", "%s")) == "it's"
    assert reason("category", "%s %s", categories=("%s",)) == "x: expected one of %s, found '%s %s'"


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


def test_a_whole_number_is_judged_before_it_is_one() -> None:
    assert reason("integer", "-0.5") == "x: expected a whole number, found '-0.5'"
    assert reason("integer", "9007199254740992").startswith("x: expected a whole number up to 9,007,199,254,740,991")


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2008-05-01T10", "2008-05-01T10:00"),
        ("2008-05-01 10+0400", "2008-05-01T06:00"),
        ("2008-05-01T1030", "2008-05-01T10:30"),
        ("2008-05-01T103059.5Z", "2008-05-01T10:30:59.5"),
        ("2008-05-01 10:00:00 -04:30", "2008-05-01T14:30"),
        ("2008-05-01 10:00:00+04", "2008-05-01T06:00"),
        ("2008-05-01T10:00:00.123456789Z", "2008-05-01T10:00:00.123456"),
    ],
)
def test_other_spellings_of_iso_8601_are_times(text: str, expected: str) -> None:
    for zone in ("UTC", "America/New_York"):
        if zone == "UTC" or text[-1] == "Z" or "+" in text or "-04" in text:
            assert value("timestamp", text, zone) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@given(
    st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)),  # noqa: DTZ001
    st.sampled_from(["Asia/Dubai", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"]),
)
@example(datetime(2024, 3, 31, 2, 30), "Europe/Berlin")  # noqa: DTZ001  # skipped
@example(datetime(2024, 10, 27, 2, 30), "Europe/Berlin")  # noqa: DTZ001  # twice
@example(datetime(2024, 4, 7, 1, 45), "Australia/Lord_Howe")  # noqa: DTZ001  # twice, by half an hour
def test_a_time_without_an_offset_lies_in_the_time_zone(moment: datetime, zone: str) -> None:
    # ICU and Python disagree on seconds of the local mean times before time zones were agreed upon.
    assume(moment.year >= 1990)
    twice = [moment.replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC) for fold in (0, 1)]
    exists = [at for at in twice if at.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == moment]
    if exists:
        assert value("timestamp", moment.isoformat(), zone) == max(exists)
    else:
        assert reason("timestamp", moment.isoformat(), zone) == (
            f"x: expected a time that exists in {zone}, whose clocks were put forward over it, "
            f"found {moment.isoformat()!r}"
        )
    assert value("timestamp", f"{moment.isoformat()}Z", zone) == moment.replace(tzinfo=UTC)


def test_a_date_alone_is_the_first_instant_of_its_day() -> None:
    assert value("timestamp", "2024-01-10", "Asia/Dubai") == datetime(2024, 1, 9, 20, tzinfo=UTC)
    # Cairo's clocks went from midnight straight to one o'clock.
    assert value("timestamp", "2024-04-26", "Africa/Cairo") == datetime(2024, 4, 25, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "form", "zone", "expected"),
    [
        ("31/12/2023 18:45", "%d/%m/%Y %H:%M", "UTC", "2023-12-31T18:45"),
        ("31/12/2023 18:45", "%d/%m/%Y %H:%M", "Asia/Dubai", "2023-12-31T14:45"),
        ("12/31/2023 06:45 PM", "%m/%d/%Y %I:%M %p", "UTC", "2023-12-31T18:45"),
        ("31.12.2023", "%d.%m.%Y", "Asia/Dubai", "2023-12-30T20:00"),
        ("31.12.2023 10:00 +0400", "%d.%m.%Y %H:%M %z", "Europe/Berlin", "2023-12-31T06:00"),
        # Times that a file knows as times (Parquet) come in ISO 8601, whatever the format of the others.
        ("2023-12-31T18:45:00Z", "%d/%m/%Y %H:%M", "Asia/Dubai", "2023-12-31T18:45"),
        ("2023-12-31 18:45:00", "%d/%m/%Y %H:%M", "Asia/Dubai", "2023-12-31T14:45"),
        ("2023-12-31", "%d.%m.%Y %z", "UTC", "2023-12-31T00:00"),
    ],
)
def test_a_time_format_is_used_when_given(text: str, form: str, zone: str, expected: str) -> None:
    assert value("timestamp", text, zone, form) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


def test_what_does_not_fit_the_time_format_is_told_with_an_example() -> None:
    for text in ("2023-31-12", "13/31/2023 10:00", "31/12/2023", "now", "31/12/2023 10:00 ?"):
        assert reason("timestamp", text, form="%d/%m/%Y %H:%M") == (
            f"x: expected a time such as 31/12/2024 18:45, found {text!r}"
        )
    for text in ("31/03/2024 02:30", "2024-03-31 02:30"):
        skipped = reason("timestamp", text, "Europe/Berlin", "%d/%m/%Y %H:%M")
        assert "expected a time that exists in Europe/Berlin" in skipped
    # A format that begins like ISO 8601 is not helped out by it: day and month would be told apart by luck.
    assert reason("timestamp", "2024-05-31", form="%Y-%d-%m").startswith("x: expected a time such as 2024-31-12")


@pytest.mark.parametrize(("zone", "form"), [("UTC", "%Q"), ("UTC", "%H:%M"), ("Mars/Olympus", None), ("UTC", "day")])
def test_a_format_or_zone_that_cannot_be_used_is_named(zone: str, form: str | None) -> None:
    with pytest.raises(SettingsError, match=re.escape(form or zone)):
        one("timestamp", "2008-05-01", zone, form)


# --- Amounts and their currency

OUTCOME = {"lead_id": "1", "outcome": "converted", "outcome_at": "2024-01-01"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"deal_value": "100", "currency": "AED"}, None),
        ({}, None),
        ({"currency": "AED"}, None),
        ({"deal_value": "0"}, "currency: is required beside deal_value and empty"),
        ({"deal_value": "1", "currency": "aed"}, "currency: expected three capital letters such as AED, found 'aed'"),
        ({"currency": "AEDX"}, "currency: expected three capital letters such as AED, found 'AEDX'"),
        (
            {"deal_value": "-1"},
            "deal_value: expected at least 0, found '-1'; currency: is required beside deal_value and empty",
        ),
    ],
)
def test_an_amount_comes_with_its_currency(changes: dict[str, str], expected: str | None) -> None:
    row = {**OUTCOME, **changes}
    rows = pa.table({"source_line": [1], **{name: [text] for name, text in row.items()}})
    assert told(validate(rows, OUTCOME_COLUMNS)) == ({} if expected is None else {1: expected})


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


def judged_slowly(rows: list[dict[str, str | None]]) -> dict[int, dict[str, Any] | str]:
    """The meaning of the contract, written down once more, row by row in plain Python."""
    return {at: judged_row(row) for at, row in enumerate(rows)}


def judged_row(row: dict[str, str | None]) -> dict[str, Any] | str:
    values: dict[str, Any] = {}
    faults = []
    for name, its in COLUMNS.items():
        text = (row[name] or "").strip()
        if not text:
            values[name] = None
            faults += [f"{name}: is required and empty"] if its.required else []
            continue
        values[name], expected = judged_cell(text, its)
        faults += [f"{name}: expected {expected}, found {text!r}"] if expected else []
    return "; ".join(faults) or values


def judged_cell(text: str, its: Column) -> tuple[Any, str | None]:
    if its.kind in ("integer", "number"):
        if not re.fullmatch(r"[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?", text) or math.isinf(float(text)):
            return None, "a number"
        number = float(text)
        if its.kind == "integer" and number != int(number):
            return None, "a whole number"
        if its.kind == "integer" and abs(number) >= 2**53:
            return None, "a whole number up to 9,007,199,254,740,991"
        if its.minimum is not None and number < its.minimum:
            return None, f"at least {its.minimum:g}"
        if its.maximum is not None and number > its.maximum:
            return None, f"at most {its.maximum:g}"
        return (int(number) if its.kind == "integer" else number), None
    if its.kind == "timestamp":
        form = (
            r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d)(?::?(\d\d)(?::?(\d\d)([.]\d{1,9})?)?)?(?: ?(Z|[+-]\d\d(?::?[0-5]\d)?))?)?"
        )
        found = re.fullmatch(form, text, re.ASCII)
        try:
            day, hour, minute, second, fraction, offset = found.groups()  # type: ignore[union-attr]
            moment = datetime.fromisoformat(
                f"{day}T{hour or '00'}:{minute or '00'}:{second or '00'}.{((fraction or '.0')[1:] + '00000')[:6]}"
                + ("+00:00" if offset in (None, "Z") else offset)
            ).astimezone(UTC)
        except (AttributeError, ValueError, OverflowError):
            return None, "an ISO 8601 date or time"
        return (moment, None) if 1678 <= moment.year < 2262 else (None, "an ISO 8601 date or time")
    if its.categories and text not in its.categories:
        return None, f"one of {', '.join(its.categories)}"
    return text, None


@settings(max_examples=100)
@given(st.lists(st.fixed_dictionaries(dict.fromkeys(COLUMNS, cells)), max_size=6))
def test_every_row_is_accepted_or_has_its_reason_as_the_slow_meaning_says(rows: list[dict[str, str | None]]) -> None:
    """Whatever the texts, no row is lost, none is in both, and each is judged and typed as plain Python would."""
    checked = validate(texts(*rows), COLUMNS)
    found: dict[int, dict[str, Any] | str] = {row.pop("source_line"): row for row in checked.accepted.to_pylist()}
    assert not found.keys() & told(checked).keys()
    found |= told(checked)
    assert found == judged_slowly(rows)


times = st.from_regex(
    r"(1677|1678|2008|2261|2262|0000|9999)-(02|12)-(00|01|29|30|31)"
    r"([T t](0?9|23|24)(:?(00|59|60)(:?(07|60)([.,][0-9]{0,10})?)?)?( ?(Z|z|[+-](00|14|23|24)(:?(30|60))?))?)?",
    fullmatch=True,
)


@settings(max_examples=100)
@given(st.lists(times, min_size=1, max_size=20))
def test_a_time_is_read_as_the_slow_meaning_says(found: list[str]) -> None:
    rows = [{**GOOD, "at": text} for text in found]
    checked = validate(texts(*rows), COLUMNS)
    read = dict(zip(lines(checked), checked.accepted["at"].to_pylist(), strict=True))
    assert {**read, **told(checked)} == {
        at: row if isinstance(row, str) else row["at"] for at, row in judged_slowly(rows).items()
    }


@settings(max_examples=20)
@given(st.lists(st.fixed_dictionaries(dict.fromkeys(COLUMNS, cells)), min_size=1, max_size=6))
def test_a_row_is_judged_by_itself(rows: list[dict[str, str | None]]) -> None:
    together = told(validate(texts(*rows), COLUMNS))
    alone = {at: told(validate(texts(row), COLUMNS)).get(0) for at, row in enumerate(rows)}
    assert together == {at: why for at, why in alone.items() if why is not None}
