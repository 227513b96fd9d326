"""The process's one DuckDB, in memory and in UTC. What is asked of it stands elsewhere."""

import atexit
import os
import sys
import threading

import duckdb


class _Engine:
    """Opened by the first question, because opening costs ten times what a small question does."""

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
                # Who shares the cores bounds the threads of libraries by this; DuckDB is one of them, and does not look.
                if (threads := os.environ.get("OMP_NUM_THREADS", "")).isdecimal() and int(threads):
                    engine.execute(f"SET GLOBAL threads = {int(threads)}")
                self._engine = engine
            return self._engine.cursor()

    def close(self) -> None:
        """Close it; the next question opens another."""
        with self._opening:
            if self._engine is not None:
                self._engine.close()
                self._engine = None


_engine = _Engine()


@atexit.register
def _leave_nothing() -> None:
    """DuckDB's binding tells what of it outlives the interpreter, on the terminal of whoever typed a verb.

    A connection would. So would its own types, held by its modules, whenever some other library keeps a function alive
    from whose module DuckDB can be reached: at the end of the process nobody needs them any more.
    """
    _engine.close()
    for name in [name for name in sys.modules if name.partition(".")[0] in ("duckdb", "_duckdb")]:
        vars(sys.modules[name]).clear()


if hasattr(os, "register_at_fork"):
    # A forked child would wait at its end for the engine's threads, which it does not have.
    os.register_at_fork(before=_engine.close)


def connect() -> duckdb.DuckDBPyConnection:
    """A connection of one's own to the process's DuckDB, to be closed after use (it is a context manager)."""
    return _engine.connection()
