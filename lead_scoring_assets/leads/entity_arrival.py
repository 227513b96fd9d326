"""One entity of one period on its way in: rows of landed files are judged, staged on disk, and told apart."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lead_scoring_assets.contracts.columns import EVENT_TIMES, Column, Entity
from lead_scoring_assets.contracts.validation import LINE, arrow_schema, validate
from lead_scoring_assets.errors import SourceError
from lead_scoring_assets.leads.blocks import Block, LandedFile
from lead_scoring_assets.leads.known_at import place_in_time
from lead_scoring_assets.leads.landing import File, Landing
from lead_scoring_assets.leads.reading import read_landed
from lead_scoring_assets.leads.spool import Spool
from lead_scoring_assets.leads.statements import PLACE, STATED, decide, staged_names
from lead_scoring_assets.periods import Period
from lead_scoring_assets.settings import Settings

if TYPE_CHECKING:
    import pyarrow.dataset as pads

_SHOWN_CHARACTERS = 2_000
# How far back activities are compared with earlier arrivals, so that a period's cost does not grow with history. Older
# ones that land again are still found, because an activity cannot have arrived before it occurred (see `_comparable`).
_ACTIVITIES_BACK = timedelta(days=400)
REJECTED_SCHEMA = pa.schema(
    [
        ("period", pa.string()),
        ("entity", pa.string()),
        ("source_file", pa.string()),
        (LINE, pa.int64()),
        ("reason", pa.string()),
        ("raw_text", pa.string()),
    ]
)


def raw_schema(columns: Mapping[str, Column]) -> pa.Schema:
    """Schema of a raw table: its period, the contract's columns, the version, and where each row came from."""
    position = [("version", pa.int64()), ("source_file", pa.string()), (LINE, pa.int64())]
    return pa.schema([("period", pa.string()), *arrow_schema(columns), *position])


@dataclass
class CountedFile:
    """A landed file, and what became of its rows so far. `batches`: its staged rows, as (first place, how many)."""

    file: File
    landed: LandedFile
    rows_in: int = 0
    rejected: int = 0
    accepted: int = 0
    duplicates: int = 0
    batches: list[tuple[int, int]] = field(default_factory=list)


class EntityArrival:
    """One entity of one period on its way in."""

    def __init__(
        self, landing: Landing, entity: Entity, period: Period, settings: Settings, rejected: Spool, scratch: Path
    ) -> None:
        self.files: list[CountedFile] = []
        self._landing, self._entity, self._period, self._rejected = landing, entity, period, rejected
        self._calendar = settings.calendar
        self._columns = settings.registry.columns(entity)
        self._source, self._time_zone = settings.sources.of(entity), settings.sources.time_zone
        self._names = staged_names(self._columns)
        kinds = [(self._names[each.name], each.type) for each in arrow_schema(self._columns)]
        schema = pa.schema([*kinds, (LINE, pa.int64()), (STATED, pa.bool_()), (PLACE, pa.int64())])
        self._staged = Spool(scratch / f"{entity}.arrow", schema)
        self._scratch = scratch
        self._constants: dict[str | int, pa.Array] = {}

    def run(self, earlier: "pads.Dataset") -> pa.Table:
        """Stage every row that keeps its contract, then tell new statements from repeated ones."""
        for file in self._landing.files(self._entity, self._period.key):
            counted = CountedFile(file, self._read(file))
            self.files.append(counted)
            for block in counted.landed.blocks():
                self._stage(counted, block)
        staged = self._staged.finish()
        decisions = decide(self._entity, self._columns, staged, self._comparable(staged, earlier), self._scratch)
        places, versions = (decisions.versions[name].to_numpy() for name in (PLACE, "version"))
        accepted = []
        for counted in self.files:
            late: dict[int, str] = {}
            for first, count in counted.batches:
                rows = staged.slice(first, count)
                begin, end = np.searchsorted(places, [first, first + count])
                if begin == end:
                    kept = self._raw(rows, self._repeated(1, count), counted)
                else:
                    late |= self._late(rows, first, places[begin:end], decisions.reasons)
                    version = np.ones(count)
                    version[places[begin:end] - first] = versions[begin:end]
                    numbers = pa.array(version, from_pandas=True).cast(pa.int64())  # NaN: not stored
                    is_kept = pc.is_valid(numbers)
                    kept = self._raw(rows.filter(is_kept), numbers.filter(is_kept), counted)
                counted.accepted += kept.num_rows
                accepted.append(kept)
            self._reject_late(counted, late)
            counted.duplicates = sum(count for _, count in counted.batches) - counted.accepted - len(late)
        schema = raw_schema(self._columns)
        return pa.concat_tables(accepted) if accepted else schema.empty_table()

    def _comparable(self, staged: pa.Table, earlier: "pads.Dataset") -> "pads.Dataset":
        """Those of the earlier rows that can be of the same ids."""
        if self._entity != "activities" or not staged.num_rows:
            return earlier
        oldest = pc.min(staged[self._names[EVENT_TIMES[self._entity]]]).as_py()
        # A day more: what occurred at the first instant of a period may have been known at the last of the one before.
        first = min(self._period.start - _ACTIVITIES_BACK, oldest - timedelta(days=1))
        return earlier.filter(pc.field("period") >= self._calendar.containing(first).key)

    def _read(self, file: File) -> LandedFile:
        required = [name for name, column in self._columns.items() if column.required]
        optional = [name for name, column in self._columns.items() if not column.required]
        return read_landed(self._landing, file, required, optional, self._source)

    def _stage(self, counted: CountedFile, block: Block) -> None:
        checked = validate(block.rows, self._columns, time_zone=self._time_zone, time_format=self._source.time_format)
        placed = place_in_time(checked.accepted, EVENT_TIMES[self._entity], self._period)
        reasons = dict(zip(checked.reasons[LINE].to_pylist(), checked.reasons["reason"].to_pylist(), strict=True))
        told = [(unread.line, unread.reason, unread.text) for unread in block.unreadable]
        told += [(line, reason, block.raw(line)) for line, reason in {**reasons, **placed.reasons}.items()]
        counted.rows_in += block.rows.num_rows + len(block.unreadable)
        self._reject(counted, told)
        count = placed.rows.num_rows
        if count:
            places = pa.array(np.arange(self._staged.rows, self._staged.rows + count))
            counted.batches.append((self._staged.rows, count))
            rows = placed.rows.rename_columns([self._names.get(name, name) for name in placed.rows.column_names])
            self._staged.add(rows.append_column(STATED, placed.is_stated).append_column(PLACE, places))

    def _raw(self, rows: pa.Table, versions: pa.Array, counted: CountedFile) -> pa.Table:
        count = rows.num_rows
        columns = [
            self._repeated(self._period.key, count),
            *(rows[staged] for staged in self._names.values()),
            versions,
            self._repeated(counted.landed.name, count),
            rows[LINE],
        ]
        return pa.table(columns, schema=raw_schema(self._columns))

    def _repeated(self, value: str | int, count: int) -> pa.Array:
        """A constant column; those of all batches share one piece of memory."""
        known = self._constants.get(value)
        if known is None or len(known) < count:
            known = self._constants[value] = pa.repeat(value, count)
        return known.slice(0, count)

    def _late(
        self, rows: pa.Table, first: int, places: npt.NDArray[np.int64], reasons: Mapping[int, str]
    ) -> dict[int, str]:
        """By line, why rows of this batch that kept their contract are rejected all the same."""
        return {rows[LINE][place - first].as_py(): reasons[place] for place in places.tolist() if place in reasons}

    def _reject_late(self, counted: CountedFile, late: Mapping[int, str]) -> None:
        """Quarantine rows whose block has gone by: their text is read a second time, which costs only such files."""
        if not late:
            return
        again = self._read(counted.file)
        for block in again.blocks():
            lines = [line for line in block.rows[LINE].to_pylist() if line in late]
            self._reject(counted, [(line, late[line], block.raw(line)) for line in lines])
        if again.sha256 != counted.landed.sha256:
            raise SourceError(
                f"{counted.landed.name} changed while it was read. Let files land under a name that starts with a dot, "
                "rename them when they are complete, and materialise the period again."
            )

    def _reject(self, counted: CountedFile, told: list[tuple[int, str, str]]) -> None:
        if not told:
            return
        told.sort(key=lambda each: each[0])
        lines, reasons, texts = zip(*told, strict=True)
        count = len(told)
        columns = [
            pa.repeat(self._period.key, count),
            pa.repeat(self._entity, count),
            pa.repeat(counted.landed.name, count),
            pa.array(lines, pa.int64()),
            pa.array([reason[:_SHOWN_CHARACTERS] for reason in reasons], pa.string()),
            pa.array(texts, pa.string()),
        ]
        self._rejected.add(pa.table(columns, schema=REJECTED_SCHEMA))
        counted.rejected += count
