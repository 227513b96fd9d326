"""Alerts to test with: built in one line, and an installation whose settings, clock and receivers the test holds."""

import contextlib
import logging
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from lead_scoring_assets.alerts.alerts import Alert
from lead_scoring_assets.alerts.delivery.notices import Message, Notice
from lead_scoring_assets.alerts.delivery.outbox import deliver
from lead_scoring_assets.alerts.desk import AlertDesk, at_the_desk
from lead_scoring_assets.alerts.episodes import Episode, RaisedAlert, episodes_of
from lead_scoring_assets.alerts.kinds import Level, Topic
from lead_scoring_assets.clock import ReplayClock
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.settings import SETTINGS_FILE, Home

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2008, 9, 1, tzinfo=UTC)


def raised(
    level: Level = "critical",
    subject: str = "retraining",
    message: str = "the disk is full",
    *,
    alert_id: str = "alert-run-1",
    episode_id: str | None = None,
    at: datetime = NOW,
    resolved_at: datetime | None = None,
    topic: Topic = "problem",
    figures: dict[str, Any] | None = None,
) -> RaisedAlert:
    name = episode_id or alert_id
    return RaisedAlert(alert_id, name, level, topic, subject, message, at, "a sensor", (), figures or {}, resolved_at)


def message(alert: RaisedAlert | None = None, *more: RaisedAlert, action: Any = "raise") -> Message:
    notices = [
        Notice(
            f"{each.episode_id}/{each.level}/there",
            each.episode_id,
            "there",
            action,
            each,
            Episode(each.episode_id, (each,)),
            each.raised_at,
        )
        for each in (alert or raised(), *more)
    ]
    if len(notices) == 1:
        return Message(notices[0].notice_id, notices[0].dedup_key, tuple(notices))
    return Message("digest-1", "digest-1", tuple(notices))


@dataclass
class World:
    """An installation under the replay clock."""

    home: Home

    @classmethod
    def make(cls, root: Path, alerts: Mapping[str, Any] | None = None) -> "World":
        root.mkdir()
        shutil.copy(ROOT / SETTINGS_FILE, root)
        if alerts is not None:
            with (root / SETTINGS_FILE).open("a", encoding="utf-8") as settings:
                settings.write("\n" + yaml.safe_dump({"alerts": dict(alerts)}))
        world = cls(Home(root))
        ReplayClock(world.home.clock_file).move_to(NOW)
        return world

    @property
    def house(self) -> Installation:
        return Installation(self.home)

    def later(self, **span: float) -> datetime:
        """Move the clock on."""
        clock = ReplayClock(self.home.clock_file)
        clock.move_to(clock.now() + timedelta(**span))
        return clock.now()

    @contextlib.contextmanager
    def desk(self) -> Iterator[AlertDesk]:
        with at_the_desk(self.house, "a sensor", logging.getLogger("a sensor")) as desk:
            yield desk

    def raise_(
        self, name: str = "alert-run-1", level: Level = "critical", subject: str = "retraining", **more: Any
    ) -> bool:
        told = more.pop("message", f"{subject} is bad")
        with self.desk() as desk:
            return desk.raise_(Alert(name, level, subject, told, **more))

    def end(self, *names: str) -> None:
        with self.desk() as desk:
            for name in names:
                [alert] = [each for each in desk.open if each.alert_id == name]
                desk.end([(alert, alert.periods)], "it succeeded", "later")

    def episodes(self) -> list[Episode]:
        return episodes_of(self.house.events.events())

    def deliver(self) -> str:
        return deliver(self.house)
