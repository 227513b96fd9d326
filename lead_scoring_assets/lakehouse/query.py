"""DuckDB as the query engine: in memory, one connection per question, UTC."""

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa


def query(sql: str, tables: Mapping[str, Any] | None = None, parameters: Sequence[object] = ()) -> pa.Table:
    """The answer to `sql` over named Arrow tables (or DuckDB-readable objects); values are bound, never pasted in.

    Timestamps are UTC whatever the machine's time zone.
    """
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for name, table in (tables or {}).items():
            connection.register(name, table)
        return connection.sql(sql, params=list(parameters)).to_arrow_table()
