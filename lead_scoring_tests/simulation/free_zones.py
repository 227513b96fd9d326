"""Small simulated worlds for these tests, lived in memory or landed as files."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd

from lead_scoring_assets.periods import Cadence, PeriodCalendar
from lead_scoring_assets.simulation.daily_life import DailyLife, Night
from lead_scoring_assets.simulation.export_faults import ENTITIES, ExportFaults
from lead_scoring_assets.simulation.export_files import Format
from lead_scoring_assets.simulation.free_zone import FreeZoneCrm, Slice
from lead_scoring_assets.simulation.world import World, day_number


def slices(start: date, end: date, cadence: Cadence = "month") -> list[Slice]:
    """The periods from `start` to `end` (exclusive), as the product's own calendar cuts them."""
    first, last = (datetime(day.year, day.month, day.day, tzinfo=UTC) for day in (start, end))
    calendar = PeriodCalendar(cadence, first, last)
    newest = calendar.last_closed(last)
    assert newest is not None
    return [(period.key, period.start, period.end) for period in calendar.through(newest)]


def zone(
    folder: Path,
    world: World,
    calendar: Sequence[Slice],
    *,
    file_format: Format = "csv",
    faults: ExportFaults | None = None,
) -> FreeZoneCrm:
    return FreeZoneCrm(world, calendar, folder / "landing", folder / "truth", file_format=file_format, faults=faults)


def land_all(crm: FreeZoneCrm) -> None:
    for period in crm.periods():
        crm.land(period)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def texts(folder: Path, entity: str, period: str = "*") -> pd.DataFrame:
    """Rows of landed CSV files as text, in order of period; an empty text is missing. `period` is their own column."""
    assert entity in ENTITIES
    paths = sorted((folder / "landing" / entity).glob(f"{period}/free-zone-*.csv"))
    frames = [pd.read_csv(path, dtype=str, keep_default_na=False).assign(period=path.parent.name) for path in paths]
    return pd.concat(frames, ignore_index=True)


def truth_of(folder: Path) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(path) for path in sorted((folder / "truth").glob("*.parquet"))])


def lived(world: World, start: date, days: int) -> Night:
    """All that the nights of so many days tell, together."""
    life = DailyLife(world, day_number(start))
    return Night.joined([life.live() for _ in range(days)])
