"""Prediction logs to test with: records of every kind, and an installation whose clock the test holds."""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from lead_scoring_assets.clock import ReplayClock
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.prediction_log.records import line_of
from lead_scoring_assets.prediction_log.segments import LogFolder
from lead_scoring_assets.prediction_log.writer import LogWriter
from lead_scoring_assets.settings import SETTINGS_FILE, Home

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2009, 3, 10, 12, tzinfo=UTC)


def moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def score(number: int = 1, at: datetime = NOW, **more: Any) -> dict[str, Any]:
    return {
        "kind": "score",
        "shadow_version": None,
        "request_id": f"r{number}",
        "worker": "w0",
        "at": moment(at),
        "lead_id": f"lead {number}",
        "endpoint": "/predict",
        "status": 200,
        "source": "model",
        "model_version": 3,
        "score": 0.25,
        "bucket": "Cold",
        "latency_us": 2_000,
        "arm": "champion",
        "share_bp": 0,
        "rollout_id": None,
        "experiment_id": None,
        "unit_id": None,
        "propensity": 1.0,
        "explored": False,
        "features": {"age": 41, "job": "admin."},
        "actor": "crm",
        **more,
    }


def error(number: int = 1, at: datetime = NOW, **more: Any) -> dict[str, Any]:
    return {
        "kind": "error",
        "request_id": f"e{number}",
        "worker": "w0",
        "at": moment(at),
        "endpoint": "/predict",
        "status": 422,
        "error": "validation",
        "latency_us": 300,
        "lead_id": None,
        "actor": None,
        **more,
    }


def shadow(number: int = 1, at: datetime = NOW, **more: Any) -> dict[str, Any]:
    return {
        "kind": "shadow",
        "of_segment": "w0-1-000001",
        "of_byte": number,
        "request_id": f"r{number}",
        "worker": "w0",
        "at": moment(at),
        "lead_id": f"lead {number}",
        "champion_version": 3,
        "champion_score": 0.25,
        "shadow_version": 4,
        "shadow_score": 0.3,
        "champion_latency_us": 900,
        "shadow_latency_us": 1_000,
        "outcome": "scored",
        "reason": None,
        **more,
    }


def feedback(number: int = 1, at: datetime = NOW, **more: Any) -> dict[str, Any]:
    return {
        "kind": "feedback",
        "request_id": f"f{number}",
        "worker": "w0",
        "at": moment(at),
        "lead_id": f"lead {number}",
        "outcome": "converted",
        "outcome_at": moment(at - timedelta(hours=1)),
        "deal_value": 100.0,
        "currency": None,
        "reason": None,
        "rep": "mona",
        "idempotency_key": f"key {number}",
        "actor": "crm",
        **more,
    }


@dataclass
class World:
    """An installation under the replay clock, and its prediction log."""

    home: Home

    @classmethod
    def make(cls, root: Path, changed: Mapping[str, str] | None = None, now: datetime = NOW) -> "World":
        root.mkdir()
        shutil.copy(ROOT / SETTINGS_FILE, root)
        for found, wanted in (changed or {}).items():
            told = (root / SETTINGS_FILE).read_text()
            assert found in told
            (root / SETTINGS_FILE).write_text(told.replace(found, wanted))
        world = cls(Home(root))
        ReplayClock(world.home.clock_file).move_to(now)
        return world

    @property
    def house(self) -> Installation:
        """Opened anew, as another process would."""
        return Installation(Home(self.home.root))

    @property
    def folder(self) -> Path:
        return self.home.serving / "log"

    @property
    def source(self) -> LogFolder:
        return LogFolder(self.folder)

    def later(self, **span: float) -> datetime:
        clock = ReplayClock(self.home.clock_file)
        clock.move_to(clock.now() + timedelta(**span))
        return clock.now()

    def log(self, *records: Mapping[str, Any] | bytes, worker: str = "w0") -> None:
        """One writer's segment, closed."""
        writer = LogWriter(self.folder, worker)
        for record in records:
            writer.write(record if isinstance(record, bytes) else line_of(record))  # type: ignore[arg-type]
        writer.close()

    def rows(self, table: str) -> list[dict[str, Any]]:
        lakehouse = self.house.lakehouse
        return lakehouse.read(table).to_pylist() if lakehouse.exists(table) else []

    def column(self, table: str, name: str) -> list[Any]:
        return [row[name] for row in self.rows(table)]


def lines(records: Iterable[Mapping[str, Any]]) -> bytes:
    return b"".join(line_of(record) for record in records)  # type: ignore[arg-type]
