"""Rows of text against their contract: typed rows on one side, reasons on the other. Which file they came from is not
known here."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
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
_DECIMAL = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_DATE_OR_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ]|$)"
_LARGEST_EXACT = 2**53 - 1  # above it two whole numbers are the same float
_SHOWN_CHARACTERS = 100


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
    reasons = (
        table.loc[bad].apply(lambda row: "; ".join(row.dropna()), axis=1) if bad.any() else pd.Series(dtype="string")
    )
    return Validated(accepted=pd.DataFrame(typed, index=rows.index).loc[~bad], reasons=reasons)


def _check(name: str, texts: pd.Series, column: Column) -> tuple[pd.Series, pd.Series]:
    """Typed values of one column, and for each row the fault or NA."""
    fault = pd.Series(pd.NA, index=texts.index, dtype="string")
    values = texts

    def blame(bad: pd.Series, expected: str) -> None:
        nonlocal fault
        bad &= fault.isna()
        fault = fault.mask(bad, f"{name}: expected {expected}, found " + texts[bad].map(_shown))

    if column.is_numeric:
        values = _numbers(texts)
        blame(texts.notna() & values.isna(), "a number")
        if column.kind == "integer":
            blame(values.mod(1).gt(0), "a whole number")
            blame(values.abs().gt(_LARGEST_EXACT), f"a whole number up to {_LARGEST_EXACT:,}")
            values = values.where(fault.isna()).astype("Int64")
        if column.minimum is not None:
            blame(values.lt(column.minimum), f"at least {column.minimum:g}")
        if column.maximum is not None:
            blame(values.gt(column.maximum), f"at most {column.maximum:g}")
    elif column.kind == "timestamp":
        # The form first: pandas takes "now" for the present, and "2008" for its first of January.
        formed = texts.where(texts.str.match(_DATE_OR_TIME).fillna(False))
        values = pd.to_datetime(formed, errors="coerce", utc=True, format="ISO8601").astype("datetime64[us, UTC]")
        blame(texts.notna() & values.isna(), "an ISO 8601 date or time")
    elif column.categories:
        blame(texts.notna() & ~texts.isin(column.categories), f"one of {', '.join(column.categories)}")
    if column.required:
        fault = fault.mask(texts.isna(), f"{name}: is required and empty")
    return values, fault


def _numbers(texts: pd.Series) -> pd.Series:
    """Decimal numbers as Python reads them, to the last digit; NaN for what is none, or too large for a float."""
    formed = texts.where(texts.str.fullmatch(_DECIMAL).fillna(False)).to_numpy(dtype=object, na_value=np.nan)
    values = pd.Series(formed.astype("float64"), index=texts.index)
    return values.where(values.abs().lt(np.inf))


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…")


def arrow_schema(columns: Mapping[str, Column]) -> pa.Schema:
    """The Arrow schema of validated rows."""
    return pa.schema([(name, ARROW_TYPES[column.kind]) for name, column in columns.items()])
