"""The tables that the doctor asks, as DuckDB views: typed, as known at one moment, whatever columns they came with."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

import duckdb
import numpy as np
import numpy.typing as npt

from lead_scoring_assets.contracts.columns import ENTITIES, EVENT_TIMES, IDENTIFIERS, RAW_TABLES, Column, Entity
from lead_scoring_assets.lakehouse.names import quoted
from lead_scoring_assets.lakehouse.parquet_view import register
from lead_scoring_assets.leads.versions import latest_known
from lead_scoring_assets.settings import Settings

SAMPLE_ROWS = 200_000
"""Shapes and leaks are judged on at most about so many leads: with 5 % conversions, an AUC's standard error is then
below 0.003."""
DAY_US = 86_400_000_000
Numbers = npt.NDArray[np.int64]

_SQL_TYPES = {
    "integer": "DOUBLE",
    "number": "DOUBLE",
    "category": "VARCHAR",
    "text": "VARCHAR",
    "timestamp": "TIMESTAMPTZ",
}
_AS_OF = "getvariable('as_of')"


class Evidence:
    """Views over what was known at `as_of`:

    - `leads`: of each lead its first statement, because features and labels are made from that one;
    - `outcomes`, `activities`: of each its newest version; `<entity>_statements`: every version of each;
    - `judged`: each lead with its features `f0`, `f1` …, `matured` (its conversion window has closed), `label` (1, 0;
      NULL before), `has_outcome` (converted, disqualified or lost), `late` (converted, but after the window) and
      `days_to_conversion`;
    - `sample`: some judged leads, chosen by a hash of their id: the features, `converted` (in time or late; NULL
      before maturity), `has_outcome` and `fold` (0 or 1).

    Use it in a `with` statement.
    """

    def __init__(
        self, leads: Any, outcomes: Any, activities: Any | None, settings: Settings, as_of: datetime, sample_rows: int
    ) -> None:
        self.settings = settings
        self.as_of = as_of
        self.window = timedelta(days=settings.labels.conversion_window_days)
        given = {"leads": leads, "outcomes": outcomes, "activities": activities}
        self.tables: Mapping[Entity, Any] = {e: given[e] for e in ENTITIES if given[e] is not None}
        self.features: list[tuple[str, Column]] = list(settings.registry.lead_features.items())
        self._connection = duckdb.connect()
        self._connection.execute("SET TimeZone = 'UTC'")
        self._connection.execute("SET python_enable_replacements = false")
        self._connection.execute("SET VARIABLE as_of = $1::TIMESTAMPTZ", [as_of])
        for entity, table in self.tables.items():
            self._open(entity, table)
        self.counts: Mapping[Entity, int] = {e: int(self.value(f"SELECT count(*) FROM {e}")) for e in self.tables}  # noqa: S608
        self._judge()
        self.sample_rows = self._sample(sample_rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._connection.close()

    def row(self, sql: str, parameters: Sequence[object] = ()) -> tuple[Any, ...]:
        """The only row of the answer."""
        (found,) = self.rows(sql, parameters)
        return found

    def value(self, sql: str, parameters: Sequence[object] = ()) -> Any:
        return self.row(sql, parameters)[0]

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        # To the end: an unread result would block the connection.
        return list(self._connection.execute(sql, list(parameters)).fetchall())

    def arrow(self, sql: str, parameters: Sequence[object] = ()) -> Any:
        return self._connection.sql(sql, params=list(parameters)).to_arrow_table()

    def columns(self, entity: Entity) -> Mapping[str, Column]:
        return self.settings.registry.columns(entity)

    def subject(self, entity: Entity, column: str | None = None) -> str:
        return RAW_TABLES[entity] + (f".{column}" if column else "")

    def missing_columns(self, entity: Entity) -> list[str]:
        """Required columns that the table does not have at all."""
        return [
            name
            for name, column in self.columns(entity).items()
            if column.required and name not in self.tables[entity].schema.names
        ]

    def event_hours(self, entity: Entity) -> tuple[Numbers, Numbers]:
        """Hours since 1970 in which something happened, in order, and how often."""
        found = self.arrow(
            f"SELECT epoch_us({EVENT_TIMES[entity]}) // 3600000000 AS hour, count(*) AS n FROM {entity} "  # noqa: S608
            f"WHERE {EVENT_TIMES[entity]} IS NOT NULL GROUP BY 1 ORDER BY 1"  # by place: a column may have any name
        )
        return found["hour"].to_numpy(), found["n"].to_numpy()

    def _open(self, entity: Entity, table: Any) -> None:
        register(self._connection, f"given_{entity}", table)
        there = set(table.schema.names)
        typed = [
            f"try_cast({quoted(name) if name in there else 'NULL'} AS {_SQL_TYPES[column.kind]}) AS {quoted(name)}"
            for name, column in self.columns(entity).items()
        ]
        has_versions = "version" in there
        # A row that does not say when it was known is known.
        self._view(
            f"{entity}_statements",
            f"SELECT * REPLACE (coalesce(known_at, {_AS_OF}) AS known_at) "  # noqa: S608  # our own and quoted names
            f"FROM (SELECT {', '.join([*typed, *(['version'] if has_versions else [])])} FROM given_{entity}) "
            f"WHERE known_at IS NULL OR known_at <= {_AS_OF}",
        )
        if not has_versions:
            # An export that was never ingested: rows of one outcome or activity are versions in the order of time.
            by = f"known_at, {EVENT_TIMES[entity]}" + (", outcome" if entity == "outcomes" else "")
            one = f"QUALIFY row_number() OVER (PARTITION BY {IDENTIFIERS[entity]} ORDER BY {by} DESC) = 1"
            self._view(entity, f"FROM {entity}_statements" + ("" if entity == "leads" else f" {one}"))
        elif entity == "leads":
            self._view(entity, "FROM leads_statements WHERE version = 1")
        elif self.value(f"SELECT max(version) > 1 FROM given_{entity}"):  # noqa: S608
            self._view(entity, f"FROM {latest_known(entity, f'{entity}_statements', _AS_OF)}")
        else:
            self._view(entity, f"FROM {entity}_statements")

    def _view(self, name: str, sql: str) -> None:
        self._connection.execute(f"CREATE TEMP VIEW {name} AS {sql}")

    def _judge(self) -> None:
        days = self.settings.labels.conversion_window_days
        limit = f"(l.created_at + to_days({days}))"
        matured = f"(greatest({limit}, l.known_at) <= {_AS_OF})"
        outcomes = (
            "(SELECT lead_id, outcome, outcome_at FROM outcomes)"
            if "outcomes" in self.tables
            else "(SELECT NULL::VARCHAR AS lead_id, NULL::VARCHAR AS outcome, NULL::TIMESTAMPTZ AS outcome_at)"
        )
        # Their own names could be those of what is judged here.
        features = [f"l.{quoted(name)} AS f{place}" for place, (name, _) in enumerate(self.features)]
        # An outcome dated before its lead is no evidence: it is told of on its own.
        self._view(
            "judged",
            f"""
            SELECT {", ".join(["l.lead_id", "l.created_at", *features])}, {matured} AS matured,
                   CASE WHEN {matured} THEN (o.outcome = 'converted' AND o.outcome_at <= {limit}) IS TRUE END::TINYINT
                       AS label,
                   (o.outcome IN ('converted', 'disqualified', 'lost')) IS TRUE AS has_outcome,
                   (o.outcome = 'converted' AND o.outcome_at > {limit}) IS TRUE AS late,
                   CASE WHEN o.outcome = 'converted' THEN (epoch_us(o.outcome_at) - epoch_us(l.created_at)) // {DAY_US}
                       END AS days_to_conversion
            FROM leads l LEFT JOIN {outcomes} o ON o.lead_id = l.lead_id AND o.outcome_at >= l.created_at
            """,  # noqa: S608  # our own names and a whole number
        )

    def _sample(self, wanted: int) -> int:
        every = max(1, -(-self.counts["leads"] // wanted))
        parameters: list[object] = []
        features = []
        for place, (_, column) in enumerate(self.features):
            value = f"f{place}"
            if column.is_numeric:
                value = f"CASE WHEN isfinite({value}) THEN {value} END"
            for code in column.missing:
                if column.is_numeric and isinstance(code, str):
                    continue  # a word can not be there in a column of numbers
                parameters.append(code if column.is_numeric else str(code))
                value = f"nullif({value}, ${len(parameters)})"
            features.append(f"{value} AS f{place}")
        self._connection.execute(
            f"CREATE TEMP TABLE sample AS SELECT {', '.join([*features, 'created_at', 'has_outcome'])}, "  # noqa: S608
            # One that converts late knows as much of its conversion as one that does in time.
            f"CASE WHEN matured THEN (label = 1 OR late)::TINYINT END AS converted, "
            f"(hash(lead_id, 1) % 2)::TINYINT AS fold FROM judged WHERE hash(lead_id) % {every} = 0",
            parameters,
        )
        return int(self.value("SELECT count(*) FROM sample"))
