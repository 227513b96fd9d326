"""The alerts as a list for people: what was raised, whether it lasts, who looks after it, which channels were told."""

from dataclasses import asdict, dataclass
from typing import Any

from lead_scoring_assets.alerts.delivery.notices import Delivery, due
from lead_scoring_assets.alerts.delivery.outbox import deliveries
from lead_scoring_assets.alerts.episodes import Episode, RaisedAlert, episodes_of
from lead_scoring_assets.alerts.kinds import Level
from lead_scoring_assets.installation import Installation


@dataclass(frozen=True)
class Wanted:
    """Which alerts to list; None: whatever it is. `has_reports`: the daily reports as well."""

    level: Level | None = None
    episode: str | None = None
    is_open: bool | None = None
    is_acknowledged: bool | None = None
    has_reports: bool = False


def alert_rows(installation: Installation, wanted: Wanted) -> list[dict[str, Any]]:
    """One row an alert, oldest first, as JSON takes it. `told`: by channel, how the last attempt for its episode ended."""
    episodes, attempts = episodes_of(installation.events.events()), deliveries(installation)
    settings = installation.settings.alerts
    wait = {notice.notice_id for notice in due(episodes, attempts, settings, installation.clock.now())}
    sent: dict[str, dict[str, str]] = {}
    for attempt in attempts:
        words = _in_words(attempt, settings.retries.expires_hours, is_due=attempt.notice_id in wait)
        sent.setdefault(attempt.episode_id, {})[attempt.channel] = f"{attempt.action}: {words}"
    found = [(alert, episode) for episode in episodes for alert in episode.alerts if _fits(alert, episode, wanted)]
    found.sort(key=lambda pair: (pair[0].raised_at, pair[0].alert_id))
    return [_row(alert, episode, sent.get(episode.episode_id, {})) for alert, episode in found]


def _fits(alert: RaisedAlert, episode: Episode, wanted: Wanted) -> bool:
    return (
        wanted.level in (None, alert.level)
        and wanted.episode in (None, episode.episode_id)
        and wanted.is_open in (None, alert.is_open)
        and (wanted.has_reports or wanted.episode is not None or alert.topic != "report")
        and wanted.is_acknowledged in (None, episode.is_acknowledged(alert))
    )


def _row(alert: RaisedAlert, episode: Episode, told: dict[str, str]) -> dict[str, Any]:
    state = "open" if alert.is_open else "news" if alert.resolved_at is None else "resolved"
    answer = episode.acknowledged if episode.is_acknowledged(alert) else None
    return {
        "alert_id": alert.alert_id,
        "episode_id": alert.episode_id,
        "level": alert.level,
        "subject": alert.subject,
        "message": alert.message,
        "raised_at": alert.raised_at.isoformat(),
        "raised_by": alert.actor,
        "state": state,
        "resolved_at": alert.resolved_at.isoformat() if alert.resolved_at else None,
        "resolved_because": alert.resolved_because,
        "acknowledged": {**asdict(answer), "at": answer.at.isoformat()} if answer else None,
        "figures": alert.figures,
        "told": told,
    }


def _in_words(attempt: Delivery, expires_hours: int, *, is_due: bool) -> str:
    """How the attempt ended, and whether another one follows."""
    if attempt.outcome == "delivered":
        return f"delivered {attempt.attempted_at:%Y-%m-%d %H:%M:%S} UTC"
    failed = f"{attempt.outcome} ({attempt.error})"
    if is_due:
        return f"{failed}, again from {attempt.retry_at:%Y-%m-%d %H:%M:%S} UTC"
    return f"{failed}, not tried again: it is over, was due for {expires_hours} hours, or is not told there any more"
