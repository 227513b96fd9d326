"""Alerts as people live through them: an episode is one problem from its first alert to its end. Pure, from the events."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from lead_scoring_assets.alerts.kinds import ACKNOWLEDGED, KIND, LEVELS, RESOLVED, Level, Topic, rank
from lead_scoring_assets.events.log import Event


@dataclass(frozen=True)
class RaisedAlert:
    """An alert on record, and when it was over (None: it is not, or never can be)."""

    alert_id: str
    episode_id: str
    level: Level
    topic: Topic
    subject: str
    message: str
    raised_at: datetime
    actor: str
    periods: tuple[str, ...] = ()
    figures: dict[str, Any] = field(default_factory=dict)
    resolved_at: datetime | None = None
    resolved_periods: frozenset[str] = frozenset()
    page: str | None = None
    resolved_because: str | None = None

    @property
    def is_open(self) -> bool:
        return self.topic == "problem" and self.level != "info" and self.resolved_at is None


@dataclass(frozen=True)
class Acknowledgement:
    """Somebody has said that they look after it."""

    at: datetime
    by: str
    reason: str


@dataclass(frozen=True)
class Episode:
    """One problem: its alerts in the order in which they came. The first one gives it its name."""

    episode_id: str
    alerts: tuple[RaisedAlert, ...]
    acknowledged: Acknowledgement | None = None

    @property
    def subject(self) -> str:
        return self.alerts[0].subject

    @property
    def topic(self) -> Topic:
        return self.alerts[0].topic

    @property
    def level(self) -> Level:
        return self.rises[-1].level

    @property
    def is_open(self) -> bool:
        return any(alert.is_open for alert in self.alerts)

    @property
    def resolved_at(self) -> datetime | None:
        """When the last of its alerts was over; None while one is open, and of news."""
        ends = [alert.resolved_at for alert in self.alerts if alert.resolved_at is not None]
        return None if self.is_open else max(ends, default=None)

    @cached_property
    def rises(self) -> tuple[RaisedAlert, ...]:
        """The alerts worth a message: the first, and each that is worse than all before it."""
        found: list[RaisedAlert] = []
        for alert in self.alerts:
            if not found or rank(alert.level) > rank(found[-1].level):
                found.append(alert)
        return tuple(found)

    def is_acknowledged(self, alert: RaisedAlert) -> bool:
        """Whether somebody knows of `alert`: who acknowledged a warning has not acknowledged what came of it."""
        return self.acknowledged is not None and self.acknowledged.at >= alert.raised_at


def episodes_of(events: Iterable[Event]) -> list[Episode]:
    """Every episode, oldest first, from all events in order of time."""
    members: dict[str, list[RaisedAlert]] = {}
    answers: dict[str, Acknowledgement] = {}
    events = list(events)
    ends: dict[str, list[Event]] = {}
    for event in events:
        if event.kind == RESOLVED:
            ends.setdefault(event.subject, []).append(event)
        elif event.kind == ACKNOWLEDGED:
            # The last word counts: a problem that got worse can be acknowledged again.
            answers[event.subject] = Acknowledgement(event.happened_at, event.actor, event.reason)
    for event in events:
        if event.kind == KIND:
            alert = _alert(event, ends.get(event.event_id, []))
            members.setdefault(alert.episode_id, []).append(alert)
    return [Episode(name, tuple(alerts), answers.get(name)) for name, alerts in members.items()]


def joins(subject: str, level: Level, topic: Topic, episodes: Sequence[Episode]) -> str | None:
    """The open episode of which an alert on `subject` is a part; None: it opens one of its own, as all news does."""
    if topic != "problem" or level == "info":
        return None
    return next((e.episode_id for e in reversed(episodes) if e.subject == subject and e.is_open), None)


def open_alerts(episodes: Iterable[Episode]) -> list[RaisedAlert]:
    """Every alert whose cause is not known to be gone."""
    return [alert for episode in episodes for alert in episode.alerts if alert.is_open]


def counted(episodes: Iterable[Episode]) -> str:
    """How many alerts of each level are open, worst first, and in how many episodes, in words."""
    lasting = [episode for episode in episodes if episode.is_open]
    alerts = open_alerts(lasting)
    if not alerts:
        return "none"
    counts = Counter(alert.level for alert in alerts)
    levels = ", ".join(f"{counts[level]:,} {level}" for level in reversed(LEVELS) if counts[level])
    return f"{levels}, in {len(lasting):,} episode{'' if len(lasting) == 1 else 's'}"


def _alert(event: Event, ends: Sequence[Event]) -> RaisedAlert:
    told = event.evidence
    periods = tuple(told.get("periods", ()))
    last, passed = None, frozenset[str]()
    for end in ends:
        passed |= frozenset(end.evidence.get("periods", ()))
        # Named periods end one by one; without any the first end is the end.
        if last is None and (end.evidence.get("all") or passed >= set(periods)):
            last = end
    return RaisedAlert(
        alert_id=event.event_id,
        episode_id=str(told.get("episode_id", event.event_id)),
        level=told["level"],
        topic=told.get("topic", "problem"),
        subject=event.subject,
        message=event.reason,
        raised_at=event.happened_at,
        actor=event.actor,
        periods=periods,
        figures=dict(told.get("figures", {})),
        resolved_at=last.happened_at if last else None,
        resolved_periods=passed,
        page=told.get("page"),
        resolved_because=last.reason if last else None,
    )
