"""What follows the table of deployments: an event of every step, and MLflow's aliases and tags.

A process that died between the two is put right here by whoever comes next; nothing here decides.
"""

from lead_scoring_assets.events.log import Event, EventLog
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.models.registry import ModelRegistry
from lead_scoring_assets.promotion.deployments import Deployment, Deployments
from lead_scoring_assets.promotion.lifecycle import lifecycle_of

KIND = "model_lifecycle"


def record_events(events: EventLog, steps: list[Deployment]) -> int:
    """Record the event of each step that has none yet; how many there were."""
    known = {event.event_id for event in events.events(kind=KIND)}
    missing = [event for event in map(_event, range(len(steps)), steps) if event.event_id not in known]
    for event in missing:
        events.record(event)
    return len(missing)


def follow(installation: Installation) -> str | None:
    """Bring the event log and MLflow to where the table stands; what could not follow, and why.

    Nothing is written when they are there. Without a lock, because a rollback must not wait for somebody's MLflow
    server: who has put an alias back to where the table stood before finds that out afterwards, and goes on.
    """
    deployments, registry = Deployments(installation.lakehouse), ModelRegistry(installation.home)
    steps = deployments.steps()
    while True:
        record_events(installation.events, steps)
        lifecycle = lifecycle_of(steps)
        if steps and (problem := registry.try_to_follow(lifecycle.production, lifecycle.staging, lifecycle.archived)):
            return f"MLflow could not follow ({problem}); the next command tries again. What is live is as recorded."
        followed, steps = steps, deployments.steps()
        if len(steps) == len(followed):
            return None


def _event(sequence: int, step: Deployment) -> Event:
    return Event(
        event_id=f"model-lifecycle-{sequence}",
        kind=KIND,
        subject=f"v{step.version}",
        happened_at=step.effective_at,
        actor=step.actor,
        reason=step.reason,
        evidence={
            "action": step.action,
            "version": step.version,
            "champion_version": step.champion_version,
            "period": step.period,
            "fingerprint": step.fingerprint,
            "requested_by": step.requested_by,
        },
    )
