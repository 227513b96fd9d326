"""Dagster's view of the calendar: one partitions definition for every asset, and mappings that look back from it."""

from datetime import timedelta

import dagster as dg

from lead_scoring_assets.periods import CRON, KEY_FORMAT, Period
from lead_scoring_assets.settings import EXPANDING_MONTHS, find_home

_SETTINGS = find_home().settings

PERIODS = dg.TimeWindowPartitionsDefinition(
    start=_SETTINGS.calendar.start,
    end=_SETTINGS.calendar.end,
    fmt=KEY_FORMAT[_SETTINGS.periods.cadence],
    cron_schedule=CRON[_SETTINGS.periods.cadence],
    timezone="UTC",
)

# A range of periods is materialised in one run: a process per period would cost more than the work itself.
ONE_RUN = dg.BackfillPolicy.single_run()

_WINDOW = timedelta(days=_SETTINGS.labels.conversion_window_days)


def looking_back(span: timedelta) -> dg.TimeWindowPartitionMapping:
    """This period, and every earlier one that can hold something up to `span` older than this one's start."""
    return dg.TimeWindowPartitionMapping(
        start_offset=-_SETTINGS.calendar.count_back(span), end_offset=0, allow_nonexistent_upstream_partitions=True
    )


PREVIOUS = dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1, allow_nonexistent_upstream_partitions=True)
MATURING = looking_back(_WINDOW)
# The activities that features count; None: no feature does.
LOOKBACK = (
    looking_back(timedelta(days=max(feature.days for feature in _SETTINGS.features.values())))
    if _SETTINGS.features
    else None
)
# Leads whose label can still change: what is known later than this after they were known changes nothing.
CORRECTABLE = looking_back(_WINDOW + timedelta(days=_SETTINGS.labels.corrections_days))
# What arrived before, by which a period's arrivals are judged.
HEALTH_HISTORY = dg.TimeWindowPartitionMapping(
    start_offset=-_SETTINGS.watching.history_periods, end_offset=0, allow_nonexistent_upstream_partitions=True
)
# Leads are compared with the same season a year ago as well.
VOLUME_HISTORY = dg.TimeWindowPartitionMapping(
    start_offset=-_SETTINGS.watching.history_periods - _SETTINGS.calendar.count_back(timedelta(weeks=52)),
    end_offset=0,
    allow_nonexistent_upstream_partitions=True,
)
# Training: the window of matured leads, older by the embargo, the newest cohort and the conversion window itself.
_MONTHS = _SETTINGS.training.window_months or EXPANDING_MONTHS
TRAINING_WINDOW = looking_back(timedelta(days=31 * (_MONTHS + 1)) + 2 * _WINDOW)


def periods_of(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> list[Period]:
    """The periods this run materialises or checks, in order of time."""
    return sorted(_SETTINGS.calendar.period(key) for key in context.partition_keys)
