"""Reading the prediction log: whole lines of its segments, from a byte on. What a line says is `records.py`'s affair.

A segment grows while its writer lives. Its last line counts as soon as it is complete.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lead_scoring_assets.prediction_log.writer import SUFFIX

_CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True)
class Line:
    """One line of a segment: its bytes without the line break, and the bytes of the segment that it takes, with it.

    `problem`: why it cannot be read, where that is known without reading it.
    """

    segment: str
    start: int
    end: int
    content: bytes
    problem: str | None = None


class LogSource(Protocol):
    """Where lines of the prediction log are read: the folder of this machine, or what several send theirs to."""

    def ends(self) -> Mapping[str, int]:
        """For each segment, in order of name, the byte at which its complete lines end."""
        ...

    def lines(self, segment: str, since: int, until: int) -> Iterator[Line]:
        """The lines from byte `since` to `until`, both at a line's border."""
        ...

    def remove(self, segment: str, taken_in: int) -> bool:
        """Let go of a segment that was taken in up to byte `taken_in`; whether it could: nobody writes to it, and
        nothing follows that byte."""
        ...


class LogFolder:
    """The segments in a folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def ends(self) -> Mapping[str, int]:
        paths = sorted(self.folder.glob(f"*{SUFFIX}"))
        found: dict[str, int] = {}
        for path in paths:
            with contextlib.suppress(FileNotFoundError):  # removed by somebody else meanwhile
                found[path.name.removesuffix(SUFFIX)] = _end_of_last_line(path)
        return found

    def lines(self, segment: str, since: int, until: int) -> Iterator[Line]:
        with self._path(segment).open("rb") as stream:
            stream.seek(since)
            start = since
            while start < until:
                content = stream.readline()
                if not content.endswith(b"\n"):
                    return
                yield Line(segment, start, start + len(content), content[:-1])
                start += len(content)

    def remove(self, segment: str, taken_in: int) -> bool:
        path = self._path(segment)
        try:
            with path.open("rb") as stream:
                # Half a line may follow, which nobody will end: its request was never answered.
                if has_a_writer(stream.fileno()) or _end_of_last_line(path) > taken_in:
                    return False
                path.unlink()
        except FileNotFoundError:
            return True
        return True

    def _path(self, segment: str) -> Path:
        return self.folder / f"{segment}{SUFFIX}"


def has_a_writer(descriptor: int) -> bool:
    """Whether the writer of an open segment still lives; if not, others wait with their own question until it is closed."""
    try:
        # It holds a shared lock for as long as it lives; the kernel lets go of it when that is killed.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _end_of_last_line(path: Path) -> int:
    """The byte after the last line break; 0: there is none. Read from the end, because segments are large."""
    with path.open("rb") as stream:
        end = stream.seek(0, os.SEEK_END)
        while end > 0:
            begin = max(0, end - _CHUNK_BYTES)
            stream.seek(begin)
            place = stream.read(end - begin).rfind(b"\n")
            if place >= 0:
                return begin + place + 1
            end = begin
    return 0
