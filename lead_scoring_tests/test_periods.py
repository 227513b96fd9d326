"""The calendar: every instant lies in exactly one period, keys round trip, and what is no period is refused by name."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lead_scoring_assets.errors import LeadScoringError
from lead_scoring_assets.periods import Cadence, PeriodCalendar, months_before


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# Each begins a period of its cadence; 1999-12-27 is a Monday.
STARTS: dict[Cadence, datetime] = {"day": at("1999-12-28"), "week": at("1999-12-27"), "month": at("1999-12-01")}
CALENDARS = {cadence: PeriodCalendar(cadence, start) for cadence, start in STARTS.items()}

calendars = st.sampled_from(list(CALENDARS.values()))
moments = st.datetimes(datetime(2000, 1, 3), datetime(2040, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("cadence", "moment", "key", "start", "end"),
    [
        ("day", "2008-12-31T23:59:59.999999", "2008-12-31", "2008-12-31", "2009-01-01"),
        ("day", "2008-02-28T12:00", "2008-02-28", "2008-02-28", "2008-02-29"),
        ("day", "2009-02-28", "2009-02-28", "2009-02-28", "2009-03-01"),
        ("week", "2009-01-01", "2008-12-29", "2008-12-29", "2009-01-05"),
        ("week", "2008-03-02T23:00", "2008-02-25", "2008-02-25", "2008-03-03"),
        ("week", "2008-03-03", "2008-03-03", "2008-03-03", "2008-03-10"),
        ("month", "2008-02-29T23:59", "2008-02", "2008-02-01", "2008-03-01"),
        ("month", "2009-02-28T23:59", "2009-02", "2009-02-01", "2009-03-01"),
        ("month", "2000-02-29", "2000-02", "2000-02-01", "2000-03-01"),
        ("month", "2008-12-31", "2008-12", "2008-12-01", "2009-01-01"),
    ],
)
def test_a_moment_lies_in_its_period(cadence: Cadence, moment: str, key: str, start: str, end: str) -> None:
    period = CALENDARS[cadence].containing(at(moment))
    assert (period.key, period.start, period.end) == (key, at(start), at(end))
    assert str(period) == key


@pytest.mark.parametrize(
    ("cadence", "span", "count"),
    [
        ("day", ("2008-02-28", "2008-03-01"), 3),
        ("week", ("2008-12-29", "2009-12-28"), 53),
        ("month", ("2008-05", "2010-11"), 31),
    ],
)
def test_a_span_has_as_many_periods_as_the_calendar_on_the_wall(
    cadence: Cadence, span: tuple[str, str], count: int
) -> None:
    calendar = CALENDARS[cadence]
    first, last = (calendar.period(key) for key in span)
    assert len(calendar.through(last, first)) == count


@given(calendars, moments)
def test_the_containing_period_contains_its_moment(calendar: PeriodCalendar, moment: datetime) -> None:
    period = calendar.containing(moment)
    assert period.start <= moment < period.end
    assert calendar.containing(period.start) == period
    assert calendar.containing(period.end - timedelta(microseconds=1)) == period
    assert calendar.containing(period.end) == calendar.next(period)


@given(calendars, moments)
def test_keys_round_trip_and_sort_as_time_does(calendar: PeriodCalendar, moment: datetime) -> None:
    period = calendar.containing(moment)
    after = calendar.next(period)
    assert calendar.period(period.key) == period
    assert calendar.previous(after) == period
    assert period < after
    assert period.key < after.key


@given(calendars, moments, st.timedeltas(timedelta(0), timedelta(days=1_500)))
def test_the_way_through_has_neither_gap_nor_overlap(
    calendar: PeriodCalendar, moment: datetime, span: timedelta
) -> None:
    first, last = calendar.containing(moment), calendar.containing(moment + span)
    periods = calendar.through(last, first)
    assert (periods[0], periods[-1]) == (first, last)
    assert all(before.end == after.start for before, after in pairwise(periods))
    assert calendar.through(first, calendar.next(first)) == []


@given(calendars, st.timedeltas(timedelta(0), timedelta(days=1_500)))
def test_the_default_way_begins_with_the_calendar(calendar: PeriodCalendar, span: timedelta) -> None:
    periods = calendar.through(calendar.containing(calendar.start + span))
    assert periods[0].start == calendar.start
    assert all(calendar.period(period.key) == period for period in periods)


@given(calendars, moments)
def test_the_last_closed_period_is_the_newest_that_has_ended(calendar: PeriodCalendar, now: datetime) -> None:
    closed = calendar.last_closed(now)
    assert closed is not None
    assert closed.end <= now < calendar.next(closed).end
    assert calendar.next(closed) == calendar.containing(now)


@pytest.mark.parametrize("cadence", STARTS)
def test_nothing_is_closed_before_the_first_period_ends(cadence: Cadence) -> None:
    calendar = CALENDARS[cadence]
    first = calendar.containing(calendar.start)
    assert calendar.last_closed(calendar.start - timedelta(days=400)) is None
    assert calendar.last_closed(first.end - timedelta(microseconds=1)) is None
    assert calendar.last_closed(first.end) == first


@pytest.mark.parametrize(
    ("cadence", "end", "last"),
    [("day", "2001-01-01", "2000-12-31"), ("week", "2001-01-01", "2000-12-25"), ("month", "2001-01-01", "2000-12")],
)
def test_nothing_closes_after_the_calendars_end(cadence: Cadence, end: str, last: str) -> None:
    calendar = PeriodCalendar(cadence, STARTS[cadence], at(end))
    for now in (at(end), at(end) + timedelta(days=1), at("2030-06-15")):
        assert calendar.last_closed(now) == calendar.period(last)
    assert calendar.last_closed(at(end) - timedelta(microseconds=1)) == calendar.previous(calendar.period(last))


@pytest.mark.parametrize(
    ("cadence", "key"),
    [
        ("month", "2008-5"), ("month", "2008-13"), ("month", "2008-05-01"), ("month", "08-05"), ("month", " 2008-05"),
        ("month", "2008-05 "), ("month", ""), ("month", "May 2008"), ("month", "٢٠٠٨-05"), ("month", "2008/05"),
        ("month", "9999-12"), ("day", "2008-05"), ("day", "2008-5-1"), ("day", "2009-02-29"), ("day", "9999-12-31"),
        ("day", "2008-05-01T00:00"), ("week", "2008-05-06"), ("week", "2008-W19"), ("week", "2008-5-5"),
    ],
)  # fmt: skip
def test_what_names_no_period_is_refused_with_an_example(cadence: Cadence, key: str) -> None:
    calendar = CALENDARS[cadence]
    with pytest.raises(LeadScoringError) as refused:
        calendar.period(key)
    told = str(refused.value)
    assert repr(key) in told
    assert f"expected a {cadence} such as {calendar.containing(calendar.start).key}" in told


@given(calendars, st.text(max_size=12))
@example(CALENDARS["month"], "0000-01")
def test_any_text_is_a_period_or_is_refused(calendar: PeriodCalendar, key: str) -> None:
    try:
        period = calendar.period(key)
    except LeadScoringError:
        return
    assert period.key == key


@pytest.mark.parametrize(
    ("cadence", "start", "end", "told"),
    [
        ("month", "2008-05-02", None, r"start 2008-05-02 .* does not begin a month: expected a day such as 2008-05-01"),
        ("month", "2008-05-01", "2008-06-15", r"end 2008-06-15 .* does not begin a month"),
        ("week", "2008-05-01", None, r"start 2008-05-01 .* does not begin a week: .* 2008-04-28, a Monday"),
        ("day", "2008-05-01T01:00", None, r"start 2008-05-01 01:00:00.* does not begin a day"),
    ],
)
def test_a_calendar_must_begin_and_end_with_a_period(cadence: Cadence, start: str, end: str | None, told: str) -> None:
    with pytest.raises(LeadScoringError, match=told):
        PeriodCalendar(cadence, at(start), at(end) if end else None)


def test_other_time_zones_are_turned_into_utc_and_none_is_refused() -> None:
    calendar = CALENDARS["month"]
    dubai = timezone(timedelta(hours=4))
    assert calendar.containing(datetime(2009, 1, 1, 3, 59, tzinfo=dubai)).key == "2008-12"
    assert calendar.containing(datetime(2009, 1, 1, 4, tzinfo=dubai)).key == "2009-01"
    assert calendar.containing(pd.Timestamp("2009-01-31 23:59:59.999999999", tz="UTC")).key == "2009-01"
    with pytest.raises(LeadScoringError, match="has no time zone"):
        calendar.containing(datetime(2009, 1, 1))  # noqa: DTZ001


@given(calendars, moments, st.timedeltas(timedelta(0), timedelta(days=400)))
@example(CALENDARS["day"], at("2008-05-01"), timedelta(days=1, microseconds=1))
@example(CALENDARS["month"], at("2009-03-01"), timedelta(days=28))
def test_counting_back_reaches_everything_within_the_span(
    calendar: PeriodCalendar, moment: datetime, span: timedelta
) -> None:
    period = calendar.containing(moment)
    reached = period
    for _ in range(calendar.count_back(span)):
        reached = calendar.previous(reached)
    assert reached.start <= period.start - span


@pytest.mark.parametrize(("cadence", "count"), [("day", 30), ("week", 5), ("month", 2)])
def test_counting_back_a_window_of_thirty_days(cadence: Cadence, count: int) -> None:
    assert CALENDARS[cadence].count_back(timedelta(days=30)) == count
    assert CALENDARS[cadence].count_back(timedelta(0)) == 1


@given(moments, st.integers(0, 400))
@example(at("2008-03-31T10:00"), 1)
@example(at("2009-03-31"), 13)
@example(at("2008-02-29"), 12)
@example(at("2009-01-31"), 2)
def test_months_before_agrees_with_pandas(moment: datetime, months: int) -> None:
    assert months_before(moment, months) == pd.Timestamp(moment) - pd.DateOffset(months=months)


@pytest.mark.parametrize(
    ("moment", "months", "expected"),
    [
        ("2008-03-31", 1, "2008-02-29"),
        ("2009-03-31", 1, "2009-02-28"),
        ("2009-01-15", 1, "2008-12-15"),
        ("2008-12-31", 12, "2007-12-31"),
    ],
)
def test_months_before_at_ends_of_months_and_years(moment: str, months: int, expected: str) -> None:
    assert months_before(at(moment), months) == at(expected)
