"""Delta tables by name: replace periods, append evidence, read as of any version. No Dagster here."""

import random
import re
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import deltalake
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
from deltalake.exceptions import CommitFailedError

from lead_scoring_assets.errors import LakehouseError

if TYPE_CHECKING:
    import pyarrow.dataset as pads

PERIOD = "period"

# Old versions are evidence. The defaults (30 days of log, 7 of files) would make them unreadable, and delta-rs heeds
# these only when the table is created. Seven years, as audit asks.
_KEEP_HISTORY: dict[str, str | None] = {
    "delta.logRetentionDuration": "interval 2557 days",
    "delta.deletedFileRetentionDuration": "interval 2557 days",
}
_ATTEMPTS = 12
_WRITE_ID = "lead_scoring.write_id"
# delta-rs takes the folder for a URL and fails on these, or looks elsewhere.
_UNUSABLE_IN_A_FOLDER = re.compile(r"[\[\]|^%#?\\\x00-\x1f]")


@dataclass(frozen=True)
class Commit:
    """What a write left behind: the version that it made (whoever wrote next), and how many rows were written."""

    version: int
    rows: int


class Lakehouse:
    """All Delta tables under one folder. Safe for several processes at once; a killed writer leaves the old version."""

    def __init__(self, root: Path) -> None:
        if found := sorted(set(_UNUSABLE_IN_A_FOLDER.findall(root.as_posix()))):
            raise LakehouseError(
                f"{root} holds {found}, which Delta tables cannot lie under: use a folder without them"
            )
        self.root = root

    def path(self, table: str) -> Path:
        return self.root / table

    def exists(self, table: str) -> bool:
        return bool(deltalake.DeltaTable.is_deltatable(str(self.path(table))))

    def names(self) -> list[str]:
        """Every table there is, in order of name."""
        folders = self.root.iterdir() if self.root.is_dir() else ()
        return sorted(p.name for p in folders if p.is_dir() and self.exists(p.name))

    def version(self, table: str) -> int:
        return int(self._open(table).version())

    def replace_periods(self, table: str, periods: Sequence[str], rows: pa.Table) -> Commit:
        """Make `rows` the whole content of `periods`; every other period stays as it is. One atomic commit.

        Raises:
            LakehouseError: no period named, rows of another period, or columns that do not fit the table.
        """
        if not periods:
            raise LakehouseError(f"{table}: name at least one period to replace")
        if PERIOD not in rows.column_names:
            raise LakehouseError(f"{table}: expected a column {PERIOD!r}, found {rows.column_names}")
        strangers = set(rows[PERIOD].unique().to_pylist()) - set(periods)
        if strangers:
            raise LakehouseError(
                f"{table}: rows of {sorted(map(str, strangers))} may not be written as {sorted(periods)}"
            )
        # Keys go into the predicate as text; calendar keys hold only digits and dashes, anything else is refused.
        if bad := [key for key in periods if not re.fullmatch(r"[0-9A-Za-z-]+", key)]:
            raise LakehouseError(f"{table}: {bad} cannot be period keys")
        predicate = f"{PERIOD} IN ({', '.join(repr(key) for key in periods)})"
        return self._write(table, rows, mode="overwrite", predicate=predicate, partition_by=[PERIOD])

    def append(self, table: str, rows: pa.Table) -> Commit:
        """Add `rows` to an unpartitioned table of evidence."""
        return self._write(table, rows, mode="append")

    def read(
        self,
        table: str,
        *,
        columns: Sequence[str] | None = None,
        periods: Iterable[str] | None = None,
        version: int | None = None,
    ) -> pa.Table:
        """Rows of `periods` (None: all) at `version` (None: now), only `columns` (None: all), in a fixed order.

        Raises:
            LakehouseError: the table, the version or a column does not exist.
        """
        found = self.scan(table, periods=periods, version=version)
        names = found.schema.names
        if missing := [name for name in columns or () if name not in names]:
            raise LakehouseError(f"{table} has no column {missing}; it has {names}")
        return found.to_table(columns=list(columns) if columns is not None else names)

    def scan(self, table: str, *, periods: Iterable[str] | None = None, version: int | None = None) -> "pads.Dataset":
        """The same rows without reading them: an Arrow dataset that `query` takes as a table and reads as it goes, only
        the columns and row groups that the question needs.

        Raises:
            LakehouseError: the table or the version does not exist, or periods of a table that has none.
        """
        opened = self._open(table, version)
        chosen = None
        if periods is not None:
            names = pa.schema(opened.schema().to_arrow()).names
            if PERIOD not in names:
                raise LakehouseError(f"{table} has no column {[PERIOD]}; it has {names}")
            chosen = pc.field(PERIOD).isin(pa.array(list(periods), pa.string()))
        # Arrow's own file system: that of delta-rs calls Python from Arrow's threads, which aborts processes at exit.
        folder = pafs.SubTreeFileSystem(str(self.path(table).resolve()), pafs.LocalFileSystem())
        import pyarrow.dataset as pads  # brings pandas with it; who only opens the house does not pay for that

        dataset = opened.to_pyarrow_dataset(filesystem=folder)
        # In order of their paths, because Delta lists the newest file first: the history of writes is not content.
        # Files are of one period each, so that choosing files is choosing rows.
        files = sorted(dataset.get_fragments(filter=chosen), key=lambda file: file.path)
        return pads.FileSystemDataset(files, dataset.schema, dataset.format, dataset.filesystem)

    def _open(self, table: str, version: int | None = None) -> deltalake.DeltaTable:
        if not self.exists(table):
            raise LakehouseError(
                f"table {table} does not exist in {self.root}: expected a Delta table there. Materialise the asset "
                f"{table} first (`lead-scoring materialize`, or Materialize in the UI)."
            )
        try:
            return deltalake.DeltaTable(self.path(table), version=version)
        except Exception as problem:
            raise LakehouseError(f"{table}: version {version} cannot be read ({problem})") from problem

    def _write(self, table: str, rows: pa.Table, **options: Any) -> Commit:
        self.path(table).parent.mkdir(parents=True, exist_ok=True)
        write_id = uuid.uuid4().hex

        def write() -> None:
            # Made empty first: delta-rs sees no conflict between two writers that both bring a new table's first rows
            # of a period, and keeps both.
            if "predicate" in options and not self.exists(table):
                deltalake.DeltaTable.create(
                    self.path(table), rows.schema, "ignore", options["partition_by"], configuration=_KEEP_HISTORY
                )
            deltalake.write_deltalake(
                self.path(table),
                rows,
                configuration=None if self.exists(table) else _KEEP_HISTORY,
                commit_properties=deltalake.CommitProperties(custom_metadata={_WRITE_ID: write_id}),
                **options,
            )

        try:
            _retry_conflicts(write)
        except Exception as problem:  # some of delta-rs's refusals have no class of their own
            raise LakehouseError(
                f"{table}: {rows.num_rows:,} rows with the columns {rows.column_names} cannot be written ({problem}). "
                "The table is as it was; if columns have changed, start a new home folder for them."
            ) from problem
        return Commit(version=self._version_of(table, write_id), rows=rows.num_rows)

    def _version_of(self, table: str, write_id: str) -> int:
        """The version that one write made: looked up, because `history()` misnumbers when others write meanwhile."""
        commits = sorted((self.path(table) / "_delta_log").glob("[0-9]*.json"), reverse=True)
        return next(int(commit.stem) for commit in commits if write_id in commit.read_text(encoding="utf-8"))


def _retry_conflicts(write: Callable[[], None]) -> None:
    """Writers that meet on the same periods take turns: delta-rs refuses the later one, which tries again."""
    for attempt in range(_ATTEMPTS):
        try:
            write()
            return
        except CommitFailedError:
            if attempt == _ATTEMPTS - 1:
                raise
            time.sleep(random.uniform(0.02, 0.1) * (attempt + 1))  # noqa: S311  # spreads writers, decides nothing
