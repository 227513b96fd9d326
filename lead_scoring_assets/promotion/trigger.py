"""How strictly a period's candidate is compared, by the reason for which it was trained."""

from collections.abc import Iterable
from dataclasses import dataclass

from lead_scoring_assets.events.log import EventLog
from lead_scoring_assets.models.trigger import asked_by
from lead_scoring_assets.promotion.gate import Mode

_ASKS_FOR_A_REFRESH = frozenset({"drift", "concept_drift", "prediction_drift", "performance"})


@dataclass(frozen=True)
class Trigger:
    """The causes that asked for the training, what they said, and the mode in which the gate compares."""

    causes: tuple[str, ...]
    reason: str
    mode: Mode


def trigger_of(period: str, events: EventLog, usual: Mode) -> Trigger:
    """What asked for a training of `period`, and how its candidate is compared.

    Drift or poor performance of the champion, also where another cause had asked first: the world has changed, and a
    candidate that knows it is wanted when it is as good. Whose sensor ticks first must not decide.
    """
    cause = asked_by(period, events)
    return Trigger(cause.names, cause.reason, mode_for(cause.names, usual))


def mode_for(causes: Iterable[str], usual: Mode) -> Mode:
    """How a candidate that these causes asked for is compared."""
    return "refresh" if _ASKS_FOR_A_REFRESH & set(causes) else usual
