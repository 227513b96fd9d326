"""An installation whose tables hold what a test writes, at the moment that the test sets."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import lead_scoring_assets.definitions  # noqa: F401  # first, because it quiets dagster's warnings about beta parts
from lead_scoring_assets.assessment.judgement import EVALUATION_SCHEMA
from lead_scoring_assets.clock import ReplayClock
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.leads.ingestion import FILES_SCHEMA
from lead_scoring_assets.models.training_set import TrainingWindow
from lead_scoring_assets.monitoring.drift.assets import DRIFT_SCHEMA
from lead_scoring_assets.monitoring.performance.matured import SCHEMA as PERFORMANCE_SCHEMA
from lead_scoring_assets.promotion.deployments import Deployment, Deployments
from lead_scoring_assets.promotion.records import SCHEMA as DECISION_SCHEMA
from lead_scoring_assets.settings import SETTINGS_FILE, Home

ROOT = Path(__file__).resolve().parents[2]
FEATURE_SCHEMA = pa.schema(
    [
        ("period", pa.string()),
        ("lead_id", pa.string()),
        ("created_at", pa.timestamp("us", tz="UTC")),
        ("known_at", pa.timestamp("us", tz="UTC")),
    ]
)
LABEL_SCHEMA = pa.schema(
    [
        ("period", pa.string()),
        ("lead_id", pa.string()),
        ("label_known_at", pa.timestamp("us", tz="UTC")),
        ("label", pa.int8()),
        ("revision", pa.int64()),
    ]
)


_TESTED = (
    ("calendar_months: 1", "calendar_months: 3"),
    ("minimum_rows: 800", "minimum_rows: 1"),
    ("minimum_positives: 30", "minimum_positives: 1"),
    ("minimum_holdout_rows: 50", "minimum_holdout_rows: 1"),
    ("minimum_holdout_positives: 10", "minimum_holdout_positives: 1"),
)


@dataclass(frozen=True)
class World:
    """What lies in the tables, one method a table. Periods are months of the shipped calendar."""

    home: Home

    @property
    def installation(self) -> Installation:
        """A fresh one, as another process would open it."""
        return Installation(self.home)

    def end(self, period: str) -> datetime:
        return self.home.settings.calendar.period(period).end

    def closes(self, period: str, *, is_ingested: bool = True, training_leads: int = 1) -> None:
        """The clock reaches the end of `period`; its files have arrived, and there is enough to train on."""
        ReplayClock(self.home.clock_file).move_to(self.end(period))
        if is_ingested:
            self.ingests(period)
            self.learns_from(period, training_leads)

    def learns_from(self, period: str, training_leads: int, holdout_leads: int = 1) -> None:
        """A training of `period` finds so many converted leads, and as many lost ones, on each side of its embargo."""
        window = TrainingWindow.of(self.home.settings.calendar.period(period), timedelta(days=30), 6)
        created = [window.start] * 2 * training_leads + [window.end - timedelta(seconds=1)] * 2 * holdout_leads
        leads = [
            {"period": period, "lead_id": f"known-{period}-{i}", "created_at": at, "known_at": at}
            for i, at in enumerate(created)
        ]
        # As corrections, which do not count as new labels.
        labels = [
            {
                "period": period,
                "lead_id": lead["lead_id"],
                "label_known_at": self.end(period),
                "label": i % 2,
                "revision": 2,
            }
            for i, lead in enumerate(leads)
        ]
        self._replace("lead_features", period, leads, FEATURE_SCHEMA)
        self._replace("ground_truth_labels", period, labels, LABEL_SCHEMA)

    def ingests(self, period: str, **checksums: str) -> None:
        rows = [
            {"period": period, "entity": name.split("/")[0], "source_file": name, "sha256": checksum}
            for name, checksum in (checksums or {f"leads/{period}/a.csv": "0"}).items()
        ]
        self._replace("arrived_files", period, rows, FILES_SCHEMA)

    def deploys(self, version: int, period: str) -> None:
        self.installation.lakehouse.root.mkdir(parents=True, exist_ok=True)
        Deployments(self.installation.lakehouse).record(
            Deployment(version, self.end(period), period, f"m-{version}", f"f-{version}", "gate", "not worse")
        )

    def decides(self, period: str, verdict: str = "promoted", version: int | None = 1) -> None:
        row = {
            "period": period,
            "decided_at": self.end(period),
            "candidate_version": version,
            "verdict": verdict,
            "reason": f"reason of {period}",
        }
        self._replace("promotion_decision", period, [row], DECISION_SCHEMA)

    def promises(self, version: int, period: str, auc: float) -> None:
        rows = [
            {"period": period, "version": version, "metric": "brier", "value": 0.1, "low": 0.1, "high": 0.1, "n": 500},
            {"period": period, "version": version, "metric": "auc", "value": auc, "low": auc, "high": auc, "n": 500},
        ]
        self._replace("model_evaluation", period, rows, EVALUATION_SCHEMA)

    def drifts(
        self, period: str, version: int, psi: float = 0.5, status: str = "drift", table: str = "feature_drift"
    ) -> None:
        row = {
            "period": period,
            "as_of": self.end(period),
            "model_version": version,
            "feature": "age",
            "kind": "integer",
            "n_reference": 5_000,
            "n_current": 1_234,
            "status": status,
            "reason": "as told",
            "psi": psi,
            "psi_debiased": psi,
        }
        self._replace(table, period, [row], DRIFT_SCHEMA)

    def performs(self, period: str, version: int, auc: float) -> None:
        row = {
            "period": period,
            "model_version": version,
            "metric": "auc",
            "value": auc,
            "low": auc - 0.02,
            "high": auc + 0.02,
            "n": 1_200,
            "status": "ok",
            "reason": "enough",
        }
        self._replace("model_performance", period, [row], PERFORMANCE_SCHEMA)

    def labels(self, period: str, *known_at: datetime, revision: int = 1) -> None:
        rows = [
            {"period": period, "lead_id": f"{period}-{i}", "label_known_at": moment, "label": 0, "revision": revision}
            for i, moment in enumerate(known_at)
        ]
        kept = self._corrections(period)
        self._replace("ground_truth_labels", period, [*kept, *rows], LABEL_SCHEMA)

    def many_labels(self, period: str, n: int) -> None:
        last = self.end(period)
        self.labels(period, *(last - timedelta(seconds=i) for i in range(n)))

    def _corrections(self, period: str) -> list[dict[str, Any]]:
        """What `learns_from` wrote."""
        lakehouse = self.installation.lakehouse
        if not lakehouse.exists("ground_truth_labels"):
            return []
        rows = lakehouse.read("ground_truth_labels", periods=[period]).to_pylist()
        return [row for row in rows if row["lead_id"].startswith("known-")]

    def _replace(self, table: str, period: str, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
        self.installation.lakehouse.replace_periods(table, [period], pa.Table.from_pylist(rows, schema=schema))


@pytest.fixture
def new_world(tmp_path: Path) -> Callable[..., World]:
    def make(**replaced: str) -> World:
        text = (ROOT / SETTINGS_FILE).read_text(encoding="utf-8")
        for old, new in replaced.items():
            assert old in text
            text = text.replace(old, new)
        root = tmp_path / "a home"
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        # A quarter, so that a calendar which is not due can be told from one that is; and a lead is enough to train on.
        for old, new in _TESTED:
            assert old in text
            text = text.replace(old, new)
        (root / SETTINGS_FILE).write_text(text, encoding="utf-8")
        return World(Home(root))

    return make


@pytest.fixture
def world(new_world: Callable[..., World]) -> World:
    """The shipped settings but for the calendar: months from 2008-05, 1,500 labels, 3 months, AUC floor 0.60, drop of 10 %."""
    world = new_world()
    assert world.home.settings.calendar.start == datetime(2008, 5, 1, tzinfo=UTC)
    return world
