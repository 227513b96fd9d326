"""One more reader of the log, at its own pace: follows segments as they grow, by second names that only it takes away.

Whoever lets go of a segment in the log's own folder (ingestion, or who has sent it to PostgreSQL) takes nothing from it.
"""

import io
import os
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lead_scoring_assets.prediction_log.segments import Line, has_a_writer
from lead_scoring_assets.prediction_log.writer import SUFFIX

_CHUNK_BYTES = 1 << 20


@dataclass
class _Opened:
    """`position`: up to where lines were given; `torn`: what was read of the next one."""

    path: Path
    stream: io.FileIO
    position: int
    torn: bytes = b""

    @property
    def is_read(self) -> bool:
        return os.fstat(self.stream.fileno()).st_size <= self.position + len(self.torn)


class Unread:
    """The segments in `folder` but those of the worker `own`; each is read on from its byte in `since`, or from its first."""

    def __init__(self, folder: Path, own: str, since: Mapping[str, int]) -> None:
        self._folder, self._own, self._since = folder, f"{own}-", since
        self._opened: dict[str, _Opened] = {}

    @property
    def positions(self) -> Mapping[str, int]:
        """By segment, up to which byte its lines were given."""
        return {segment: opened.position for segment, opened in self._opened.items()}

    def look(self) -> None:
        """Find segments that have begun."""
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            segment = path.name.removesuffix(SUFFIX)
            if segment in self._opened or segment.startswith(self._own):
                continue
            stream, since = path.open("rb", buffering=0), self._since.get(segment, 0)
            stream.seek(since)
            self._opened[segment] = _Opened(path, stream, since)

    def read(self, beginnings: tuple[bytes, ...]) -> Iterator[Line]:
        """Complete lines that have come, some of each segment: only those that begin so."""
        for segment, opened in self._opened.items():
            chunk = opened.stream.read(_CHUNK_BYTES)
            if not chunk:
                continue
            *lines, opened.torn = (opened.torn + chunk).split(b"\n")
            for line in lines:
                start = opened.position
                opened.position += len(line) + 1
                if line.startswith(beginnings):
                    yield Line(segment, start, opened.position, line)

    def let_go(self, still_needed: Container[str]) -> None:
        """Take away the names of segments that are read and that nobody writes to, but those that are still needed."""
        for segment, opened in list(self._opened.items()):
            # In this order: what came before its writer ended is seen.
            if segment not in still_needed and not has_a_writer(opened.stream.fileno()) and opened.is_read:
                opened.path.unlink(missing_ok=True)
                opened.stream.close()
                del self._opened[segment]

    def close(self) -> None:
        for opened in self._opened.values():
            opened.stream.close()
