"""Small worlds of leads and activities in which everything meets: borders, corrections, late news; and what must come out.

The reference is slow and obvious: nested loops over dicts, exact decimals. It shares no code with the plan.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from lead_scoring_assets.contracts.aggregates import Aggregate
from lead_scoring_assets.contracts.columns import Column, Registry

Row = dict[str, Any]

DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)
KNOWN = datetime(2024, 6, 20, 12, 30, 15, 250_001, tzinfo=UTC)
"""Around this moment leads are known; activities lie on the borders of the aggregates' days before it."""
INSTANT = pa.timestamp("us", tz="UTC")
TYPES = ("visit", "call", "it's \\ odd; --", "größe")

_VERSIONED = (("period", pa.string()), ("lead_id", pa.string()), ("version", pa.int64()))
LEADS = pa.schema([*_VERSIONED, ("created_at", INSTANT), ("known_at", INSTANT), ("size", pa.float64())])
ACTIVITIES = pa.schema(
    [
        *_VERSIONED,
        ("activity_id", pa.string()),
        ("occurred_at", INSTANT),
        ("known_at", INSTANT),
        ("activity_type", pa.string()),
        ("detail", pa.string()),
        ("value", pa.float64()),
        ("rep", pa.string()),
    ]
)
SIZE = Column(kind="number", role="feature", why="test", missing=(-1,))


def aggregate(measure: str, days: int, **more: Any) -> Aggregate:
    return Aggregate.model_validate({"measure": measure, "days": days, "why": "test", **more})


EVERY_MEASURE = {
    "all": aggregate("count", 30),
    "visits": aggregate("count", 7, of=("visit",)),
    "odd_calls": aggregate("count", 2, of=("call", "it's \\ odd; --", "größe"), maximum=2),
    "types": aggregate("distinct", 30, column="activity_type"),
    "details": aggregate("distinct", 7, column="detail"),
    "reps": aggregate("distinct", 30, column="rep", of=("call",)),
    "amount": aggregate("sum", 30),
    "amount_of_calls": aggregate("sum", 7, of=("call",), maximum=1.5),
    "points": aggregate("points", 30, points={"visit": 0.1, "call": 2.5, "größe": 2 / 3}),
    "points_capped": aggregate("points", 2, points={"visit": 60.0, "it's \\ odd; --": 50.0}, maximum=100),
    "first": aggregate("days_since_first", 30),
    "first_call": aggregate("days_since_first", 7, of=("call",), maximum=3),
    "last": aggregate("days_since_last", 30),
    "last_visit": aggregate("days_since_last", 7, of=("visit",), maximum=1.5),
}
REGISTRY = Registry({"size": SIZE}, TYPES, EVERY_MEASURE)


def leads_table(rows: Iterable[Row]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), LEADS)


def activities_table(rows: Iterable[Row]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), ACTIVITIES)


def lead(lead_id: str = "a", known_at: datetime = KNOWN, *, version: int = 1, size: float | None = 1.0) -> Row:
    period = f"{known_at:%Y-%m}"
    return {
        "period": period,
        "lead_id": lead_id,
        "version": version,
        "created_at": known_at - DAY,
        "known_at": known_at,
        "size": size,
    }


def activity(activity_id: str = "x", lead_id: str = "a", occurred_at: datetime = KNOWN - DAY, **more: Any) -> Row:
    row = {
        "activity_id": activity_id,
        "lead_id": lead_id,
        "version": 1,
        "occurred_at": occurred_at,
        "known_at": occurred_at,
        "activity_type": "call",
        "detail": None,
        "value": None,
        "rep": None,
        **more,
    }
    return {"period": f"{row['known_at']:%Y-%m}", **row}


_BORDERS = [KNOWN - days * DAY + ticks * TICK for days in (-1, 0, 1, 2, 3, 7, 30, 31) for ticks in (-1, 0, 1)]
moments = st.sampled_from(_BORDERS)
lead_ids = st.sampled_from(["a", "b", "A", "ä"])
values = (
    st.none() | st.integers(-(10**12), 10**12).map(lambda k: k / 1_000_000) | st.sampled_from([0.1, 0.2, 0.3, -0.0])
)
texts = st.none() | st.sampled_from(["", "x", "X", "x ", "ä"])


@st.composite
def leads_of(draw: st.DrawFn) -> list[Row]:
    """Leads with one to three versions; some in a later period than the first."""
    rows = []
    for lead_id in draw(st.sets(lead_ids)):
        known = sorted(draw(st.lists(moments | moments.map(lambda at: at + 15 * DAY), min_size=1, max_size=3)))
        for version, at in enumerate(known, start=1):
            rows.append(lead(lead_id, at, version=version, size=draw(st.sampled_from([None, -1.0, 2.5]))))
    return draw(st.permutations(rows))


@st.composite
def activities_of(draw: st.DrawFn) -> list[Row]:
    """Activities of known and unknown leads, told late, told again, altered, moved to another lead."""
    rows = []
    for number in range(draw(st.integers(0, 8))):
        at = draw(moments)
        known = sorted(draw(st.lists(moments.filter(lambda m, at=at: m >= at), min_size=1, max_size=3)))
        for version, known_at in enumerate(known, start=1):
            rows.append(
                activity(
                    f"activity-{number}",
                    draw(lead_ids),
                    at,
                    version=version,
                    known_at=known_at,
                    activity_type=draw(st.sampled_from(TYPES)),
                    detail=draw(texts),
                    value=draw(values),
                    rep=draw(texts),
                )
            )
    return draw(st.permutations(rows))


def reference(leads: Sequence[Row], activities: Sequence[Row], aggregates: Mapping[str, Aggregate]) -> list[Row]:
    """What `lead_features` must hold, by looking at every activity for every lead."""
    newest: dict[tuple[str, str], Row] = {}
    for row in leads:
        key = (row["period"], row["lead_id"])
        if key not in newest or row["version"] > newest[key]["version"]:
            newest[key] = row
    built = []
    for _, row in sorted(newest.items(), key=lambda item: tuple(part.encode() for part in item[0])):
        now = row["known_at"]
        features = {name: _measured(one, row["lead_id"], now, activities) for name, one in aggregates.items()}
        size = None if row["size"] == -1 else row["size"]
        built.append({**{k: row[k] for k in ("period", "lead_id", "created_at", "known_at")}, "size": size, **features})
    return built


def _measured(one: Aggregate, lead_id: str, now: datetime, activities: Sequence[Row]) -> float | None:
    as_known: dict[str, Row] = {}
    for row in activities:
        before = as_known.get(row["activity_id"])
        if row["known_at"] <= now and (before is None or row["version"] > before["version"]):
            as_known[row["activity_id"]] = row
    counted = [
        row
        for row in as_known.values()
        if row["lead_id"] == lead_id
        and now - one.days * DAY < row["occurred_at"] <= now
        and (not one.types or row["activity_type"] in one.types)
    ]
    result = _number(one, now, counted)
    return result if result is None or one.maximum is None else min(result, one.maximum)


def _number(one: Aggregate, now: datetime, counted: list[Row]) -> float | None:
    if one.measure == "count":
        return float(len(counted))
    if one.measure == "distinct":
        return float(len({row[one.column] for row in counted} - {None}))
    if one.measure == "sum":
        return float(sum((_millionths(row["value"]) for row in counted if row["value"] is not None), Decimal()))
    if one.measure == "points":
        return float(sum((_millionths(one.points[row["activity_type"]]) for row in counted), Decimal()))
    if not counted:
        return None
    happened = [row["occurred_at"] for row in counted]
    return float((now - (min(happened) if one.measure == "days_since_first" else max(happened))) // DAY)


def _millionths(value: float) -> Decimal:
    return Decimal(repr(value)).quantize(Decimal("0.000001"), ROUND_HALF_UP)
