"""Episodes: one cause in one period asks for one training. What was asked, joined and answered is in the event log."""

from dataclasses import dataclass

from lead_scoring_assets.events.log import Event, EventLog
from lead_scoring_assets.retraining.decisions import RetrainingDecision
from lead_scoring_assets.retraining.situation import Situation

OPENED, JOINED, CLOSED = "retraining_episode_opened", "retraining_cause_joined", "retraining_episode_closed"


@dataclass(frozen=True)
class Answer:
    """What a sensor does now: launch the training named by `episode_id`, or nothing, and why."""

    episode_id: str | None
    reason: str


def episode_id(decision: RetrainingDecision) -> str:
    """Names the cause and the period in which it was found: never the time of the tick, never only the figure."""
    return f"retraining-{decision.cause}-{decision.period}"


def answer(decision: RetrainingDecision, situation: Situation, events: EventLog, actor: str) -> Answer:
    """Turn a decision into at most one training a period, and record what became of it.

    The same cause in the same period gives the same episode id at every tick (its run_key: Dagster launches it once);
    in a later period it is a new episode.
    """
    close_answered_episodes(situation, events)
    decided = situation.decision_of(decision.period)
    if decided is not None:
        told = f"{decision.period} has been decided ({decided['verdict']}: {decided['reason']})"
        return Answer(None, f"{told}; {decision.reason}" if decision.retrain else decision.reason)
    if not decision.retrain:
        return Answer(None, decision.reason)
    if not situation.has_arrived:
        return Answer(None, f"the files of {decision.period} are not ingested yet; {decision.reason}")
    name = episode_id(decision)
    opened = [event for event in events.events(kind=OPENED) if event.evidence.get("period") == decision.period]
    if opened and opened[0].event_id != name:
        events.record(_event(f"{name}-joined", JOINED, decision, situation, actor, {"episode": opened[0].event_id}))
        return Answer(None, f"{opened[0].event_id} already asks for a training of {decision.period}; {decision.reason}")
    # Recorded before the run is asked for: a process that dies in between finds the episode and asks again.
    events.record(_event(name, OPENED, decision, situation, actor, {}))
    return Answer(name, decision.reason)


def close_answered_episodes(situation: Situation, events: EventLog) -> None:
    """Record, for every open episode whose period has been decided, the verdict that answered it."""
    closed = {event.subject for event in events.events(kind=CLOSED)}
    for episode in events.events(kind=OPENED):
        decided = situation.decision_of(str(episode.evidence["period"]))
        if episode.event_id not in closed and decided is not None:
            events.record(
                Event(
                    event_id=f"{episode.event_id}-closed",
                    kind=CLOSED,
                    subject=episode.event_id,
                    happened_at=situation.now,
                    actor="promotion_decision",
                    reason=f"{decided['verdict']}: {decided['reason']}",
                )
            )


def _event(
    event_id: str, kind: str, decision: RetrainingDecision, situation: Situation, actor: str, more: dict[str, object]
) -> Event:
    return Event(
        event_id=event_id,
        kind=kind,
        subject=decision.cause,
        happened_at=situation.now,
        actor=actor,
        reason=decision.reason,
        evidence={**decision.evidence, "period": decision.period, **more},
    )
