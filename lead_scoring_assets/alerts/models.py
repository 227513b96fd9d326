"""Models that were taken back, as alerts. Who takes them back, and records it, stands in the room `promotion`."""

from collections.abc import Mapping

from lead_scoring_assets.alerts.alerts import Alert, Level
from lead_scoring_assets.events.log import EventLog
from lead_scoring_assets.promotion.following import KIND

_LEVELS: Mapping[str, Level] = {"fell_back": "critical", "rolled_back": "warning"}


def alerts_on_models(events: EventLog) -> list[Alert]:
    """An alert of each version that went live because the one before it was damaged, or was rolled back."""
    taken_back = [event for event in events.events(kind=KIND) if event.evidence["action"] in _LEVELS]
    return [
        Alert(
            alert_id=f"alert-{event.event_id}",
            level=_LEVELS[event.evidence["action"]],
            subject=event.subject,
            message=f"{event.subject} is live in place of v{event.evidence['champion_version']}: {event.reason}",
        )
        for event in taken_back
    ]
