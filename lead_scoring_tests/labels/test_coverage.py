"""Cohorts and how much of them is labelled: a rate is told of complete cohorts only, and then it is the true one."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from lead_scoring_assets.labels.coverage import SCHEMA, measure_coverage
from lead_scoring_assets.labels.maturity import labels_known_in
from lead_scoring_assets.periods import Cadence, Period, PeriodCalendar
from lead_scoring_assets.settings import Labels

TIMESTAMP = pa.timestamp("us", tz="UTC")
CALENDAR = PeriodCalendar("month", datetime(2024, 1, 1, tzinfo=UTC))
RULE = Labels(conversion_window_days=30, corrections_days=90)
TICK = timedelta(microseconds=1)
DAY = timedelta(days=1)


def leads_of(rows: list[tuple[str, datetime, datetime]]) -> pa.Table:
    names = ["lead_id", "created_at", "known_at"]
    schema = pa.schema([(names[0], pa.string()), (names[1], TIMESTAMP), (names[2], TIMESTAMP), ("version", pa.int64())])
    return pa.Table.from_pylist([{**dict(zip(names, row, strict=True)), "version": 1} for row in rows], schema=schema)


def labels_of(rows: list[tuple[str, int | None, datetime]]) -> pa.Table:
    names = ["lead_id", "label", "label_known_at"]
    schema = pa.schema([(names[0], pa.string()), (names[1], pa.int8()), (names[2], TIMESTAMP)])
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows], schema=schema)


def measured(
    period: Period, leads: pa.Table, labels: pa.Table, cadence: Cadence = "month", cohorts: list[Period] | None = None
) -> dict[str, dict[str, Any]]:
    chosen = cohorts or CALENDAR.through(period)
    rows = measure_coverage(chosen, leads, labels, period, cadence, RULE)
    assert pa.Table.from_pylist(rows, schema=SCHEMA).num_rows == len(chosen)
    return {str(row["cohort"]): row for row in rows}


def test_a_young_cohort_has_no_conversion_rate_and_an_old_one_the_true_one() -> None:
    """An eighth converts, after 12 days or more; a third says no within days. Read naively the newest month says 3.7 %."""
    rng = np.random.default_rng(0)
    n, last = 9_000, CALENDAR.period("2024-06")
    created = [CALENDAR.start + timedelta(days=float(day)) for day in rng.uniform(0, 182, n)]
    converts = rng.random(n) < 0.125
    refuses = ~converts & (rng.random(n) < 1 / 3)
    delays = np.where(converts, rng.uniform(12, 29, n), rng.uniform(1, 6, n))
    outcomes = pa.Table.from_pylist(
        [
            {
                "lead_id": f"{i}",
                "version": 1,
                "outcome": "converted" if converts[i] else "lost",
                "outcome_at": created[i] + timedelta(days=delays[i]),
                "known_at": created[i] + timedelta(days=delays[i]),
            }
            for i in np.flatnonzero(converts | refuses)
        ],
        schema=pa.schema(
            [(name, pa.string()) for name in ("lead_id", "outcome", "reason", "rep", "currency", "provenance")]
            + [
                ("version", pa.int64()),
                ("outcome_at", TIMESTAMP),
                ("known_at", TIMESTAMP),
                ("deal_value", pa.float64()),
            ]
        ),
    )
    leads = leads_of([(f"{i}", moment, moment) for i, moment in enumerate(created)])
    labels = pa.concat_tables(labels_known_in(p, leads, outcomes, RULE) for p in CALENDAR.through(last))

    for period in CALENDAR.through(last)[2:]:
        rows = measured(period, leads, labels)
        for key, row in rows.items():
            is_old = CALENDAR.period(key).end + 30 * DAY <= period.end
            assert row["status"] == ("complete" if is_old else "not_mature")
            assert row["positive"] + row["negative"] == row["labelled"] == row["leads"] - row["not_yet_known"]
            if is_old:
                assert row["low"] <= 0.125 <= row["high"]
                assert row["high"] - row["low"] < 0.05
            else:
                assert "conversion_rate" not in row
        newest = rows[period.key]
        # What is not told: a tenth of the truth among all, a quarter of it among the labelled.
        assert newest["positive"] / newest["leads"] < 0.06
        assert 0 < newest["matured_share"] + newest["labelled"] / newest["leads"] < 0.7
        assert newest["reason"] == f"not mature: {newest['labelled']:,} of {newest['leads']:,} labelled"


MARCH, APRIL, MAY = (CALENDAR.period(f"2024-{month:02}") for month in (3, 4, 5))


def test_who_belongs_to_a_cohort_and_what_is_known_of_it() -> None:
    leads = leads_of(
        [
            ("before", MARCH.start - TICK, MARCH.start),
            ("first", MARCH.start, MARCH.start),
            ("last", MARCH.end - TICK, MARCH.end),
            ("late", MARCH.start, MAY.end + TICK),
            ("next", MARCH.end, MARCH.end),
        ]
    )
    labels = labels_of(
        [
            ("first", 0, MARCH.start + DAY),
            ("first", None, MARCH.start + 2 * DAY),
            ("first", 1, APRIL.end),
            ("last", 0, APRIL.end + TICK),
            ("before", 1, MARCH.end),
        ]
    )
    (march,) = measured(APRIL, leads, labels, cohorts=[MARCH]).values()
    assert (march["leads"], march["labelled"], march["positive"], march["not_yet_known"]) == (2, 1, 1, 1)
    assert (march["is_closed"], march["matured_share"]) == (True, 1.0)
    assert (march["status"], march["reason"]) == ("not_mature", "not mature: 1 of 2 labelled")
    (march,) = measured(MAY, leads, labels, cohorts=[MARCH]).values()
    assert (march["status"], march["conversion_rate"]) == ("complete", 0.5)
    assert (march["low"], march["high"]) == pytest.approx((0.0945312, 0.9054688), abs=1e-6)  # Wilson (1927), 1 of 2


def test_a_cohort_that_is_fully_labelled_early_is_not_complete_before_its_window_has_closed() -> None:
    """A label may be taken back until then."""
    leads, labels = leads_of([("a", MARCH.start, MARCH.start)]), labels_of([("a", 1, MARCH.start + DAY)])
    rows = [measured(period, leads, labels, cohorts=[MARCH])["2024-03"] for period in (MARCH, APRIL)]
    assert [row["labelled"] for row in rows] == [1, 1]
    # March and 30 days: the last instant of 30 April.
    assert [row["status"] for row in rows] == ["not_mature", "complete"]


def test_a_cohort_without_leads_is_told() -> None:
    rows = measured(MAY, leads_of([]), labels_of([]))
    assert {row["status"] for row in rows.values()} == {"no_leads"}
    assert len(rows) == 5


@pytest.mark.parametrize("cadence", ["day", "week", "month"])
def test_every_lead_is_in_one_cohort_of_any_calendar(cadence: Cadence) -> None:
    calendar = PeriodCalendar(cadence, datetime(2024, 1, 1, tzinfo=UTC))
    rng = np.random.default_rng(1)
    born = [calendar.start + timedelta(days=float(day)) for day in rng.uniform(0, 60, 500)]
    last = calendar.containing(calendar.start + 60 * DAY)
    cohorts = calendar.through(last)
    rows = measured(last, leads_of([(f"{i}", b, b) for i, b in enumerate(born)]), labels_of([]), cadence, cohorts)
    assert {key: row["leads"] for key, row in rows.items() if row["leads"]} == {
        key: n for key in rows if (n := sum(calendar.containing(moment).key == key for moment in born))
    }
