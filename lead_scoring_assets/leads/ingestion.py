"""From landed files to raw tables: every row is accepted, rejected with a reason, or counted as a duplicate. No row is
lost, none counted twice, however often it lands and whenever a process is killed."""

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from lead_scoring_assets.contracts.columns import ENTITIES, RAW_TABLES, Entity
from lead_scoring_assets.errors import LakehouseError, LeadScoringError
from lead_scoring_assets.files import one_at_a_time
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lakehouse.tables import Commit
from lead_scoring_assets.leads.earlier_files import not_ingested_before
from lead_scoring_assets.leads.entity_arrival import REJECTED_SCHEMA, EntityArrival, raw_schema
from lead_scoring_assets.leads.landing import Landing
from lead_scoring_assets.leads.spool import Spool
from lead_scoring_assets.periods import Period
from lead_scoring_assets.settings import Home, Settings

if TYPE_CHECKING:
    import pyarrow.dataset as pads

REJECTED, FILES = "rejected_rows", "arrived_files"
COUNTS = ("rows_in", "accepted", "rejected", "duplicates")
FILES_SCHEMA = pa.schema(
    [("period", pa.string()), ("entity", pa.string()), ("source_file", pa.string()), ("sha256", pa.string())]
    + [(count, pa.int64()) for count in ("size_bytes", *COUNTS)]
    + [("problem", pa.string()), ("note", pa.string())]
)


@dataclass(frozen=True)
class Arrivals:
    """What one period's files gave: the five tables of ingestion, as Arrow."""

    raw: Mapping[Entity, pa.Table]
    rejected: pa.Table
    files: pa.Table

    @property
    def tables(self) -> Mapping[str, pa.Table]:
        """By name, in the order in which they are written: the last one says that the period is complete."""
        return {
            **{RAW_TABLES[entity]: self.raw[entity] for entity in ENTITIES},
            REJECTED: self.rejected,
            FILES: self.files,
        }


@dataclass(frozen=True)
class BroughtIn:
    """What was written. `later`: periods that were ingested before; their versions stand on what this one held then."""

    arrivals: Arrivals
    commits: Mapping[str, Commit]
    later: list[str]


def ingest(
    landing: Landing, period: Period, settings: Settings, earlier: "Mapping[Entity, pads.Dataset]", scratch: Path
) -> Arrivals:
    """Read every landed file of `period`. Rows in = accepted + rejected + duplicates, for each file and for all. The same
    files after the same `earlier` give the same tables.

    `earlier`: the raw tables of earlier periods, which are compared and never changed. `scratch`: an empty folder for
    what does not belong into memory; it may be deleted as soon as this is done.

    Raises:
        SourceError: the landing folder cannot be read, or a file changed meanwhile.
        SettingsError: a source's time zone or format cannot be used.
    """
    rejected = Spool(scratch / "rejected.arrow", REJECTED_SCHEMA)
    raw: dict[Entity, pa.Table] = {}
    files: list[dict[str, object]] = []
    for entity in ENTITIES:
        arrival = EntityArrival(landing, entity, period, settings, rejected, scratch)
        raw[entity] = arrival.run(earlier[entity])
        files += [
            {
                "period": period.key,
                "entity": entity,
                "source_file": counted.landed.name,
                **{name: getattr(counted.landed, name) for name in ("sha256", "size_bytes", "problem", "note")},
                **{name: getattr(counted, name) for name in COUNTS},
            }
            for counted in arrival.files
        ]
    return Arrivals(raw, rejected.finish(), pa.Table.from_pylist(files, schema=FILES_SCHEMA))


def bring_in(installation: Installation, period: Period) -> BroughtIn:
    """Ingest `period` and make what it gave the whole content of that period in the five tables.

    One process at a time; others wait. Killed anywhere, it leaves a period that does not count as ingested, because
    `arrived_files` is emptied first and written last; done again, it gives the same tables.

    Raises:
        LeadScoringError: an earlier period has files that were not ingested, or have changed since.
        LakehouseError: a column has another kind now than when the tables were written.
        SourceError, SettingsError: as `ingest`.
    """
    landing, lakehouse = Landing.of(installation.home), installation.lakehouse
    with one_at_a_time(installation.home.lock("ingestion")), _scratch(installation.home) as scratch:
        if missing := not_ingested_before(installation, landing, period):
            raise LeadScoringError(
                f"{period.key} cannot be ingested: what is new in it depends on all that came before, and in earlier "
                f"periods {'; '.join(missing)}. Materialise them first (`lead-scoring materialize`), or move the files "
                f"into a folder of {period.key}."
            )
        arrivals = ingest(landing, period, installation.settings, _earlier(installation, period), scratch)
        if _is_ingested(installation, period):
            lakehouse.replace_periods(FILES, [period.key], FILES_SCHEMA.empty_table())
        commits = {name: lakehouse.replace_periods(name, [period.key], rows) for name, rows in arrivals.tables.items()}
        return BroughtIn(arrivals, commits, _later(installation, period))


def _earlier(installation: Installation, period: Period) -> "dict[Entity, pads.Dataset]":
    """The raw tables of the periods before `period`, not read yet."""
    import pyarrow.dataset as pads  # brings pandas with it; who only opens the house does not pay for that

    calendar = installation.settings.calendar
    keys = [before.key for before in calendar.through(calendar.previous(period))]
    found: dict[Entity, pads.Dataset] = {}
    for entity in ENTITIES:
        schema = raw_schema(installation.settings.registry.columns(entity))
        if not installation.lakehouse.exists(RAW_TABLES[entity]):
            found[entity] = pads.dataset(schema.empty_table())
            continue
        # As the settings are now: a column that is new is NULL in what came before, one that is gone is not compared.
        written = installation.lakehouse.scan(RAW_TABLES[entity], periods=keys)
        try:
            found[entity] = written.replace_schema(schema)
        except pa.ArrowTypeError as problem:
            raise LakehouseError(
                f"{RAW_TABLES[entity]} was written with columns of another kind than lead_scoring.yaml gives them now "
                f"({problem}). Give the column back its kind, or another name, or start a new home folder."
            ) from problem
    return found


def _is_ingested(installation: Installation, period: Period) -> bool:
    return installation.lakehouse.exists(FILES) and bool(
        installation.lakehouse.scan(FILES, periods=[period.key]).count_rows()
    )


def _later(installation: Installation, period: Period) -> list[str]:
    keys = installation.lakehouse.read(FILES, columns=["period"])["period"].unique().to_pylist()
    return sorted(key for key in keys if key > period.key)  # keys are in order of time


@contextlib.contextmanager
def _scratch(home: Home) -> Iterator[Path]:
    """An empty folder of this process; whoever holds the lock clears what a killed one left."""
    folder = home.data / "tmp" / "ingestion"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
