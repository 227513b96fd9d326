"""The rows that one model learned from and was judged on, kept for good in a folder that is named by its content.

Which rows those are is decided in `training_set.py`. A folder `<period>/<content hash>` is there whole or not at all, is
never written again, and is verified whenever it is read.
"""

import hashlib
import json
import secrets
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lead_scoring_assets.errors import LakehouseError
from lead_scoring_assets.files import bring_to_the_disk, one_at_a_time, told_of_the_disk
from lead_scoring_assets.lakehouse.content_hash import content_hash
from lead_scoring_assets.lakehouse.tables import Lakehouse
from lead_scoring_assets.models.snapshot_manifest import Snapshot as Snapshot
from lead_scoring_assets.periods import Period
from lead_scoring_assets.settings import Settings

ROWS, MANIFEST = "rows.parquet", "manifest.json"
_READ_ONLY = 0o444
_PARTIAL = ".part"


def take(rows: pa.Table, root: Path, period: Period, *, inputs: Mapping[str, int], settings_sha256: str) -> Snapshot:
    """Keep the training set of `period` (one row a lead, a column `split`) below `root`; the same content only once.

    Written to a name of its own, flushed to the disk, read back and hashed from there, and only then renamed: a process
    that is killed leaves the whole snapshot or none. The rows lie in order of lead id, so that who reads them fits the
    same model whatever order they came in.

    Raises:
        LakehouseError: a lead stands there twice, Parquet cannot keep the rows exactly, or a folder of that name holds
            something else.
        StorageError: the disk is full, or refuses the folder.
    """
    rows = _in_order(rows)
    name = content_hash(rows)
    final = root / period.key / name
    with told_of_the_disk(root), one_at_a_time(root / ".lock"):
        if not final.exists():
            return _write(rows, final, period, inputs, settings_sha256)
    return load(final)[1]


def load(folder: Path) -> tuple[pa.Table, Snapshot]:
    """The rows of a snapshot, in order of lead id, and its manifest; nothing is given that was not verified.

    Raises:
        LakehouseError: a file is missing or was changed, or the folder's name is not that of its content.
    """
    manifest, rows_file = folder / MANIFEST, folder / ROWS
    try:
        told = manifest.read_bytes()
        total = _sum(rows_file)
    except OSError as problem:
        raise LakehouseError(
            f"snapshot {folder} cannot be read ({problem}): expected {MANIFEST} and {ROWS} there. Restore it from a backup."
        ) from None
    try:
        snapshot = Snapshot.from_bytes(told)
    except ValueError as problem:
        raise _changed(manifest, str(problem)) from None
    if total != snapshot.file_sha256:
        raise _changed(rows_file, f"expected SHA-256 {snapshot.file_sha256}, found {total}")
    rows = pq.read_table(rows_file, partitioning=None)
    found = content_hash(rows)
    if (found, _columns(rows)) != (snapshot.content_hash, snapshot.columns):
        raise _changed(rows_file, f"expected content {snapshot.content_hash}, found {found}")
    if (folder.parent.name, folder.name) != (snapshot.period, found):
        raise LakehouseError(
            f"snapshot folder {folder} holds {snapshot.path}: expected a folder named by its content, found another. "
            "Give it back its name, or restore it from a backup."
        )
    return rows, snapshot


def delta_versions(lakehouse: Lakehouse, tables: Iterable[str]) -> dict[str, int]:
    """The newest version of each of `tables`: the `inputs` of a snapshot."""
    return {table: lakehouse.version(table) for table in tables}


def shaping_settings_sha256(settings: Settings) -> str:
    """SHA-256 of the settings that decide which rows and columns a training set has: registry, labels and windows.

    The order of columns counts: it is the order of the model's matrix.
    """
    whole = settings.model_dump(mode="json")
    shaping = {name: whole[name] for name in ("columns", "activities", "features", "labels")}
    windows = {"cadence": settings.periods.cadence, "window_months": settings.training.window_months}
    return hashlib.sha256(json.dumps({**shaping, **windows}).encode()).hexdigest()


def _write(rows: pa.Table, final: Path, period: Period, inputs: Mapping[str, int], settings_sha256: str) -> Snapshot:
    _clear_what_killed_processes_left(final.parent)
    partial = final.with_name(f".{secrets.token_hex(8)}{_PARTIAL}")
    partial.mkdir(parents=True)
    try:
        pq.write_table(rows, partial / ROWS, compression="zstd")
        _settle(partial / ROWS)
        written = pq.read_table(partial / ROWS, partitioning=None)
        found = content_hash(written)
        if found != final.name:
            raise _written_otherwise(rows, written)
        counts = pc.value_counts(written["split"]).to_pylist()
        snapshot = Snapshot(
            period=period.key,
            as_of=period.end,
            rows=written.num_rows,
            columns=_columns(written),
            splits={
                count["values"]: count["counts"] for count in sorted(counts, key=lambda count: str(count["values"]))
            },
            content_hash=found,
            file_sha256=_sum(partial / ROWS),
            inputs=dict(inputs),
            settings_sha256=settings_sha256,
        )
        (partial / MANIFEST).write_bytes(snapshot.to_bytes())
        _settle(partial / MANIFEST)
        bring_to_the_disk(partial)
        partial.rename(final)
        bring_to_the_disk(final.parent)
        return snapshot
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _in_order(rows: pa.Table) -> pa.Table:
    """`rows` in order of lead id, without what libraries noted beside the schema."""
    if missing := {"lead_id", "split"} - set(rows.column_names):
        raise LakehouseError(f"a training set needs the columns {sorted(missing)}, found {rows.column_names}")
    if twice := rows.num_rows - pc.count_distinct(rows["lead_id"], mode="all").as_py():
        raise LakehouseError(f"a training set holds each lead once, found {twice:,} rows more than leads")
    plain = pa.schema([field.remove_metadata() for field in rows.schema])
    return rows.sort_by("lead_id").cast(plain).combine_chunks()


def _written_otherwise(rows: pa.Table, written: pa.Table) -> LakehouseError:
    pairs = zip(_columns(rows), _columns(written), strict=True)
    changed = [f"{column} was {kind} and is {now}" for (column, kind), (_, now) in pairs if kind != now]
    return LakehouseError(
        "the training set cannot be kept exactly: what was written reads back otherwise "
        f"({', '.join(changed) or 'same types, other values'}). Nothing was kept; check the disk, or the types."
    )


def _sum(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _columns(rows: pa.Table) -> tuple[tuple[str, str], ...]:
    return tuple((field.name, str(field.type)) for field in rows.schema)


def _settle(file: Path) -> None:
    bring_to_the_disk(file)
    file.chmod(_READ_ONLY)


def _clear_what_killed_processes_left(folder: Path) -> None:
    """Only who holds the lock may: nobody else is writing then."""
    for partial in folder.glob(f".*{_PARTIAL}"):
        shutil.rmtree(partial, ignore_errors=True)


def _changed(file: Path, how: str) -> LakehouseError:
    return LakehouseError(f"{file} was changed since the snapshot was taken ({how}). Restore it from a backup.")
