"""Each measure of activities as SQL: one conditional aggregate inside the plan's GROUP BY, and what follows outside it.

Inside, an activity has `ago` (microseconds before the lead was known, never negative), `amount` (its value in
millionths), `activity_type`, `detail` and `rep`. Outside, the aggregate is a column that is NULL without activities.

Amounts and points are added as whole millionths, so that a sum does not depend on the order in which an engine meets
its rows, and 0.1 ten times is 1. What that costs: a value is rounded to six decimals (halves away from zero), one beyond
±100,000,000,000 counts as that much, and so does a sum beyond ±9,000,000,000,000.
"""

from decimal import ROUND_HALF_UP, Decimal

from lead_scoring_assets.contracts.aggregates import Aggregate

DAY = 86_400_000_000  # microseconds
_MILLIONTHS = 1_000_000
_LARGEST_VALUE = 100_000_000_000  # whose millionths a DOUBLE holds exactly
_LARGEST_SUM = 9_000_000_000_000 * _MILLIONTHS  # below 2**63

AMOUNT = (
    f"CAST(CAST(round(CASE WHEN value > {_LARGEST_VALUE} THEN {_LARGEST_VALUE} WHEN value < -{_LARGEST_VALUE} "
    f"THEN -{_LARGEST_VALUE} ELSE value END * CAST({_MILLIONTHS} AS DOUBLE)) AS BIGINT) AS DECIMAL(18, 0))"
)
"""SQL of `amount` over an activity's column `value` (DOUBLE)."""


def inside(aggregate: Aggregate, widest: int) -> str:
    """The aggregate over all activities of the `widest` days that counts only its own."""
    of = {
        "count": "1",
        "distinct": aggregate.column or "",
        "sum": "amount",
        "points": _points(aggregate),
        "days_since_first": "ago",
        "days_since_last": "ago",
    }[aggregate.measure]
    conditions = []
    if aggregate.days < widest:
        conditions.append(f"ago < {aggregate.days * DAY}")
    if aggregate.of:
        conditions.append(f"activity_type IN ({', '.join(text(kind) for kind in aggregate.of)})")
    # Not `FILTER (WHERE …)`: DuckDB takes 25 times as long for it.
    counted = f"CASE WHEN {' AND '.join(conditions)} THEN {of} END" if conditions else of
    return {
        "count": f"count({counted})",
        "distinct": f"count(DISTINCT {counted})",
        "sum": f"sum({counted})",
        "points": f"sum({counted})",
        "days_since_first": f"max({counted})",
        "days_since_last": f"min({counted})",
    }[aggregate.measure]


def outside(aggregate: Aggregate, found: str) -> str:
    """The feature (DOUBLE) out of `found`, the column that holds the aggregate."""
    if aggregate.measure in ("days_since_first", "days_since_last"):
        days = f"CAST({found} // {DAY} AS DOUBLE)"
        # Not `least`, which passes over NULL: a lead without activities would get the maximum.
        return days if aggregate.maximum is None else f"CASE WHEN {days} > {_cap(aggregate)} ELSE {days} END"
    if aggregate.measure in ("count", "distinct"):
        number = f"CAST(coalesce({found}, 0) AS DOUBLE)"
    else:
        bounded = f"least(greatest(coalesce({found}, 0), -{_LARGEST_SUM}), {_LARGEST_SUM})"
        number = f"CAST(CAST({bounded} AS BIGINT) AS DOUBLE) / CAST({_MILLIONTHS} AS DOUBLE)"
    return number if aggregate.maximum is None else f"least({number}, {double(aggregate.maximum)})"


def text(value: str) -> str:
    """`value` as an SQL literal."""
    return "'" + value.replace("'", "''") + "'"


def double(value: float) -> str:
    """`value` as an SQL literal without loss: both engines read the shortest decimal text back to the same bits."""
    return f"CAST('{value!r}' AS DOUBLE)"


def _cap(aggregate: Aggregate) -> str:
    cap = double(aggregate.maximum or 0.0)
    return f"{cap} THEN {cap}"


def _points(aggregate: Aggregate) -> str:
    if not aggregate.points:
        return ""
    cases = [f"WHEN {text(kind)} THEN {_millionths(points)}" for kind, points in aggregate.points.items()]
    return f"CAST(CASE activity_type {' '.join(cases)} END AS DECIMAL(18, 0))"


def _millionths(points: float) -> int:
    """Through the number's own decimal text: 0.29 points are 290,000 millionths, as the settings file says."""
    exact = (Decimal(repr(points)) * _MILLIONTHS).to_integral_value(ROUND_HALF_UP)
    return min(int(exact), _LARGEST_VALUE * _MILLIONTHS)
