"""Which periods are read: no activity that counts lies outside them, and the asset graph knows all of them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.contracts.columns import Registry
from lead_scoring_assets.features.inputs import periods_read
from lead_scoring_assets.periods import Cadence, Period, PeriodCalendar
from lead_scoring_tests.features.worlds import EVERY_MEASURE, SIZE, TICK, TYPES, aggregate

START = datetime(2024, 1, 1, tzinfo=UTC)


def arrival(calendar: PeriodCalendar, known_at: datetime) -> Period:
    """The period in which it arrives: known exactly at a period's end is known in that period."""
    return calendar.containing(known_at - TICK)


@given(
    cadence=st.sampled_from(["day", "week", "month"]),
    days=st.integers(1, 400),
    into=st.timedeltas(TICK, timedelta(days=31)),
    ago=st.timedeltas(timedelta(0), timedelta(days=400)),
    late=st.timedeltas(timedelta(0), timedelta(days=400)),
    at=st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1)),  # noqa: DTZ001  # zones follow
)
def test_an_activity_that_counts_arrived_in_a_period_that_is_read(
    cadence: Cadence, days: int, into: timedelta, ago: timedelta, late: timedelta, at: datetime
) -> None:
    calendar = PeriodCalendar(cadence, START)
    period = calendar.containing(at.replace(tzinfo=UTC))
    lead_known = min(period.start + into, period.end)
    occurred = max(lead_known - ago, lead_known - timedelta(days=days) + TICK)
    known = min(occurred + late, lead_known)
    read = periods_read(Registry({"size": SIZE}, TYPES, {"it": aggregate("count", days)}), calendar, period)
    assert read["raw_leads"] == (period.key,)
    assert arrival(calendar, known).key in read["raw_activities"]
    # The graph's edge (`looking_back`) covers what is read.
    assert len(read["raw_activities"]) - 1 <= calendar.count_back(timedelta(days=days))


def test_no_more_is_read_than_can_count() -> None:
    calendar = PeriodCalendar("month", START)
    june = calendar.period("2025-06")
    one_day = Registry({"size": SIZE}, TYPES, {"it": aggregate("count", 1)})
    assert periods_read(one_day, calendar, june)["raw_activities"] == ("2025-05", "2025-06")
    assert periods_read(Registry({"size": SIZE}, TYPES, EVERY_MEASURE), calendar, june)["raw_activities"] == (
        "2025-05",
        "2025-06",
    )


@pytest.mark.parametrize("cadence", ["day", "week", "month"])
def test_without_aggregates_only_leads_are_read(cadence: Cadence) -> None:
    calendar = PeriodCalendar(cadence, START)
    period = calendar.containing(START)
    assert periods_read(Registry({"size": SIZE}), calendar, period) == {"raw_leads": (period.key,)}
