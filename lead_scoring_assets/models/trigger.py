"""Why a period's model was trained, from the event log."""

from dataclasses import dataclass

from lead_scoring_assets.events.log import EventLog

# The retraining room, which stands above this one, records them.
_OPENED, _JOINED = "retraining_episode_opened", "retraining_cause_joined"


@dataclass(frozen=True)
class Cause:
    """The causes that asked for the training, in the order in which they did, and what they said; none: by hand."""

    names: tuple[str, ...]
    reason: str

    @property
    def name(self) -> str:
        return "+".join(self.names) or "by hand"


def asked_by(period: str, events: EventLog) -> Cause:
    """What asked for a training of `period`; nothing on record: somebody did, alone or with the rest of the history."""
    found = [e for kind in (_OPENED, _JOINED) for e in events.events(kind=kind) if e.evidence.get("period") == period]
    if not found:
        return Cause((), "asked for by hand or as part of the history")
    names = tuple(dict.fromkeys(event.subject for event in found))
    return Cause(names, "; ".join(f"{event.subject}: {event.reason}" for event in found))
