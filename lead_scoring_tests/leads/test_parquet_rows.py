"""Parquet as rows of text by their number: every type says exactly what it holds, and damage is named."""

import io
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lead_scoring_assets.leads import reading
from lead_scoring_assets.settings import Source
from lead_scoring_tests.leads.conftest import REQUIRED, Read


def parquet(table: pa.Table, **options: object) -> bytes:
    content = io.BytesIO()
    pq.write_table(table, content, **options)
    return content.getvalue()


def notes(values: pa.Array) -> pa.Table:
    """A table whose column `note` holds the values."""
    return pa.table({"id": [str(row) for row in range(len(values))], "age": [1] * len(values), "note": values})


MOMENTS = st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1))  # noqa: DTZ001  # the zone comes later
MOMENT = datetime(2008, 5, 1, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (pa.array([1, -(2**63), None]), ["1", "-9223372036854775808", None]),
        (pa.array([2**64 - 1], pa.uint64()), ["18446744073709551615"]),
        (pa.array([0.1, 42.0, 1e300, None]), ["0.1", "42", "1e+300", None]),
        (pa.array([0.1], pa.float32()), ["0.1"]),
        (pa.array([float("nan"), float("inf")]), ["nan", "inf"]),
        (pa.array([Decimal("1.10"), Decimal("-0.01")]), ["1.10", "-0.01"]),
        (pa.array([Decimal("0.00000001"), None]), ["0.00000001", None]),
        (pa.array([True, False]), ["true", "false"]),
        (pa.array([date(2008, 5, 1)]), ["2008-05-01"]),
        (pa.array([time(1, 2, 3)]), ["01:02:03.000000"]),
        (pa.array([MOMENT], pa.timestamp("us", "UTC")), ["2008-05-01T03:04:05.000000Z"]),
        (pa.array([MOMENT], pa.timestamp("ms", "Asia/Dubai")), ["2008-05-01T03:04:05.000Z"]),
        (pa.array([MOMENT.replace(tzinfo=None)], pa.timestamp("us")), ["2008-05-01T03:04:05.000000"]),
        (pa.array([MOMENT.replace(tzinfo=None), None], pa.timestamp("ns")), ["2008-05-01T03:04:05.000000", None]),
        (pa.array([1], pa.timestamp("ns", "UTC")), ["1970-01-01T00:00:00.000000001Z"]),
        (pa.array([-1], pa.timestamp("ns")), ["1969-12-31T23:59:59.999999999"]),
        (pa.array(["a", None, "a"]).dictionary_encode(), ["a", None, "a"]),
        (pa.array(["a"], pa.large_string()), ["a"]),
        (pa.array(["", "é, \n"]), ["", "é, \n"]),
        (pa.nulls(2), [None, None]),
    ],
    ids=str,
)
def test_every_type_has_one_text(values: pa.Array, texts: list[str | None], read: Read) -> None:
    file = read(parquet(notes(values)), "a.parquet")
    assert [row[2] for row in file.rows] == texts
    assert list(file.cells) == list(range(1, len(texts) + 1))
    assert (file.unreadable, file.file.problem, file.file.note) == ([], None, None)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False)), MOMENTS)
def test_numbers_and_moments_lose_nothing(read: Read, numbers: list[float], moment: datetime) -> None:
    file = read(parquet(notes(pa.array(numbers, pa.float64()))), "a.parquet")
    assert [float(str(row[2])) for row in file.rows] == numbers
    there = moment.replace(tzinfo=ZoneInfo("Asia/Dubai"))
    file = read(parquet(notes(pa.array([there], pa.timestamp("us", "Asia/Dubai")))), "a.parquet")
    assert datetime.fromisoformat(str(file.rows[0][2])) == there


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (pa.array([[1]]), "found list<element: int64>; export a column for each value"),
        (pa.array([{"a": 1}]), "found struct<a: int64>; export a column for each value"),
        (pa.array([b"x"]), "found binary; export it as text"),
        (pa.array([timedelta(1)]), "found duration[us]"),
    ],
    ids=str,
)
def test_a_wanted_column_without_a_text_is_a_problem(values: pa.Array, told: str, read: Read) -> None:
    file = read(parquet(notes(values)), "a.parquet")
    assert "column 'note': expected texts, numbers or times, " + told in str(file.file.problem)
    assert file.rows_in == 0
    table = notes(values).rename_columns(["id", "age", "unread"]).append_column("note", pa.array(["x"]))
    assert read(parquet(table), "a.parquet").rows == [["0", "1", "x"]], "nobody wants that column"


def test_columns_are_found_by_name_and_renamed(read: Read) -> None:
    table = pa.table({"a.b": ["x"], "Age ": [42], "Lead": [1], "extra": [b""], "a": [{"b": 1}]})
    source = Source(rename={"Lead": "id", "Age": "age", "a.b": "note"}, values={"age": {"42": "43"}})
    file = read(parquet(table), "a.parquet", source=source)
    assert (file.columns, file.rows) == (REQUIRED, [["1", "43", "x"]])
    assert "columns ['extra', 'a'] are not in the contract" in str(file.file.note)
    assert "columns ['id'] are missing" in str(
        read(parquet(table.drop_columns("Lead")), "a.parquet", source=source).file.problem
    )
    twice = table.append_column("id", pa.array([1]))
    assert "are both id" in str(read(parquet(twice), "a.parquet", source=source).file.problem)


def test_what_is_no_text_costs_its_row_only(read: Read) -> None:
    bad = pa.array([b"x", b"M\xfcller", b"a\0b", b"y" * 131_073, b"z"]).view(pa.binary())
    text = pa.Array.from_buffers(pa.string(), len(bad), bad.buffers())
    file = read(parquet(notes(text)), "a.parquet")
    assert list(file.cells) == [1, 5]
    assert file.faults == {
        2: "note: not UTF-8 text",
        3: "note: holds a NUL character; the file is damaged",
        4: "note: has more than 131,072 characters",
    }
    assert file.raw[5] == '{"id": "4", "age": "1", "note": "z"}'


TABLE = pa.table({"id": [str(row) for row in range(1000)], "age": list(range(1000)), "note": ["é"] * 1000})


@pytest.mark.parametrize("cut", [0, 3, 10, 1000, -1])
def test_a_file_that_is_cut_off_is_a_problem(cut: int, read: Read) -> None:
    file = read(parquet(TABLE)[:cut], "a.parquet")
    assert "is not readable as Parquet" in str(file.file.problem)
    assert file.rows_in == 0


def test_rows_before_a_damaged_row_group_are_read(read: Read) -> None:
    content = bytearray(parquet(TABLE, row_group_size=100, compression="gzip"))
    start = pq.ParquetFile(io.BytesIO(content)).metadata.row_group(3).column(0).data_page_offset
    content[start : start + 60] = b"\xff" * 60
    file = read(bytes(content), "a.parquet")
    assert list(file.cells) == list(range(1, 301))
    assert "is damaged" in str(file.file.problem)
    assert "rows 301 to 1,000 could not be read; send the file again" in str(file.file.problem)


def test_what_unpacks_to_more_than_the_limit_is_not_read(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    content = parquet(
        TABLE.set_column(2, "note", pa.array([f"{row:0100}" for row in range(1000)])), use_dictionary=False
    )
    monkeypatch.setattr(reading, "MAXIMUM_FILE_BYTES", 50_000)
    assert len(content) < 50_000
    file = read(content, "a.parquet")
    assert "bytes, more than the limit of 50,000; split it" in str(file.file.problem)
    assert file.rows_in == 0


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(
            TEXTS | st.none(),
            min_size=3,
            max_size=3,
        )
    ),
    st.integers(1, 5),
    st.integers(1, 500),
)
def test_what_is_written_as_parquet_is_read_back(
    read: Read, rows: list[list[str | None]], group: int, block_bytes: int
) -> None:
    columns = np.array(rows, dtype=object).reshape(-1, 3).T
    table = pa.table(
        {name: pa.array(list(values), pa.string()) for name, values in zip(REQUIRED, columns, strict=True)}
    )
    file = read(parquet(table, row_group_size=group), "a.parquet", block_bytes=block_bytes)
    assert file.rows == rows
    assert list(file.cells) == list(range(1, len(rows) + 1))
