"""Which channel ought to be told of which episode, and since when: pure, from the episodes and what was sent so far."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from lead_scoring_assets.alerts.episodes import Episode, RaisedAlert
from lead_scoring_assets.alerts.kinds import Level, rank
from lead_scoring_assets.settings import Alerts

Action = Literal["raise", "escalate", "resolve"]
Outcome = Literal["delivered", "refused", "unreachable"]


@dataclass(frozen=True)
class Delivery:
    """One attempt to deliver one notice. `refused`: the receiver will not have this message; `unreachable`: it takes none.

    `message_id`: the message it went in, which held other notices too where they were told together. `dedup_key`: what a
    receiver tells repeats by, and is later told to resolve.
    """

    notice_id: str
    message_id: str
    dedup_key: str
    episode_id: str
    channel: str
    action: Action
    level: Level
    subject: str
    attempted_at: datetime
    outcome: Outcome
    error: str | None = None
    retry_at: datetime | None = None


@dataclass(frozen=True)
class Notice:
    """One thing to tell on one channel. `notice_id` is the same at every look, so that it is told once."""

    notice_id: str
    dedup_key: str
    channel: str
    action: Action
    alert: RaisedAlert
    episode: Episode
    due_at: datetime


@dataclass(frozen=True)
class Message:
    """What goes out at once: one notice, or a digest of several."""

    message_id: str
    dedup_key: str
    notices: tuple[Notice, ...]

    @property
    def action(self) -> Action:
        return self.notices[0].action

    @property
    def level(self) -> Level:
        return max((notice.alert.level for notice in self.notices), key=rank)


def due(episodes: Sequence[Episode], sent: Sequence[Delivery], settings: Alerts, now: datetime) -> list[Notice]:
    """What ought to have been told by `now` and was not: the worst first, then the oldest.

    What is over before it could be told is not told any more, nor what has been due for longer than `expires_hours`. A
    clock that was set back makes nothing wait: what is on record has happened, and what will have been told keeps nobody
    quiet.
    """
    delivered = [attempt for attempt in sent if attempt.outcome == "delivered"]
    done = {attempt.notice_id for attempt in delivered}
    open_ = [episode for episode in episodes if episode.resolved_at is None]
    past = [attempt for attempt in delivered if attempt.attempted_at <= now]
    wanted = [*(notice for episode in open_ for notice in _raised(episode, past, settings, now))]
    wanted += _resolved(episodes, delivered, now)
    oldest = now - timedelta(hours=settings.retries.expires_hours)
    missing = [n for n in wanted if n.notice_id not in done and n.channel in settings.channels]
    return sorted(
        (notice for notice in missing if oldest <= notice.due_at <= now),
        key=lambda notice: (-rank(notice.alert.level), notice.due_at, notice.notice_id),
    )


def messages(notices: Sequence[Notice], room: int) -> list[Message]:
    """One channel's notices as messages: while there is `room`, each its own; what is more than that in one digest.

    The end of a problem is told in any case: there are no more of those than of problems told, and nobody should work on
    what is over.
    """
    ends = [notice for notice in notices if notice.action == "resolve"]
    news = [notice for notice in notices if notice.action != "resolve"]
    if len(news) <= room:
        return [_alone(notice) for notice in [*news, *ends]]
    first, rest = news[: max(room - 1, 0)], news[max(room - 1, 0) :]
    digest = [_digest(rest)] if room > 0 else []
    return [*(_alone(notice) for notice in first), *digest, *(_alone(notice) for notice in ends)]


def _raised(episode: Episode, past: Sequence[Delivery], settings: Alerts, now: datetime) -> Iterator[Notice]:
    routes = settings.routes.model_dump()
    for alert in episode.rises:
        for channel in routes[_route(alert)]:
            free = _quiet_until(episode, alert, channel, past, settings)
            name = f"{episode.episode_id}/{alert.level}/{channel}"
            raised_at = min(alert.raised_at, now)
            due_at = max(raised_at, free) if free else raised_at
            yield Notice(name, episode.episode_id, channel, "raise", alert, episode, due_at)
    worst = episode.rises[-1]
    if worst.level != "critical" or worst.topic != "problem" or episode.is_acknowledged(worst):
        return
    for number, tier in enumerate(settings.escalation, 1):
        for channel in tier.channels:
            name = f"{episode.episode_id}/tier-{number}/{channel}"
            due_at = worst.raised_at + timedelta(minutes=tier.after_minutes)
            yield Notice(name, episode.episode_id, channel, "escalate", worst, episode, due_at)


def _route(alert: RaisedAlert) -> str:
    return alert.level if alert.topic == "problem" else alert.topic


def _quiet_until(
    episode: Episode, alert: RaisedAlert, channel: str, delivered: Iterable[Delivery], settings: Alerts
) -> datetime | None:
    """Until when the channel is not told of the subject again, because an earlier episode as bad was told there."""
    told = [
        attempt.attempted_at
        for attempt in delivered
        if (attempt.subject, attempt.channel) == (alert.subject, channel)
        and attempt.action != "resolve"
        and attempt.episode_id != episode.episode_id
        and rank(attempt.level) >= rank(alert.level)
    ]
    return max(told) + timedelta(minutes=settings.cooldown_minutes) if told else None


def _resolved(episodes: Sequence[Episode], delivered: Sequence[Delivery], now: datetime) -> Iterator[Notice]:
    """The end of what a channel was told, once all that it was told under one key is over."""
    known = {episode.episode_id: episode for episode in episodes}
    told: dict[tuple[str, str], dict[str, Episode]] = {}
    for attempt in delivered:
        if attempt.action != "resolve" and attempt.episode_id in known:
            told.setdefault((attempt.channel, attempt.dedup_key), {})[attempt.episode_id] = known[attempt.episode_id]
    for (channel, dedup_key), by_id in told.items():
        members = list(by_id.values())
        ends = [episode.resolved_at for episode in members]
        if any(end is None for end in ends):
            continue
        episode = max(members, key=lambda member: rank(member.level))
        name = f"{dedup_key}/resolved/{channel}"
        over_at = min(max(end for end in ends if end is not None), now)
        yield Notice(name, dedup_key, channel, "resolve", _over(members, episode), episode, over_at)


def _over(members: Sequence[Episode], worst: Episode) -> RaisedAlert:
    """What is said of the end: why it is over, and of what came in one message all that is."""
    alert = worst.rises[-1]
    if len(members) > 1:
        lines = "\n".join(f"[{member.level}] {member.subject}" for member in members)
        return replace(alert, subject=f"{len(members)} alerts told in one message", message=lines, figures={})
    ended = [each for each in worst.alerts if each.resolved_at is not None and each.resolved_because]
    if not ended:
        return alert
    last = max(ended, key=lambda each: each.resolved_at or each.raised_at)
    return replace(alert, message=f"{last.resolved_because}\nIt was: {alert.message}")


def _alone(notice: Notice) -> Message:
    return Message(notice.notice_id, notice.dedup_key, (notice,))


def _digest(notices: Sequence[Notice]) -> Message:
    content = "\n".join(sorted(notice.notice_id for notice in notices))
    name = f"digest-{hashlib.sha256(content.encode()).hexdigest()[:16]}"
    return Message(name, name, tuple(notices))
