"""Which landed rows say something new: duplicates, new versions and contradictions. One DuckDB statement for an entity.

Raw tables hold statements. A row's statement is all its contract columns but `known_at`, which says when it came, not
what it says. Rows of one id are taken in order of (known_at, event time, file, line); those whose `known_at` the file
did not state come after the stated ones of the same moment, because it is only the latest that it can have been.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from lead_scoring_assets.contracts.columns import EVENT_TIMES, IDENTIFIERS, Column, Entity

if TYPE_CHECKING:
    import pyarrow.dataset as pads

PLACE, STATED = "place", "is_stated"
"""A staged row's number in its entity and period, from 0, in order of file name and line; whether its `known_at` was."""
_MEMORY = "1GB"  # beyond it DuckDB spills to disk
_HALF_HOUR, _LARGEST_SHIFT = timedelta(minutes=30), timedelta(hours=14)


def staged_names(columns: Iterable[str]) -> dict[str, str]:
    """What contract columns are called in staged rows: by number, so that none is taken for one of the system's own."""
    return {name: f"c{n}" for n, name in enumerate(columns)}


@dataclass(frozen=True)
class Decisions:
    """What becomes of the rows whose id occurs more than once; every other row is version 1 of its id.

    `versions`: place (ascending), version (NULL: not stored, a duplicate or rejected). `reasons`: place → why rejected.
    """

    versions: pa.Table
    reasons: Mapping[int, str]


def decide(
    entity: Entity, columns: Mapping[str, Column], staged: pa.Table, earlier: "pads.Dataset", scratch: Path
) -> Decisions:
    """Compare `staged` rows (`staged_names`, `place`, `is_stated`) with each other and with those of `earlier` periods.

    `scratch`: a folder for what does not fit into memory.
    """
    if not staged.num_rows:
        return Decisions(pa.table({PLACE: pa.array([], pa.int64()), "version": pa.array([], pa.int64())}), {})
    names = staged_names(columns)
    with duckdb.connect(config={"memory_limit": _MEMORY, "temp_directory": str(scratch)}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("staged", staged)
        _bring_earlier(connection, entity, names, earlier)
        found = connection.sql(_statement(entity, names)).to_arrow_table()
    versions = found.select([PLACE, "version"]).cast(pa.schema([(PLACE, pa.int64()), ("version", pa.int64())]))
    refused = found.filter(pc.is_valid(found["verdict"])).to_pylist()
    return Decisions(versions, {row[PLACE]: _reason(entity, row) for row in refused})


def _bring_earlier(
    connection: duckdb.DuckDBPyConnection, entity: Entity, names: Mapping[str, str], earlier: "pads.Dataset"
) -> None:
    """Table `earlier`: the stored versions of ids that landed again. First only ids are read, then these rows."""
    own_id = names[IDENTIFIERS[entity]]
    connection.register(
        "ids", earlier.scanner(columns={"period": pc.field("period"), "id": pc.field(IDENTIFIERS[entity])})
    )
    connection.execute(
        f"CREATE TEMP TABLE met AS SELECT DISTINCT period, id FROM ids WHERE id IN (SELECT {own_id} FROM staged)"  # noqa: S608  # our own names
    )
    periods = [period for (period,) in connection.execute("SELECT DISTINCT period FROM met").fetchall()]
    wanted = {our: pc.field(name) for name, our in names.items()} | {"version": pc.field("version")}
    rows = earlier.scanner(columns=wanted, filter=pc.field("period").isin(pa.array(periods, pa.string())))
    connection.register("stored", rows)
    connection.execute(
        f"CREATE TEMP TABLE earlier AS SELECT * FROM stored WHERE {own_id} IN (SELECT id FROM met)"  # noqa: S608
    )


def _statement(entity: Entity, names: Mapping[str, str]) -> str:
    own_id, event, known_at = (names[name] for name in (IDENTIFIERS[entity], EVENT_TIMES[entity], "known_at"))
    said = f"row({', '.join(our for name, our in names.items() if name != 'known_at')})"
    outcome = names.get("outcome", "NULL") if entity == "outcomes" else "NULL"
    common = f"{own_id} AS id, {event} AS event, {known_at} AS known_at, {outcome} AS outcome, {said} AS said"
    if entity == "outcomes":
        # Both sides of a contradiction go: which holds cannot be known. A repetition of what is stored is none.
        among = (
            f"FILTER (WHERE version IS NULL AND ({STATED} OR NOT is_repeated)) OVER (PARTITION BY id, known_at, event)"
        )
        judged = f"""
            SELECT *, CASE WHEN version IS NULL AND ({STATED} OR NOT is_repeated)
                            AND min(outcome) {among} <> max(outcome) {among}
                           THEN 'contradiction' END AS verdict,
                   min(outcome) {among} AS one, max(outcome) {among} AS other, event AS first_event
            FROM (SELECT *, count(version) OVER (PARTITION BY id, said) > 0 AS is_repeated FROM told)"""  # noqa: S608
    else:
        judged = """
            SELECT *, CASE WHEN version IS NULL AND event <> first_event THEN 'other event time' END AS verdict,
                   NULL AS one, NULL AS other
            FROM (SELECT *, first_value(event) OVER (PARTITION BY id ORDER BY in_order) AS first_event FROM told)"""
    return f"""
        WITH again AS (
            SELECT {own_id} AS id FROM staged GROUP BY {own_id} HAVING count(*) > 1 UNION SELECT id FROM met
        ), told AS (
            SELECT *, row(coalesce(version, {2**53}), NOT {STATED}, known_at, event, place) AS in_order FROM (
                SELECT {common}, {STATED}, {PLACE}, NULL::BIGINT AS version FROM staged WHERE {own_id} IN (SELECT id FROM again)
                UNION ALL SELECT {common}, true, -1, version FROM earlier
            )
        ), judged AS ({judged}
        ), single AS (
            SELECT *, row_number() OVER (PARTITION BY id, said, known_at, version, {STATED} ORDER BY place) AS copy
            FROM judged WHERE verdict IS NULL
        ), compared AS (
            SELECT *, lag(said) OVER (PARTITION BY id ORDER BY in_order) AS before,
                   row_number() OVER (PARTITION BY id, said ORDER BY in_order) AS occurrence
            FROM single WHERE copy = 1
        ), fresh AS (
            -- A row known at a stated moment may change back; one without only repeats what was said some time before.
            SELECT *, version IS NULL
                      AND CASE WHEN {STATED} THEN before IS DISTINCT FROM said ELSE occurrence = 1 END AS is_new
            FROM compared
        ), numbered AS (
            SELECT place, is_new, coalesce(max(version) OVER (PARTITION BY id), 0)
                   + count(*) FILTER (WHERE is_new) OVER (PARTITION BY id ORDER BY in_order) AS version
            FROM fresh
        )
        SELECT place, CASE WHEN is_new THEN version END AS version, NULL AS verdict, NULL AS event, NULL AS first_event,
               NULL AS one, NULL AS other
        FROM numbered WHERE place >= 0
        UNION ALL SELECT place, NULL, NULL, NULL, NULL, NULL, NULL FROM single WHERE copy > 1 AND place >= 0
        UNION ALL SELECT place, NULL, verdict, event, first_event, one, other FROM judged WHERE verdict IS NOT NULL
        ORDER BY place
    """  # noqa: S608  # our own names


def _reason(entity: Entity, row: Mapping[str, Any]) -> str:
    if row["verdict"] == "contradiction":
        return (
            f"contradiction: with the same outcome_at {row['event']} and the same known_at the lead is said to be both "
            f"{row['one']} and {row['other']}; which holds cannot be known. Send the right one again with a later known_at"
        )
    return _other_time(EVENT_TIMES[entity], row["first_event"], row["event"])


def _other_time(name: str, first: datetime, now: datetime) -> str:
    told = f"{name} {now} contradicts what was said first, {first}; it cannot change"
    shift = abs(now - first)
    if shift <= _LARGEST_SHIFT and not shift % _HALF_HOUR:
        told += f". The two are {shift / timedelta(hours=1):g} hours apart: has the time zone of the export changed?"
    return told
