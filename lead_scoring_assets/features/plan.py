"""The plan of features: compiled from the registry to one SQL statement, known when a lead is known."""

import pyarrow as pa

from lead_scoring_assets.contracts.columns import Column, Registry
from lead_scoring_assets.lakehouse.query import query

KEYS = ("period", "lead_id", "created_at", "known_at")


def feature_columns(registry: Registry) -> list[str]:
    """Columns of `lead_features`, keys first."""
    return [*KEYS, *registry.features]


def compile_features(registry: Registry) -> str:
    """SQL over `raw_leads`: keys, then each feature with its "not there" values turned into NULL.

    Numeric features become DOUBLE, so that an integer column with gaps and one without have the same type.
    """
    registry.assert_no_leakage(registry.features, "lead_features")
    expressions = [*KEYS, *(_expression(name, column) for name, column in registry.features.items())]
    return f"SELECT {', '.join(expressions)} FROM raw_leads ORDER BY period, lead_id"  # noqa: S608  # names and values are quoted


def build_features(raw_leads: pa.Table, registry: Registry) -> pa.Table:
    """The features of every lead in `raw_leads`, in order of period and lead id."""
    return query(compile_features(registry), {"raw_leads": raw_leads})


def _expression(name: str, column: Column) -> str:
    kind = "DOUBLE" if column.is_numeric else "VARCHAR"
    value = f"{quoted(name)}::{kind}"
    for missing in column.missing:
        # A word can not be there in a column of numbers: try_cast makes it NULL, which equals nothing.
        value = f"nullif({value}, try_cast({_literal(missing)} AS {kind}))"
    return f"{value} AS {quoted(name)}"


def quoted(name: str) -> str:
    """`name` as SQL takes it whatever it holds: reserved words, blanks, quotation marks."""
    return '"' + name.replace('"', '""') + '"'


def _literal(value: float | str) -> str:
    text = value if isinstance(value, str) else repr(value).removesuffix(".0")
    return "'" + text.replace("'", "''") + "'"
