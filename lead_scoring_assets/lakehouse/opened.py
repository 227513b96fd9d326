"""One version of a table as its log tells it, and whether it is still the newest. Opening reads the log; no rows are read."""

from functools import cached_property
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa

# Up to here the files are the whole content; later versions may take rows out of them, or name columns otherwise.
_PLAIN_READER_VERSION = 1


class OpenedTable:
    """Never written through, so that everybody who reads the same version can hold the same one."""

    def __init__(self, table: deltalake.DeltaTable, folder: Path) -> None:
        self.version = int(table.version())
        self._table = table
        self._commit = folder / "_delta_log" / f"{self.version:020}.json"
        self._next = self._commit.with_name(f"{self.version + 1:020}.json")
        self._mark = mark(self._commit)

    def is_newest(self) -> bool:
        """Whether its commit is still there and the next one is not: two looks at the disk instead of the whole log.

        The commit must be the same file, because a table can be deleted and made again.
        """
        return self._mark is not None and mark(self._commit) == self._mark and not self._next.exists()

    @cached_property
    def keys(self) -> list[str]:
        """The columns that the table is partitioned by."""
        return list(self._table.metadata().partition_columns)

    @cached_property
    def schema(self) -> pa.Schema:
        """Its columns, those that it is partitioned by in front: people look for them there.

        Where a table gets a new column, delta-rs moves them.
        """
        return pa.schema(
            sorted(pa.schema(self._table.schema().to_arrow()), key=lambda field: field.name not in self.keys)
        )

    @cached_property
    def files(self) -> list[tuple[str, dict[str, Any]]]:
        """Its files in order of their paths below the table's folder, each with the values that its own folder tells.

        In that order because Delta lists the newest file first: the history of writes is not content.

        Raises:
            DeltaProtocolError: the table needs more of its readers than deltalake offers.
        """
        if self._table.protocol().min_reader_version > _PLAIN_READER_VERSION:
            self._table.to_pyarrow_dataset()  # refuses what it cannot read
        names = ["path", *(f"partition.{key}" for key in self.keys)]
        columns = pa.table(self._table.get_add_actions(flatten=True)).select(names).columns
        listed = zip(*(column.to_pylist() for column in columns), strict=True)
        return [(path, dict(zip(self.keys, told, strict=True))) for path, *told in sorted(listed)]


def mark(file: Path) -> tuple[int, int, int] | None:
    """What tells a file from another one of its name; None where there is none."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
