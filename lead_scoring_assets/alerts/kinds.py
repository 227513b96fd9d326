"""The words of this room: levels, topics, and the kinds of event under which alerts and answers to them are recorded."""

from typing import Literal

Level = Literal["info", "warning", "critical"]
LEVELS: tuple[Level, ...] = ("info", "warning", "critical")

Topic = Literal["problem", "deployment", "report"]
"""A problem lasts until it is over; the others are news and have no end."""

KIND, RESOLVED, ACKNOWLEDGED = "alert", "alert_resolved", "alert_acknowledged"


def rank(level: Level) -> int:
    """How bad: 0 for info."""
    return LEVELS.index(level)
