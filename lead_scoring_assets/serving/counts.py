"""What the servers count: each worker in a small file of its own, mapped into memory, so that any of them can tell the sum.

A count costs an addition. A worker that is started again goes on with its file; nothing is lost when one is killed.
"""

import mmap
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path

SUFFIX = ".counts"
ENDPOINTS = ("/predict", "/score-lead", "/predict/batch", "/explain-prediction", "/feedback", "other")
CLASSES = ("2xx", "3xx", "4xx", "5xx")
SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Upper ends of the histogram's bins; what took longer is in one more."""
SHADOWS = ("scored", "failed", "timeout", "dropped", "not_finite")
SOURCES = ("model", "fallback")
_NS = [int(seconds * 1e9) for seconds in SECONDS]
_BINS = len(SECONDS) + 1
_PER_ENDPOINT = len(CLASSES) + _BINS + 1
_SHADOW_AT = len(ENDPOINTS) * _PER_ENDPOINT
_SOURCE_AT = _SHADOW_AT + len(SHADOWS)
_LENGTH = _SOURCE_AT + len(SOURCES)
_PLACES = {name: place * _PER_ENDPOINT for place, name in enumerate(ENDPOINTS)}
_OTHER = _PLACES["other"]
_SHADOW_PLACES = {name: _SHADOW_AT + place for place, name in enumerate(SHADOWS)}
_SOURCE_PLACES = {name: _SOURCE_AT + place for place, name in enumerate(SOURCES)}


class Counts:
    """One worker's. Requests and leads are counted by the event loop only, the shadow's by one thread at a time."""

    def __init__(self, folder: Path, worker: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{worker}{SUFFIX}"
        with path.open("a+b") as file:
            file.truncate(_LENGTH * 8)
            self._map = mmap.mmap(file.fileno(), _LENGTH * 8)
        self._counts = memoryview(self._map).cast("q")

    def request(self, endpoint: str, status: int, nanoseconds: int) -> None:
        counts, place = self._counts, _PLACES.get(endpoint, _OTHER)
        counts[place + status // 100 - 2] += 1
        place += len(CLASSES)
        counts[place + bisect_left(_NS, nanoseconds)] += 1
        counts[place + _BINS] += nanoseconds

    def shadow(self, outcome: str) -> None:
        self._counts[_SHADOW_PLACES[outcome]] += 1

    def scored(self, source: str, leads: int = 1) -> None:
        self._counts[_SOURCE_PLACES[source]] += leads

    def close(self) -> None:
        self._counts.release()
        self._map.close()


class Totals:
    """The sum over all workers' files in a folder, as they stand now."""

    def __init__(self, folder: Path) -> None:
        self._totals = [0] * _LENGTH
        for path in folder.glob(f"*{SUFFIX}"):
            content = path.read_bytes()
            if len(content) == _LENGTH * 8:  # else it is another version's
                for place, count in enumerate(memoryview(content).cast("q")):
                    self._totals[place] += count

    def requests(self) -> Iterator[tuple[str, str, int]]:
        """Endpoint, class of status, how many."""
        for endpoint in ENDPOINTS:
            for place, name in enumerate(CLASSES, start=_PLACES[endpoint]):
                yield endpoint, name, self._totals[place]

    def latencies(self) -> Iterator[tuple[str, list[tuple[str, int]], float]]:
        """Endpoint; how many took up to so many seconds, cumulated, the last +Inf; and the sum of seconds."""
        for endpoint in ENDPOINTS:
            start, seen, bins = _PLACES[endpoint] + len(CLASSES), 0, []
            for end, place in zip((*map(str, SECONDS), "+Inf"), range(start, start + _BINS), strict=True):
                seen += self._totals[place]
                bins.append((end, seen))
            yield endpoint, bins, self._totals[start + _BINS] / 1e9

    def shadows(self) -> Iterator[tuple[str, int]]:
        for name, place in _SHADOW_PLACES.items():
            yield name, self._totals[place]

    def sources(self) -> Iterator[tuple[str, int]]:
        for name, place in _SOURCE_PLACES.items():
            yield name, self._totals[place]
