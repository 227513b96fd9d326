"""Where a sensor raises alerts and ends them during one tick, alone: what it finds open stays so until it has acted."""

import contextlib
import logging
from collections.abc import Collection, Iterator

from lead_scoring_assets.alerts.alerts import Alert, raise_alert
from lead_scoring_assets.alerts.answers import resolve
from lead_scoring_assets.alerts.episodes import Episode, RaisedAlert, episodes_of, joins, open_alerts
from lead_scoring_assets.files import one_at_a_time
from lead_scoring_assets.installation import Installation

Ended = Collection[tuple[RaisedAlert, Collection[str]]]
"""Alerts, each with its periods that are over."""


class AlertDesk:
    """One sensor's (`actor`'s) view of the alerts, and its hand on them. `raised` and `ended` count what it did.

    The event log is read once, and not for each alert: a sensor finds the same causes at every tick.
    """

    def __init__(self, installation: Installation, actor: str, log: logging.Logger) -> None:
        self._installation, self._actor, self._log = installation, actor, log
        self._events = installation.events.events()
        self.raised = self.ended = 0

    @property
    def open(self) -> list[RaisedAlert]:
        """Every alert whose cause is not known to be gone."""
        return open_alerts(episodes_of(self._events))

    @property
    def open_episodes(self) -> list[Episode]:
        """Every episode with such an alert."""
        return [episode for episode in episodes_of(self._events) if episode.is_open]

    def knows(self, alert_id: str) -> bool:
        """Whether this cause has alerted before."""
        return any(event.event_id == alert_id for event in self._events)

    def raise_(self, alert: Alert) -> bool:
        """Store the alert, unless its cause has alerted before; True when it is new."""
        if self.knows(alert.alert_id):
            return False
        joined = joins(alert.subject, alert.level, alert.topic, episodes_of(self._events))
        events, log_file = self._installation.events, self._installation.home.data / "logs" / "alerts.jsonl"
        event = raise_alert(alert, self._installation.clock.now(), self._actor, events, log_file, joined)
        if event is None:
            return False
        self._log.warning("[%s] %s", alert.level, alert.message)
        self._events.append(event)
        self.raised += 1
        return True

    def end(self, ended: Ended, why: str, cause: str) -> None:
        """Record that alerts are over. `cause` names what showed it."""
        for alert, periods in ended:
            event = resolve(self._installation, alert, periods, why, cause, self._actor)
            if event is not None:
                self._events.append(event)
                self.ended += 1


@contextlib.contextmanager
def at_the_desk(installation: Installation, actor: str, log: logging.Logger) -> Iterator[AlertDesk]:
    """The desk, for whoever's turn it is."""
    with one_at_a_time(installation.home.lock("alerts")):
        yield AlertDesk(installation, actor, log)
