"""The event log: append-only rows with actor, reason and evidence, each under an id that makes a repeat harmless."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa

from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.lakehouse.tables import Lakehouse

TABLE = "events"

SCHEMA = pa.schema(
    [
        ("event_id", pa.string()),
        ("kind", pa.string()),
        ("subject", pa.string()),
        ("happened_at", pa.timestamp("us", tz="UTC")),
        ("actor", pa.string()),
        ("reason", pa.string()),
        ("evidence", pa.string()),
    ]
)


@dataclass(frozen=True)
class Event:
    """Something that happened. `event_id` names the cause, so that recording it twice changes nothing."""

    event_id: str
    kind: str
    subject: str
    happened_at: datetime
    actor: str
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


class EventLog:
    """Events in a Delta table; nothing is ever edited or taken away."""

    def __init__(self, lakehouse: Lakehouse) -> None:
        self._lakehouse = lakehouse

    def record(self, event: Event) -> bool:
        """Append `event`, unless its id is already there; True when it was new.

        Two processes that record the same id at the same moment may both append it: `events` shows it once.
        """
        if any(known.event_id == event.event_id for known in self.events()):
            return False
        row = {**vars(event), "evidence": json.dumps(dict(event.evidence), sort_keys=True, default=_plain)}
        self._lakehouse.append(TABLE, pa.Table.from_pylist([row], schema=SCHEMA))
        return True

    def events(self, kind: str | None = None, subject: str | None = None) -> list[Event]:
        """Events in order of time, each id once."""
        if not self._lakehouse.exists(TABLE):
            return []
        rows = query(
            """
            SELECT * FROM (
                SELECT * FROM events
                QUALIFY 1 = row_number() OVER (
                    PARTITION BY event_id ORDER BY happened_at, kind, subject, actor, reason, evidence
                )
            )
            WHERE ($1 IS NULL OR kind = $1) AND ($2 IS NULL OR subject = $2)
            ORDER BY happened_at, event_id
            """,
            {"events": self._lakehouse.read(TABLE)},
            [kind, subject],
        ).to_pylist()
        return [Event(**{**row, "evidence": json.loads(row["evidence"])}) for row in rows]


def _plain(value: object) -> object:
    """Numbers of numpy stay numbers; what JSON has no form for becomes its text."""
    return value.item() if hasattr(value, "item") else str(value)
