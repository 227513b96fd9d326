"""Rows of text against their contract: typed rows on one side, reasons on the other. Which file they came from is not
known here."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa

from lead_scoring_assets.contracts.columns import Column

ARROW_TYPES: Mapping[str, pa.DataType] = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "category": pa.string(),
    "text": pa.string(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}
_PANDAS_TYPES = {"integer": "Int64", "number": "float64"}


@dataclass(frozen=True)
class Validated:
    """`accepted`: typed rows that keep the index of the input. `reasons`: one sentence for each other index."""

    accepted: pd.DataFrame
    reasons: pd.Series


def validate(rows: pd.DataFrame, columns: Mapping[str, Column]) -> Validated:
    """Split `rows` (texts; empty means missing; unique index) by their contract.

    A row with several faults names them all. Every input index is in exactly one of the two results.
    """
    typed: dict[str, pd.Series] = {}
    faults: list[pd.Series] = []
    for name, column in columns.items():
        if name not in rows.columns:
            texts = pd.Series(pd.NA, index=rows.index, dtype="string")
        else:
            texts = rows[name].astype("string").str.strip().replace("", pd.NA)
        values, fault = _check(name, texts, column)
        typed[name] = values
        faults.append(fault)
    table = pd.concat(faults, axis=1) if faults else pd.DataFrame(index=rows.index)
    bad = table.notna().any(axis=1)
    reasons = table.loc[bad].apply(lambda row: "; ".join(row.dropna()), axis=1) if bad.any() else pd.Series(dtype="string")
    return Validated(accepted=pd.DataFrame(typed, index=rows.index).loc[~bad], reasons=reasons)


def _check(name: str, texts: pd.Series, column: Column) -> tuple[pd.Series, pd.Series]:
    """Typed values of one column, and for each row the fault or NA."""
    fault = pd.Series(pd.NA, index=texts.index, dtype="string")
    values = texts
    if column.is_numeric:
        values = pd.to_numeric(texts, errors="coerce").astype("float64")
        finite = values.notna() & values.abs().lt(float("inf"))
        fault = fault.mask(texts.notna() & ~finite, name + ": expected a number, found " + texts.map(repr))
        if column.kind == "integer":
            broken = finite & values.mod(1).ne(0)
            fault = fault.mask(broken, name + ": expected a whole number, found " + texts)
            values = values.where(finite & ~broken)
        if column.minimum is not None:
            fault = fault.mask(
                fault.isna() & values.lt(column.minimum), f"{name}: expected at least {column.minimum:g}, found " + texts
            )
        if column.maximum is not None:
            fault = fault.mask(
                fault.isna() & values.gt(column.maximum), f"{name}: expected at most {column.maximum:g}, found " + texts
            )
        values = values.astype(_PANDAS_TYPES[column.kind])
    elif column.kind == "timestamp":
        values = pd.to_datetime(texts, errors="coerce", utc=True, format="ISO8601").astype("datetime64[us, UTC]")
        fault = fault.mask(texts.notna() & values.isna(), name + ": expected an ISO 8601 date or time, found " + texts.map(repr))
    elif column.categories:
        allowed = ", ".join(column.categories)
        fault = fault.mask(
            texts.notna() & ~texts.isin(column.categories), f"{name}: expected one of {allowed}, found " + texts.map(repr)
        )
    if column.required:
        fault = fault.mask(texts.isna(), f"{name}: is required and empty")
    return values, fault


def arrow_schema(columns: Mapping[str, Column]) -> pa.Schema:
    """The Arrow schema of validated rows."""
    return pa.schema([(name, ARROW_TYPES[column.kind]) for name, column in columns.items()])
