"""The plan of features: compiled from the registry to one SQL statement, known when a lead is known.

A lead's row is as of its `known_at`: it counts the activities that had happened by then, that were known by then, and as
they were known by then. The statement reads two tables:

- `raw_leads`: the periods asked for, all versions;
- `raw_activities` (only when the registry has aggregates): all that became known in those periods and in the
  `look_back_days` before them. Earlier ones cannot count, because nothing is known before it happens.
"""

import math
import re
from typing import Any

import pyarrow as pa

from lead_scoring_assets.contracts.columns import Column, Registry
from lead_scoring_assets.features.dialects import Dialect, in_spark
from lead_scoring_assets.features.measures import AMOUNT, DAY, double, inside, outside, text
from lead_scoring_assets.lakehouse.names import quoted
from lead_scoring_assets.lakehouse.query import query

KEYS = ("period", "lead_id", "created_at", "known_at")
_CORRECTED = "FROM raw_activities WHERE version > 1"
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def feature_columns(registry: Registry) -> list[str]:
    """Columns of `lead_features`, keys first."""
    return [*KEYS, *registry.features]


def feature_schema(registry: Registry) -> pa.Schema:
    """Their types: numbers are DOUBLE and categories text, whatever the source had, with gaps or without."""
    instant = pa.timestamp("us", tz="UTC")
    keys = dict(zip(KEYS, (pa.string(), pa.string(), instant, instant), strict=True))
    kinds = {name: pa.float64() if column.is_numeric else pa.string() for name, column in registry.features.items()}
    return pa.schema({**keys, **kinds})


def look_back_days(registry: Registry) -> int:
    """How many days before a lead was known its oldest activity that counts can lie; 0 without aggregates."""
    return max((aggregate.days for aggregate in registry.aggregates.values()), default=0)


def compile_features(registry: Registry, dialect: Dialect = "duckdb", *, corrected: bool = True) -> str:
    """One row for each lead of each period: keys, the lead's features, the aggregates; in order of period and lead id.

    Of a lead with several versions in a period it is the highest. Inside the statement columns are numbered, so that no
    name of a company's can meet one of ours.

    `corrected`: activities have been corrected. Where none has, leaving it out gives the same rows for a fifth less.

    Raises:
        LeakageError: a feature that a model must not see.
    """
    registry.assert_no_leakage(registry.features, "lead_features")
    aggregates = list(registry.aggregates.items())
    given = list(registry.lead_features.items())
    features = [f"{_feature(name, column)} AS f{place}" for place, (name, column) in enumerate(given)]
    steps = {
        "versions": (
            f"SELECT {', '.join([*(f'raw_leads.{key}' for key in KEYS), *features])}, "  # noqa: S608  # names are quoted
            "row_number() OVER (PARTITION BY raw_leads.period, raw_leads.lead_id ORDER BY raw_leads.version DESC) "
            "AS place FROM raw_leads"
        ),
        "leads": "SELECT *, epoch_us(known_at) AS moment FROM versions WHERE place = 1",
    }
    columns = [
        *(f"leads.{key}" for key in KEYS),
        *(f"leads.f{i} AS {quoted(name)}" for i, (name, _) in enumerate(given)),
    ]
    source = "leads"
    if aggregates:
        widest = look_back_days(registry)
        measures = [f"{inside(aggregate, widest)} AS a{place}" for place, (_, aggregate) in enumerate(aggregates)]
        # A correction takes the place of what was said before it, from the moment at which it was known. There are few:
        # a small join finds them, where ordering all versions of all activities would not end.
        if corrected:
            steps["corrections"] = f"SELECT activity_id, version, epoch_us(known_at) AS since {_CORRECTED}"
        steps["counted"] = (
            "SELECT leads.period, leads.lead_id, leads.moment - epoch_us(a.occurred_at) AS ago, a.activity_type, "  # noqa: S608
            "a.detail, a.rep, CAST(a.value AS DOUBLE) AS value FROM leads JOIN raw_activities AS a "
            "ON a.lead_id = leads.lead_id AND epoch_us(a.occurred_at) <= leads.moment "
            f"AND epoch_us(a.occurred_at) > leads.moment - {widest * DAY} AND epoch_us(a.known_at) <= leads.moment "
        )
        if corrected:
            steps["counted"] += (
                "ANTI JOIN corrections AS c "
                "ON c.activity_id = a.activity_id AND c.version > a.version AND c.since <= leads.moment"
            )
        steps["measured"] = (
            f"SELECT period, lead_id, {', '.join(measures)} "  # noqa: S608
            f"FROM (SELECT *, {AMOUNT} AS amount FROM counted) AS amounts GROUP BY period, lead_id"
        )
        columns += [
            f"{outside(aggregate, f'measured.a{place}')} AS {quoted(name)}"
            for place, (name, aggregate) in enumerate(aggregates)
        ]
        source += " LEFT JOIN measured ON measured.period = leads.period AND measured.lead_id = leads.lead_id"
    named = ",\n".join(f"{name} AS ({step})" for name, step in steps.items())
    selected = ",\n".join(columns)
    statement = f"WITH {named}\nSELECT {selected}\nFROM {source}\nORDER BY leads.period, leads.lead_id"
    return in_spark(statement) if dialect == "spark" else statement


def build_features(raw_leads: Any, registry: Registry, raw_activities: Any = None) -> pa.Table:
    """The features of every lead in `raw_leads`, by DuckDB. Tables are Arrow tables or lazily scanned datasets.

    `raw_activities` may be left out when the registry has no aggregates.
    """
    tables = {"raw_leads": raw_leads} | ({"raw_activities": raw_activities} if registry.aggregates else {})
    # The files' own statistics tell, in almost all cases.
    corrected = bool(registry.aggregates) and query(f"SELECT 1 {_CORRECTED} LIMIT 1", tables).num_rows > 0
    return query(compile_features(registry, corrected=corrected), tables)


def _feature(name: str, column: Column) -> str:
    """The lead's own value, its "not there" values turned into NULL."""
    value = f"CAST(raw_leads.{quoted(name)} AS {'DOUBLE' if column.is_numeric else 'VARCHAR'})"
    for missing in column.missing:
        written = missing if isinstance(missing, str) else repr(missing).removesuffix(".0")
        if not column.is_numeric:
            value = f"nullif({value}, {text(written)})"
        elif _NUMBER.fullmatch(written) and math.isfinite(float(written)):
            value = f"nullif({value}, {double(float(written))})"
        # Else it is a word, which cannot be there in a column of numbers.
    return value
