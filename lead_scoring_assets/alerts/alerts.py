"""An alert: what happened, how bad it is, where to look. Recorded once a cause, then written to the log channel."""

import json
import logging
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from lead_scoring_assets.events.log import Event, EventLog

Level = Literal["info", "warning", "critical"]
KIND = "alert"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Alert:
    """`alert_id` names the cause: the same cause alerts once."""

    alert_id: str
    level: Level
    subject: str
    message: str


def raise_alert(alert: Alert, now: datetime, actor: str, events: EventLog, log_file: Path) -> bool:
    """Store the alert and write one JSON line to the log channel; False when this cause has alerted before.

    It is stored first: an alert is on record even when the channel cannot be written, which is logged instead.
    """
    event = Event(
        event_id=alert.alert_id,
        kind=KIND,
        subject=alert.subject,
        happened_at=now,
        actor=actor,
        reason=alert.message,
        evidence={"level": alert.level},
    )
    if not events.record(event):
        return False
    line = json.dumps({"at": now.isoformat(), "actor": actor, **asdict(alert)})
    try:
        log_file.parent.mkdir(parents=True, exist_ok=True)
        with log_file.open("a", encoding="utf-8") as lines:
            lines.write(line + "\n")
    except OSError as problem:
        _LOG.error("%s cannot be written (%s); the alert is in the event log: %s", log_file, problem, line)
    return True
