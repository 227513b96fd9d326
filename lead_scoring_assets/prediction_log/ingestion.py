"""From the prediction log into the lakehouse, each line exactly once: however many are at work, wherever one is killed.

A part of the log is written table by table, and each commit records how far it reaches in each segment. The row in
`ingested_segments` comes last: whoever finds a part without it does the rest, and writes nothing twice.
"""

import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from lead_scoring_assets.errors import OvertakenError, PredictionLogError
from lead_scoring_assets.files import one_at_a_time
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.lakehouse.tables import Commit
from lead_scoring_assets.prediction_log import feedback
from lead_scoring_assets.prediction_log.segments import Line, LogSource
from lead_scoring_assets.prediction_log.tables import (
    FEEDBACK,
    INGESTED,
    REJECTED,
    TABLES,
    as_table,
    rejected_row,
    row_of,
    what_does_not_fit,
)

LOCK = "prediction_log"
PART_BYTES = 16 << 20
_WRITTEN = (*TABLES.values(), REJECTED)
_BY_PERIOD = frozenset(TABLES.values())
Rows = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Part:
    """Lines of some segments; `reach`: the byte at which each begins and ends."""

    lines: Sequence[Line]
    reach: Mapping[str, tuple[int, int]]


@dataclass
class Ingested:
    """What was written: rows by table, duplicates; `lines` is all of them. `removed`: segments that were let go of."""

    lines: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0
    commits: dict[str, Commit] = field(default_factory=dict)
    landed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)


def ingest(installation: Installation, source: LogSource, part_bytes: int = PART_BYTES) -> Ingested:
    """Take in every complete line that is not in the lakehouse yet; land feedback as outcomes; let go of old segments.

    What is logged meanwhile is left to the next time: of an API that is asked without a pause there is always more.

    Raises:
        LakehouseError, StorageError: the disk does not take it; what was written stays, the rest is done next time.
    """
    done = Ingested()
    with one_at_a_time(installation.home.lock(LOCK)):
        ends = source.ends()
        while take_in_part(installation, source, done, part_bytes, ends):
            pass
        done.landed = feedback.land(installation)
        done.removed = _remove_old(installation, source)
    return done


def pending_bytes(
    installation: Installation, source: LogSource, ends: Mapping[str, int] | None = None
) -> dict[str, tuple[int, int]]:
    """By segment that has complete lines which are not in the lakehouse: from which byte to which. `ends`: of the segments, where
    they were read before."""
    ends = source.ends() if ends is None else ends
    known = installation.lakehouse.taken_in(INGESTED, ends)
    return {segment: (known[segment], end) for segment, end in ends.items() if end > known[segment]}


def read_part(source: LogSource, pending: Mapping[str, tuple[int, int]], part_bytes: int) -> Part:
    """The first lines of what is pending, about `part_bytes` of them and at least one line."""
    lines: list[Line] = []
    reach: dict[str, tuple[int, int]] = {}
    left = part_bytes
    for segment, (since, until) in pending.items():
        for line in source.lines(segment, since, until):
            lines.append(line)
            reach[segment] = (since, line.end)
            left -= line.end - line.start
            if left <= 0:
                return Part(lines, reach)
    return Part(lines, reach)


def take_in_part(
    installation: Installation,
    source: LogSource,
    done: Ingested,
    part_bytes: int,
    ends: Mapping[str, int] | None = None,
) -> bool:
    """Write one part of what is pending, up to `ends`; whether there was any. Somebody else may write at the same time."""
    part = read_part(source, pending_bytes(installation, source, ends), part_bytes)
    if not part.lines:
        return False
    # What the other one wrote is found, and left out, at the next try.
    with contextlib.suppress(OvertakenError):
        _write(installation, part, done)
    return True


def rows_of(lines: Sequence[Line], installation: Installation) -> Rows:
    """By table, what the lines become; those that are no records stand in `rejected_records` with their reason."""
    rows: Rows = {table: [] for table in _WRITTEN}
    by_table: dict[str, list[Line]] = {table: [] for table in TABLES.values()}
    for line in lines:
        try:
            table, row = row_of(line, installation.settings.calendar)
        except PredictionLogError as problem:
            rows[REJECTED].append(rejected_row(line, str(problem)))
        else:
            rows[table].append(row)
            by_table[table].append(line)
    for table, its_lines in by_table.items():
        if unfit := what_does_not_fit(table, rows[table]):
            rows[REJECTED] += [rejected_row(its_lines[place], reason) for place, reason in unfit.items()]
            rows[table] = [row for place, row in enumerate(rows[table]) if place not in unfit]
    return rows


def _write(installation: Installation, part: Part, done: Ingested) -> None:
    lakehouse, now = installation.lakehouse, installation.clock.now()
    rows = rows_of(part.lines, installation)
    keys_before = feedback.keys_taken(lakehouse)
    told = feedback.tell_apart(installation, rows[FEEDBACK], part.lines)
    rows[FEEDBACK], rows[REJECTED] = told.accepted, rows[REJECTED] + told.rejected
    for table in _WRITTEN:
        known = lakehouse.taken_in(table, part.reach)
        fresh = [row for row in rows[table] if row["start_byte"] >= known[row["segment"]]]
        if not fresh:
            continue  # nothing to record: the next rows of the table stand after these lines
        taken = {segment: (known[segment], to) for segment, (_, to) in part.reach.items() if known[segment] < to}
        if table == FEEDBACK:
            fresh = feedback.with_landing_files(installation, fresh)
            taken[feedback.KEYS] = keys_before, keys_before + len(fresh)
        commit = lakehouse.append_once(table, as_table(table, fresh), taken, by_period=table in _BY_PERIOD)
        done.commits[table] = commit
    counted = [
        _counted(segment, reach, part.lines, rows, told.duplicates, now) for segment, reach in part.reach.items()
    ]
    done.commits[INGESTED] = lakehouse.append_once(INGESTED, as_table(INGESTED, counted), part.reach)
    done.lines += len(part.lines)
    done.duplicates += len(told.duplicates)
    done.rows.update({table: len(found) for table, found in rows.items()})


def _counted(
    segment: str,
    reach: tuple[int, int],
    lines: Sequence[Line],
    rows: Rows,
    duplicates: Sequence[Mapping[str, Any]],
    now: datetime,
) -> dict[str, Any]:
    def of_segment(found: Sequence[Mapping[str, Any]]) -> int:
        return sum(row["segment"] == segment for row in found)

    return {
        "segment": segment,
        "from_byte": reach[0],
        "to_byte": reach[1],
        "lines": sum(line.segment == segment for line in lines),
        **{table: of_segment(rows[table]) for table in _WRITTEN},
        "duplicates": of_segment(duplicates),
        "ingested_at": now,
    }


def _remove_old(installation: Installation, source: LogSource) -> list[str]:
    """Let go of segments that were taken in some time ago, whose writer is gone and that hold nothing else."""
    lakehouse = installation.lakehouse
    if not lakehouse.exists(INGESTED):
        return []
    before = installation.clock.now() - timedelta(hours=installation.settings.serving.log.keep_hours)
    old = query(
        "SELECT segment, max(to_byte) AS taken_in FROM found GROUP BY segment HAVING max(ingested_at) <= $1 ORDER BY segment",
        {"found": lakehouse.scan(INGESTED)},
        [before],
    ).to_pylist()
    there = set(source.ends())
    return [row["segment"] for row in old if row["segment"] in there and source.remove(row["segment"], row["taken_in"])]
