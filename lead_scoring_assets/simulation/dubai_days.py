"""Local days in Dubai: which are worked, how many leads each brings, at which hours. A day is days since 1970-01-01.

Dubai is UTC+4 all year. Weekend: Saturday and Sunday from 2022 on, Friday and Saturday before. Islamic dates are those
observed in the UAE up to 2025, from general knowledge and good to a day; 2026 and 2027 are astronomical approximations.
Outside 2022–2027 there are no Islamic dates here. The factors are assumptions of this simulation, not measurements.
"""

from collections.abc import Iterable
from datetime import date, timedelta
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lead_scoring_assets.simulation.world import day_number

DAY_SECONDS: Final = 86_400
OFFSET_SECONDS: Final = 4 * 3_600
ZONE: Final = "Asia/Dubai"
WORK_STARTS: Final = 9 * 3_600
WORK_ENDS: Final = 18 * 3_600

_RAMADAN: Final = (
    (date(2022, 4, 2), date(2022, 5, 1)),
    (date(2023, 3, 23), date(2023, 4, 20)),
    (date(2024, 3, 11), date(2024, 4, 9)),
    (date(2025, 3, 1), date(2025, 3, 29)),
    (date(2026, 2, 18), date(2026, 3, 19)),
    (date(2027, 2, 8), date(2027, 3, 9)),
)
# Both Eids, with the day of Arafat.
_EID: Final = (
    (date(2022, 5, 2), date(2022, 5, 4)),
    (date(2022, 7, 8), date(2022, 7, 11)),
    (date(2023, 4, 21), date(2023, 4, 23)),
    (date(2023, 6, 27), date(2023, 6, 30)),
    (date(2024, 4, 10), date(2024, 4, 12)),
    (date(2024, 6, 15), date(2024, 6, 18)),
    (date(2025, 3, 30), date(2025, 4, 1)),
    (date(2025, 6, 5), date(2025, 6, 8)),
    (date(2026, 3, 20), date(2026, 3, 22)),
    (date(2026, 5, 26), date(2026, 5, 29)),
    (date(2027, 3, 10), date(2027, 3, 12)),
    (date(2027, 5, 16), date(2027, 5, 19)),
)
_NEW_WEEKEND: Final = day_number(date(2022, 1, 1))
_TABLE: Final = (day_number(date(2022, 1, 1)), day_number(date(2028, 1, 1)))

# January to December: new licences at the turn of the year, a dip in the hot months.
_MONTH: Final = (1.12, 1.06, 1.04, 1.0, 1.0, 0.92, 0.82, 0.80, 1.02, 1.10, 1.10, 1.02)
_WEEKEND_FACTOR, _HOLIDAY_FACTOR, _RAMADAN_FACTOR = 0.45, 0.30, 0.85
_HOURS: Final = (2, 1, 1, 1, 1, 2, 3, 5, 8, 11, 12, 12, 10, 9, 10, 11, 11, 10, 8, 7, 7, 6, 5, 3)
# Quiet before sunset, busy after it.
_RAMADAN_HOURS: Final = (5, 4, 3, 2, 1, 1, 1, 2, 5, 10, 12, 12, 10, 8, 5, 3, 2, 1, 3, 7, 10, 11, 10, 8)
_FLAT_HOURS: Final = (1,) * 24
_LOOKUP: Final = 1_024


def is_weekend(day: int) -> bool:
    """Sunday is 0 in `weekday`: 1970-01-01 was a Thursday."""
    weekday = (day + 4) % 7
    return weekday in ((6, 0) if day >= _NEW_WEEKEND else (5, 6))


def is_holiday(day: int) -> bool:
    """A public holiday: both Eids, New Year, National Day (2 and 3 December)."""
    return day in _eid_days() or _month_and_day(day) in {(1, 1), (12, 2), (12, 3)}


def is_working(day: int) -> bool:
    """A day on which reps work: neither weekend nor public holiday."""
    return not is_weekend(day) and not is_holiday(day)


def is_ramadan(day: int) -> bool:
    """A day of the month of Ramadan, in the years that the table has."""
    return day in _ramadan_days()


@cache
def volume_factor(day: int) -> float:
    """How many leads a day brings, as a share of the mean day of 2022–2027."""
    return _raw_factor(day) / _mean_factor()


@cache
def hour_lookup(shape: str) -> NDArray[np.int64]:
    """Seconds at which hours begin, as often among 1,024 entries as they are busy. `shape`: usual, ramadan or flat."""
    weights = np.array({"usual": _HOURS, "ramadan": _RAMADAN_HOURS, "flat": _FLAT_HOURS}[shape], dtype=np.float64)
    return np.repeat(np.arange(24, dtype=np.int64) * 3_600, shares_of_lookup(weights, _LOOKUP))


def hours_of(day: int, seasonality: bool) -> NDArray[np.int64]:
    """The `hour_lookup` of one day."""
    if not seasonality:
        return hour_lookup("flat")
    return hour_lookup("ramadan" if is_ramadan(day) else "usual")


def shares_of_lookup(weights: NDArray[np.float64], size: int) -> NDArray[np.int64]:
    """How many of `size` entries each weight gets, so that they add up."""
    bounds = np.rint(np.cumsum(weights) / weights.sum() * size).astype(np.int64)
    shares: NDArray[np.int64] = np.diff(bounds, prepend=0)
    return shares


def next_working(days: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each day itself if it is worked, else the next that is."""
    if days.size == 0:
        return days
    first, last = int(days.min()), int(days.max())
    table = np.empty(last - first + 1, dtype=np.int64)
    following = _next_working(last)
    for day in range(last, first - 1, -1):
        following = day if is_working(day) else following
        table[day - first] = following
    return table[days - first]


def as_moments(days: NDArray[np.int64], seconds: NDArray[np.int64]) -> NDArray[np.int64]:
    """Seconds since 1970 in UTC, from local days and seconds of the local day."""
    return days * DAY_SECONDS + seconds - OFFSET_SECONDS


def local_days(moments: NDArray[np.int64]) -> NDArray[np.int64]:
    """The local day in which each moment (seconds since 1970 in UTC) lies."""
    return (moments + OFFSET_SECONDS) // DAY_SECONDS


@cache
def written(day: int) -> int:
    """The day as the number yyyymmdd, which ids begin with."""
    year, month, day_of_month = (date(1970, 1, 1) + timedelta(days=day)).timetuple()[:3]
    return year * 10_000 + month * 100 + day_of_month


def _next_working(day: int) -> int:
    while not is_working(day):
        day += 1
    return day


def _month_and_day(day: int) -> tuple[int, int]:
    return written(day) // 100 % 100, written(day) % 100


def _raw_factor(day: int) -> float:
    factor = _MONTH[_month_and_day(day)[0] - 1]
    if is_holiday(day):
        return factor * _HOLIDAY_FACTOR
    if is_weekend(day):
        factor *= _WEEKEND_FACTOR
    return factor * (_RAMADAN_FACTOR if is_ramadan(day) else 1.0)


@cache
def _mean_factor() -> float:
    return float(np.mean([_raw_factor(day) for day in range(*_TABLE)]))


@cache
def _eid_days() -> frozenset[int]:
    return _days_of(_EID)


@cache
def _ramadan_days() -> frozenset[int]:
    return _days_of(_RAMADAN)


def _days_of(spans: Iterable[tuple[date, date]]) -> frozenset[int]:
    return frozenset(day for first, last in spans for day in range(day_number(first), day_number(last) + 1))
