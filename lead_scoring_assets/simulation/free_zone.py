"""Plays the CRM of a free zone that sells company licences: lands leads, activities and outcomes, period by period.

SIMULATED from end to end: nobody in it exists. What is assumed stands in `population` and `world`. Its truth (each
lead's true chances, and what really became of it) goes into a folder of its own and never into the landing folder.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lead_scoring_assets.errors import SettingsError, SourceError
from lead_scoring_assets.files import write_atomically
from lead_scoring_assets.simulation.activity_draws import ACTIVITY
from lead_scoring_assets.simulation.daily_life import DailyLife, Night
from lead_scoring_assets.simulation.export_faults import ENTITIES, Entity, ExportFaults
from lead_scoring_assets.simulation.export_files import FORMATS, Format, Part, files_at_once
from lead_scoring_assets.simulation.export_tables import (
    PROVENANCE,
    activities_table,
    leads_table,
    outcomes_table,
    truth_table,
)
from lead_scoring_assets.simulation.lead_draws import LEAD
from lead_scoring_assets.simulation.outcome_draws import STATEMENT, TRUTH
from lead_scoring_assets.simulation.work_queue import Scores
from lead_scoring_assets.simulation.world import EFFECTS, World, day_number

Slice = tuple[str, datetime, datetime]
"""A period: its key, its start and its end, both midnights in UTC."""

WORLD_FILE: Final = "world.json"
_DAY: Final = timedelta(days=1)
_ROWS_AT_ONCE: Final = 100_000
_KINDS: Final = {"leads": LEAD, "activities": ACTIVITY, "outcomes": STATEMENT}


class FreeZoneCrm:
    """The free zone's CRM as a source that lands one period after the other.

    The export of each night becomes known at the midnight in Dubai that follows, 20:00 UTC: so a period that begins
    and ends at midnight UTC holds the nights of the same days. A period's files depend on the world, the calendar's
    first day and the scores in use, not on what was landed before. Periods in order of time are fastest.
    """

    def __init__(
        self,
        world: World,
        calendar: Sequence[Slice],
        landing: Path,
        truth: Path,
        *,
        file_format: Format = "csv",
        faults: ExportFaults | None = None,
    ) -> None:
        """Take periods that lie side by side in order of time; the first one begins the world. Writes nothing yet.

        Raises SettingsError when the calendar is empty, has a gap, or begins a period off midnight UTC.
        """
        _check_calendar(calendar)
        if file_format not in FORMATS:
            raise SettingsError(
                f"Expected a file format among {', '.join(FORMATS)}; found {file_format!r}; in the simulated free "
                "zone. Choose one of them."
            )
        self._world = world
        self._calendar = {key: (start, end) for key, start, end in calendar}
        self._landing, self._truth = landing, truth
        self._format, self._faults = file_format, faults
        self._first_day = day_number(calendar[0][1].date())
        self._scores: list[tuple[int, Scores]] = []
        self._life = DailyLife(world, self._first_day)
        # The first day that was never lived: scores given now cannot change an earlier one.
        self._unlived_day = self._first_day

    def periods(self) -> list[str]:
        """Return every period's key in order of time."""
        return list(self._calendar)

    def use_scores(self, scores: Mapping[str, float]) -> None:
        """Let reps work leads in order of these scores (lead id → 0 to 1) from the first day not lived so far on.

        A lead without a score keeps the points of the existing process (0 to 100, as a share). They are not stored:
        a new object has to be given them at the same period again.

        Raises SourceError for an id or a score that cannot be.
        """
        self._scores.append((self._unlived_day, Scores.of(scores)))

    def land(self, period: str) -> list[Path]:
        """Write the truth and the three files of a period; return the three paths. Twice gives the same bytes.

        Raises
        ------
        SourceError
            The calendar has no such period.
        SettingsError
            The folder of truth belongs to another world.
        """
        if period not in self._calendar:
            keys = self.periods()
            raise SourceError(
                f"Expected a period from {keys[0]} to {keys[-1]}; found {period!r}; in the simulated CRM of the free "
                "zone. Ask for one of those periods."
            )
        self._write_world()
        start, end = self._calendar[period]
        self._reach(day_number(start.date()))
        days = (end - start) // _DAY
        truth_path = self._truth / f"{period}.parquet"
        paths = [self._landing_path(entity, period) for entity in ENTITIES]
        empty = [self._export(entity, np.zeros(0, dtype=_KINDS[entity]), self._first_day) for entity in ENTITIES]
        truth_schema = truth_table(np.zeros(0, dtype=TRUTH), self._world).schema
        try:
            with (
                files_at_once(paths, [table.schema for table in empty], self._format) as parts,
                files_at_once([truth_path], [truth_schema], "parquet") as truth_parts,
            ):
                for nights in self._together(days):
                    self._write(nights, parts, truth_parts[0])
        except BaseException:
            # A period that broke off half-way is lived again from the start of the world.
            self._start_again()
            raise
        return paths

    def landed_periods(self) -> list[str]:
        """Return the periods, in order of time, whose three files are all in the landing folder."""
        return [period for period in self.periods() if self._is_landed(period)]

    def next_period(self) -> str | None:
        """Return the earliest period that has not landed, or None when all have."""
        return next((period for period in self.periods() if not self._is_landed(period)), None)

    def _together(self, days: int) -> Iterator[Night]:
        """The next nights, as many together as make a large table; one by one where faults depend on the night."""
        waiting: list[Night] = []
        for _ in range(days):
            waiting.append(self._live())
            if self._faults is not None or sum(night.rows for night in waiting) >= _ROWS_AT_ONCE:
                yield Night.joined(waiting)
                waiting = []
        if waiting:
            yield Night.joined(waiting)

    def _write(self, night: Night, parts: list[Part], truth: Part) -> None:
        records: dict[Entity, NDArray[np.void]] = {
            "leads": night.leads,
            "activities": night.activities,
            "outcomes": night.outcomes,
        }
        for part, (entity, rows) in zip(parts, records.items(), strict=True):
            if len(rows):
                part(self._export(entity, rows, self._life.next_day - 1))
        if len(night.truth):
            truth(truth_table(night.truth, self._world))

    def _export(self, entity: Entity, records: NDArray[np.void], day: int) -> pa.Table:
        tables = {"leads": leads_table, "activities": activities_table, "outcomes": outcomes_table}
        table = tables[entity](records)
        return table if self._faults is None else self._faults.spoil(entity, table, day)

    def _reach(self, day: int) -> None:
        """Live up to the day before `day`, from the start of the world if that day is past."""
        if self._life.next_day > day:
            self._start_again()
        while self._life.next_day < day:
            self._live()

    def _live(self) -> Night:
        for day, scores in self._scores:
            if day == self._life.next_day:
                self._life.use(scores)
        night = self._life.live()
        self._unlived_day = max(self._unlived_day, self._life.next_day)
        return night

    def _start_again(self) -> None:
        self._life = DailyLife(self._world, self._first_day)

    def _is_landed(self, period: str) -> bool:
        return all(self._landing_path(entity, period).is_file() for entity in ENTITIES)

    def _landing_path(self, entity: Entity, period: str) -> Path:
        return self._landing / entity / period / f"free-zone-{period}.{self._format}"

    def _write_world(self) -> None:
        """Write what the world is, or refuse to mix two worlds in one folder."""
        described = {
            "provenance": PROVENANCE,
            "first_day": next(iter(self._calendar.values()))[0].date().isoformat(),
            "world": self._world.described(),
            "meaning_of_strength": {name: EFFECTS[name] for name in sorted(self._world.planted)},
        }
        path = self._truth / WORLD_FILE
        if path.is_file():
            found = json.loads(path.read_text(encoding="utf-8"))
            if found != described:
                raise SettingsError(
                    f"Expected the world of these settings; found another one; in {path}. Restore the settings of "
                    f"`simulated`, or remove {self._truth} and {self._landing} and begin again."
                )
            return
        write_atomically(path, (json.dumps(described, indent=2) + "\n").encode())


def _check_calendar(calendar: Sequence[Slice]) -> None:
    def refuse(expected: str, found: object) -> SettingsError:
        return SettingsError(
            f"Expected {expected}; found {found}; in the calendar of the simulated free zone. Correct its periods."
        )

    if not calendar:
        raise refuse("at least one period", "none")
    for key, start, end in calendar:
        for moment in (start, end):
            if moment.utcoffset() != timedelta(0) or moment.timetuple()[3:6] != (0, 0, 0) or moment.microsecond:
                raise refuse(f"period {key} to begin and end at midnight UTC", moment)
        if end <= start:
            raise refuse(f"period {key} to end after its start {start}", end)
    for (_, _, end), (key, start, _) in pairwise(calendar):
        if start != end:
            raise refuse(f"period {key} to start at {end}, where the one before ends", start)
