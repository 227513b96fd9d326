"""DuckDB as the query engine: one in memory for each process, a connection of its own for each question, UTC."""

import os
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from lead_scoring_assets.lakehouse.parquet_view import register


class _Engine:
    """The process's DuckDB: opened by the first question, because opening costs ten times what a small question does."""

    def __init__(self) -> None:
        self._opening = threading.Lock()
        self._engine: duckdb.DuckDBPyConnection | None = None

    def connection(self) -> duckdb.DuckDBPyConnection:
        """A connection that shares threads and memory with the others, and neither tables nor views."""
        with self._opening:
            if self._engine is None:
                engine = duckdb.connect()
                engine.execute("SET GLOBAL TimeZone = 'UTC'")
                # A name that nobody gave is an error, not whatever variable of the caller is called so.
                engine.execute("SET GLOBAL python_enable_replacements = false")
                # Held between questions it would keep what it has read in memory.
                engine.execute("SET GLOBAL enable_external_file_cache = false")
                self._engine = engine
            return self._engine.cursor()

    def close(self) -> None:
        with self._opening:
            if self._engine is not None:
                self._engine.close()
                self._engine = None


_engine = _Engine()
if hasattr(os, "register_at_fork"):
    # A forked child would wait at its end for the engine's threads, which it does not have.
    os.register_at_fork(before=_engine.close)


def query(sql: str, tables: Mapping[str, Any] | None = None, parameters: Sequence[object] = ()) -> pa.Table:
    """The answer to `sql` over named tables: Arrow tables, what `Lakehouse.scan` gives, or what else DuckDB reads.

    Values are bound, never pasted in. Timestamps are UTC whatever the machine's time zone.
    """
    with _engine.connection() as connection:
        for name, table in (tables or {}).items():
            register(connection, name, table)
        return connection.sql(sql, params=list(parameters)).to_arrow_table()
