"""An Arrow dataset of Parquet files as a DuckDB view: DuckDB reads the files itself, which costs it half of what Arrow does."""

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.fs as pafs

from lead_scoring_assets.lakehouse.names import quoted
from lead_scoring_assets.lakehouse.opened import mark

# In a folder above the table DuckDB would take these for patterns, and `a=b` for one more column.
_NOT_TAKEN_AS_IT_IS = re.compile(r"[*?\[\]{}=\\]")
_PARTITION = re.compile(r"(\w+)=[0-9A-Za-z-]+")
_REMEMBERED_FILES = 16_384

Columns = frozenset[tuple[str, str]]
"""Names and types of a file's columns, in no order."""
_SHAPES: dict[Columns, Columns] = {}
"""One object for all files of the same columns, of which a table has thousands."""


def register(connection: duckdb.DuckDBPyConnection, name: str, table: Any) -> None:
    """Make `table` readable as `name`: what DuckDB can read for itself as a view, anything else through Arrow.

    The rows, their order and the columns' types are the same both ways. A column that a file does not have is NULL.
    """
    if isinstance(table, pa.Table | pa.RecordBatchReader) or not (reading := _reading(table)):
        connection.register(name, table)
        return
    read, found = reading
    columns = ", ".join(
        quoted(field.name) if field.name in found else f"NULL::{_type(connection, field)} AS {quoted(field.name)}"
        for field in table.schema
    )
    connection.execute(f"CREATE TEMP VIEW {quoted(name)} AS SELECT {columns} FROM {read}")  # noqa: S608


def _reading(table: object) -> tuple[str, set[str]] | None:
    """SQL that reads the files in their order, and the columns that this gives; None where DuckDB would not read them as
    Arrow does."""
    import pyarrow.dataset as pads  # brings pandas with it; a question over tables in memory does not pay for that

    if not isinstance(table, pads.FileSystemDataset) or not isinstance(table.format, pads.ParquetFileFormat):
        return None
    places, names = table.filesystem, table.schema.names
    if not isinstance(places, pafs.SubTreeFileSystem) or not isinstance(places.base_fs, pafs.LocalFileSystem):
        return None
    layouts = {_partitioned_by(table.schema, file) for file in table.files}
    differ_in_case_only = len({name.casefold() for name in names}) < len(names)
    if len(layouts) != 1 or None in layouts or differ_in_case_only or _NOT_TAKEN_AS_IT_IS.search(places.base_path):
        return None
    (keys,) = layouts
    paths = [places.base_path + file for file in table.files]
    try:
        held = {_columns(path, mark(Path(path))) for path in paths}
    except (OSError, pa.ArrowException):  # DuckDB meets it too, and tells it as what is wrong with a question
        held = {frozenset((name, "") for name in names)}
    types = ", ".join(f"{_text(key)}: VARCHAR" for key in keys or ())
    hive = f"hive_partitioning = true, hive_types = {{{types}}}" if keys else "hive_partitioning = false"
    # To unite them DuckDB opens every file whenever it looks at the question, which is three times before it reads.
    united = f"union_by_name = {str(len(held) > 1).lower()}"
    found = {name for columns in held for name, _ in columns}.union(keys or ())
    return f"read_parquet([{', '.join(map(_text, paths))}], {united}, {hive})", found


@lru_cache(maxsize=_REMEMBERED_FILES)
def _columns(path: str, _written: tuple[int, int, int] | None) -> Columns:
    """The columns of one file, whose footer is read once for as long as nobody writes it anew."""
    import pyarrow.parquet as pq

    columns = frozenset((field.name, str(field.type)) for field in pq.read_schema(path))
    return _SHAPES.setdefault(columns, columns)


def _partitioned_by(schema: pa.Schema, file: str) -> tuple[str, ...] | None:
    """The text columns that the file's folders tell, in their order; None where a folder tells something else."""
    found = [_PARTITION.fullmatch(folder) for folder in file.split("/")[:-1]]
    keys = tuple(match[1] for match in found if match)
    texts = {field.name for field in schema if field.type == pa.string()}
    return keys if len(keys) == len(found) and texts.issuperset(keys) else None


def _type(connection: duckdb.DuckDBPyConnection, field: pa.Field) -> str:
    return str(connection.from_arrow(pa.schema([field]).empty_table()).types[0])


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
