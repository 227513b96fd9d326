"""What comes in: periods, sources, the CRM that is played, activities, labels."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from lead_scoring_assets.contracts.columns import Entity
from lead_scoring_assets.errors import LeadScoringError
from lead_scoring_assets.periods import Cadence, PeriodCalendar
from lead_scoring_assets.settings.values import Amount, Count, Day, Section, Seed, Share


class Periods(Section):
    """The slices of time, and the days between which they lie."""

    cadence: Cadence = "month"
    start: Day
    end: Day | None = None
    history_until: str | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end is not None and self.end <= self.start:
            raise ValueError(f"end {self.end} must be after start {self.start}")
        try:
            calendar = self.calendar
            until = None if self.history_until is None else calendar.period(self.history_until)
        except LeadScoringError as problem:
            raise ValueError(str(problem)) from None
        if until is not None and not (
            calendar.start <= until.start and (calendar.end is None or until.end <= calendar.end)
        ):
            raise ValueError(f"history_until {until} must lie between start {self.start} and end {self.end}")
        return self

    @cached_property
    def calendar(self) -> PeriodCalendar:
        def instant(day: date) -> datetime:
            return datetime.combine(day, time(), tzinfo=UTC)

        return PeriodCalendar(self.cadence, instant(self.start), instant(self.end) if self.end else None)


class SimulatedDelay(Section):
    """How long the bank's outcomes take to become known: a stated log-normal, because the data does not say."""

    median_days_converted: Amount = 9.0
    median_days_lost: Amount = 14.0
    sigma: Amount = 0.6
    share_lost_reported: Share = 0.6
    seed: Seed = 222


class Bank(Section):
    """The shipped example: where its file comes from."""

    mirror: Path | None = None
    simulated_delay: SimulatedDelay = SimulatedDelay()


class Planted(Section):
    """A change of the simulated world: the first day on which it holds, and how strong it is."""

    start: Day
    strength: Annotated[float, Field(ge=0, strict=True)]


PlantedName = Literal[
    "ad_campaign",
    "fee_change",
    "student_surge",
    "slower_outcomes",
    "fewer_reps",
    "phone_missing",
    "industry_missing",
]


class Simulated(Section):
    """The simulated free zone: how large it is, and what changes are planted in it. It starts at `periods.start`."""

    seed: Seed = 222
    leads_a_month: Count = 2_000
    activities_a_lead: Annotated[float, Field(ge=0, le=200, strict=True)] = 10.0
    contacts_a_working_day: Count | None = None  # None: seven in ten of the leads that come
    patience_days: int = Field(10, ge=1, le=60, strict=True)
    unprioritised_share: Share = 0.1
    seasonality: bool = True
    planted: Mapping[PlantedName, Planted] = {}


class Source(Section):
    """How one entity (leads, activities or outcomes) comes: in files that land, or from a query; and under which names.

    `sql`: a SELECT that DuckDB can run (over files, or an attached database). What it gives for a period is written
    into the landing folder once, and read from there. `rename`: their column → ours. `values`: our column → their
    value → ours.
    """

    sql: str | None = None
    rename: Mapping[str, str] = {}
    values: Mapping[str, Mapping[str, str]] = {}
    delimiter: str = Field(",", min_length=1, max_length=1)
    encoding: Literal["utf-8", "utf-16", "cp1252", "cp1256"] = "utf-8"
    time_format: str | None = None  # None: ISO 8601; else as strptime takes it, such as %d/%m/%Y %H:%M

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        ours = list(self.rename.values())
        if twice := sorted({name for name in ours if ours.count(name) > 1}):
            raise ValueError(f"rename gives {twice} more than once; each of our columns comes from one of theirs")
        if self.delimiter in '"\r\n\0':
            raise ValueError(f"delimiter {self.delimiter!r} cannot stand between cells; write it like ',' or ';'")
        return self


class Sources(Section):
    """Where leads, activities and outcomes come from, and how their files are written."""

    landing: str | None = None  # None: data/landing; else a folder, or s3://…, gs://…, abfs://…
    time_zone: str = "UTC"  # of times that are written without one
    leads: Source = Source()
    activities: Source = Source()
    outcomes: Source = Source()

    @model_validator(mode="after")
    def _known_zone(self) -> Self:
        try:
            ZoneInfo(self.time_zone)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"time_zone {self.time_zone!r} is unknown; write it like Asia/Dubai or UTC") from None
        return self

    def of(self, entity: Entity) -> Source:
        return {"leads": self.leads, "activities": self.activities, "outcomes": self.outcomes}[entity]


class Activities(Section):
    """The kinds of activities that are recorded; none: there are no activities."""

    types: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.types)) < len(self.types) or any(not kind or kind != kind.strip() for kind in self.types):
            raise ValueError(f"types must be distinct names without outer blanks, found {list(self.types)}")
        return self


class Compute(Section):
    """Which engine computes the features of a partition. Spark is reached from an environment of its own."""

    engine: Literal["duckdb", "spark"] = "duckdb"
    spark_python: Path | None = None  # None: .venv-spark beside the package, which `make spark` makes
    spark_remote: str = Field("sc://127.0.0.1:50051", pattern=r"^sc://\S+$")


class Labels(Section):
    """When a lead without an outcome counts as not converted, and how long after that a correction still counts."""

    conversion_window_days: Count = 30
    corrections_days: Count = 90
