"""Pulling: what a source's SELECT gives is written into the landing folder, once for each period, and read from there.

Reading and judging the landed rows is `ingestion.py`'s affair. What was pulled is evidence and stays as it is: a row
that was changed at its source, or came late, is found by comparison and lands with the next period that is pulled.

What cannot be known: a SELECT shows a row's state at the moment of asking. Of rows that changed before the first pull
only the last state is there, under whatever time it states; a change that was undone between two pulls never shows,
and neither does a deletion.
"""

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from lead_scoring_assets.contracts.columns import ENTITIES, EVENT_TIMES, Entity
from lead_scoring_assets.errors import SourceError
from lead_scoring_assets.files import one_at_a_time
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.periods import Period
from lead_scoring_assets.settings import Home, Settings, Source

PULLED_FILE = "pulled.parquet"
KNOWN_AT = "known_at"

# Our own columns beside theirs; nobody's export has a name with this beginning.
_POSITION, _DUE, _PULLED_BEFORE = "_lead_scoring_position", "_lead_scoring_due", "_lead_scoring_pulled_before"
_TIMES = ("DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE")
_ISO = "^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9:.,]+)?[ ]?"
_WORDS_SHOWN = 1_000


def pull(installation: Installation, periods: Sequence[Period]) -> list[str]:
    """Ask every source that has a `sql` for its rows, and write those of each of `periods` that was never pulled.

    A period gets the rows that were known by its end (`known_at` where they state it, else the event time) and stand
    in no file that was pulled for an earlier period: equal in every column, and several equal rows are one. So rows
    from before the calendar's start land in the first period that is asked for, and so do rows whose time cannot be
    read (ingestion rejects them there, with the reason). All columns are written as text, under the source's names.

    A file that is there is never written again, whatever the source says by now. Each file appears whole or not at
    all, in order of time, so a killed pull goes on where it stopped. Pulls of several processes wait for each other.

    Returns the files written, as `<entity>/<period>/pulled.parquet`; none when everything was pulled before.

    Raises:
        SourceError: a SELECT cannot be run or lacks its time column, or the landing folder is no local folder.
    """
    settings = installation.settings
    queried = [entity for entity in ENTITIES if settings.sources.of(entity).sql is not None]
    if not queried or not periods:
        return []
    landing = _local_landing(installation.home, settings)
    with one_at_a_time(installation.home.lock("pulling")):
        return [
            name
            for entity in queried
            for name in _Pull(installation.home, settings, entity, landing / entity).run(periods)
        ]


def _local_landing(home: Home, settings: Settings) -> Path:
    named = settings.sources.landing
    if named is None:
        return home.landing
    if "://" in named:
        raise SourceError(
            "sources.landing is an object store, and a `sql` source is pulled into a local folder only. Leave "
            "sources.landing out, or let the store receive files instead of the `sql`."
        )
    return home.root / Path(named).expanduser()


@dataclass(frozen=True)
class _Pull:
    """The pull of one entity into its folder `landing/<entity>`."""

    home: Home
    settings: Settings
    entity: Entity
    folder: Path

    @property
    def _source(self) -> Source:
        return self.settings.sources.of(self.entity)

    @property
    def _setting(self) -> str:
        return f"sources.{self.entity}.sql"

    def run(self, periods: Sequence[Period]) -> list[str]:
        wanted = [period for period in sorted(periods) if not (self.folder / period.key / PULLED_FILE).exists()]
        if not wanted:
            return []
        for leftover in self.folder.glob(f"*/.{PULLED_FILE}.*.part"):
            leftover.unlink(missing_ok=True)  # of a process that was killed; nobody writes now but us
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            # Paths in the SELECT are relative to the home, wherever the process runs; spilled rows stay in it as well.
            connection.execute(f"SET file_search_path = {_literal(str(self.home.root))}")
            connection.execute(f"SET temp_directory = {_literal(str(self.home.data / 'tmp'))}")
            names = self._ask(connection)
            self._compare(connection, names)
            return [self._write(connection, names, wanted, period) for period in wanted]

    def _ask(self, connection: duckdb.DuckDBPyConnection) -> list[str]:
        """Run the SELECT once into the table `asked`: distinct rows of text, their position and when each is due."""
        try:
            statements = duckdb.extract_statements(self._source.sql or "")
            if len(statements) != 1 or statements[0].type is not duckdb.StatementType.SELECT:
                raise SourceError(
                    f"{self._setting}: expected one SELECT, found {len(statements)} statements or another kind. "
                    "Write one SELECT; what it needs can stand in a WITH."
                )
            # A line break, because the SELECT may end with a comment.
            inner = statements[0].query.rstrip().removesuffix(";")
            connection.execute(f"CREATE TEMP VIEW theirs AS {inner}\n")
            described = connection.execute("DESCRIBE theirs").fetchall()
            names = [str(name) for name, *_ in described]
            texts = ", ".join(self._text(str(name), str(kind)) for name, kind, *_ in described)
            due = self._due(names)
            columns = ", ".join(map(_quoted, names))
            connection.execute(
                f"""
                CREATE TEMP TABLE asked AS
                SELECT *, {due} AS {_DUE} FROM (SELECT {texts}, row_number() OVER () AS {_POSITION} FROM theirs)
                QUALIFY row_number() OVER (PARTITION BY {columns} ORDER BY {_POSITION}) = 1
                """  # noqa: S608  # names and values are quoted
            )
        except duckdb.Error as problem:
            raise SourceError(
                f"{self._setting} cannot be run; DuckDB says: {_words(problem)}\n"
                f"Correct the SELECT in lead_scoring.yaml (paths are relative to {self.home.root}), or what it reads."
            ) from None
        return names

    def _text(self, name: str, kind: str) -> str:
        """A column as text; a time is written in the source's `time_format`, because readers expect it so."""
        column, form = _quoted(name), self._source.time_format
        if not kind.startswith(_TIMES):
            return f"CAST({column} AS VARCHAR) AS {column}"
        if kind == "TIMESTAMP WITH TIME ZONE":
            zone = "UTC" if form is None or "%z" in form else self.settings.sources.time_zone
            column_in_zone = f"timezone({_literal(zone)}, {column})"
            return f"strftime({column_in_zone}, {_literal(form or '%Y-%m-%dT%H:%M:%S.%fZ')}) AS {column}"
        if form is None:
            return f"CAST({column} AS VARCHAR) AS {column}"
        return f"strftime({column}, {_literal(form)}) AS {column}"

    def _due(self, names: Sequence[str]) -> str:
        """SQL: when a row was known (TIMESTAMPTZ); NULL where a time that it states cannot be read."""
        event = self._theirs(EVENT_TIMES[self.entity], names)
        if event is None:
            raise SourceError(
                f"{self._setting}: the column {EVENT_TIMES[self.entity]!r} is missing, found {list(names)}. Give the "
                f"SELECT a column of that name, or name theirs in sources.{self.entity}.rename."
            )
        known = self._theirs(KNOWN_AT, names)
        if known is None:
            return self._moment(event)
        is_empty = f"coalesce(trim({_quoted(known)}), '') = ''"
        return f"CASE WHEN {is_empty} THEN {self._moment(event)} ELSE {self._moment(known)} END"

    def _theirs(self, ours: str, names: Sequence[str]) -> str | None:
        """The column of the SELECT that is `ours`, renamed or under our own name."""
        renamed = [theirs for theirs, name in self._source.rename.items() if name == ours and theirs in names]
        return next(iter(renamed), ours if ours in names else None)

    def _moment(self, name: str) -> str:
        """SQL: a text as a moment, or NULL."""
        text, form = f"trim({_quoted(name)})", self._source.time_format
        zone = _literal(self.settings.sources.time_zone)
        if form is not None:
            parsed = f"try_strptime({text}, {_literal(form)})"
            return parsed if "%z" in form else f"timezone({zone}, {parsed})"
        formed = f"CASE WHEN regexp_matches({text}, {_literal(_ISO)}) THEN {text} END"
        has_zone = f"regexp_matches({text}, '(Z|z|[+-][0-9]{{2}}(:?[0-9]{{2}})?)$') AND length({text}) > 10"
        return (
            f"CASE WHEN {has_zone} THEN try_cast({formed} AS TIMESTAMPTZ) "
            f"ELSE timezone({zone}, try_cast({formed} AS TIMESTAMP)) END"
        )

    def _compare(self, connection: duckdb.DuckDBPyConnection, names: Sequence[str]) -> None:
        """Make the table `found`: what was asked, with the first period for which each row was pulled before, or NULL.

        Only the columns that the SELECT gives today are compared; one that an older file lacks is empty there.
        """
        earlier = sorted(self.folder.glob(f"*/{PULLED_FILE}"))
        if not earlier:
            connection.execute(f"CREATE TEMP TABLE found AS SELECT *, NULL::VARCHAR AS {_PULLED_BEFORE} FROM asked")  # noqa: S608
            return
        reading = (
            "read_parquet(["
            + ", ".join(_literal(_verbatim(path)) for path in earlier)
            + "], union_by_name = true, filename = '_lead_scoring_file')"
        )
        try:
            there = {row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {reading}").fetchall()}  # noqa: S608
            projected = ", ".join(
                _quoted(name) if name in there else f"NULL::VARCHAR AS {_quoted(name)}" for name in names
            )
            same = " AND ".join(f"a.{_quoted(name)} IS NOT DISTINCT FROM p.{_quoted(name)}" for name in names)
            columns = ", ".join(map(_quoted, names))
            connection.execute(
                f"""
                CREATE TEMP TABLE found AS
                SELECT a.*, p.{_PULLED_BEFORE} FROM asked a LEFT JOIN (
                    SELECT {columns}, min(regexp_extract(_lead_scoring_file, '([^/]+)/[^/]+$', 1)) AS {_PULLED_BEFORE}
                    FROM (SELECT {projected}, _lead_scoring_file FROM {reading}) GROUP BY {columns}
                ) p ON {same}
                """  # noqa: S608  # names and values are quoted
            )
        except duckdb.Error as problem:
            raise SourceError(
                f"files that were pulled earlier into {self.folder} cannot be read; DuckDB says: "
                f"{_words(problem)}\nThey are evidence: restore the damaged one from a backup."
            ) from None

    def _write(
        self,
        connection: duckdb.DuckDBPyConnection,
        names: Sequence[str],
        wanted: Sequence[Period],
        period: Period,
    ) -> str:
        """Write the file of `period`: rows known by its end, but not by that of an earlier one of `wanted`."""
        at = wanted.index(period)
        target = self.folder / period.key / PULLED_FILE
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{PULLED_FILE}.{secrets.token_hex(4)}.part")
        is_due = f"{_DUE} <= {_literal(period.end.isoformat())}::TIMESTAMPTZ"
        # Without a time that can be read: with the first. What has its place in an earlier file stays there.
        lower = (
            f"({is_due} OR {_DUE} IS NULL)"
            if at == 0
            else f"{is_due} AND {_DUE} > {_literal(wanted[at - 1].end.isoformat())}::TIMESTAMPTZ"
        )
        try:
            connection.execute(
                f"""
                COPY (
                    SELECT {", ".join(map(_quoted, names))} FROM found
                    WHERE {lower} AND ({_PULLED_BEFORE} IS NULL OR {_PULLED_BEFORE} > {_literal(period.key)})
                    ORDER BY {_POSITION}
                ) TO {_literal(str(temporary))} (FORMAT parquet, USE_TMP_FILE false)
                """  # noqa: S608  # names and values are quoted
            )
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.replace(target)
        except (duckdb.Error, OSError) as problem:
            raise SourceError(
                f"{target} cannot be written ({_words(problem)}). Is there room, and leave to write? "
                "Nothing of this period was pulled; ask again when it is mended."
            ) from None
        finally:
            temporary.unlink(missing_ok=True)
        return f"{self.entity}/{period.key}/{PULLED_FILE}"


def _words(problem: Exception) -> str:
    """What DuckDB says, without its drawing of the statement."""
    return str(problem).split("\n\nLINE ")[0].strip()[:_WORDS_SHOWN]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _verbatim(path: Path) -> str:
    """A path in which no character is a wildcard."""
    return "".join(f"[{character}]" if character in "*?[" else character for character in str(path))
