"""Why a period's model was trained, from the event log."""

from dataclasses import dataclass

from lead_scoring_assets.events.log import EventLog

# The retraining room, which stands above this one, records them.
_OPENED, _JOINED = "retraining_episode_opened", "retraining_cause_joined"
HISTORY = "history"
"""The name of what asked where no cause did: the period was materialised, alone or with others."""


@dataclass(frozen=True)
class Cause:
    """The causes that asked for the training, in the order in which they did, and what they said; none: the history was
    built."""

    names: tuple[str, ...]
    reason: str

    @property
    def name(self) -> str:
        return "+".join(self.names) or HISTORY


def asked_by(period: str, events: EventLog) -> Cause:
    """What asked for a training of `period`. A request by hand is on record as every other cause."""
    found = [e for kind in (_OPENED, _JOINED) for e in events.events(kind=kind) if e.evidence.get("period") == period]
    if not found:
        return Cause((), f"no cause is on record: {period} was materialised, as part of the history or alone")
    names = tuple(dict.fromkeys(event.subject for event in found))
    return Cause(names, "; ".join(f"{event.subject}: {event.reason}" for event in found))
