"""When a channel is tried again after it failed, and how much it may still be told this hour. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from lead_scoring_assets.alerts.delivery.notices import Delivery, Notice, Outcome
from lead_scoring_assets.settings import Alerts, Retries

_HOUR = timedelta(hours=1)


def retry_at(now: datetime, earlier_failures: int, retry_after_seconds: float | None, settings: Retries) -> datetime:
    """The next attempt: the first wait doubled with every failure, up to the longest; later where the receiver asks."""
    # 2 to the 32nd seconds is longer than any wait that can be set; without a bound the power would be.
    wait = min(settings.first_seconds * 2 ** min(earlier_failures, 32), settings.longest_seconds)
    asked = min(retry_after_seconds or 0.0, float(settings.longest_seconds))
    return now + timedelta(seconds=max(float(wait), asked))


def paused_until(sent: Sequence[Delivery]) -> datetime | None:
    """Until when one channel is left alone, because its last attempt found nobody there; None: it may be tried."""
    return sent[-1].retry_at if sent and sent[-1].outcome == "unreachable" else None


def failures_in_a_row(sent: Sequence[Delivery], outcome: Outcome) -> int:
    """How many messages in a row ended so, up to the last; a digest counts once."""
    streak: set[tuple[str, datetime]] = set()
    for attempt in reversed(sent):
        if attempt.outcome != outcome:
            break
        streak.add((attempt.message_id, attempt.attempted_at))
    return len(streak)


def last_attempt(notice: Notice, sent: Sequence[Delivery]) -> Delivery | None:
    """How this notice fared when it was last sent."""
    return next((attempt for attempt in reversed(sent) if attempt.notice_id == notice.notice_id), None)


def waits(notice: Notice, sent: Sequence[Delivery], now: datetime) -> bool:
    """Whether the receiver refused this notice and it is too early to offer it again."""
    last = last_attempt(notice, sent)
    return last is not None and last.retry_at is not None and now < last.retry_at


def room_left(sent: Sequence[Delivery], settings: Alerts, now: datetime) -> int:
    """How many more messages one channel may be told now: so many an hour, a digest counting once."""
    recent = {
        (attempt.message_id, attempt.attempted_at)
        for attempt in sent
        if attempt.outcome == "delivered" and attempt.action != "resolve" and attempt.attempted_at > now - _HOUR
    }
    return max(settings.messages_an_hour - len(recent), 0)
