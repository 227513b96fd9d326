"""Models that went live or were taken back, as alerts. Who does that, and records it, stands in the room `promotion`."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from lead_scoring_assets.alerts.alerts import Alert
from lead_scoring_assets.alerts.kinds import Level
from lead_scoring_assets.errors import LakehouseError
from lead_scoring_assets.events.log import EventLog
from lead_scoring_assets.models.record import RECORD, read_record
from lead_scoring_assets.promotion.deployments import Deployment
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


def replaced_since(steps: Sequence[Deployment]) -> dict[str, str]:
    """By alert of a model that was taken back, why it is over: the version that has gone live since."""
    live = [(sequence, step) for sequence, step in enumerate(steps) if step.went_live]
    return {
        f"alert-model-lifecycle-{sequence}": f"v{later.version} is live: {later.reason}"
        for (sequence, step), (_, later) in pairwise(live)
        if step.action in _LEVELS
    }


def news_of_deployments(steps: Sequence[Deployment], seen: int | None, data: Path) -> list[Alert]:
    """A notice of each step after the first `seen` that took a version live; None: of the newest one only.

    Whoever starts to watch years of history is not told all of it.
    """
    live = [(sequence, step) for sequence, step in enumerate(steps) if step.went_live]
    wanted = live[-1:] if seen is None else [(sequence, step) for sequence, step in live if sequence >= seen]
    return [_news(sequence, step, data) for sequence, step in wanted]


def _news(sequence: int, step: Deployment, data: Path) -> Alert:
    commit = _commit(step, data)
    return Alert(
        alert_id=f"alert-deployment-{sequence}",
        level="info",
        subject=f"v{step.version}",
        message=(
            f"v{step.version}, trained at the end of {step.period} by commit {commit}, is live since "
            f"{step.effective_at:%Y-%m-%d %H:%M} UTC ({step.action.replace('_', ' ')} by {step.actor}): {step.reason}"
        ),
        topic="deployment",
        evidence={"version": step.version, "git sha": commit, "period": step.period},
    )


def _commit(step: Deployment, data: Path) -> str:
    """The commit whose code trained the version, or a word for it when that is not on record."""
    try:
        return read_record(step.folder(data).with_name(RECORD)).provenance.git_commit
    except LakehouseError:
        return "unknown"
