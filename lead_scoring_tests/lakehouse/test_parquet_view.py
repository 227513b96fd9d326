"""What DuckDB reads for itself is what Arrow reads: the same rows in the same order, whatever the names are."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lead_scoring_assets.lakehouse.parquet_view import register
from lead_scoring_assets.lakehouse.tables import Lakehouse

PERIODS = ["2008-05", "2008-06", "2008-07"]


def both_ways(dataset: pads.Dataset, sql: str = "SELECT * FROM t") -> tuple[pa.Table, pa.Table]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        register(connection, "t", dataset)
        natively = connection.sql(sql).to_arrow_table()
        connection.execute("DROP VIEW IF EXISTS t")
        connection.register("t", dataset)
        return natively, connection.sql(sql).to_arrow_table()


def is_read_by_duckdb(dataset: pads.Dataset) -> bool:
    with duckdb.connect() as connection:
        register(connection, "t", dataset)
        return "READ_PARQUET" in str(connection.sql("EXPLAIN SELECT * FROM t").fetchall()).upper()


# Each write brings some of the columns: the files of one table differ.
KINDS = {
    "n": pa.int64(),
    "x": pa.float64(),
    "s": pa.string(),
    "at": pa.timestamp("us", tz="UTC"),
    "odd \"é' col": pa.date32(),
}
VALUES: dict[str, Any] = {
    "n": st.integers(-(2**63), 2**63 - 1),
    "x": st.floats(allow_nan=False),
    "s": st.text(max_size=4),
    "at": st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    "odd \"é' col": st.dates(date(1900, 1, 1)),
}


def rows_of(names: set[str]) -> st.SearchStrategy[list[dict[str, Any]]]:
    row = st.fixed_dictionaries({name: st.none() | VALUES[name] for name in sorted(names)})
    return st.lists(row, min_size=1, max_size=4)


brought = st.sets(st.sampled_from(sorted(KINDS)), min_size=1).flatmap(rows_of)
writes = st.lists(st.tuples(st.sampled_from(PERIODS), brought), min_size=1, max_size=4)


@settings(max_examples=15)
@given(writes, st.sets(st.sampled_from(PERIODS)))
def test_both_ways_give_the_same_rows_in_the_same_order(
    tmp_path_factory: pytest.TempPathFactory, written: list[tuple[str, list[dict[str, Any]]]], chosen: set[str]
) -> None:
    lakehouse = Lakehouse(tmp_path_factory.mktemp("t"))
    for period, rows in written:
        schema = pa.schema([(name, KINDS[name]) for name in rows[0]])
        table = pa.Table.from_pylist(rows, schema=schema)
        lakehouse.replace_periods("t", [period], table.append_column("period", pa.array([period] * len(rows))))
    for dataset in (lakehouse.scan("t"), lakehouse.scan("t", periods=chosen), lakehouse.scan("t", version=1)):
        natively, through_arrow = both_ways(dataset)
        assert natively.equals(through_arrow)
        assert is_read_by_duckdb(dataset) == bool(dataset.files)
    column = sorted(lakehouse.scan("t").schema.names)[0].replace('"', '""')
    for condition in (f'"{column}" IS NULL', "period = '2008-06'", "period > '2008-05'"):
        natively, through_arrow = both_ways(lakehouse.scan("t"), f"SELECT * FROM t WHERE {condition}")
        assert natively.equals(through_arrow)


ROWS = pa.table({"period": ["2008-05", "2008-05"], "v": [2, 1]})


@pytest.mark.parametrize(
    ("folder", "natively"),
    [("plain", True), ("two words", True), ("Größe", True), ("it's", True), ("a&b;c", True), ('"', True)]
    + [(folder, False) for folder in ("period=2001-01", "v=7", "st*r", "{x}")],
)
def test_a_folder_that_duckdb_would_take_for_something_else_is_read_through_arrow(
    folder: str, natively: bool, tmp_path: Path
) -> None:
    lakehouse = Lakehouse(tmp_path / folder)
    lakehouse.replace_periods("t", ["2008-05"], ROWS)
    dataset = lakehouse.scan("t")
    assert is_read_by_duckdb(dataset) == natively
    one, other = both_ways(dataset)
    assert one.equals(other)
    assert one.equals(ROWS)


def test_folders_that_tell_no_column_of_the_table_are_not_read_as_columns(tmp_path: Path) -> None:
    (tmp_path / "v=9").mkdir()
    pads.write_dataset(ROWS, tmp_path / "v=9", format="parquet", basename_template="{i}.parquet")
    places = pads.dataset(
        "v=9", format="parquet", filesystem=pa.fs.SubTreeFileSystem(str(tmp_path), pa.fs.LocalFileSystem())
    )
    assert not is_read_by_duckdb(places)
    one, other = both_ways(places)
    assert one.equals(other)
    assert one["v"].to_pylist() == [2, 1]


def test_anything_else_goes_through_arrow(tmp_path: Path) -> None:
    pads.write_dataset(ROWS, tmp_path, format="feather")
    for table in (
        ROWS,
        ROWS.to_reader(),
        pads.dataset(ROWS),
        pads.dataset(tmp_path, format="feather"),
        ROWS.to_pandas(),
    ):
        with duckdb.connect() as connection:
            register(connection, "t", table)
            assert connection.sql("SELECT sum(v) FROM t").fetchall() == [(3,)]


def test_a_file_written_anew_is_read_as_it_is_now(tmp_path: Path) -> None:
    """Its columns are remembered; a file of the same name may have others."""
    for columns in ({"n": [1], "x": [2.0]}, {"n": [3]}, {"n": [4], "x": [5.0]}):
        pq.write_table(pa.table(columns), tmp_path / "a.parquet")
        files = pafs.SubTreeFileSystem(str(tmp_path), pafs.LocalFileSystem())
        schema = pa.schema([("n", pa.int64()), ("x", pa.float64())])
        dataset = pads.FileSystemDataset.from_paths(["a.parquet"], schema, pads.ParquetFileFormat(), files)
        assert is_read_by_duckdb(dataset)
        natively, by_arrow = both_ways(dataset)
        assert natively == by_arrow


@pytest.mark.parametrize("harm", [Path.unlink, lambda file: file.write_bytes(b"not Parquet")])
def test_a_file_that_cannot_be_read_is_told_by_duckdb(harm: Any, tmp_path: Path) -> None:
    """Who asks expects the errors of a question."""
    lakehouse = Lakehouse(tmp_path)
    lakehouse.append("t", pa.table({"n": [1]}))
    dataset = lakehouse.scan("t")
    harm(lakehouse.path("t") / dataset.files[0])
    with pytest.raises(duckdb.Error, match="parquet"):
        both_ways(dataset)
