"""What becomes of an alert: its cause goes away, or a person acknowledges it. Recorded in the event log."""

import hashlib
from collections.abc import Collection
from datetime import datetime

from lead_scoring_assets.alerts.episodes import Episode, RaisedAlert, episodes_of, open_alerts
from lead_scoring_assets.alerts.kinds import ACKNOWLEDGED, RESOLVED
from lead_scoring_assets.errors import LeadScoringError
from lead_scoring_assets.events.log import Event
from lead_scoring_assets.files import one_at_a_time
from lead_scoring_assets.installation import Installation


def resolve(
    installation: Installation, alert: RaisedAlert, passed: Collection[str], why: str, cause: str, actor: str
) -> Event | None:
    """Record that `alert` is over for the periods `passed` (one that names no periods: altogether); None when known.

    `cause` names what showed it, so that seeing it twice changes nothing. Only inside `one_at_a_time`.
    """
    over = sorted((set(alert.periods) & set(passed)) - alert.resolved_periods)
    if alert.periods and not over:
        return None
    now, event_id = installation.clock.now(), f"{alert.alert_id}-resolved-{cause}"
    event = _end(alert, event_id, why, now, actor, {"periods": over})
    return event if installation.events.record(event) else None


def acknowledge(installation: Installation, name: str, by: str, reason: str, *, is_over: bool = False) -> Episode:
    """Record that `by` looks after the episode of the alert called `name` (or the start of its name, or the subject of an
    open one), and why.

    `is_over`: the person knows that its cause is gone: it ends as well. Gives the episode as it is then.

    Raises:
        LeadScoringError: no reason, no such alert, several that begin so, or one that nobody has to answer.
    """
    if not by.strip() or not reason.strip():
        raise LeadScoringError(
            "an acknowledgement is kept with who and why, expected both, found an empty one. Say it with --by and --reason."
        )
    with one_at_a_time(installation.home.lock("alerts")):
        episode = _find(name, episodes_of(installation.events.events()))
        if not episode.is_open:
            raise LeadScoringError(
                f"{episode.episode_id} is over, expected an open alert. `lead-scoring alerts --open` lists those that wait."
            )
        # What is answered has been raised, whatever a clock that was set back says.
        now = max(installation.clock.now(), *(alert.raised_at for alert in episode.alerts))
        told = f"{by.strip()}: {reason.strip()}"
        installation.events.record(
            Event(
                event_id=f"{episode.episode_id}-acknowledged-{_short(f'{now.isoformat()} {told} {episode.level}')}",
                kind=ACKNOWLEDGED,
                subject=episode.episode_id,
                happened_at=now,
                actor=by.strip(),
                reason=reason.strip(),
                evidence={"level": episode.level},
            )
        )
        for alert in open_alerts([episode]) if is_over else ():
            event_id = f"{alert.alert_id}-resolved-by-hand"
            installation.events.record(_end(alert, event_id, reason.strip(), now, by.strip(), {"all": True}))
        return _find(episode.episode_id, episodes_of(installation.events.events()))


def _end(alert: RaisedAlert, event_id: str, why: str, now: datetime, actor: str, evidence: dict[str, object]) -> Event:
    return Event(
        event_id=event_id,
        kind=RESOLVED,
        subject=alert.alert_id,
        happened_at=max(now, alert.raised_at),
        actor=actor,
        reason=why,
        evidence=evidence,
    )


def _find(name: str, episodes: Collection[Episode]) -> Episode:
    found = {
        alert.alert_id: episode
        for episode in episodes
        for alert in episode.alerts
        if name and alert.alert_id.startswith(name)
    }
    if name in found:
        return found[name]
    # What lasts is one episode a subject.
    if (about := next((e for e in episodes if e.is_open and e.subject == name), None)) is not None:
        return about
    if len({episode.episode_id for episode in found.values()}) != 1:
        told = f"{len(found)} that begin so: {', '.join(sorted(found)[:5])}" if found else "none"
        raise LeadScoringError(
            f"alert {name!r}: expected the name of one alert, its beginning, or what an open one is about; found {told}. "
            "`lead-scoring alerts` lists them."
        )
    return next(iter(found.values()))


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
