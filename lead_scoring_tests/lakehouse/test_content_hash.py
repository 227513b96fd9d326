"""The content hash names rows: whatever their order and layout the same, whatever value changes another."""

import hashlib
import os
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lead_scoring_assets.lakehouse.content_hash import LINEAGE, content_hash, content_hashes
from lead_scoring_assets.lakehouse.tables import Lakehouse

SCHEMA = pa.schema(
    [
        ("name", pa.string()),
        ("n", pa.int64()),
        ("x", pa.float64()),
        ("at", pa.timestamp("us", tz="UTC")),
        ("is_hot", pa.bool_()),
    ]
)

PERIODS = ("2008-05", "2008-06", "2008-07", "2008-08")

rows_of = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.none() | st.text(max_size=5),
            "n": st.none() | st.integers(-(2**63), 2**63 - 1),
            "x": st.none() | st.floats(allow_nan=False),
            "at": st.none() | st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
            "is_hot": st.none() | st.booleans(),
        }
    ),
    max_size=6,
)


def table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def column(*values: Any, kind: pa.DataType | None = None) -> pa.Table:
    return pa.table({"c": pa.array(values, kind)})


@settings(max_examples=30)
@given(rows_of, st.randoms(use_true_random=False), st.integers(1, 4))
def test_order_and_layout_do_not_matter(rows: list[dict[str, Any]], random: Any, chunk: int) -> None:
    expected = content_hash(table(rows))
    shuffled = random.sample(rows, len(rows))
    names = random.sample(SCHEMA.names, len(SCHEMA.names))
    chunks = [table(shuffled[i : i + chunk]) for i in range(0, len(shuffled), chunk)] or [table([])]
    moved = pa.concat_tables(chunks).select(names)
    assert content_hash(moved) == expected
    assert len(expected) == 64


@settings(max_examples=30)
@given(rows_of, rows_of)
def test_other_rows_have_another_hash(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> None:
    def bag(rows: list[dict[str, Any]]) -> list[str]:
        return sorted(repr(row) for row in rows)

    assume(bag(one) != bag(other))
    assert content_hash(table(one)) != content_hash(table(other))


PAIRS: dict[str, tuple[pa.Table, pa.Table]] = {
    "NULL and the empty text": (column(None, kind=pa.string()), column("")),
    "NULL and the word": (column(None, kind=pa.string()), column("NULL")),
    "NULL and the mark of NULL": (column(None, kind=pa.string()), column("n")),
    "NULL and not a number": (column(None, kind=pa.float64()), column(float("nan"))),
    "framing": (pa.table({"a": ["ab"], "b": ["c"]}), pa.table({"a": ["a"], "b": ["bc"]})),
    "framing with marks": (pa.table({"a": ["av1:b"], "b": [""]}), pa.table({"a": ["a"], "b": ["bv0:"]})),
    "framing of NULL": (pa.table({"a": [None], "b": ["n"]}), pa.table({"a": ["n"], "b": [None]})),
    "values moved between columns": (pa.table({"a": ["1"], "b": ["2"]}), pa.table({"a": ["2"], "b": ["1"]})),
    "values moved between rows": (pa.table({"a": [1, 2], "b": [3, 4]}), pa.table({"a": [1, 2], "b": [4, 3]})),
    "the last bit of 0.3": (column(0.3), column(0.1 + 0.2)),
    "the last bit of 1": (column(1.0), column(1.0 + 2**-52)),
    "one in 10^16": (column(1e-16), column(2e-16)),
    "a microsecond": tuple(column(n, kind=pa.timestamp("us", tz="UTC")) for n in (1, 2)),  # type: ignore[dict-item]
    "minus zero": (column(0.0), column(-0.0)),
    "a row twice": (column("a"), column("a", "a")),
    "which row is twice": (column("a", "a", "b"), column("a", "b", "b")),
    "text and number": (column("1"), column(1)),
    "whole and broken number": (column(1), column(1.0)),
    "a blank": (column("a"), column("a ")),
    "a NUL": (column("a"), column("a\0")),
    "after a NUL": (column("a\0b"), column("a\0c")),
    "upper case": (column("é"), column("É")),
    "a name": (pa.table({"a": [1]}), pa.table({"b": [1]})),
    "a name's case": (pa.table({"a": [1]}), pa.table({"A": [1]})),
    "names that differ in case only": (pa.table({"a": [1], "A": [2]}), pa.table({"a": [1], "A": [3]})),
    "no rows of other columns": (pa.table({"a": pa.array([], pa.int64())}), pa.table({"b": pa.array([], pa.int64())})),
    "no rows and one row of NULL": (column(kind=pa.int64()), column(None, kind=pa.int64())),
    "lists": (column(["a, b"]), column(["a", "b"])),
    "dates": (column(date(2008, 5, 1)), column(date(2008, 5, 2))),
}  # fmt: skip


@pytest.mark.parametrize("what", PAIRS)
def test_is_sensitive_to(what: str) -> None:
    one, other = PAIRS[what]
    assert content_hash(one) != content_hash(other)
    assert content_hash(one) == content_hash(pa.concat_tables([one]))


def test_any_column_name_is_taken() -> None:
    names = ['quo"te', "select", "two words", "", "é", "c0", "c1", "h", "data"]
    one = pa.table({name: [place] for place, name in enumerate(names)})
    other = pa.table({name: [place] for place, name in reversed(list(enumerate(names)))})
    assert content_hash(one) == content_hash(other)
    assert content_hash(one) != content_hash(one.set_column(0, names[0], [[99]]))


ASK = """
from datetime import UTC, datetime
import pyarrow as pa
from lead_scoring_assets.lakehouse.content_hash import content_hash
at = pa.array([datetime(2008, 5, 31, 22, 30, tzinfo=UTC), None], pa.timestamp("us", tz="UTC"))
print(content_hash(pa.table({"at": at, "x": [0.1, 1e300], "s": ["é", ""]})))
"""
KNOWN = "768ecbf64ba66b15edd2163732ce7000ffe26a3723b7663ecc15677e78f1fe96"


def test_is_the_same_on_every_machine() -> None:
    """A digest that was written down once: it names the same rows in another time zone, and in another year."""
    asked = subprocess.run(
        [sys.executable, "-c", ASK], env={**os.environ, "TZ": "Asia/Dubai"}, capture_output=True, text=True, check=True
    )
    assert asked.stdout.strip() == KNOWN


@settings(max_examples=30)
@given(rows_of, rows_of)
def test_the_hash_of_two_heaps_of_rows_together_does_not_tell_which_came_first(
    one: list[dict[str, Any]], other: list[dict[str, Any]]
) -> None:
    assert content_hash(table(one + other)) == content_hash(table(other + one))
    assert (content_hash(table(one + other)) == content_hash(table(one))) == (not other)


def test_a_column_that_is_left_out_does_not_count_and_every_other_one_does() -> None:
    rows = pa.table({"id": ["a", "b"], "n": [1, 2], "source_file": ["x.csv", "y.csv"], "source_line": [2, 3]})
    landed_again = rows.set_column(2, "source_file", [["z.csv", "z.csv"]]).set_column(3, "source_line", [[8, 9]])
    corrected = rows.set_column(1, "n", [[1, 3]])
    assert content_hash(rows) != content_hash(landed_again)
    assert content_hash(rows, LINEAGE) == content_hash(landed_again, LINEAGE)
    assert content_hash(rows, LINEAGE) != content_hash(corrected, LINEAGE)
    assert content_hash(rows, LINEAGE) == content_hash(rows.drop_columns(list(LINEAGE)))
    assert content_hash(rows, {"nothing of this name"}) == content_hash(rows)


def test_a_scan_has_the_hash_of_its_rows(tmp_path: Path) -> None:
    lakehouse = Lakehouse(tmp_path)
    for number, period in enumerate(PERIODS[:3]):
        several = [{"name": f"{n}é", "n": n, "x": n / 3, "at": datetime(2008, 5, 1, tzinfo=UTC)} for n in range(number)]
        written = table(several).append_column("period", pa.array([period] * number, pa.string()))
        lakehouse.replace_periods("t", [period], written)
    chosen = ["2008-05", "2008-07"]
    assert content_hash(lakehouse.scan("t")) == content_hash(lakehouse.read("t"))
    assert content_hash(lakehouse.scan("t", periods=chosen)) == content_hash(lakehouse.read("t", periods=chosen))
    assert content_hash(lakehouse.scan("t", periods=chosen)) != content_hash(lakehouse.scan("t"))
    assert content_hash(lakehouse.scan("t", periods=[])) == content_hash(lakehouse.read("t", periods=[]))
    told = content_hashes(lakehouse.scan("t"), "period", PERIODS)
    one_by_one = {period: lakehouse.scan("t", periods=[period]) for period in PERIODS}
    assert told == {period: (rows.count_rows(), content_hash(rows)) for period, rows in one_by_one.items()}


@settings(max_examples=30)
@given(rows_of, st.data())
def test_the_hash_of_each_period_is_that_of_its_rows_alone(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    periods = pa.array([data.draw(st.sampled_from(PERIODS[:3])) for _ in rows], pa.string())
    whole = table(rows).append_column("period", periods)
    alone = {period: whole.filter(pc.equal(periods, period)) for period in PERIODS}
    assert content_hashes(whole, "period", PERIODS) == {
        period: (part.num_rows, content_hash(part)) for period, part in alone.items()
    }


def test_the_sums_are_exact_however_many_rows_there_are() -> None:
    """More rows of one content than 64 bits can sum: one row more is another hash, and the closed form agrees."""
    rows = pa.table({"c": ["x"] * 1000})
    row = hashlib.sha256(b"1:x").hexdigest()
    sums = [1000, *(1000 * int(row[first : first + 16], 16) for first in range(0, 64, 16))]
    assert max(sums) > 2**64
    assert content_hash(rows) == hashlib.sha256(f"{[('c', 'string')]!r} {sums}".encode()).hexdigest()
