"""Versions that are live, an API that logs what they do, and a clock that the test moves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from lead_scoring_assets.clock import FixedClock
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.monitoring.service.watching import Watched, newest_evaluation, watch
from lead_scoring_assets.prediction_log.records import line_of
from lead_scoring_assets.prediction_log.segments import LogFolder
from lead_scoring_assets.prediction_log.writer import LogWriter
from lead_scoring_assets.settings import Home
from lead_scoring_tests.prediction_log.worlds import score
from lead_scoring_tests.promotion.worlds import World

START = datetime(2009, 1, 2, 12, tzinfo=UTC)


@dataclass
class ServedWorld:
    """`now` is every clock's."""

    root: Path
    now: datetime = START
    _requests: int = field(default=0, init=False)

    @property
    def house(self) -> Installation:
        house = Installation(Home(self.root))
        house.__dict__["clock"] = FixedClock(self.now)
        return house

    @property
    def models(self) -> World:
        return World(self.root)

    @property
    def source(self) -> LogFolder:
        return LogFolder(self.house.home.serving / "log")

    def later(self, **span: float) -> None:
        self.now += timedelta(**span)

    def serve(self, count: int, bad: int = 0, version: int | None = None, **more: Any) -> None:
        """So many requests now, `bad` of them answered without a model because it raised."""
        told: list[Mapping[str, Any]] = []
        version = version or self.models.live()
        for place in range(count):
            self._requests += 1
            is_bad = place < bad
            answered: dict[str, Any] = {
                "source": "fallback" if is_bad else "model",
                "model_version": None if is_bad else version,
                "arm": None if is_bad else "champion",
            }
            told.append(score(self._requests, self.now, **(answered | more)))
        self.log(*told)

    def log(self, *records: Mapping[str, Any]) -> None:
        writer = LogWriter(self.source.folder, "w0")
        writer.write(b"".join(line_of(record) for record in records))  # type: ignore[arg-type]
        writer.close()

    def watch(self) -> Watched:
        watched = watch(self.house, self.source)
        assert isinstance(watched, Watched), watched
        return watched

    @property
    def evaluation(self) -> dict[str, Any]:
        found = newest_evaluation(self.house)
        assert found is not None
        return found
