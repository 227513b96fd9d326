"""The outbox: what is due is sent, and every attempt is recorded right after it, in a table of evidence.

At least once: a process killed between the two sends again, with the same key. Sent by the injected clock: in a replay,
whose clock stands still between arrivals and then jumps by a period, what failed has expired when it could be tried again.
"""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta

import pyarrow as pa

from lead_scoring_assets.alerts.delivery.attempts import (
    failures_in_a_row,
    last_attempt,
    paused_until,
    retry_at,
    room_left,
    waits,
)
from lead_scoring_assets.alerts.delivery.notices import Delivery, Message, Notice, due, messages
from lead_scoring_assets.alerts.delivery.payloads import Place
from lead_scoring_assets.alerts.delivery.senders import Result, send
from lead_scoring_assets.alerts.episodes import Episode, episodes_of
from lead_scoring_assets.files import one_at_a_time
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.settings import Alerts, Retries

TABLE = "alert_deliveries"
SCHEMA = pa.schema(
    [
        (name, pa.string())
        for name in ("notice_id", "message_id", "dedup_key", "episode_id", "channel", "action", "level")
    ]
    + [("subject", pa.string()), ("attempted_at", pa.timestamp("us", tz="UTC")), ("outcome", pa.string())]
    + [("error", pa.string()), ("retry_at", pa.timestamp("us", tz="UTC"))]
    + [("sequence", pa.int64())]
)
# A tick of a sensor ends after a minute; what is left waits for the next one.
_PATIENCE_SECONDS = 30.0


def deliver(installation: Installation) -> str:
    """Send what is due on every channel; what was done, in a sentence. A channel that fails holds up no other one."""
    settings = installation.settings.alerts
    if not settings.channels:
        return "no channel is set: alerts are kept, and written to data/logs/alerts.jsonl"
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    with one_at_a_time(installation.home.lock("alert_delivery")):
        now = installation.clock.now()
        episodes = episodes_of(installation.events.events())
        sent = deliveries(installation, _since(episodes, settings, now))
        told = [
            f"{name}: {_deliver_on(installation, name, episodes, sent, now, give_up_at)}" for name in settings.channels
        ]
    return "; ".join(told)


def deliveries(installation: Installation, since: datetime | None = None) -> list[Delivery]:
    """Every attempt since a moment (None: all), in the order in which they were recorded."""
    if not installation.lakehouse.exists(TABLE):
        return []
    rows = query(
        "SELECT * EXCLUDE (sequence) FROM sent WHERE $1 IS NULL OR attempted_at >= $1 ORDER BY sequence",
        {"sent": installation.lakehouse.scan(TABLE)},
        [since],
    )
    return [Delivery(**row) for row in rows.to_pylist()]


def _since(episodes: Sequence[Episode], settings: Alerts, now: datetime) -> datetime:
    """From when on attempts still matter: to what is open, was over not long ago, or keeps a subject or channel quiet."""
    expired = now - timedelta(hours=settings.retries.expires_hours)
    quiet = min(expired, now - timedelta(minutes=settings.cooldown_minutes), now - timedelta(hours=1))
    matter = [e.alerts[0].raised_at for e in episodes if e.is_open or (e.resolved_at and e.resolved_at >= expired)]
    return min([quiet, *matter])


def _deliver_on(
    installation: Installation,
    channel: str,
    episodes: Sequence[Episode],
    sent: Sequence[Delivery],
    now: datetime,
    give_up_at: float,
) -> str:
    settings = installation.settings.alerts
    sent = [attempt for attempt in sent if attempt.channel == channel]
    waiting = [notice for notice in due(episodes, sent, settings, now) if notice.channel == channel]
    if not waiting:
        return "nothing is due"
    # Those of a clock that has been set back hold up nothing.
    past = [attempt for attempt in sent if attempt.attempted_at <= now]
    paused = paused_until(past)
    if paused is not None and now < paused:
        return f"{len(waiting)} wait, because nobody was there; tried again at {paused:%Y-%m-%d %H:%M:%S} UTC"
    ready = [notice for notice in waiting if not waits(notice, past, now)]
    outgoing = messages(ready, room_left(past, settings, now))
    if not outgoing:
        return f"{len(waiting)} wait, because {_why_none(waiting, ready, past, settings)}"
    place = Place(installation.settings.name, settings.dashboard_url or installation.settings.pages.url)
    arrived = 0
    for message in outgoing:
        if time.monotonic() > give_up_at:
            break
        result = send(settings.channels[channel], message, place, settings.timeout_seconds)
        attempts = _attempts(message, channel, result, sent, now, settings.retries)
        _record(installation, attempts)
        sent = [*sent, *attempts]
        if result.outcome == "delivered":
            arrived += len(message.notices)
        elif result.outcome == "unreachable":
            break
    failed = "" if not sent or sent[-1].error is None else f" ({sent[-1].error})"
    return f"{arrived} of {len(waiting)} told{failed}"


def _why_none(waiting: Sequence[Notice], ready: Sequence[Notice], sent: Sequence[Delivery], settings: Alerts) -> str:
    """Why nothing goes out on a channel now: all was refused not long ago, or the hour's messages are used up."""
    if ready:
        return f"no more than {settings.messages_an_hour} messages an hour are sent"
    refused = [last for notice in waiting if (last := last_attempt(notice, sent)) and last.retry_at]
    first = min(refused, key=lambda last: last.retry_at or last.attempted_at)
    return f"they were refused ({first.error}); tried again at {first.retry_at:%Y-%m-%d %H:%M:%S} UTC"


def _attempts(
    message: Message, channel: str, result: Result, sent: Sequence[Delivery], now: datetime, settings: Retries
) -> list[Delivery]:
    """The rows of one send, one for each notice that was in it."""
    if result.outcome == "unreachable":
        earlier = failures_in_a_row(sent, "unreachable")
    else:
        names = {notice.notice_id for notice in message.notices}
        earlier = failures_in_a_row([attempt for attempt in sent if attempt.notice_id in names], "refused")
    again = None
    if result.outcome != "delivered":
        again = retry_at(now, earlier, result.retry_after_seconds, settings)
    return [
        Delivery(
            notice_id=notice.notice_id,
            message_id=message.message_id,
            dedup_key=message.dedup_key,
            episode_id=notice.episode.episode_id,
            channel=channel,
            action=notice.action,
            level=notice.alert.level,
            subject=notice.alert.subject,
            attempted_at=now,
            outcome=result.outcome,
            error=result.error,
            retry_at=again,
        )
        for notice in message.notices
    ]


def _record(installation: Installation, attempts: Sequence[Delivery]) -> None:
    """Append the rows, numbered on. Only inside `one_at_a_time`."""
    first = 0
    if installation.lakehouse.exists(TABLE):
        newest = query(
            "SELECT coalesce(max(sequence), -1) AS n FROM sent", {"sent": installation.lakehouse.scan(TABLE)}
        )
        first = newest["n"][0].as_py() + 1
    rows = [{**vars(attempt), "sequence": first + offset} for offset, attempt in enumerate(attempts)]
    installation.lakehouse.append(TABLE, pa.Table.from_pylist(rows, schema=SCHEMA))
