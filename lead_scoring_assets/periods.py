"""Event time cut into periods (day, week or month): pure calendar arithmetic, in UTC.

A period is named by its first instant. Something known exactly at a period's end is known *in* that period, because
"now" of a period is its end. Dagster's partitions are derived from this calendar; nothing here imports dagster.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from lead_scoring_assets.errors import LeadScoringError

Cadence = Literal["day", "week", "month"]

KEY_FORMAT: dict[Cadence, str] = {"day": "%Y-%m-%d", "week": "%Y-%m-%d", "month": "%Y-%m"}
CRON: dict[Cadence, str] = {"day": "0 0 * * *", "week": "0 0 * * 1", "month": "0 0 1 * *"}


@dataclass(frozen=True, order=True)
class Period:
    """One slice of time, from `start` to `end` (both UTC)."""

    start: datetime
    end: datetime
    key: str

    def __str__(self) -> str:
        return self.key


@dataclass(frozen=True)
class PeriodCalendar:
    """All periods of one cadence between `start` and `end` (`end` exclusive; None: open). Both begin a period."""

    cadence: Cadence
    start: datetime
    end: datetime | None = None

    def __post_init__(self) -> None:
        for name, moment in (("start", self.start), ("end", self.end)):
            if moment is not None and self._floor(moment) != moment:
                begin = self._floor(moment).date()
                raise LeadScoringError(
                    f"{name} {moment} does not begin a {self.cadence}: expected a day such as {begin}"
                    + (", a Monday" if self.cadence == "week" else "")
                )

    def period(self, key: str) -> Period:
        """The period named `key`; a key that is not the start of a period of this cadence is refused by name."""
        expected = f"a {self.cadence} such as {self.start.strftime(KEY_FORMAT[self.cadence])}"
        try:
            start = datetime.strptime(key, KEY_FORMAT[self.cadence]).replace(tzinfo=UTC)
        except ValueError:
            raise LeadScoringError(f"period {key!r} is not one of this system's periods: expected {expected}") from None
        if self._floor(start) != start or start.strftime(KEY_FORMAT[self.cadence]) != key:
            raise LeadScoringError(f"period {key!r} does not name a {self.cadence}: expected {expected}")
        try:
            return self._at(start)
        except OverflowError:
            raise LeadScoringError(f"period {key!r} ends after the last date there is: expected {expected}") from None

    def containing(self, moment: datetime) -> Period:
        """The period in which `moment` lies, first instant included."""
        return self._at(self._floor(moment))

    def last_closed(self, now: datetime) -> Period | None:
        """The newest period that has ended at `now`, or None when none of the calendar has."""
        start = self._previous(self._floor(now))
        if self.end is not None and start >= self.end:
            start = self._floor(self.end - timedelta(microseconds=1))
        return None if start < self.start else self._at(start)

    def previous(self, period: Period) -> Period:
        return self._at(self._previous(period.start))

    def next(self, period: Period) -> Period:
        return self._at(period.end)

    def through(self, last: Period, first: Period | None = None) -> list[Period]:
        """Every period from `first` (default: the calendar's first) to `last`, both included, in order of time."""
        return list(self._walk(first.start if first else self.start, last.start))

    def count_back(self, span: timedelta) -> int:
        """How many periods before a given one may hold something up to `span` older than its start (at least 1)."""
        shortest_days = {"day": 1, "week": 7, "month": 28}[self.cadence]
        return max(1, -(-span // timedelta(days=shortest_days)))

    def _walk(self, first: datetime, last: datetime) -> Iterator[Period]:
        moment = first
        while moment <= last:
            yield self._at(moment)
            moment = self._next(moment)

    def _at(self, start: datetime) -> Period:
        return Period(start=start, end=self._next(start), key=start.strftime(KEY_FORMAT[self.cadence]))

    def _floor(self, moment: datetime) -> datetime:
        if moment.tzinfo is None:
            raise LeadScoringError(f"{moment} has no time zone: expected a moment in UTC")
        utc = moment.astimezone(UTC)
        midnight = datetime(utc.year, utc.month, utc.day, tzinfo=UTC)
        if self.cadence == "month":
            return midnight.replace(day=1)
        return midnight - timedelta(days=midnight.weekday()) if self.cadence == "week" else midnight

    def _next(self, start: datetime) -> datetime:
        if self.cadence == "month":
            return (start.replace(day=28) + timedelta(days=4)).replace(day=1)
        return start + timedelta(days=7 if self.cadence == "week" else 1)

    def _previous(self, start: datetime) -> datetime:
        return self._floor(start - timedelta(days=1))


def months_before(moment: datetime, months: int) -> datetime:
    """The instant `months` calendar months before `moment`: the same day where that exists, else the month's last."""
    index = moment.year * 12 + moment.month - 1 - months
    first = moment.replace(year=index // 12, month=index % 12 + 1, day=1)
    last_day = ((first.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)).day
    return first.replace(day=min(moment.day, last_day))
