"""The maturity rule against a slow, obvious reference; then its borders, one microsecond at a time."""

import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lead_scoring_assets.labels.maturity import NO_OUTCOME, labels_known_in, matured_cohort
from lead_scoring_assets.periods import Cadence, Period, PeriodCalendar

START = datetime(2024, 1, 1, tzinfo=UTC)
CALENDAR = PeriodCalendar("month", START)
PERIODS = CALENDAR.through(CALENDAR.period("2024-09"))
TICK = timedelta(microseconds=1)
TIMESTAMP = pa.timestamp("us", tz="UTC")
OUTCOMES = ("converted", "disqualified", "lost")


@dataclass(frozen=True)
class Lead:
    lead_id: str
    created_at: datetime
    known_at: datetime


@dataclass(frozen=True, order=True)
class Outcome:
    known_at: datetime
    outcome_at: datetime
    outcome: str
    lead_id: str
    provenance: str | None = None


def lead_table(leads: list[Lead]) -> pa.Table:
    schema = pa.schema([("lead_id", pa.string()), ("created_at", TIMESTAMP), ("known_at", TIMESTAMP)])
    return pa.Table.from_pylist([vars(lead) for lead in leads], schema=schema)


def outcome_table(outcomes: list[Outcome]) -> pa.Table:
    schema = pa.schema(
        [
            ("lead_id", pa.string()),
            ("outcome", pa.string()),
            ("outcome_at", TIMESTAMP),
            ("known_at", TIMESTAMP),
            ("provenance", pa.string()),
        ]
    )
    return pa.Table.from_pylist([vars(outcome) for outcome in outcomes], schema=schema)


def known_in(period: Period, leads: list[Lead], outcomes: list[Outcome], window: int) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = labels_known_in(
        period, lead_table(leads), outcome_table(outcomes), window
    ).to_pylist()
    return rows


def obvious(lead: Lead, outcomes: list[Outcome], window: int) -> dict[str, object]:
    """The rule in words: wait for the first news; if none comes in time, the answer is no, once the time is up."""
    limit = max(lead.created_at + timedelta(days=window), lead.known_at)
    news = sorted(outcome for outcome in outcomes if outcome.lead_id == lead.lead_id and outcome.known_at <= limit)
    row: dict[str, object] = {"lead_id": lead.lead_id, "created_at": lead.created_at, "matures_at": limit}
    if not news:
        return {**row, "label_known_at": limit, "label": 0, "basis": NO_OUTCOME, "outcome_at": None, "provenance": None}
    first = news[0]
    known = max(first.known_at, lead.known_at)
    label = int(first.outcome == "converted")
    return {
        **row,
        "label_known_at": known,
        "label": label,
        "basis": first.outcome,
        "outcome_at": first.outcome_at,
        "provenance": first.provenance,
    }


def world(seed: int, n: int = 150) -> tuple[list[Lead], list[Outcome], int]:
    """Leads, outcomes and a window. Steps of twelve hours meet the borders of periods and windows often."""
    rng = random.Random(seed)

    def at(steps: int) -> datetime:
        return START + timedelta(hours=12 * steps)

    leads, outcomes = [], []
    for i in range(n):
        born = rng.randrange(240)
        leads.append(Lead(f"lead-{i:03}", at(born), at(born + max(0, rng.randrange(-60, 100)))))
        for _ in range(rng.choice([0, 0, 1, 1, 2, 3])):
            known = born + rng.randrange(120)
            happened = at(known - rng.randrange(20))
            outcomes.append(
                Outcome(at(known), happened, rng.choice(OUTCOMES), f"lead-{i:03}", rng.choice(["", "simulated delay"]))
            )
    return leads, outcomes, rng.choice([1, 7, 15, 30, 31, 45])


seeds = st.integers(0, 2**32)


@settings(max_examples=6, deadline=None)
@given(seeds)
def test_each_lead_gets_exactly_one_label_in_exactly_one_period(seed: int) -> None:
    leads, outcomes, window = world(seed)
    found = [row for period in PERIODS for row in known_in(period, leads, outcomes, window)]
    expected = []
    for lead in leads:
        row = obvious(lead, outcomes, window)
        known = row["label_known_at"]
        assert isinstance(known, datetime)
        # The first instant of all belongs to a period before the calendar.
        expected += [{"period": period.key, **row} for period in PERIODS if period.start < known <= period.end]
    assert found == sorted(expected, key=lambda row: (row["period"], row["lead_id"]))
    ever = [lead.lead_id for lead in leads if obvious(lead, outcomes, window)["label_known_at"] != START]
    assert sorted(str(row["lead_id"]) for row in found) == ever
    assert {row["label"] for row in found} == {0, 1}
    assert {row["basis"] for row in found} >= {NO_OUTCOME, "converted", "lost"}


@settings(max_examples=8, deadline=None)
@given(seeds, st.sampled_from(PERIODS[:6]))
def test_rows_of_the_future_change_nothing(seed: int, period: Period) -> None:
    """Whatever is known only after the period's end, on old leads and on new ones, leaves its labels as they are."""
    leads, outcomes, window = world(seed)
    known_leads = [lead for lead in leads if lead.known_at <= period.end]
    then = known_in(period, known_leads, [o for o in outcomes if o.known_at <= period.end], window)
    assert known_in(period, leads, outcomes, window) == then
    later = [Outcome(period.end + TICK, lead.created_at, "converted", lead.lead_id) for lead in leads]
    newer = [Lead(f"new-{i}", period.end + TICK, period.end + TICK) for i in range(3)]
    assert known_in(period, [*leads, *newer], [*outcomes, *later], window) == then


@settings(max_examples=4, deadline=None)
@given(seeds)
def test_silence_is_never_a_no_before_its_time(seed: int) -> None:
    leads, _, window = world(seed)
    for period in PERIODS[:5]:
        for row in known_in(period, leads, [], window):
            created, known = row["created_at"], row["label_known_at"]
            assert isinstance(created, datetime)
            assert isinstance(known, datetime)
            assert (row["label"], row["basis"]) == (0, NO_OUTCOME)
            assert created + timedelta(days=window) <= known <= period.end


@settings(max_examples=4, deadline=None)
@given(seeds)
def test_the_order_of_rows_is_irrelevant(seed: int) -> None:
    """Even where two outcomes contradict each other at the same instant."""
    leads, outcomes, window = world(seed)
    outcomes += [replace(o, outcome=other) for o in outcomes for other in OUTCOMES if other != o.outcome]
    shuffled, others = list(leads), list(outcomes)
    random.Random(seed).shuffle(shuffled)
    random.Random(seed).shuffle(others)
    for period in PERIODS[:3]:
        assert known_in(period, leads, outcomes, window) == known_in(period, shuffled, others, window)


# Borders.

LEAD = Lead("a", datetime(2024, 2, 10, 9, tzinfo=UTC), datetime(2024, 2, 10, 9, tzinfo=UTC))
CLOSES = LEAD.created_at + timedelta(days=30)  # across the 29th of February: 11 March
MARCH, APRIL = CALENDAR.period("2024-03"), CALENDAR.period("2024-04")


@pytest.mark.parametrize(
    ("known_at", "label", "basis"),
    [
        (CLOSES - TICK, 1, "converted"),
        (CLOSES, 1, "converted"),
        (CLOSES + TICK, 0, NO_OUTCOME),
        (CLOSES + timedelta(days=90), 0, NO_OUTCOME),
    ],
)
def test_an_outcome_counts_up_to_the_close_of_the_window(known_at: datetime, label: int, basis: str) -> None:
    rows = [
        row
        for period in PERIODS
        for row in known_in(period, [LEAD], [Outcome(known_at, known_at, "converted", "a")], 30)
    ]
    assert [(row["label"], row["basis"], row["label_known_at"]) for row in rows] == [
        (label, basis, min(known_at, CLOSES))
    ]


@pytest.mark.parametrize(("outcome", "label"), [("converted", 1), ("lost", 0), ("disqualified", 0)])
def test_a_no_that_was_said_is_known_at_once(outcome: str, label: int) -> None:
    said = LEAD.created_at + timedelta(days=1)
    assert known_in(MARCH, [LEAD], [Outcome(said, said, outcome, "a")], 30) == []
    (row,) = known_in(CALENDAR.period("2024-02"), [LEAD], [Outcome(said, said, outcome, "a")], 30)
    assert (row["label"], row["basis"], row["label_known_at"], row["outcome_at"]) == (label, outcome, said, said)


@pytest.mark.parametrize(("first", "second", "label"), [("lost", "converted", 0), ("converted", "lost", 1)])
def test_of_two_that_contradict_the_first_known_counts(first: str, second: str, label: int) -> None:
    early, late = LEAD.created_at + timedelta(days=2), LEAD.created_at + timedelta(days=3)
    # What was known first had happened last: known-at decides, not event time.
    outcomes = [Outcome(late, early, second, "a"), Outcome(early, late, first, "a")]
    rows = [row for period in PERIODS for row in known_in(period, [LEAD], outcomes, 30)]
    assert [(row["label"], row["basis"]) for row in rows] == [(label, first)]


def test_what_is_known_exactly_at_the_end_is_known_in_the_period() -> None:
    on_the_border = Lead("a", MARCH.end - timedelta(days=30), MARCH.start)
    just_after = Lead("b", MARCH.end - timedelta(days=30) + TICK, MARCH.start)
    assert [row["lead_id"] for row in known_in(MARCH, [on_the_border, just_after], [], 30)] == ["a"]
    assert [row["lead_id"] for row in known_in(APRIL, [on_the_border, just_after], [], 30)] == ["b"]


def test_a_lead_that_became_known_late_is_not_judged_before() -> None:
    late = Lead("a", LEAD.created_at, APRIL.start + timedelta(days=5))
    outcome = Outcome(LEAD.created_at + timedelta(days=1), LEAD.created_at, "converted", "a")
    assert known_in(MARCH, [late], [outcome], 30) == []
    (row,) = known_in(APRIL, [late], [outcome], 30)
    assert (row["label"], row["label_known_at"]) == (1, late.known_at)
    (silent,) = known_in(APRIL, [late], [], 30)
    assert (silent["label"], silent["label_known_at"], silent["matures_at"]) == (0, late.known_at, late.known_at)


def test_an_outcome_of_another_lead_changes_nothing() -> None:
    assert known_in(MARCH, [LEAD], [Outcome(CLOSES, CLOSES, "converted", "stranger")], 30) == known_in(
        MARCH, [LEAD], [], 30
    )


def test_the_schema_is_the_same_with_and_without_rows() -> None:
    full = labels_known_in(MARCH, lead_table([LEAD]), outcome_table([]), 30)
    assert full.num_rows == 1
    assert labels_known_in(MARCH, lead_table([]), outcome_table([]), 30).schema == full.schema
    assert full.schema.field("label").type == pa.int8()
    assert full.schema.field("label_known_at").type == TIMESTAMP


# The cohort.


@settings(max_examples=100)
@given(st.sampled_from(["day", "week", "month"]), st.integers(1, 400), st.integers(0, 60), st.integers(0, 10**9))
def test_cohorts_lie_side_by_side(cadence: Cadence, days: int, start: int, offset: int) -> None:
    """Any instant of creation is in exactly one cohort of a row of periods."""
    calendar = PeriodCalendar(cadence, START)
    first = calendar.containing(START + timedelta(days=start))
    periods = calendar.through(calendar.containing(first.start + timedelta(days=120)), first)
    window = timedelta(days=days)
    borders = [matured_cohort(period, window) for period in periods]
    assert all(before[1] == after[0] for before, after in pairwise(borders))
    moment = borders[0][0] + (borders[-1][1] - borders[0][0]) * (offset / 10**9 * 0.999)
    assert sum(begin <= moment < end for begin, end in borders) == 1


def test_the_cohort_is_the_newest_that_is_complete() -> None:
    begin, end = matured_cohort(MARCH, timedelta(days=30))
    assert (begin, end) == (datetime(2024, 1, 31, tzinfo=UTC), datetime(2024, 3, 2, tzinfo=UTC))
    inside = [Lead("first", begin, begin), Lead("last", end - TICK, end - TICK)]
    younger = Lead("younger", end + TICK, end + TICK)
    by_then = [row["lead_id"] for period in PERIODS[:3] for row in known_in(period, [*inside, younger], [], 30)]
    assert by_then == ["first", "last"]
