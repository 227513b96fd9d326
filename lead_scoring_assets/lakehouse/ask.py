"""A person's question in SQL over the tables of the lakehouse: reads them, and can do nothing else.

The SQL is not trusted: DuckDB may open no file and no network, its settings are locked, and only one SELECT is taken.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa

from lead_scoring_assets.errors import LakehouseError
from lead_scoring_assets.lakehouse.names import quoted
from lead_scoring_assets.lakehouse.tables import Lakehouse
from lead_scoring_assets.lakehouse.time_travel import in_utc

# A column that numbers the statements about one thing, and when each of them was known.
_STATEMENTS = {"version": "known_at", "revision": "label_known_at"}


def ask(
    lakehouse: Lakehouse,
    sql: str,
    *,
    as_of: datetime | None = None,
    versions: Mapping[str, int] | None = None,
    known_at: datetime | None = None,
    identifiers: Mapping[str, str] | None = None,
) -> pa.Table:
    """The answer to one SELECT in which every table of the lakehouse has its name. Times are UTC.

    Two clocks, which can be asked together:

    - `as_of`: the tables as they stood in the lakehouse at that moment (each at its version then); `versions` names the
      version of single tables instead. The same question as of the same moment has the same answer for ever, whatever
      is written later, if it orders its rows.
    - `known_at`: the world as it was known at that moment (known exactly then is known). Of a table of statements
      (`version` and `known_at`, or `revision` and `label_known_at`) the newest statement about each id that was known
      by then; `identifiers` names the table's id column. Of any other table with `known_at`, the rows known by then.
      A table without these columns is shown whole.

    Raises:
        LakehouseError: not one SELECT, a table that is not there (or was not then), or what DuckDB says of the SQL.
    """
    connection = duckdb.connect(config={"enable_external_access": False, "python_enable_replacements": False})
    with connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET lock_configuration = true")
        try:
            _refuse_all_but_one_select(connection, sql)
            named = _named(connection, sql)
            names = lakehouse.names()
            if strangers := sorted(set(versions or {}) - set(names)):
                raise LakehouseError(f"there is no table {', '.join(strangers)}. {_listed(names)}")
            asked = [name for name in names if name.casefold() in named]
            if not asked:
                raise LakehouseError(f"the question names no table of the lakehouse. {_listed(names)}")
            for name in asked:
                version = (versions or {}).get(name)
                rows = lakehouse.scan(name, version=version, as_of=as_of if version is None else None)
                _show(connection, name, rows, known_at, (identifiers or {}).get(name))
            return connection.sql(sql).to_arrow_table()
        except duckdb.Error as problem:
            raise LakehouseError(_in_words(problem, lakehouse)) from problem


def _refuse_all_but_one_select(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    found = connection.extract_statements(sql)
    if len(found) != 1:
        raise LakehouseError(f"expected one SELECT, found {len(found) or 'no'} statements; ask them one by one")
    if found[0].type != duckdb.StatementType.SELECT:
        kind = found[0].type.name
        hint = " (a PIVOT needs its values: ON column IN (…))" if kind == "MULTI" else ""
        raise LakehouseError(f"expected a SELECT, found {kind}: a question only reads{hint}")


def _named(connection: duckdb.DuckDBPyConnection, sql: str) -> set[str]:
    """The names that the SQL reads from, in small letters: parsed, not bound, because nothing is there yet."""
    parsed = json.loads(connection.execute("SELECT json_serialize_sql($1::VARCHAR)", [sql]).fetchall()[0][0])
    if parsed["error"]:
        raise LakehouseError(f"the question cannot be read: {parsed['error_message']}")
    return {name.casefold() for name in _table_names(parsed)}


def _table_names(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "table_name" in node:
            yield str(node["table_name"])
        node = list(node.values())
    if isinstance(node, list):
        for part in node:
            yield from _table_names(part)


def _show(
    connection: duckdb.DuckDBPyConnection, name: str, rows: Any, known_at: datetime | None, identifier: str | None
) -> None:
    """Through Arrow, not as `query` does: DuckDB itself is to open no file."""
    if known_at is None:
        connection.register(name, rows)
        return
    columns = rows.schema.names
    number = next((n for n, known in _STATEMENTS.items() if n in columns and known in columns), None)
    time = _STATEMENTS[number] if number else "known_at"
    if time not in columns:
        connection.register(name, rows)
        return
    if number and identifier not in columns:
        raise LakehouseError(
            f"{name} holds several statements about one thing (column {number!r}), and {identifier!r} is not the column "
            f"that names it: give `identifiers` for {name}, one of {columns}"
        )
    connection.register(f"{name} (all)", rows)
    moment = in_utc(known_at).isoformat(sep=" ")
    newest = (
        f"QUALIFY row_number() OVER (PARTITION BY {quoted(identifier)} ORDER BY {number} DESC) = 1"
        if number and identifier
        else ""
    )
    connection.execute(
        f"CREATE TEMP VIEW {quoted(name)} AS SELECT * FROM {quoted(f'{name} (all)')} "  # noqa: S608  # our own names
        f"WHERE {time} <= TIMESTAMPTZ '{moment}' {newest}"
    )


def _listed(names: list[str]) -> str:
    return f"Its tables are: {', '.join(names)}" if names else "It has no tables yet; materialise the assets first"


def _in_words(problem: duckdb.Error, lakehouse: Lakehouse) -> str:
    kind, _, words = str(problem).partition(": ")
    if isinstance(problem, duckdb.CatalogException) and words.startswith("Table with name"):
        return f"{words.splitlines()[0].replace('!', '.')} {_listed(lakehouse.names())}"
    if isinstance(problem, duckdb.PermissionException):
        return f"a question reads the lakehouse's tables and nothing else: {words}"
    return f"the question cannot be answered ({kind.lower()}): {words.strip()}"
