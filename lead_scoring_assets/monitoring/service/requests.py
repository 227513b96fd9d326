"""The API's requests as its log has them: what is in the lakehouse, and what was logged since. Nothing is judged here."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.prediction_log.ingestion import pending_bytes, read_part, rows_of
from lead_scoring_assets.prediction_log.segments import LogSource
from lead_scoring_assets.prediction_log.tables import ERRORS, PREDICTIONS, as_table

_READ_BYTES = 64 << 20
_LOGGED = f"""
    SELECT * FROM {PREDICTIONS} ANTI JOIN waiting_{PREDICTIONS} USING (segment, start_byte)
    UNION ALL BY NAME SELECT * FROM waiting_{PREDICTIONS}
    UNION ALL BY NAME SELECT * FROM {ERRORS} ANTI JOIN waiting_{ERRORS} USING (segment, start_byte)
    UNION ALL BY NAME SELECT * FROM waiting_{ERRORS}
"""  # noqa: S608  # our own names
# A request with several leads has a line for each. Its id may be the client's own, and come again with the next request.
_REQUESTS = f"""
    SELECT "at", min(endpoint) AS endpoint, max(latency_us) / 1000.0 AS latency_ms,
           bool_or(status >= 500 OR source IS NOT DISTINCT FROM 'fallback') AS is_error,
           bool_or(status >= 400 AND status < 500) AS is_refused,
           max(model_version) AS model_version, max(arm) AS arm
    FROM ({_LOGGED}) logged
    WHERE "at" > $1 AND "at" <= $2
          AND NOT EXISTS (FROM seen WHERE seen.segment = logged.segment AND logged.start_byte < seen.until)
    GROUP BY worker, request_id, "at" ORDER BY "at", worker, request_id
"""  # noqa: S608


class RequestLog:
    """The log as it stood when this was made: what was not ingested then is read once."""

    def __init__(self, installation: Installation, source: LogSource) -> None:
        self._installation = installation
        # Read before the tables: a line that is taken in meanwhile is then found in both, and counted once.
        self.reach: Mapping[str, int] = source.ends()
        """By segment, how long the log was."""
        lines = read_part(source, pending_bytes(installation, source), _READ_BYTES).lines
        rows = rows_of(lines, installation)
        self._waiting = {name: as_table(name, rows[name]) for name in (PREDICTIONS, ERRORS)}

    @property
    def is_empty(self) -> bool:
        """Whether the API has never answered here."""
        is_waiting = any(rows.num_rows for rows in self._waiting.values())
        return not is_waiting and not any(map(self._installation.lakehouse.exists, self._waiting))

    def requests_between(self, after: datetime, until: datetime, beyond: Mapping[str, int] | None = None) -> pa.Table:
        """Every request of all workers that was answered after `after`, up to `until`, in order of time; one row each.

        `is_error`: it failed (5xx), or no model answered it (`source` fallback). What was refused (4xx) is no error.
        `beyond`: a `reach`; only lines that were written after it count.
        """
        seen = pa.table(
            {"segment": list(beyond or {}), "until": list((beyond or {}).values())},
            schema=pa.schema([("segment", pa.string()), ("until", pa.int64())]),
        )
        return query(_REQUESTS, {**self._tables(after, until), "seen": seen}, [after, until])

    def leads_scored_between(self, after: datetime, until: datetime) -> int:
        """How many leads got a score, whoever gave it."""
        found = query(
            f'SELECT count(*) AS n FROM ({_LOGGED}) WHERE "at" > $1 AND "at" <= $2 AND source IS NOT NULL',  # noqa: S608
            self._tables(after, until),
            [after, until],
        )
        return int(found["n"][0].as_py())

    def first_answer(self) -> datetime | None:
        """When the first lead was scored of those in the lakehouse."""
        lakehouse = self._installation.lakehouse
        if not lakehouse.exists(PREDICTIONS):
            return None
        found = query('SELECT min("at") AS first FROM served', {"served": lakehouse.scan(PREDICTIONS)})
        first: datetime | None = found["first"][0].as_py()
        return first

    def _tables(self, after: datetime, until: datetime) -> Mapping[str, Any]:
        lakehouse, calendar = self._installation.lakehouse, self._installation.settings.calendar
        periods = [p.key for p in calendar.through(calendar.containing(until), calendar.containing(after))]
        stored = {
            name: lakehouse.scan(name, periods=periods) if lakehouse.exists(name) else as_table(name, [])
            for name in self._waiting
        }
        return stored | {f"waiting_{name}": rows for name, rows in self._waiting.items()}
