"""Which periods of which raw tables the features of one period are made from."""

from collections.abc import Mapping
from datetime import timedelta

from lead_scoring_assets.contracts.columns import Registry
from lead_scoring_assets.features.plan import look_back_days
from lead_scoring_assets.periods import Period, PeriodCalendar

PeriodsRead = Mapping[str, tuple[str, ...]]
"""Table → keys of its periods, in order of time."""


def periods_read(registry: Registry, calendar: PeriodCalendar, period: Period) -> PeriodsRead:
    """What is read for the features of `period`.

    Leads are those that arrived in `period`. An activity that counts happened less than the look-back before one of
    them, and cannot have arrived before it happened.
    """
    found: dict[str, tuple[str, ...]] = {"raw_leads": (period.key,)}
    if registry.aggregates:
        oldest = calendar.containing(period.start - timedelta(days=look_back_days(registry)))
        found["raw_activities"] = tuple(one.key for one in calendar.through(period, oldest))
    return found
