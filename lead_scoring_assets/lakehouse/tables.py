"""Delta tables by name: replace periods, append evidence, read as of any version or moment. No Dagster here."""

import random
import re
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import deltalake
import pyarrow as pa
import pyarrow.fs as pafs
from deltalake.exceptions import CommitFailedError

from lead_scoring_assets.errors import LakehouseError, OvertakenError
from lead_scoring_assets.files import one_at_a_time
from lead_scoring_assets.lakehouse.columns_that_fit import fitting, storable
from lead_scoring_assets.lakehouse.data_files import dataset_of
from lead_scoring_assets.lakehouse.opened import OpenedTable
from lead_scoring_assets.lakehouse.passage import PERIOD as PERIOD
from lead_scoring_assets.lakehouse.passage import Passage
from lead_scoring_assets.lakehouse.small_files import is_time_to_merge, merge_small_files
from lead_scoring_assets.lakehouse.time_travel import version_as_of

if TYPE_CHECKING:
    import pyarrow.dataset as pads

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


Rows: TypeAlias = pa.Table | Callable[[], pa.RecordBatchReader]
"""What can be written: a table in memory, or what gives a stream of batches each time it is called. Not one stream:
a write that meets another one starts again from the first row. Of a stream delta-rs holds up to a million rows of each
period that it writes, whatever the stream's length."""


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
        self._newest: dict[str, OpenedTable] = {}

    def path(self, table: str) -> Path:
        return self.root / table

    def exists(self, table: str) -> bool:
        return bool(deltalake.DeltaTable.is_deltatable(str(self.path(table))))

    def names(self) -> list[str]:
        """Every table there is, in order of name."""
        folders = self.root.iterdir() if self.root.is_dir() else ()
        return sorted(p.name for p in folders if p.is_dir() and self.exists(p.name))

    def version(self, table: str, as_of: datetime | None = None) -> int:
        """The table's newest version, or the one that stood at a moment (see `time_travel.version_as_of`).

        Raises:
            LakehouseError: the table does not exist, or did not then.
        """
        if as_of is None:
            return self._opened(table).version
        self._must_exist(table)
        return version_as_of(self.path(table), as_of)

    def replace_periods(self, table: str, periods: Sequence[str], rows: Rows) -> Commit:
        """Make `rows` the whole content of `periods`; every other period stays as it is. One atomic commit.

        A column that the table does not have yet is added to it (NULL in what was written before), one that the rows
        do not have is NULL in them.

        Raises:
            LakehouseError: no period named, rows of another period, or a column of another type than the table's.
        """
        if not periods:
            raise LakehouseError(f"{table}: name at least one period to replace")
        # Keys go into the predicate as text; calendar keys hold only digits and dashes, anything else is refused.
        if bad := [key for key in periods if not re.fullmatch(r"[0-9A-Za-z-]+", key)]:
            raise LakehouseError(f"{table}: {bad} cannot be period keys")
        predicate = f"{PERIOD} IN ({', '.join(repr(key) for key in periods)})"
        return self._write(table, rows, periods, mode="overwrite", predicate=predicate, partition_by=[PERIOD])

    def append(self, table: str, rows: Rows) -> Commit:
        """Add `rows` to an unpartitioned table of evidence. Columns come and go as for `replace_periods`.

        Version 0 of a table is empty: who is killed before the first rows leaves it so.
        """
        return self._merged(table, self._write(table, rows, None, mode="append"))

    def taken_in(self, table: str, sources: Iterable[str]) -> dict[str, int]:
        """How far each of `sources` was taken into the table, as `append_once` recorded; 0: nothing of it yet."""
        if not self.exists(table):
            return dict.fromkeys(sources, 0)
        opened = self._open(table)
        return {source: opened.transaction_version(source) or 0 for source in sources}

    def append_once(
        self, table: str, rows: Rows, taken: Mapping[str, tuple[int, int]], *, by_period: bool = False
    ) -> Commit:
        """Append what was read of each source from … to …, and record in the same commit that it was.

        So that nothing is appended twice or left out, wherever a process is killed and however many are at work. No rows
        are a commit as well. `by_period`: the table is partitioned by the rows' column `period`.

        Raises:
            OvertakenError: a source does not stand where its part begins: somebody else has taken it in meanwhile.
        """
        partition = {"partition_by": [PERIOD]} if by_period else {}
        return self._merged(table, self._write(table, rows, None, taken=taken, mode="append", **partition))

    def read(
        self,
        table: str,
        *,
        columns: Sequence[str] | None = None,
        periods: Iterable[str] | None = None,
        version: int | None = None,
        as_of: datetime | None = None,
    ) -> pa.Table:
        """Rows of `periods` (None: all) at `version` or `as_of` a moment (None: now), only `columns` (None: all), in a
        fixed order.

        Raises:
            LakehouseError: the table, the version or a column does not exist, or one of its files is gone or damaged.
        """
        found = self.scan(table, periods=periods, version=version, as_of=as_of)
        names = found.schema.names
        if missing := [name for name in columns or () if name not in names]:
            raise LakehouseError(f"{table} has no column {missing}; it has {names}")
        try:
            return found.to_table(columns=list(columns) if columns is not None else names)
        except (OSError, pa.ArrowInvalid) as problem:
            raise self._cannot_be_read(table, problem) from problem

    def scan(
        self,
        table: str,
        *,
        periods: Iterable[str] | None = None,
        version: int | None = None,
        as_of: datetime | None = None,
    ) -> "pads.Dataset":
        """The same rows without reading them: an Arrow dataset that `query` takes as a table and reads as it goes, only
        the columns and row groups that the question needs.

        Raises:
            LakehouseError: the table, the version or one of the files does not exist, or periods of a table that has none.
        """
        if version is not None and as_of is not None:
            raise LakehouseError(f"{table}: give version {version} or as of {as_of.isoformat()}, not both")
        opened = self._opened(table, self.version(table, as_of) if as_of is not None else version)
        if periods is not None and PERIOD not in opened.keys:
            raise LakehouseError(f"{table} has no column {[PERIOD]} to choose files by; it has {opened.schema.names}")
        # Arrow's own file system: that of delta-rs calls Python from Arrow's threads, which aborts processes at exit.
        folder = pafs.SubTreeFileSystem(str(self.path(table).resolve()), pafs.LocalFileSystem())
        found = dataset_of(opened, folder, None if periods is None else set(periods))
        # Said here, because everybody who reads the dataset would meet it in words of a library's own.
        for file in found.files:
            if not Path(folder.base_path + file).exists():
                raise self._cannot_be_read(table, f"{folder.base_path}{file} is not there")
        return found

    def _cannot_be_read(self, table: str, problem: object) -> LakehouseError:
        return LakehouseError(
            f"{table}: a file that belongs to it cannot be read ({problem}). Bring it back from a backup of "
            f"{self.path(table)}, or materialise its period again."
        )

    def _opened(self, table: str, version: int | None = None) -> OpenedTable:
        """The table for reading, at `version` (None: the newest). The newest is opened once for as long as nobody writes."""
        held = self._newest.get(table)
        if held is not None and version in (None, held.version) and held.is_newest():
            return held
        opened = OpenedTable(self._open(table, version), self.path(table))
        if opened.is_newest():
            self._newest[table] = opened
        return opened

    def _open(self, table: str, version: int | None = None) -> deltalake.DeltaTable:
        self._must_exist(table)
        try:
            return deltalake.DeltaTable(self.path(table), version=version)
        except Exception as problem:
            raise LakehouseError(f"{table}: version {version} cannot be read ({problem})") from problem

    def _must_exist(self, table: str) -> None:
        if not self.exists(table):
            raise LakehouseError(
                f"table {table} does not exist in {self.root}: expected a Delta table there. Materialise the asset "
                f"{table} first (`lead-scoring materialize`, or Materialize in the UI)."
            )

    def _merged(self, table: str, commit: Commit) -> Commit:
        """The commit, after its writer has merged the small files when it is time to."""
        if is_time_to_merge(commit.version):
            merge_small_files(self.path(table))
        return commit

    def _write(
        self,
        table: str,
        rows: Rows,
        periods: Sequence[str] | None,
        *,
        taken: Mapping[str, tuple[int, int]] | None = None,
        **options: Any,
    ) -> Commit:
        self.path(table).parent.mkdir(parents=True, exist_ok=True)
        passage = Passage(table, periods)
        write_id = uuid.uuid4().hex
        ends = [deltalake.Transaction(source, to) for source, (_, to) in (taken or {}).items()]
        named = deltalake.CommitProperties(custom_metadata={_WRITE_ID: write_id}, app_transactions=ends or None)
        try:
            _retry_conflicts(lambda: self._attempt(table, rows, passage, taken, **options, commit_properties=named))
        except Exception as told:  # some of delta-rs's refusals have no class of their own
            problem = passage.problem or told
            if isinstance(problem, LakehouseError):
                raise problem from None
            raise LakehouseError(
                f"{table}: the rows cannot be written ({problem}). The table is as it was; mend that, then do it again."
            ) from told
        return Commit(version=self._version_of(table, write_id), rows=passage.rows)

    def _attempt(
        self, table: str, rows: Rows, passage: Passage, taken: Mapping[str, tuple[int, int]] | None, **options: Any
    ) -> None:
        # All of it anew for each attempt: a stream is used up, and who was faster may have brought columns.
        source = rows.to_reader() if isinstance(rows, pa.Table) else rows()
        brought = storable(table, source.schema)
        if "partition_by" in options and PERIOD not in brought.names:
            raise LakehouseError(f"{table}: expected a column {PERIOD!r}, found {brought.names}")
        if isinstance(rows, pa.Table):
            passage.refuse_strangers(rows)  # before a table is made for them
        if not self.exists(table):
            schema = fitting(table, pa.schema([]), brought)
            # Made empty first, and by one process at a time: delta-rs sees no conflict between two that both make a table,
            # or bring its first rows. Of one period it keeps both, and of two lists of columns only the later.
            with one_at_a_time(self.root / ".making"):
                if not self.exists(table):
                    keys = options.get("partition_by")
                    deltalake.DeltaTable.create(self.path(table), schema, "error", keys, configuration=_KEEP_HISTORY)
        opened = self._open(table)
        # Of two that are here at once, delta-rs refuses the later commit of the same source; its next attempt ends here.
        if behind := [s for s, (since, _) in (taken or {}).items() if (opened.transaction_version(s) or 0) != since]:
            raise OvertakenError(
                f"{table}: {', '.join(behind)} was taken in by somebody else meanwhile; nothing was written."
            )
        existing = pa.schema(opened.schema().to_arrow())
        schema = fitting(table, existing, brought)
        mode = "merge" if len(schema) > len(existing) else None
        deltalake.write_deltalake(opened, passage.let_through(source, schema), schema_mode=mode, **options)

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
