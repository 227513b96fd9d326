"""An alert: what happened, how bad it is, where to look. Recorded once a cause, then written to the log channel."""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from lead_scoring_assets.alerts.kinds import KIND as KIND
from lead_scoring_assets.alerts.kinds import Level, Topic
from lead_scoring_assets.events.log import Event, EventLog

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Alert:
    """`alert_id` names the cause: the same cause alerts once. Alerts of one `subject` are told as one problem.

    `periods`: those that are bad; it is over when all of them have passed. `topic`: a problem, or mere news. `evidence`:
    the figures, shown beside the message. `page`: the page of ours that says more (None: that of its episode).
    """

    alert_id: str
    level: Level
    subject: str
    message: str
    periods: tuple[str, ...] = ()
    topic: Topic = "problem"
    evidence: Mapping[str, Any] = field(default_factory=dict)
    page: str | None = None


def raise_alert(
    alert: Alert, now: datetime, actor: str, events: EventLog, log_file: Path, episode_id: str | None = None
) -> Event | None:
    """Store the alert and write one JSON line to the log channel; the event, or None when this cause has alerted before.

    It is stored first: an alert is on record even when the channel cannot be written, which is logged instead.
    `episode_id`: the episode that it joins, settled here for good; None: it opens one of its own.
    """
    episode_id = episode_id or alert.alert_id
    told = {"level": alert.level, "topic": alert.topic, "episode_id": episode_id, "periods": list(alert.periods)}
    page = {"page": alert.page} if alert.page else {}
    event = Event(
        event_id=alert.alert_id,
        kind=KIND,
        subject=_storable(alert.subject),
        happened_at=now,
        actor=actor,
        reason=_storable(alert.message),
        evidence={**told, "figures": dict(alert.evidence), **page},
    )
    if not events.record(event):
        return None
    line = json.dumps({"at": now.isoformat(), "actor": actor, **asdict(alert), "episode_id": episode_id}, default=str)
    try:
        log_file.parent.mkdir(parents=True, exist_ok=True)
        with log_file.open("a", encoding="utf-8") as lines:
            lines.write(line + "\n")
    except OSError as problem:
        _LOG.error("%s cannot be written (%s); the alert is in the event log: %s", log_file, problem, line)
    return event


def _storable(text: str) -> str:
    """`text` as tables take it: half a sign (a lone surrogate), as broken exports hold them, becomes a question mark."""
    return text.encode("utf-8", "replace").decode()
