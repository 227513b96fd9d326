"""DuckDB as the query engine: a connection of its own for each question, values bound, UTC."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from lead_scoring_assets.engine import connect
from lead_scoring_assets.lakehouse.parquet_view import register


def query(sql: str, tables: Mapping[str, Any] | None = None, parameters: Sequence[object] = ()) -> pa.Table:
    """The answer to `sql` over named tables: Arrow tables, what `Lakehouse.scan` gives, or what else DuckDB reads.

    Values are bound, never pasted in. Timestamps are UTC whatever the machine's time zone.
    """
    with connect() as connection:
        for name, table in (tables or {}).items():
            register(connection, name, table)
        return connection.sql(sql, params=list(parameters)).to_arrow_table()
