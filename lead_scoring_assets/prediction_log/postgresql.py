"""The prediction log of several machines, in PostgreSQL: each sends its complete lines, and ingestion reads them there.

A machine's own segments stay the durable place: nobody's answer waits for the database, and what it misses it is sent
later. How far a segment was sent is recorded in the transaction that sends it, so that each line arrives once.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self

from lead_scoring_assets.errors import PredictionLogError
from lead_scoring_assets.prediction_log.segments import Line, LogFolder
from lead_scoring_assets.settings import ServingLog

if TYPE_CHECKING:
    import psycopg

_CONNECT_SECONDS = 5
_SENT_BYTES = 4 << 20
_TABLES = """
    CREATE TABLE IF NOT EXISTS prediction_log_segments (segment text PRIMARY KEY, sent bigint NOT NULL);
    CREATE TABLE IF NOT EXISTS prediction_log (
        segment text NOT NULL REFERENCES prediction_log_segments, start_byte bigint NOT NULL, end_byte bigint NOT NULL,
        line bytea NOT NULL, PRIMARY KEY (segment, start_byte)
    );
"""


class PostgresLog:
    """Lines in PostgreSQL, of every machine. A `LogSource`.

    A segment has the same name here as in its folder, and no other segment has it, on no machine: whoever sets the sink from
    files to PostgreSQL or back, or renames a machine, takes nothing in twice.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._is_prepared = False

    @classmethod
    def of(cls, settings: ServingLog) -> Self:
        """The database whose address stands in the environment variable that the settings name.

        Raises:
            PredictionLogError: the variable is not set, or the library is missing.
        """
        _library()
        address = os.environ.get(settings.secret)
        if not address:
            raise PredictionLogError(
                f"serving.log.sink is postgresql, expected the database's address in the environment variable "
                f"{settings.secret}, found none. Set it, such as postgresql://user:password@host:5432/name, or set the sink "
                "to files."
            )
        return cls(address)

    def ends(self) -> Mapping[str, int]:
        with self.connected() as connection:
            rows = connection.execute("SELECT segment, sent FROM prediction_log_segments ORDER BY segment").fetchall()
        return dict(rows)

    def lines(self, segment: str, since: int, until: int) -> Iterator[Line]:
        with self.connected() as connection, connection.cursor(name="lines") as cursor:
            cursor.execute(
                "SELECT start_byte, end_byte, line FROM prediction_log "
                "WHERE segment = %s AND start_byte >= %s AND start_byte < %s ORDER BY start_byte",
                [segment, since, until],
            )
            for start, end, line in cursor:
                yield Line(segment, start, end, bytes(line))

    def remove(self, segment: str, taken_in: int) -> bool:
        """Delete the lines that were taken in. How far the segment was sent stays, so that nothing is sent again."""
        with self.connected() as connection:
            gone = connection.execute(
                "DELETE FROM prediction_log WHERE segment = %s AND end_byte <= %s", [segment, taken_in]
            )
            return gone.rowcount > 0

    def send(self, folder: LogFolder) -> int:
        """Send every complete line of `folder` that is not there yet; how many. Segments that are sent to their end, and
        that nobody writes to, are removed from the folder.

        Raises:
            PredictionLogError: the database cannot be reached or refuses; what was sent stays, the rest is sent next time.
        """
        count = 0
        with self.connected() as connection:
            known = dict(connection.execute("SELECT segment, sent FROM prediction_log_segments").fetchall())
            for segment, end in folder.ends().items():
                sent = known.get(segment, 0)
                while sent < end:
                    sent, lines = self._send_part(connection, folder, segment, end)
                    count += lines
                if sent:
                    folder.remove(segment, sent)
        return count

    def _send_part(
        self, connection: "psycopg.Connection[Any]", folder: LogFolder, segment: str, end: int
    ) -> tuple[int, int]:
        """Send some lines in one transaction; how far the segment is sent then, and how many lines these were."""
        with connection.transaction():
            connection.execute("INSERT INTO prediction_log_segments VALUES (%s, 0) ON CONFLICT DO NOTHING", [segment])
            # Locked until the end: of two that send one folder the second waits, and goes on where the first stopped.
            [(since,)] = connection.execute(
                "SELECT sent FROM prediction_log_segments WHERE segment = %s FOR UPDATE", [segment]
            ).fetchall()
            reached, count = since, 0
            with (
                connection.cursor() as cursor,
                cursor.copy(
                    "COPY prediction_log (segment, start_byte, end_byte, line) FROM STDIN (FORMAT binary)"
                ) as rows,
            ):
                rows.set_types(["text", "int8", "int8", "bytea"])
                for line in folder.lines(segment, since, end):
                    rows.write_row((segment, line.start, line.end, line.content))
                    reached, count = line.end, count + 1
                    if reached - since >= _SENT_BYTES:
                        break
            connection.execute("UPDATE prediction_log_segments SET sent = %s WHERE segment = %s", [reached, segment])
        return reached, count

    @contextlib.contextmanager
    def connected(self) -> Iterator["psycopg.Connection[Any]"]:
        """A connection whose work is committed at the end.

        Raises:
            PredictionLogError: the library is missing, or the database cannot be reached or refuses.
        """
        psycopg = _library()
        try:
            with psycopg.connect(self._address, connect_timeout=_CONNECT_SECONDS) as connection:
                if not self._is_prepared:
                    _prepare(connection)
                    self._is_prepared = True
                yield connection
        except psycopg.Error as problem:
            # The class and what the server says; never the address, which may hold a password.
            told = problem.diag.message_primary or _first_line(problem, self._address)
            raise PredictionLogError(
                f"the prediction log in PostgreSQL cannot be reached or written ({type(problem).__name__}: {told}): expected "
                "the database that the environment names. The records are kept on this machine, and are sent when it is back."
            ) from None


def _library() -> ModuleType:
    try:
        import psycopg
    except ImportError:
        raise PredictionLogError(
            "serving.log.sink is postgresql, expected the library psycopg, found none. Install it with "
            "`pip install 'lead-scoring[postgresql]'`, or set the sink to files."
        ) from None
    return psycopg


def _prepare(connection: "psycopg.Connection[Any]") -> None:
    # Two that create a table at once can meet in PostgreSQL's catalogue, `IF NOT EXISTS` or not.
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('prediction_log'))")
        connection.execute(_TABLES)


def _first_line(problem: Exception, address: str) -> str:
    """What the library says, without the password, which it may quote."""
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        password = str(conninfo_to_dict(address).get("password") or "")
    except ProgrammingError:
        return "the address cannot be read"
    told = (str(problem).splitlines() or [""])[0]
    return told.replace(password, "***") if password else told
