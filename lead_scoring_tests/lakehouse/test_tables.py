"""Delta tables: whole periods or nothing, other periods untouched, every version readable, many processes at once."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import deltalake
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake.exceptions import CommitFailedError

from lead_scoring_assets.errors import LakehouseError
from lead_scoring_assets.lakehouse import small_files, tables
from lead_scoring_assets.lakehouse.content_hash import content_hash
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.lakehouse.tables import Commit, Lakehouse, Rows
from lead_scoring_tests.processes import PROCESSES

MAY, JUNE, JULY = "2008-05", "2008-06", "2008-07"


def rows(period: str, *values: int) -> pa.Table:
    return pa.table({"period": pa.array([period] * len(values), pa.string()), "v": pa.array(values, pa.int64())})


def values(lakehouse: Lakehouse, **options: Any) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for row in lakehouse.read("t", **options).to_pylist():
        found.setdefault(row["period"], []).append(row["v"])
    return found


def stream(batches: list[pa.Table]) -> Callable[[], pa.RecordBatchReader]:
    return lambda: pa.RecordBatchReader.from_batches(batches[0].schema, (b for t in batches for b in t.to_batches()))


@pytest.fixture
def lakehouse(tmp_path: Path) -> Lakehouse:
    return Lakehouse(tmp_path / "lakehouse")


@pytest.mark.parametrize("how", ["gone", "cut off", "no Parquet"])
def test_a_file_that_cannot_be_read_is_named_and_the_others_are_read(lakehouse: Lakehouse, how: str) -> None:
    lakehouse.replace_periods("t", [MAY], rows(MAY, 1))
    lakehouse.replace_periods("t", [JUNE], rows(JUNE, 2))
    [file] = (lakehouse.path("t") / f"period={JUNE}").glob("*.parquet")
    content = file.read_bytes()
    if how == "gone":
        file.unlink()
    else:
        file.write_bytes(content[:-20] if how == "cut off" else b"no table at all")
    with pytest.raises(LakehouseError, match=f"t: a file that belongs to it cannot be read .*{file.name}"):
        lakehouse.read("t")
    if how == "gone":  # before anybody reads: what reads it may be Arrow, DuckDB or a library's iterator
        with pytest.raises(LakehouseError, match=f"t: a file that belongs to it cannot be read .*{file.name}"):
            lakehouse.scan("t")
    assert values(lakehouse, periods=[MAY]) == {MAY: [1]}
    assert lakehouse.scan("t", periods=[MAY]).count_rows() == 1
    file.write_bytes(content)
    assert values(lakehouse) == {MAY: [1], JUNE: [2]}


# --- Replacing periods


def test_a_replaced_period_leaves_the_others(lakehouse: Lakehouse) -> None:
    assert lakehouse.replace_periods("t", [MAY], rows(MAY, 1, 2)) == Commit(version=1, rows=2)
    assert lakehouse.replace_periods("t", [JUNE], rows(JUNE, 3)) == Commit(version=2, rows=1)
    assert lakehouse.replace_periods("t", [MAY], rows(MAY, 9)) == Commit(version=3, rows=1)
    assert values(lakehouse) == {MAY: [9], JUNE: [3]}


def test_several_periods_are_replaced_in_one_commit(lakehouse: Lakehouse) -> None:
    for period in (MAY, JUNE, JULY):
        lakehouse.replace_periods("t", [period], rows(period, 1))
    commit = lakehouse.replace_periods("t", [MAY, JULY], pa.concat_tables([rows(JULY, 7), rows(MAY, 5)]))
    assert commit == Commit(version=4, rows=2)
    assert values(lakehouse) == {MAY: [5], JUNE: [1], JULY: [7]}


def test_a_period_can_become_empty(lakehouse: Lakehouse) -> None:
    lakehouse.replace_periods("t", [MAY, JUNE], pa.concat_tables([rows(MAY, 1), rows(JUNE, 2)]))
    lakehouse.replace_periods("t", [MAY, JUNE], rows(JUNE, 3))
    assert values(lakehouse) == {JUNE: [3]}
    lakehouse.replace_periods("t", [JUNE], rows(JUNE))
    empty = lakehouse.read("t")
    assert (empty.num_rows, empty.schema) == (0, rows(MAY).schema)


def test_a_table_may_begin_without_rows(lakehouse: Lakehouse) -> None:
    lakehouse.replace_periods("t", [MAY], rows(MAY))
    assert lakehouse.read("t", columns=["v"], periods=[MAY]).schema == pa.schema([("v", pa.int64())])
    lakehouse.replace_periods("t", [MAY], rows(MAY, 1))
    assert values(lakehouse) == {MAY: [1]}


@pytest.mark.parametrize(
    ("periods", "written", "told"),
    [
        ([MAY], rows(JUNE, 1), r"t: rows of \['2008-06'\] may not be written as \['2008-05'\]"),
        ([MAY], pa.concat_tables([rows(MAY, 1), rows(JUNE, 1)]), r"rows of \['2008-06'\]"),
        ([MAY], pa.table({"period": pa.array([None, "x"]), "v": [1, 2]}), r"rows of \['None', 'x'\] may not"),
        ([], rows(MAY), "t: name at least one period"),
        ([MAY], pa.table({"v": [1]}), r"t: expected a column 'period', found \['v'\]"),
        (["2008-05' OR '1'='1"], rows("2008-05' OR '1'='1", 1), "cannot be period keys"),
        (
            [MAY],
            pa.table({"period": [MAY], "v": ["many"]}),
            "'v' is int64 in the table, and the rows to write hold string",
        ),
        (
            [MAY],
            pa.table({"period": [MAY], "v": ["7"]}),
            "'v' is int64 .* hold string. A column keeps its type: write int64",
        ),
        (
            [MAY],
            pa.table({"period": [MAY], "v": [1.0]}),
            "'v' is int64 in the table, and the rows to write hold double",
        ),
        ([MAY], pa.table({"period": [MAY], "v": [1], "w": pa.nulls(1)}), "'w' holds nothing but NULL and has no type"),
        ([MAY], pa.table({"period": [MAY], "V": [1]}), "'V' differs from the table's 'v' in case only"),
        ([MAY], pa.table({"period": [MAY], "w": [1], "W": [1]}), r"columns \['W', 'w'\] differ in case only"),
        (
            [MAY],
            pa.table({"period": [MAY], "w": pa.array([1], pa.time64("us"))}),
            r"'w' is time64\[us\], which Delta does",
        ),
        ([MAY], stream([rows(MAY, 1), rows(JUNE, 1)]), r"t: rows of \['2008-06'\] may not be written as \['2008-05'\]"),
        ([MAY], stream([pa.table({"v": [1]})]), r"t: expected a column 'period', found \['v'\]"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(
    periods: list[str], written: Rows, told: str, lakehouse: Lakehouse
) -> None:
    lakehouse.replace_periods("t", [MAY, JUNE], pa.concat_tables([rows(MAY, 1), rows(JUNE, 2)]))
    with pytest.raises(LakehouseError, match=told):
        lakehouse.replace_periods("t", periods, written)
    assert lakehouse.version("t") == 1
    assert values(lakehouse) == {MAY: [1], JUNE: [2]}


def test_a_refused_first_write_leaves_no_table(lakehouse: Lakehouse) -> None:
    for written in (rows(JUNE, 1), pa.table({"v": [1]}), pa.table({"period": [MAY], "w": pa.nulls(1)})):
        with pytest.raises(LakehouseError):
            lakehouse.replace_periods("t", [MAY], written)
    assert lakehouse.names() == []


def test_appending_adds_and_keeps(lakehouse: Lakehouse) -> None:
    for number in (1, 2, 3):
        assert lakehouse.append("log", pa.table({"n": [number]})) == Commit(version=number, rows=1)
    assert sorted(lakehouse.read("log")["n"].to_pylist()) == [1, 2, 3]
    assert lakehouse.read("log", version=0).to_pydict() == {"n": []}, "version 0 is the empty table"


# --- Streams


def test_a_stream_is_written_as_the_table_it_would_make(lakehouse: Lakehouse) -> None:
    batches = [rows(period, *range(start, start + 700)) for start in range(0, 7000, 700) for period in (MAY, JUNE)]
    assert lakehouse.replace_periods("t", [MAY, JUNE], stream(batches)) == Commit(version=1, rows=14_000)
    assert content_hash(lakehouse.read("t")) == content_hash(pa.concat_tables(batches))
    assert lakehouse.append("log", stream(batches)) == Commit(version=1, rows=14_000)
    assert lakehouse.replace_periods("t", [MAY, JUNE], stream([rows(MAY)])) == Commit(version=2, rows=0)
    assert values(lakehouse) == {}


def test_a_stream_is_never_held_as_a_whole(lakehouse: Lakehouse) -> None:
    """A source that would be 640 MB: what Arrow holds at any time stays below a tenth of it."""
    size, batches = 20_000, 40
    held: list[int] = []
    text = "x" * 800

    def source() -> pa.RecordBatchReader:
        def batch(number: int) -> pa.RecordBatch:
            held.append(pa.total_allocated_bytes())
            columns = {"period": pa.array([MAY] * size), "v": pa.array(range(size)), "s": pa.repeat(text, size)}
            return pa.record_batch(columns)

        return pa.RecordBatchReader.from_batches(batch(0).schema, (batch(n) for n in range(batches)))

    lakehouse.replace_periods("t", [MAY], source)
    assert query("SELECT count(*) AS n, sum(length(s)) AS bytes FROM t", {"t": lakehouse.scan("t")}).to_pylist() == [
        {"n": size * batches, "bytes": size * batches * 800}
    ]
    # A few batches are on their way, more of them where the machine is busy; the whole is forty.
    assert max(held) < size * batches * 800 / 3


def test_what_goes_wrong_in_a_stream_is_told_and_changes_nothing(lakehouse: Lakehouse) -> None:
    lakehouse.replace_periods("t", [MAY], rows(MAY, 1))

    def breaking() -> pa.RecordBatchReader:
        def batches() -> Iterator[pa.RecordBatch]:
            yield from rows(MAY, 2, 3).to_batches()
            raise OSError("the source went away")

        return pa.RecordBatchReader.from_batches(rows(MAY).schema, batches())

    with pytest.raises(LakehouseError, match=r"^t: the rows cannot be written \(the source went away\)\. The table is"):
        lakehouse.replace_periods("t", [MAY], breaking)
    assert (lakehouse.version("t"), values(lakehouse)) == (1, {MAY: [1]})


# --- Columns that come and go


def test_a_new_column_is_null_before_it_came_and_a_lost_one_after_it_went(lakehouse: Lakehouse) -> None:
    lakehouse.replace_periods("t", [MAY], rows(MAY, 1))
    lakehouse.replace_periods("t", [JUNE], rows(JUNE, 2).append_column("new", [["x"]]))
    lakehouse.replace_periods("t", [JULY], pa.table({"period": [JULY], "new": ["y"]}))
    assert lakehouse.read("t").to_pylist() == [
        {"period": MAY, "v": 1, "new": None},
        {"period": JUNE, "v": 2, "new": "x"},
        {"period": JULY, "v": None, "new": "y"},
    ]
    assert lakehouse.read("t", version=1).to_pylist() == [{"period": MAY, "v": 1}]
    assert lakehouse.read("t", periods=[MAY], columns=["new"]).to_pylist() == [{"new": None}]
    lakehouse.append("log", pa.table({"n": [1]}))
    lakehouse.append("log", pa.table({"other": [2.5]}))
    assert sorted(map(str, lakehouse.read("log").to_pylist())) == [
        "{'n': 1, 'other': None}",
        "{'n': None, 'other': 2.5}",
    ]


def test_filters_find_the_rows_of_before_a_column_came(lakehouse: Lakehouse) -> None:
    """The statistics that delta-rs tells of a file that lacks the column make Arrow leave out its rows."""
    lakehouse.replace_periods("t", [MAY], rows(MAY, 1, 2))
    lakehouse.replace_periods("t", [JUNE], rows(JUNE, 3, 4).append_column("new", [[7, None]]))
    found = lakehouse.scan("t")
    assert found.to_table(filter=pc.field("new").is_null())["v"].to_pylist() == [1, 2, 4]
    assert query("SELECT v FROM t WHERE new IS NULL", {"t": found})["v"].to_pylist() == [1, 2, 4]
    assert query("SELECT v FROM t WHERE new > 5", {"t": found})["v"].to_pylist() == [3]


@pytest.mark.parametrize(
    "narrow", [pa.array([7], pa.int32()), pa.array([7], pa.int8()), pa.array([None], pa.null())], ids=str
)
def test_what_loses_nothing_is_written_in_the_tables_type(narrow: pa.Array, lakehouse: Lakehouse) -> None:
    lakehouse.replace_periods("t", [MAY], rows(MAY, 1))
    lakehouse.replace_periods("t", [JUNE], pa.table({"period": [JUNE], "v": narrow}))
    assert values(lakehouse) == {MAY: [1], JUNE: narrow.to_pylist()}
    assert lakehouse.scan("t").schema.field("v").type == pa.int64()


def test_a_value_that_its_type_cannot_hold_is_refused_not_rounded(lakehouse: Lakehouse) -> None:
    for first in (False, True):
        nanoseconds = pa.table({"period": [MAY], "at": pa.array([1_001], pa.timestamp("ns", tz="UTC"))})
        with pytest.raises(LakehouseError, match=r"t: the rows cannot be written \(.*would lose data.*\)"):
            lakehouse.replace_periods("t", [MAY], nanoseconds)
        if not first:
            whole = pa.table({"period": [MAY], "at": pa.array([1_000], pa.timestamp("ns", tz="Asia/Dubai"))})
            lakehouse.replace_periods("t", [MAY], whole)
    assert lakehouse.scan("t").schema.field("at").type == pa.timestamp("us", tz="UTC")


def _bring_columns(root: Path, number: int, gate: Barrier) -> None:
    lakehouse = Lakehouse(root)
    gate.wait()
    for turn in range(3):
        mine = pa.table({"period": [f"2008-0{number}"], "v": [turn], f"c{number}_{turn}": [number]})
        lakehouse.replace_periods("t", [f"2008-0{number}"], mine)
        lakehouse.append("log", mine.drop_columns(["period"]))


def test_processes_that_bring_columns_at_once_lose_neither_columns_nor_rows(tmp_path: Path) -> None:
    at_once(_bring_columns, tmp_path, 3)
    lakehouse = Lakehouse(tmp_path)
    brought = {f"c{number}_{turn}" for number in (1, 2, 3) for turn in range(3)}
    assert set(lakehouse.scan("t").schema.names) == {"period", "v", *brought}
    assert set(lakehouse.scan("log").schema.names) == {"v", *brought}
    for row in lakehouse.read("t").to_pylist():
        number = int(row["period"][-1])
        assert {name for name in brought if row[name] is not None} == {f"c{number}_2"}
    assert lakehouse.read("log").num_rows == 9


def _bring_first_columns(root: Path, number: int, gate: Barrier) -> None:
    for turn in range(20):
        gate.wait(60)
        Lakehouse(root).append(f"log{turn}", pa.table({f"c{number}": [number]}))


def test_processes_that_make_a_table_at_once_lose_neither_columns_nor_rows(tmp_path: Path) -> None:
    at_once(_bring_first_columns, tmp_path, 3)
    for turn in range(20):
        found = Lakehouse(tmp_path).read(f"log{turn}", columns=["c1", "c2", "c3"])
        for name in found.column_names:
            assert sorted(found[name].drop_null().to_pylist()) == [int(name[1:])]
        assert found.num_rows == 3


# --- Reading


def test_only_the_columns_and_periods_asked_for_are_read(lakehouse: Lakehouse) -> None:
    lakehouse.replace_periods("t", [MAY, JUNE], pa.concat_tables([rows(MAY, 1), rows(JUNE, 2)]))
    assert lakehouse.read("t", columns=["v"], periods=[JUNE]).to_pydict() == {"v": [2]}
    assert lakehouse.read("t", periods=["2008-0", "2008-055"]).num_rows == 0
    assert lakehouse.read("t", periods=[]).num_rows == 0
    assert lakehouse.read("t", periods=(key for key in (MAY,))).num_rows == 1


def test_the_order_of_rows_does_not_tell_the_order_of_writing(lakehouse: Lakehouse) -> None:
    for period in (MAY, JULY, JUNE):
        lakehouse.replace_periods("t", [period], rows(period, 3, 1, 2))
    expected = pa.concat_tables([rows(period, 3, 1, 2) for period in (MAY, JUNE, JULY)])
    assert lakehouse.read("t").equals(expected)


def test_every_type_comes_back_as_it_went(lakehouse: Lakehouse) -> None:
    schema = pa.schema(
        [("period", pa.string()), ("s", pa.string()), ("n", pa.int64()), ("x", pa.float64()), ("b", pa.bool_()),
         ("d", pa.date32()), ("at", pa.timestamp("us", tz="UTC")), ('odd "name"', pa.string())]
    )  # fmt: skip
    table = pa.table(
        [
            [MAY] * 2,
            ["", None],
            [2**63 - 1, None],
            [0.1 + 0.2, None],
            [True, None],
            [1, None],
            [1, None],
            ["é\0", None],
        ],
        schema=schema,
    )
    lakehouse.replace_periods("t", [MAY], table)
    assert lakehouse.read("t").equals(table)
    large = table.cast(pa.schema([f.with_type(pa.large_string()) if f.type == pa.string() else f for f in schema]))
    lakehouse.replace_periods("t", [MAY], large)
    assert lakehouse.read("t").equals(table)


@pytest.mark.parametrize("name", ["two words", "Größe", "a&b;c=d", "it's", "st*r", "{x}", "period=2001-01", "v=7"])
def test_the_folder_may_have_any_name(name: str, tmp_path: Path) -> None:
    lakehouse = Lakehouse(tmp_path / name)
    lakehouse.replace_periods("t", [MAY], rows(MAY, 1))
    lakehouse.replace_periods("t", [JUNE], rows(JUNE, 2))
    assert values(lakehouse) == {MAY: [1], JUNE: [2]}
    assert values(lakehouse, periods=[JUNE]) == {JUNE: [2]}
    assert values(lakehouse, periods=["2001-01"]) == {}
    assert lakehouse.names() == ["t"]


@pytest.mark.parametrize("name", ["a[b", "a]b", "a|b", "a^b", "a%20b", "a#b", "a?b", "a\nb"])
def test_a_folder_that_delta_would_miss_is_refused_by_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(LakehouseError, match="which Delta tables cannot lie under: use a folder without"):
        Lakehouse(tmp_path / name)


def test_what_is_not_there_is_named(lakehouse: Lakehouse) -> None:
    with pytest.raises(LakehouseError, match=r"table leads does not exist in .*Materialise the asset leads first"):
        lakehouse.read("leads")
    with pytest.raises(LakehouseError, match="table leads does not exist"):
        lakehouse.version("leads")
    lakehouse.replace_periods("t", [MAY], rows(MAY, 1))
    with pytest.raises(LakehouseError, match=r"t has no column \['w'\]; it has \['period', 'v'\]"):
        lakehouse.read("t", columns=["v", "w"])
    with pytest.raises(LakehouseError, match="t: version 5 cannot be read"):
        lakehouse.read("t", version=5)
    for log in (pa.table({"n": [1]}), rows(MAY, 1)):
        lakehouse.append("log", log)
        with pytest.raises(LakehouseError, match=r"log has no column \['period'\] to choose files by"):
            lakehouse.read("log", periods=[MAY])
    with pytest.raises(LakehouseError, match=r"t: give version 1 or as of 2008-05-01T00:00:00.*, not both"):
        lakehouse.read("t", version=1, as_of=datetime(2008, 5, 1, tzinfo=UTC))


def test_names_are_those_of_tables(lakehouse: Lakehouse) -> None:
    assert lakehouse.names() == []
    assert not lakehouse.exists("t")
    for table in ("t", "log"):
        lakehouse.append(table, pa.table({"n": [1]}))
    (lakehouse.root / "notes.txt").write_text("not a table")
    (lakehouse.root / "empty").mkdir()
    assert lakehouse.names() == ["log", "t"]


# --- Time travel


def test_every_version_stays_readable(lakehouse: Lakehouse) -> None:
    hashes = []
    for number in range(5):
        commit = lakehouse.replace_periods("t", [MAY], rows(MAY, *range(number)))
        assert commit.version == number + 1
        hashes.append(content_hash(lakehouse.read("t")))
    lakehouse.replace_periods("t", [MAY], rows(MAY))
    assert [content_hash(lakehouse.read("t", version=number + 1)) for number in range(5)] == hashes
    assert values(lakehouse, version=4) == {MAY: [0, 1, 2]}


def test_old_versions_outlive_the_checkpoint(lakehouse: Lakehouse) -> None:
    """After a hundred commits the log is condensed; the first version must still be there."""
    for number in range(103):
        lakehouse.append("log", pa.table({"n": [number]}))
    assert list((lakehouse.path("log") / "_delta_log").glob("*.checkpoint.parquet"))
    assert lakehouse.read("log", version=1).to_pydict() == {"n": [0]}
    assert lakehouse.read("log").num_rows == 103


@pytest.mark.parametrize("table", ["t", "log"])
def test_history_is_kept_for_seven_years(table: str, lakehouse: Lakehouse) -> None:
    for _ in range(2):
        if table == "log":
            lakehouse.append(table, rows(MAY, 1))
        else:
            lakehouse.replace_periods(table, [MAY], rows(MAY, 1))
    kept = deltalake.DeltaTable(lakehouse.path(table)).metadata().configuration
    assert kept["delta.logRetentionDuration"] == "interval 2557 days"
    assert kept["delta.deletedFileRetentionDuration"] == "interval 2557 days"


# --- Small files


def files_of(lakehouse: Lakehouse, table: str = "log") -> int:
    return len(deltalake.DeltaTable(lakehouse.path(table)).file_uris())


def test_small_files_are_merged_and_no_version_notices(lakehouse: Lakehouse) -> None:
    """Also what text filters find: files that delta-rs rewrites hold text in another of Arrow's types."""
    commits = [
        lakehouse.append("log", pa.table({"n": [number], "word": [f"w{number}"]}))
        for number in range(small_files.COMMITS + 9)
    ]
    assert files_of(lakehouse) < small_files.COMMITS / 2
    for number, commit in enumerate(commits):
        found = lakehouse.read("log", version=commit.version)
        assert sorted(found["n"].to_pylist()) == list(range(number + 1))
    for name in ("w1", f"w{small_files.COMMITS + 8}"):
        asked = query("SELECT n FROM log WHERE word = $1 OR word LIKE 'x%'", {"log": lakehouse.scan("log")}, [name])
        assert asked["n"].to_pylist() == [int(name[1:])]
    assert found.schema == pa.schema([("n", pa.int64()), ("word", pa.string())])


def test_a_merge_knows_columns_that_came_later(lakehouse: Lakehouse) -> None:
    for number in range(small_files.COMMITS + 1):
        more = {"late": [number]} if number >= small_files.COMMITS // 2 else {}
        lakehouse.append("log", pa.table({"n": [number], **more}))
    assert files_of(lakehouse) < small_files.COMMITS
    expected = {
        number: number if number >= small_files.COMMITS // 2 else None for number in range(small_files.COMMITS + 1)
    }
    assert {row["n"]: row["late"] for row in lakehouse.read("log").to_pylist()} == expected


def test_large_files_and_partitioned_tables_are_left_alone(lakehouse: Lakehouse) -> None:
    chance = random.Random(2)
    lakehouse.append("log", pa.table({"n": [chance.getrandbits(63) for _ in range(50_000)]}))
    [large] = deltalake.DeltaTable(lakehouse.path("log")).file_uris()
    for number in range(small_files.COMMITS):
        lakehouse.append("log", pa.table({"n": [number]}))
        lakehouse.replace_periods("t", [MAY], rows(MAY, 1))
    assert files_of(lakehouse) < small_files.COMMITS / 2
    assert large in deltalake.DeltaTable(lakehouse.path("log")).file_uris()
    assert lakehouse.version("t") == small_files.COMMITS


def test_a_merge_that_fails_loses_nothing_and_says_so(
    lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(small_files, "COMMITS", 2)
    monkeypatch.setattr(deltalake.table.TableOptimizer, "compact", Mock(side_effect=OSError("the disk is full")))
    for number in (1, 2, 3):
        assert lakehouse.append("log", pa.table({"n": [number]})) == Commit(version=number, rows=1)
    assert "log could not be merged (the disk is full): no row is missing" in caplog.text
    assert lakehouse.read("log").num_rows == 3


# --- Many processes at once


def _write_first(root: Path, number: int, gate: Barrier) -> None:
    gate.wait()
    lakehouse = Lakehouse(root)
    lakehouse.replace_periods("t", [f"2008-0{number}"], rows(f"2008-0{number}", number, number, number))
    for turn in range(4):
        lakehouse.append("log", pa.table({"n": [number * 10 + turn]}))


def _write_the_same(root: Path, number: int, gate: Barrier) -> None:
    """The table is new as well: the first rows of all must not add up."""
    gate.wait()
    for _ in range(4):
        commit = Lakehouse(root).replace_periods("t", [MAY], rows(MAY, *[number] * 3))
        # The version it was told is its own, whoever wrote in between.
        assert values(Lakehouse(root), version=commit.version) == {MAY: [number] * 3}


def at_once(work: Callable[[Path, int, Barrier], None], root: Path, processes: int) -> None:
    gate = PROCESSES.Barrier(processes)
    running = [PROCESSES.Process(target=work, args=(root, number, gate)) for number in range(1, processes + 1)]
    for process in running:
        process.start()
    for process in running:
        process.join(timeout=60)
    assert [process.exitcode for process in running] == [0] * processes


def test_processes_that_create_tables_at_once_lose_nothing(tmp_path: Path) -> None:
    at_once(_write_first, tmp_path, 2)
    lakehouse = Lakehouse(tmp_path)
    assert values(lakehouse) == {f"2008-0{number}": [number] * 3 for number in (1, 2)}
    assert sorted(lakehouse.read("log")["n"].to_pylist()) == [10, 11, 12, 13, 20, 21, 22, 23]


def test_processes_that_replace_the_same_period_take_turns(tmp_path: Path) -> None:
    at_once(_write_the_same, tmp_path, 3)
    (whole,) = values(Lakehouse(tmp_path)).values()
    assert len(whole) == 3
    assert len(set(whole)) == 1


def test_a_conflict_is_tried_again_and_in_the_end_named(lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    lakehouse.replace_periods("t", [MAY], rows(MAY, 1))
    really_write = deltalake.write_deltalake
    failures = iter([True] * 2)

    def write(*args: Any, **options: Any) -> None:
        if next(failures, False):
            raise CommitFailedError("somebody was faster")
        really_write(*args, **options)

    monkeypatch.setattr(tables.deltalake, "write_deltalake", write)
    monkeypatch.setattr(tables.time, "sleep", lambda seconds: None)
    assert lakehouse.replace_periods("t", [MAY], stream([rows(MAY, 2)])) == Commit(version=2, rows=1)
    failures = iter([True] * 100)
    with pytest.raises(LakehouseError, match=r"cannot be written \(somebody was faster\)"):
        lakehouse.replace_periods("t", [MAY], rows(MAY, 3))
    assert next(failures), "it stops trying"
    assert values(lakehouse) == {MAY: [2]}


def _append_and_merge(root: Path, number: int, gate: Barrier) -> None:
    small_files.COMMITS = 2
    gate.wait()
    for turn in range(20):
        Lakehouse(root).append("log", pa.table({"n": [number * 100 + turn]}))


def test_processes_that_append_while_others_merge_lose_and_double_nothing(tmp_path: Path) -> None:
    at_once(_append_and_merge, tmp_path, 2)
    lakehouse = Lakehouse(tmp_path)
    assert sorted(lakehouse.read("log")["n"].to_pylist()) == [n * 100 + turn for n in (1, 2) for turn in range(20)]
    made = [commit["operation"] for commit in deltalake.DeltaTable(lakehouse.path("log")).history()]
    assert made.count("OPTIMIZE") > 5
    assert lakehouse.version("log") == 40 + made.count("OPTIMIZE")


def _write_for_ever(root: Path, first: int) -> None:
    lakehouse = Lakehouse(root)
    for turn in range(first, first + 10**6):
        for period in (MAY, JUNE):
            lakehouse.replace_periods("t", [period], rows(period, *[turn] * 5000))


def _append_for_ever(root: Path, first: int) -> None:
    small_files.COMMITS = 2
    for turn in range(first, first + 10**6):
        Lakehouse(root).append("log", pa.table({"n": [turn]}))


@pytest.mark.slow
def test_a_killed_merger_leaves_every_row(tmp_path: Path) -> None:
    """kill -9 at random moments of appending with a merge after every second commit: no row is lost, none is doubled."""
    lakehouse, moments, known = Lakehouse(tmp_path), random.Random(7), set[int]()
    for kill in range(8):
        before = lakehouse.version("log") if kill else -1
        writer = PROCESSES.Process(target=_append_for_ever, args=(tmp_path, kill * 10**6))
        writer.start()
        until = time.monotonic() + 30
        while not (lakehouse.exists("log") and lakehouse.version("log") > before + 4):
            assert time.monotonic() < until, "the writer does not get to write"
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 0.05))
        writer.kill()
        writer.join()
        found = lakehouse.read("log")["n"].to_pylist()
        mine = sorted(n for n in found if n >= kill * 10**6)
        assert mine == [kill * 10**6 + turn for turn in range(len(mine))]
        assert len(found) == len(set(found))
        assert known < set(found)
        known = set(found)


@pytest.mark.slow
def test_a_killed_writer_leaves_whole_periods(tmp_path: Path) -> None:
    """kill -9 at random moments of a writing loop: each period holds all rows of one turn, and writing can go on."""
    lakehouse = Lakehouse(tmp_path)
    moments = random.Random(5)
    for kill in range(8):
        before = lakehouse.version("t") if kill else -1
        writer = PROCESSES.Process(target=_write_for_ever, args=(tmp_path, kill * 10**6))
        writer.start()
        until = time.monotonic() + 30
        while not (lakehouse.exists("t") and lakehouse.version("t") > before + 1):
            assert time.monotonic() < until, "the writer does not get to write"
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 0.05))
        writer.kill()
        writer.join()
        assert writer.exitcode == -signal.SIGKILL
        found = {period: Counter(of) for period, of in values(lakehouse).items()}
        assert all(len(turns) == 1 and set(turns.values()) == {5000} for turns in found.values()), found
    assert set(found) == {MAY, JUNE}
    lakehouse.replace_periods("t", [MAY], rows(MAY, 1))
    assert values(lakehouse)[MAY] == [1]


ASK = """
import sys
from datetime import UTC, datetime
from pathlib import Path
import pyarrow as pa
from lead_scoring_assets.lakehouse.content_hash import content_hash
from lead_scoring_assets.lakehouse.tables import Lakehouse
lakehouse = Lakehouse(Path(sys.argv[1]))
at = pa.array([datetime(2008, 5, 31, 22, 30, tzinfo=UTC)], pa.timestamp("us", tz="UTC"))
lakehouse.replace_periods("t", ["2008-05"], pa.table({"period": ["2008-05"], "at": at}))
print(content_hash(lakehouse.read("t")))
"""


def test_the_machines_time_zone_does_not_matter(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ASK, str(tmp_path)]
    away = subprocess.run(command, env={**os.environ, "TZ": "Asia/Dubai"}, capture_output=True, text=True, check=True)
    here = Lakehouse(tmp_path).read("t")
    assert str(here["at"][0]) == "2008-05-31 22:30:00+00:00"
    assert away.stdout.strip() == content_hash(here)
