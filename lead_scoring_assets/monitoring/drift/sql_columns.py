"""SQL of a column, whatever its type, as a number, as the name of a category, and whether it is missing."""

from decimal import Decimal

import pyarrow as pa

from lead_scoring_assets.lakehouse.names import quoted
from lead_scoring_assets.monitoring.drift.columns import Rows


def rows_counted(told: Decimal | int | None) -> int:
    """`count_if` gives a decimal, and of no row at all NULL. To cast a hundred of them in SQL takes longer to plan."""
    return int(told or 0)


def as_number(rows: Rows, name: str) -> str:
    """SQL of a column as DOUBLE: NULL or NaN where nothing is there, infinite where it is no finite number."""
    kind, column = rows.schema.field(name).type, quoted(name)
    if (
        pa.types.is_floating(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_boolean(kind)
    ):
        return f"{column}::DOUBLE"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        as_number = f"TRY_CAST({column} AS DOUBLE)"
        is_number = f"{as_number} IS NOT NULL AND NOT isnan({as_number})"
        return f"CASE WHEN {column} IS NULL THEN NULL WHEN {is_number} THEN {as_number} ELSE 'infinity'::DOUBLE END"
    return f"CASE WHEN {column} IS NOT NULL THEN 'infinity'::DOUBLE END"


def as_category(rows: Rows, name: str) -> str:
    """SQL of a column as the name of a category. 3 and 3.0 are one."""
    kind, column = rows.schema.field(name).type, quoted(name)
    if pa.types.is_boolean(kind):
        return f"CASE WHEN {column} THEN 'True' WHEN NOT {column} THEN 'False' END"
    if pa.types.is_floating(kind):
        whole = f"regexp_replace({column}::VARCHAR, '\\.0$', '')"
        return f"CASE WHEN NOT isnan({column}) THEN {whole} END"
    return f"{column}::VARCHAR"


def is_missing(rows: Rows, name: str) -> str:
    """SQL that is true where a column holds nothing: null, or NaN."""
    column = quoted(name)
    is_floating = pa.types.is_floating(rows.schema.field(name).type)
    return f"{column} IS NULL OR isnan({column})" if is_floating else f"{column} IS NULL"
