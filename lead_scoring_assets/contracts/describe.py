"""The registry told: as rows for people, and as the JSON Schema of one lead for programs. Nothing is declared here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lead_scoring_assets.contracts.aggregates import Aggregate
from lead_scoring_assets.contracts.columns import ENTITIES, RAW_TABLES, Column, Registry
from lead_scoring_assets.contracts.validation import LARGEST_EXACT

FEATURE_TABLE = "lead_features"
SCHEMA_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_JSON_TYPES = {"integer": "integer", "number": "number", "category": "string"}
"""By the kinds that a feature may have."""


@dataclass(frozen=True)
class ColumnDescription:
    """One column of one table in words. `allowed`: range, categories or how it is computed; empty: anything."""

    table: str
    column: str
    kind: str
    role: str
    available: str
    required: bool
    allowed: str
    why: str


def describe(registry: Registry) -> list[ColumnDescription]:
    """Every column of the raw tables, then every feature, in registry order."""
    told = [
        _row(RAW_TABLES[entity], name, column, _limits(column))
        for entity in ENTITIES
        for name, column in registry.columns(entity).items()
    ]
    for name, column in registry.features.items():
        aggregate = registry.aggregates.get(name)
        told.append(_row(FEATURE_TABLE, name, column, _limits(column) if aggregate is None else _computed(aggregate)))
    return told


def _row(table: str, name: str, column: Column, allowed: str) -> ColumnDescription:
    return ColumnDescription(
        table=table,
        column=name,
        kind=column.kind,
        role=column.role,
        available=column.available.replace("_", " "),
        required=column.required,
        allowed=allowed,
        why=column.why,
    )


def _limits(column: Column) -> str:
    told = [", ".join(column.categories)] if column.categories else []
    if column.minimum is not None and column.maximum is not None:
        told.append(f"{_number(column.minimum)} to {_number(column.maximum)}")
    elif column.minimum is not None:
        told.append(f"at least {_number(column.minimum)}")
    elif column.maximum is not None:
        told.append(f"at most {_number(column.maximum)}")
    if column.missing:
        codes = (code if isinstance(code, str) else _number(code) for code in column.missing)
        told.append(f"{', '.join(codes)} means not there")
    return "; ".join(told)


def _computed(aggregate: Aggregate) -> str:
    types = ", ".join(aggregate.types) or "any activity"
    what = {
        "count": f"how many of: {types}",
        "distinct": f"different values of {aggregate.column} in: {types}",
        "sum": f"sum of value over: {types}",
        "points": "points: " + ", ".join(f"{kind} {_number(worth)}" for kind, worth in aggregate.points.items()),
        "days_since_first": f"days since the first of: {types}; empty without any",
        "days_since_last": f"days since the last of: {types}; empty without any",
    }[aggregate.measure]
    cut = "" if aggregate.maximum is None else f"; at most {_number(aggregate.maximum)}"
    return f"{what}; in the {aggregate.days} days before{cut}"


def _number(value: float) -> str:
    """All digits that count, and no others: `:g` would cut 12345678 to 1.23457e+07."""
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e16 else repr(value)


def json_schema(registry: Registry) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of one lead as it is sent to be scored: its features, and nothing else.

    Whatever the contract accepts in a file is accepted here as JSON; an empty cell is `null`. A name that is no feature
    is refused, so that a column known only after the outcome cannot be sent. Features computed from activities may
    be left out.
    """
    return {
        "$schema": SCHEMA_DRAFT,
        "title": "Lead",
        "type": "object",
        "properties": {name: _property(column) for name, column in registry.features.items()},
        "required": [name for name, column in registry.features.items() if column.required],
        "additionalProperties": False,
    }


def _property(column: Column) -> Mapping[str, Any]:
    kind = _JSON_TYPES[column.kind]
    told: dict[str, Any] = {"description": column.why, "type": kind if column.required else [kind, "null"]}
    if column.categories:
        # `enum` holds for every type, so that null has to stand in it.
        told["enum"] = [*column.categories] if column.required else [*column.categories, None]
    limits = {"minimum": column.minimum, "maximum": column.maximum}
    if column.kind == "integer":
        limits = {
            "minimum": max(-LARGEST_EXACT, column.minimum if column.minimum is not None else -LARGEST_EXACT),
            "maximum": min(LARGEST_EXACT, column.maximum if column.maximum is not None else LARGEST_EXACT),
        }
    for keyword, limit in limits.items():
        if limit is not None:
            told[keyword] = int(limit) if float(limit).is_integer() else limit
    return told
