"""Where the shadow stands, in a small file mapped into memory: its successor, and whoever asks after its health, reads it."""

import contextlib
import fcntl
import mmap
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from lead_scoring_assets.serving.shadow import ShadowLead
from lead_scoring_assets.settings import Home

LOCK = "lock"
_FILE = "turn"
_IS_ASKED, _VERSION, _FIRST, _LAST, _WAITING, _STRUCK, _STRIKES = range(7)
_NAME_AT, _LENGTH = 64, 320
_WIND_SECONDS = 0.05


def shadow_folder(home: Home) -> Path:
    """Where the shadow finds what it has to read, and keeps how far it is."""
    return home.serving / "shadow"


class Asked(NamedTuple):
    """For the scores of which leads a version was asked: those that begin from byte `first` to byte `last` of a segment."""

    version: int
    segment: str
    first: int
    last: int

    def holds(self, lead: ShadowLead) -> bool:
        return lead.segment == self.segment and self.first <= lead.start <= self.last


class Turn:
    """A context manager around each question to the model: what is asked stands in the file, and about `seconds` later the
    kernel ends this process, whatever it is at, also a library that keeps Python's lock; unless it asks on, or rests."""

    def __init__(self, folder: Path, seconds: float) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / _FILE).open("a+b") as file:
            file.truncate(_LENGTH)
            self._map = mmap.mmap(file.fileno(), _LENGTH)
        self._cells = memoryview(self._map)[:_NAME_AT].cast("q")
        self._seconds = seconds
        self._segment = ""
        self._wind_at = 0.0

    def of(self, leads: Sequence[ShadowLead]) -> Self:
        """Of these leads, of one segment and for one version."""
        cells, first = self._cells, leads[0]
        if first.segment != self._segment:
            self._segment = first.segment
            self._map[_NAME_AT:] = first.segment.encode().ljust(_LENGTH - _NAME_AT, b"\0")
        cells[_VERSION], cells[_FIRST], cells[_LAST] = first.version, first.start, leads[-1].start
        now = time.monotonic()
        if now >= self._wind_at:  # not for each question: it costs as much as a score
            signal.setitimer(signal.ITIMER_REAL, self._seconds + _WIND_SECONDS)
            self._wind_at = now + _WIND_SECONDS
        return self

    def rest(self) -> None:
        """Nobody is asked for now."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._wind_at = 0.0

    def __enter__(self) -> None:
        self._cells[_IS_ASKED] = 1

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What ends the process is not over.
        if value is None or isinstance(value, Exception):
            self._cells[_IS_ASKED] = 0

    def take_over(self) -> Asked | None:
        """What the process before was in the midst of when it ended; told once."""
        cells = self._cells
        if not cells[_IS_ASKED]:
            return None
        cells[_IS_ASKED] = 0
        segment = self._map[_NAME_AT:].rstrip(b"\0").decode()
        return Asked(cells[_VERSION], segment, cells[_FIRST], cells[_LAST])

    def strike(self, version: int) -> None:
        """The version has hung, or has ended its process."""
        cells = self._cells
        cells[_STRIKES] = self.strikes(version) + 1
        cells[_STRUCK] = version

    def strikes(self, version: int) -> int:
        return self._cells[_STRIKES] if self._cells[_STRUCK] == version else 0

    def forgive(self) -> None:
        self._cells[_STRIKES] = 0

    def tell(self, waiting: int) -> None:
        self._cells[_WAITING] = waiting

    def close(self) -> None:
        self._cells.release()
        self._map.close()


class ShadowState(NamedTuple):
    """`waiting`: leads that it has read and not scored, as it told last."""

    is_running: bool
    waiting: int


def state_of(folder: Path) -> ShadowState:
    """How the shadow is, for another process."""
    is_running, waiting = False, 0
    with contextlib.suppress(OSError, ValueError):
        content = (folder / _FILE).read_bytes()[:_NAME_AT]
        waiting = memoryview(content).cast("q")[_WAITING]
        with (folder / LOCK).open("rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                is_running = True
    return ShadowState(is_running, waiting)
