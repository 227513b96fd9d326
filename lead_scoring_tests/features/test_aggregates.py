"""Features over activities: against a slow, obvious reference; border by border; and what must never move a row."""

from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings

from lead_scoring_assets.contracts.aggregates import Aggregate
from lead_scoring_assets.contracts.columns import Registry
from lead_scoring_assets.features.plan import build_features, compile_features, feature_schema
from lead_scoring_tests.features.worlds import (
    DAY,
    EVERY_MEASURE,
    KNOWN,
    REGISTRY,
    SIZE,
    TICK,
    TYPES,
    Row,
    activities_of,
    activities_table,
    activity,
    aggregate,
    lead,
    leads_of,
    leads_table,
    reference,
)

MONTH = 30 * DAY


def built(leads: list[Row], activities: list[Row], registry: Registry = REGISTRY) -> list[Row]:
    table = build_features(leads_table(leads), registry, activities_table(activities))
    assert table.schema.equals(feature_schema(registry))
    rows: list[Row] = table.to_pylist()
    return rows


def measured(one: Aggregate, *activities: Row) -> object:
    """The aggregate of the lead `a`, known at KNOWN."""
    (row,) = built([lead()], list(activities), Registry({"size": SIZE}, TYPES, {"it": one}))
    return row["it"]


@settings(max_examples=60)
@given(leads=leads_of(), activities=activities_of())
def test_the_plan_says_what_a_slow_look_at_every_activity_says(leads: list[Row], activities: list[Row]) -> None:
    assert built(leads, activities) == reference(leads, activities, EVERY_MEASURE)


@settings(max_examples=30)
@given(leads=leads_of(), activities=activities_of())
def test_the_order_in_which_rows_lie_changes_nothing(leads: list[Row], activities: list[Row]) -> None:
    assert built(leads, activities) == built(leads[::-1], activities[::-1])


@pytest.mark.parametrize(
    ("occurred_at", "counts"),
    [
        (KNOWN, 1.0),
        (KNOWN + TICK, 0.0),
        (KNOWN - MONTH + TICK, 1.0),
        (KNOWN - MONTH, 0.0),
        (KNOWN - MONTH - TICK, 0.0),
    ],
)
def test_the_window_holds_its_newer_border_and_not_its_older_one(occurred_at: Any, counts: float) -> None:
    assert measured(aggregate("count", 30), activity(occurred_at=occurred_at)) == counts


@pytest.mark.parametrize(("late", "counts"), [(timedelta(0), 1.0), (TICK, 0.0)])
def test_an_activity_counts_from_the_moment_at_which_it_is_known(late: timedelta, counts: float) -> None:
    assert measured(aggregate("count", 30), activity(known_at=KNOWN + late)) == counts


# Each change leaves the lead's row as it is; with the second it would have moved, or the first proved nothing.
@pytest.mark.parametrize(
    ("never", "would"),
    [
        ({"occurred_at": KNOWN + DAY, "known_at": KNOWN - DAY}, {"occurred_at": KNOWN}),  # dated in the future
        ({"occurred_at": KNOWN - DAY, "known_at": KNOWN + TICK}, {"occurred_at": KNOWN - DAY}),  # known later
        ({"lead_id": "b"}, {"lead_id": "a"}),  # another's
        ({"occurred_at": KNOWN - MONTH}, {"occurred_at": KNOWN - MONTH + TICK}),  # too old
    ],
)
def test_what_was_not_known_or_not_the_leads_own_never_moves_a_row(never: Row, would: Row) -> None:
    there = activity("x", activity_type="visit", value=1.0, rep="r", detail="d", occurred_at=KNOWN - 2 * DAY)
    more = {"activity_type": "call", "value": 2.0, "rep": "s", "detail": "e"}
    before = built([lead()], [there])
    assert built([lead()], [there, activity("y", **never, **more)]) == before
    assert built([lead()], [there, activity("y", **would, **more)]) != before


def test_a_correction_counts_from_the_moment_at_which_it_is_known() -> None:
    minutes = aggregate("sum", 30)
    said = activity(value=10.0, known_at=KNOWN - DAY)
    assert measured(minutes, said, activity(value=4.0, version=2, known_at=KNOWN)) == 4.0
    assert measured(minutes, said, activity(value=4.0, version=2, known_at=KNOWN + TICK)) == 10.0
    # Told again in the same instant: the later version holds.
    assert measured(minutes, said, activity(value=4.0, version=2, known_at=said["known_at"])) == 4.0
    third = activity(value=1.0, version=3, known_at=KNOWN)
    assert measured(minutes, said, activity(value=4.0, version=2, known_at=KNOWN - TICK), third) == 1.0


def test_an_activity_that_is_moved_leaves_its_first_lead() -> None:
    first = activity(lead_id="a")
    moved = activity(lead_id="b", version=2, known_at=KNOWN)
    counts = {row["lead_id"]: row["all"] for row in built([lead("a"), lead("b")], [first, moved])}
    assert counts == {"a": 0.0, "b": 1.0}
    not_yet = activity(lead_id="b", version=2, known_at=KNOWN + TICK)
    counts = {row["lead_id"]: row["all"] for row in built([lead("a"), lead("b")], [first, not_yet])}
    assert counts == {"a": 1.0, "b": 0.0}


def test_a_corrected_type_leaves_the_measures_of_the_old_one() -> None:
    visits = aggregate("count", 30, of=("visit",))
    assert measured(visits, activity(activity_type="visit")) == 1.0
    assert measured(visits, activity(activity_type="visit"), activity(version=2, activity_type="call")) == 0.0


def test_a_lead_has_one_row_for_each_period_with_the_highest_version_of_it() -> None:
    versions = [
        lead(known_at=KNOWN, version=1, size=1.0),
        lead(known_at=KNOWN + DAY, version=2, size=2.0),
        lead(known_at=KNOWN + 20 * DAY, version=3, size=3.0),
    ]
    found = built(versions[::-1], [activity(occurred_at=KNOWN - 6 * DAY)])
    assert [(row["period"], row["size"], row["known_at"]) for row in found] == [
        ("2024-06", 2.0, KNOWN + DAY),
        ("2024-07", 3.0, KNOWN + 20 * DAY),
    ]
    # Each as of its own moment.
    assert [(row["all"], row["last"], row["visits"]) for row in found] == [(1.0, 7.0, 0.0), (1.0, 26.0, 0.0)]


def test_nothing_gives_nought_and_days_since_nothing_are_empty() -> None:
    (row,) = built([lead()], [])
    empty = {"first", "first_call", "last", "last_visit"}
    assert {name: row[name] for name in EVERY_MEASURE} == {
        name: None if name in empty else 0.0 for name in EVERY_MEASURE
    }


def test_no_leads_give_no_rows_of_the_same_types() -> None:
    assert built([], [activity()]) == []


def test_activities_with_nothing_but_a_type_are_counted_and_add_nothing() -> None:
    (row,) = built([lead()], [activity()])
    assert (row["all"], row["amount"], row["details"], row["reps"]) == (1.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("values", "total"),
    [
        ([0.1] * 10, 1.0),
        ([1e9, 0.000001, -1e9], 0.000001),
        ([-2.5, 1.0], -1.5),
        ([0.0000005], 0.000001),  # halves away from nought
        ([-0.0000005], -0.000001),
        ([0.0000004], 0.0),
        ([123456789.123456, None], 123456789.123456),
        ([1e300], 1e11),
        ([-1e300], -1e11),
        ([1e12] * 91, 9e12),
    ],
)
def test_sums_are_exact_to_the_sixth_decimal_within_their_limits(values: list[float], total: float) -> None:
    rows = [activity(f"activity-{place}", value=value) for place, value in enumerate(values)]
    assert measured(aggregate("sum", 30), *rows) == total
    assert measured(aggregate("sum", 30), *rows[::-1]) == total


def test_points_are_what_the_settings_file_says() -> None:
    many = [activity(f"activity-{i}", activity_type=("visit", "call")[i % 2]) for i in range(20)]
    assert measured(aggregate("points", 30, points={"visit": 0.29, "call": 3}), *many) == 32.9
    assert measured(aggregate("points", 30, points={"visit": 0.29, "call": 3}, maximum=30), *many) == 30.0
    assert measured(aggregate("points", 30, points={"visit": 0.29}), *many) == 2.9


@pytest.mark.parametrize(("ago", "days"), [(DAY - TICK, 0.0), (DAY, 1.0), (2 * DAY - TICK, 1.0), (7 * DAY, 7.0)])
def test_days_are_whole_days(ago: timedelta, days: float) -> None:
    assert measured(aggregate("days_since_last", 30), activity(occurred_at=KNOWN - ago)) == days
    assert measured(aggregate("days_since_first", 30), activity(occurred_at=KNOWN - ago)) == days
    assert measured(aggregate("days_since_first", 30, maximum=1), activity(occurred_at=KNOWN - ago)) == min(days, 1.0)


def test_names_of_the_plans_own_columns_may_be_features() -> None:
    taken = [
        "f0",
        "a0",
        "ago",
        "moment",
        "amount",
        "place",
        "since",
        "value",
        "version_",
        "leads",
        "measured",
        "select",
    ]
    registry = Registry(
        {"f1": SIZE, "place": SIZE}, TYPES, {name: aggregate("count", 30) for name in taken if name != "place"}
    )
    leads = leads_table([lead()]).append_column("f1", pa.array([5.0])).append_column("place", pa.array([6.0]))
    (row,) = build_features(leads, registry, activities_table([activity()])).to_pylist()
    assert (row.pop("f1"), row.pop("place")) == (5.0, 6.0)
    assert {row[name] for name in registry.aggregates} == {1.0}


def test_without_aggregates_activities_are_not_asked_for() -> None:
    assert "activities" not in compile_features(Registry({"size": SIZE}))
    assert "activities" in compile_features(REGISTRY)
