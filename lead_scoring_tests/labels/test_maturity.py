"""The maturity rule against a slow, obvious reference; then its borders, one microsecond at a time."""

import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lead_scoring_assets.labels.maturity import (
    NO_OUTCOME,
    NO_RESPONSE,
    SAID,
    build_labels,
    count_too_late,
    first_rows,
    labels_known_at,
    labels_known_in,
    matured_cohort,
)
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.lakehouse.tables import Lakehouse
from lead_scoring_assets.periods import Cadence, Period, PeriodCalendar
from lead_scoring_assets.settings import Labels

START = datetime(2024, 1, 1, tzinfo=UTC)
CALENDAR = PeriodCalendar("month", START)
PERIODS = CALENDAR.through(CALENDAR.period("2024-12"))
YEAR = Period(PERIODS[0].start, PERIODS[-1].end, "2024")
TICK = timedelta(microseconds=1)
DAY = timedelta(days=1)
TIMESTAMP = pa.timestamp("us", tz="UTC")
OUTCOMES = (*SAID, "no_response", "open")
DETAILS = ("outcome_at", "reason", "rep", "deal_value", "currency", "provenance")
LEADS_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("period", "lead_id")]
    + [("version", pa.int64()), ("created_at", TIMESTAMP), ("known_at", TIMESTAMP)]
)
OUTCOMES_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("period", "lead_id", "outcome", "reason", "rep", "currency", "provenance")]
    + [("version", pa.int64()), ("outcome_at", TIMESTAMP), ("known_at", TIMESTAMP), ("deal_value", pa.float64())]
)


@dataclass(frozen=True)
class Lead:
    lead_id: str
    created_at: datetime
    known_at: datetime
    version: int = 1


@dataclass(frozen=True)
class Outcome:
    known_at: datetime
    outcome_at: datetime
    outcome: str
    lead_id: str
    version: int = 1
    reason: str | None = None
    rep: str | None = None
    deal_value: float | None = None
    currency: str | None = None
    provenance: str | None = None


def rule_of(window: int, corrections: int = 90) -> Labels:
    return Labels(conversion_window_days=window, corrections_days=corrections)


def table_of(rows: list[Any], schema: pa.Schema) -> pa.Table:
    """With the period in which each row became known: at the end of a period is in the period."""
    return pa.Table.from_pylist(
        [{**vars(row), "period": CALENDAR.containing(row.known_at - TICK).key} for row in rows], schema=schema
    )


def known_in(period: Period, leads: list[Lead], outcomes: list[Outcome], rule: Labels) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = labels_known_in(
        period, table_of(leads, LEADS_SCHEMA), table_of(outcomes, OUTCOMES_SCHEMA), rule
    ).to_pylist()
    return rows


def known_ever(leads: list[Lead], outcomes: list[Outcome], rule: Labels) -> list[dict[str, Any]]:
    return known_in(YEAR, leads, outcomes, rule)


# The rule in words.


def state(lead: Lead, outcomes: list[Outcome], rule: Labels, now: datetime) -> dict[str, Any]:
    """What can be said of a lead at one moment, from everything that was known by then."""
    closes = lead.created_at + rule.conversion_window_days * DAY
    matures = max(closes, lead.known_at)
    last = matures + rule.corrections_days * DAY
    heard = [o for o in outcomes if o.lead_id == lead.lead_id and o.known_at <= min(now, last)]
    evidence = [o for o in heard if o.outcome_at >= lead.created_at]
    newest = max(evidence, key=lambda o: o.version, default=None)
    silence: dict[str, Any] = dict.fromkeys(DETAILS)
    if newest is not None:
        details = {name: getattr(newest, name) for name in DETAILS}
        in_window = newest.outcome_at <= closes
        if newest.outcome in SAID and in_window:
            return {"label": int(newest.outcome == "converted"), "basis": newest.outcome, **details}
        if now < matures:
            return {"label": None, "basis": newest.outcome, **details}
        if newest.outcome == "no_response" and in_window:
            return {"label": 0, "basis": NO_RESPONSE, **details}
    if now < matures:
        return {"label": None, "basis": None, **silence}
    return {"label": 0, "basis": NO_OUTCOME, **silence}


def chain(lead: Lead, outcomes: list[Outcome], rule: Labels) -> list[dict[str, Any]]:
    """Every moment at which something can change, one after the other; what changed is a row."""
    matures = max(lead.created_at + rule.conversion_window_days * DAY, lead.known_at)
    moments = {max(o.known_at, lead.known_at) for o in outcomes if o.lead_id == lead.lead_id} | {matures}
    rows: list[dict[str, Any]] = []
    said: dict[str, Any] = {"label": None}
    for now in sorted(moments):
        found = state(lead, outcomes, rule, now)
        if found["label"] is None and said["label"] is None:
            continue
        if found != said:
            place = {"lead_id": lead.lead_id, "created_at": lead.created_at, "matures_at": matures}
            rows.append({**place, "label_known_at": now, **found, "revision": len(rows) + 1})
        said = found
    return rows


def expected(leads: list[Lead], outcomes: list[Outcome], rule: Labels) -> list[dict[str, Any]]:
    rows = [row for lead in leads if lead.version == 1 for row in chain(lead, outcomes, rule)]
    placed = [{"period": CALENDAR.containing(row["label_known_at"] - TICK).key, **row} for row in rows]
    return sorted(placed, key=lambda row: (row["period"], row["lead_id"], row["revision"]))


def world(seed: int, n: int = 200) -> tuple[list[Lead], list[Outcome], Labels]:
    """Leads, outcomes and a rule. Steps of twelve hours meet the borders of periods and windows, and each other, often."""
    rng = random.Random(seed)

    def at(steps: int) -> datetime:
        return START + timedelta(hours=12 * steps)

    leads, outcomes = [], []
    for i in range(n):
        born = 1 + rng.randrange(240)
        known = born + max(0, rng.randrange(-60, 100))
        leads.append(Lead(f"lead-{i:03}", at(born), at(known)))
        if rng.random() < 0.2:
            leads.append(Lead(f"lead-{i:03}", at(born), at(known + rng.randrange(100)), version=2))
        heard = sorted(born + rng.choice([2, 2, 60, 150, 260]) * rng.randrange(3) for _ in range(rng.randrange(6)))
        for version, step in enumerate(heard, 1):
            outcome = Outcome(
                known_at=at(step),
                outcome_at=at(step - rng.choice([0, 0, 1, 4, 30])),
                outcome=rng.choice(OUTCOMES),
                lead_id=f"lead-{i:03}",
                version=version,
                reason=rng.choice([None, "budget", "timing"]),
                deal_value=rng.choice([None, 10.0]),
                provenance=rng.choice([None, "simulated delay"]),
            )
            outcomes.append(outcome)
    return leads, outcomes, rule_of(rng.choice([1, 7, 15, 30, 31, 45]), rng.choice([1, 20, 90]))


seeds = st.integers(0, 2**32)


@settings(max_examples=6, deadline=None)
@given(seeds)
def test_every_lead_has_the_chain_of_labels_that_the_rule_gives(seed: int) -> None:
    leads, outcomes, rule = world(seed)
    found = [row for period in PERIODS for row in known_in(period, leads, outcomes, rule)]
    assert found == expected(leads, outcomes, rule)
    assert {row["lead_id"] for row in found} == {lead.lead_id for lead in leads}


def test_in_these_worlds_everything_happens_that_can() -> None:
    """Or the test above would prove little."""
    rows = [row for seed in range(30) for row in expected(*world(seed))]
    assert {(row["label"], row["basis"]) for row in rows} == {
        (1, "converted"),
        (0, "disqualified"),
        (0, "lost"),
        (0, NO_OUTCOME),
        (0, NO_RESPONSE),
        (None, "open"),
        (None, "no_response"),
    }
    assert max(row["revision"] for row in rows) >= 4


@settings(max_examples=5, deadline=None)
@given(seeds, st.sampled_from(PERIODS[:6]))
def test_rows_of_the_future_change_nothing(seed: int, period: Period) -> None:
    """Whatever is known only after the period's end, on old leads and on new ones, leaves its labels as they are."""
    leads, outcomes, rule = world(seed)
    known_leads = [lead for lead in leads if lead.known_at <= period.end]
    then = known_in(period, known_leads, [o for o in outcomes if o.known_at <= period.end], rule)
    assert known_in(period, leads, outcomes, rule) == then
    later = [Outcome(period.end + TICK, lead.created_at, "converted", lead.lead_id, 99) for lead in leads]
    newer = [Lead(f"new-{i}", period.end + TICK, period.end + TICK) for i in range(3)]
    assert known_in(period, [*leads, *newer], [*outcomes, *later], rule) == then


@settings(max_examples=5, deadline=None)
@given(seeds, st.sampled_from(PERIODS[:6]))
def test_the_labels_known_at_a_moment_are_those_of_the_rule_at_that_moment(seed: int, period: Period) -> None:
    """And reading never sees a label that is not known: the not-yet-known are absent, not 0."""
    leads, outcomes, rule = world(seed)
    rows = pa.Table.from_pylist(known_ever(leads, outcomes, rule))
    moment = period.start + (period.end - period.start) * random.Random(seed).random()
    for now in (moment, period.end):
        found = query(f"SELECT lead_id, label FROM {labels_known_at('labels', '$1')}", {"labels": rows}, [now])
        then = {
            lead.lead_id: state(lead, outcomes, rule, now)["label"]
            for lead in leads
            if lead.version == 1 and lead.known_at <= now
        }
        assert found.num_rows == len(set(found["lead_id"].to_pylist()))
        assert dict(zip(found["lead_id"].to_pylist(), found["label"].to_pylist(), strict=True)) == {
            lead_id: label for lead_id, label in then.items() if label is not None
        }


@settings(max_examples=4, deadline=None)
@given(seeds)
def test_silence_is_never_a_no_before_its_time(seed: int) -> None:
    leads, _, rule = world(seed)
    for period in PERIODS[:5]:
        for row in known_in(period, leads, [], rule):
            assert (row["label"], row["basis"], row["revision"]) == (0, NO_OUTCOME, 1)
            assert row["created_at"] + rule.conversion_window_days * DAY <= row["label_known_at"] <= period.end


@settings(max_examples=4, deadline=None)
@given(seeds)
def test_the_order_of_rows_is_irrelevant(seed: int) -> None:
    leads, outcomes, rule = world(seed)
    shuffled, others = list(leads), list(outcomes)
    random.Random(seed).shuffle(shuffled)
    random.Random(seed).shuffle(others)
    for period in PERIODS[:3]:
        assert known_in(period, leads, outcomes, rule) == known_in(period, shuffled, others, rule)


@settings(max_examples=3, deadline=None)
@given(seed=seeds)
def test_of_the_tables_only_some_periods_are_read_and_nothing_is_missed(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Leads that come months late, outcomes that come before their leads, corrections: as if all were read."""
    leads, outcomes, rule = world(seed, n=60)
    late = replace(leads[0], lead_id="late", known_at=PERIODS[8].end)
    leads.append(late)
    outcomes.append(Outcome(late.created_at + DAY, late.created_at, "converted", "late"))
    lakehouse = Lakehouse(tmp_path_factory.mktemp("labels"))
    write(lakehouse, leads, outcomes)
    found = [row for period in PERIODS for row in build_labels(lakehouse, CALENDAR, period, rule).to_pylist()]
    assert found == expected(leads, outcomes, rule)
    (row,) = (row for row in found if row["lead_id"] == "late")
    assert (row["period"], row["label"]) == (PERIODS[8].key, 1)


def write(lakehouse: Lakehouse, leads: list[Lead], outcomes: list[Outcome]) -> None:
    keys = [period.key for period in PERIODS]
    for table, rows, schema in (("raw_leads", leads, LEADS_SCHEMA), ("raw_outcomes", outcomes, OUTCOMES_SCHEMA)):
        written = table_of(list(rows), schema)
        lakehouse.replace_periods(table, sorted({*keys, *written["period"].to_pylist()}), written)


# Borders.

LEAD = Lead("a", datetime(2024, 2, 10, 9, tzinfo=UTC), datetime(2024, 2, 10, 9, tzinfo=UTC))
CLOSES = LEAD.created_at + timedelta(days=30)  # across the 29th of February: 11 March
SETTLED = CLOSES + timedelta(days=90)
RULE = rule_of(30, 90)
MARCH, APRIL = CALENDAR.period("2024-03"), CALENDAR.period("2024-04")


def told(*statements: tuple[datetime, datetime, str], lead: Lead = LEAD) -> list[tuple[Any, ...]]:
    """Label, basis and moment of each row that statements (known at, outcome at, outcome), in order, give."""
    outcomes = [Outcome(known, at, what, "a", i) for i, (known, at, what) in enumerate(statements, 1)]
    return [(row["label"], row["basis"], row["label_known_at"]) for row in known_ever([lead], outcomes, RULE)]


def day(number: float) -> datetime:
    return LEAD.created_at + timedelta(days=number)


SILENT = (0, NO_OUTCOME, CLOSES)


@pytest.mark.parametrize("happened", [CLOSES - TICK, CLOSES])
def test_what_happened_by_the_close_of_the_window_counts(happened: datetime) -> None:
    assert told((happened, happened, "converted")) == [(1, "converted", happened)]


@pytest.mark.parametrize("outcome", SAID)
def test_what_happened_after_the_window_leaves_the_label_of_maturity(outcome: str) -> None:
    assert told((CLOSES + TICK, CLOSES + TICK, outcome)) == [SILENT]


def test_what_happened_in_time_and_was_told_late_corrects_the_label_of_maturity() -> None:
    assert told((CLOSES + TICK, CLOSES, "converted")) == [SILENT, (1, "converted", CLOSES + TICK)]


@pytest.mark.parametrize(("delay", "rows"), [(-TICK, 2), (timedelta(0), 2), (TICK, 1)])
def test_corrections_count_to_the_last_instant_and_no_further(delay: timedelta, rows: int) -> None:
    assert len(told((SETTLED + delay, day(3), "converted"))) == rows


@pytest.mark.parametrize(("outcome", "label"), [("converted", 1), ("lost", 0), ("disqualified", 0)])
def test_a_no_that_was_said_is_known_at_once(outcome: str, label: int) -> None:
    said = Outcome(day(1), day(1), outcome, "a", reason="why", rep="r7", deal_value=5.0, currency="AED")
    assert known_in(MARCH, [LEAD], [said], RULE) == []
    (row,) = known_in(CALENDAR.period("2024-02"), [LEAD], [said], RULE)
    assert (row["label"], row["basis"], row["label_known_at"], row["outcome_at"]) == (label, outcome, day(1), day(1))
    assert (row["reason"], row["rep"], row["deal_value"], row["currency"]) == ("why", "r7", 5.0, "AED")


@pytest.mark.parametrize(("outcome", "basis"), [("open", NO_OUTCOME), ("no_response", NO_RESPONSE)])
def test_not_reached_or_still_open_is_no_label_before_the_window_closes(outcome: str, basis: str) -> None:
    assert told((day(2), day(2), outcome)) == [(0, basis, CLOSES)]


def test_a_lead_that_is_open_again_is_not_yet_known_again() -> None:
    assert told((day(2), day(2), "lost"), (day(5), day(5), "open")) == [
        (0, "lost", day(2)),
        (None, "open", day(5)),
        SILENT,
    ]
    assert told((day(2), day(2), "lost"), (day(5), day(5), "open"), (day(9), day(9), "converted")) == [
        (0, "lost", day(2)),
        (None, "open", day(5)),
        (1, "converted", day(9)),
    ]


def test_a_lead_that_is_open_again_after_maturity_has_not_converted() -> None:
    assert told((day(2), day(2), "converted"), (day(50), day(50), "open")) == [
        (1, "converted", day(2)),
        (0, NO_OUTCOME, day(50)),
    ]


def test_a_second_no_response_takes_nothing_back_twice() -> None:
    said = [(day(2), day(2), "lost"), (day(3), day(3), "open"), (day(4), day(4), "no_response")]
    assert told(*said) == [(0, "lost", day(2)), (None, "open", day(3)), (0, NO_RESPONSE, CLOSES)]


def test_the_last_of_several_versions_known_at_once_counts() -> None:
    assert told((day(2), day(2), "lost"), (day(2), day(1), "converted")) == [(1, "converted", day(2))]


def test_the_version_decides_and_not_the_time_of_the_event() -> None:
    assert told((day(2), day(2), "lost"), (day(3), day(1), "converted")) == [
        (0, "lost", day(2)),
        (1, "converted", day(3)),
    ]


def test_a_correction_of_the_deal_is_a_revision_and_a_repetition_is_none() -> None:
    first = Outcome(day(2), day(2), "converted", "a", 1, deal_value=5.0)
    rows = known_ever([LEAD], [first, replace(first, version=2, known_at=day(3))], RULE)
    assert [row["revision"] for row in rows] == [1]
    rows = known_ever([LEAD], [first, replace(first, version=2, known_at=day(3), deal_value=6.0)], RULE)
    assert [(row["revision"], row["label"], row["deal_value"]) for row in rows] == [(1, 1, 5.0), (2, 1, 6.0)]


def test_an_outcome_dated_before_its_lead_is_no_evidence() -> None:
    assert told((day(2), LEAD.created_at - TICK, "converted")) == [SILENT]
    assert told((day(2), LEAD.created_at, "converted")) == [(1, "converted", day(2))]
    # And it does not hide what was in force before it.
    assert told((day(2), day(1), "lost"), (day(3), day(-1), "converted")) == [(0, "lost", day(2))]


def test_what_is_known_exactly_at_the_end_is_known_in_the_period() -> None:
    on_the_border = Lead("a", MARCH.end - timedelta(days=30), MARCH.end - timedelta(days=30))
    just_after = replace(on_the_border, lead_id="b", created_at=on_the_border.created_at + TICK)
    assert [row["lead_id"] for row in known_in(MARCH, [on_the_border, just_after], [], RULE)] == ["a"]
    assert [row["lead_id"] for row in known_in(APRIL, [on_the_border, just_after], [], RULE)] == ["b"]


def test_a_lead_that_became_known_late_is_not_judged_before() -> None:
    late = Lead("a", LEAD.created_at, APRIL.start + timedelta(days=5))
    outcome = Outcome(LEAD.created_at + timedelta(days=1), LEAD.created_at, "converted", "a")
    assert known_in(MARCH, [late], [outcome], RULE) == []
    (row,) = known_in(APRIL, [late], [outcome], RULE)
    assert (row["label"], row["label_known_at"]) == (1, late.known_at)
    (silent,) = known_in(APRIL, [late], [], RULE)
    assert (silent["label"], silent["label_known_at"], silent["matures_at"]) == (0, late.known_at, late.known_at)


def test_a_corrected_lead_keeps_its_clock() -> None:
    corrected = replace(LEAD, version=2, known_at=LEAD.known_at + timedelta(days=60))
    assert known_ever([LEAD, corrected], [], RULE) == known_ever([LEAD], [], RULE)


def test_an_outcome_of_another_lead_changes_nothing() -> None:
    assert known_in(MARCH, [LEAD], [Outcome(CLOSES, CLOSES, "converted", "stranger")], RULE) == known_in(
        MARCH, [LEAD], [], RULE
    )


def test_the_schema_is_the_same_with_and_without_rows() -> None:
    leads, outcomes = table_of([LEAD], LEADS_SCHEMA), table_of([], OUTCOMES_SCHEMA)
    full = labels_known_in(MARCH, leads, outcomes, RULE)
    assert full.num_rows == 1
    assert labels_known_in(MARCH, leads[:0], outcomes, RULE).schema == full.schema
    assert full.schema.field("label").type == pa.int8()
    assert full.schema.field("label_known_at").type == TIMESTAMP


def test_statements_that_come_too_late_are_counted(tmp_path: Path) -> None:
    outcomes = [
        Outcome(SETTLED, day(2), "lost", "a", 1),
        Outcome(SETTLED + TICK, day(3), "converted", "a", 2),
        Outcome(SETTLED + TICK, day(-3), "converted", "a", 3),
        Outcome(SETTLED + TICK, day(3), "converted", "stranger", 1),
    ]
    lakehouse = Lakehouse(tmp_path)
    write(lakehouse, [LEAD, replace(LEAD, version=2)], outcomes)
    counts = {period.key: count_too_late(lakehouse, period, RULE) for period in PERIODS}
    assert {key: n for key, n in counts.items() if n} == {CALENDAR.containing(SETTLED).key: 1}


def test_the_first_row_of_a_lead_is_the_one_known_first_then_of_the_first_period() -> None:
    rows = pa.table(
        {
            "lead_id": ["a", "a", "b", "b"],
            "period": ["2024-02", "2024-01", "2024-02", "2024-01"],
            "known_at": pa.array([day(1), day(2), day(3), day(3)], TIMESTAMP),
        }
    )
    found = query(f"SELECT lead_id, period FROM {first_rows('features', 'known_at')} ORDER BY 1", {"features": rows})
    assert found.to_pylist() == [{"lead_id": "a", "period": "2024-02"}, {"lead_id": "b", "period": "2024-01"}]


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
    by_then = [row["lead_id"] for period in PERIODS[:3] for row in known_in(period, [*inside, younger], [], RULE)]
    assert by_then == ["first", "last"]
