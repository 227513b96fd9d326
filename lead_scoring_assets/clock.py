"""The injected clock: the only place where the present is read. Logic takes `as_of` from here or from its partition."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from lead_scoring_assets.errors import LeadScoringError
from lead_scoring_assets.files import write_atomically


class Clock(Protocol):
    """Something that knows what time it is for this system."""

    def now(self) -> datetime:
        """The present, with time zone UTC."""
        ...


class SystemClock:
    """The machine's clock: for leads that arrive today."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class FixedClock:
    """A clock that stands still: for tests and replays."""

    def __init__(self, moment: datetime) -> None:
        self._moment = _utc(moment)

    def now(self) -> datetime:
        return self._moment


class ReplayClock:
    """A clock that history moves: it stands at the end of the newest period that has arrived.

    The moment lies in a small file, so that the daemon, a CLI and a run in another process agree on it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def now(self) -> datetime:
        try:
            return _utc(datetime.fromisoformat(json.loads(self._path.read_text(encoding="utf-8"))["now"]))
        except FileNotFoundError:
            raise LeadScoringError(
                f"the replay clock has not been started: expected {self._path}. Run `lead-scoring prepare` first, or "
                "set `clock: system` in lead_scoring.yaml for leads that arrive today."
            ) from None
        except (KeyError, TypeError, ValueError, LeadScoringError) as problem:
            raise LeadScoringError(
                f"the replay clock's file {self._path} is damaged ({problem!r}): expected "
                '{"now": "2008-06-01T00:00:00+00:00"}. Delete it, and `lead-scoring prepare` writes it anew.'
            ) from None

    def move_to(self, moment: datetime) -> None:
        """Set the clock, atomically; it may be moved back only by deleting the file."""
        moment = _utc(moment)
        if self._path.exists() and moment < self.now():
            raise LeadScoringError(
                f"the replay clock stands at {self.now()} and cannot go back to {moment}. "
                f"To replay from the beginning, delete {self._path}."
            )
        write_atomically(self._path, (json.dumps({"now": moment.isoformat()}) + "\n").encode())


def _utc(moment: datetime) -> datetime:
    """A moment without a time zone would mean another one on each machine."""
    if moment.tzinfo is None:
        raise LeadScoringError(f"{moment} has no time zone: expected a moment in UTC")
    return moment.astimezone(UTC)


def open_clock(kind: str, path: Path) -> Clock:
    """The clock that the settings name: `replay` or `system`."""
    clocks: dict[str, Callable[[], Clock]] = {"replay": lambda: ReplayClock(path), "system": SystemClock}
    return clocks[kind]()
