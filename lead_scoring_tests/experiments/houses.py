"""An installation with a champion and a candidate, whose clock and tables the test holds."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import yaml

from lead_scoring_assets.clock import ReplayClock
from lead_scoring_assets.experiments import transitions
from lead_scoring_assets.experiments.experiment import Experiment
from lead_scoring_assets.experiments.planning import Plan, Question, plan_experiment
from lead_scoring_assets.experiments.reading import Tables
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.promotion.deployments import Deployment, Deployments
from lead_scoring_assets.promotion.lifecycle import Action
from lead_scoring_assets.settings import SETTINGS_FILE, Home
from lead_scoring_tests.experiments.worlds import START

ROOT = Path(__file__).resolve().parents[2]
COST = plan_experiment(Question(0.125, 0.3), 300.0, 30, 180, 1_000)


@dataclass
class House:
    """Version 1 is live, version 2 waits in staging; months from December 2025 on, under the replay clock."""

    home: Home

    @classmethod
    def make(cls, root: Path) -> "House":
        root.mkdir()
        shutil.copy(ROOT / "dagster.yaml", root)
        settings = yaml.safe_load((ROOT / SETTINGS_FILE).read_text(encoding="utf-8"))
        settings["periods"] = {"cadence": "month", "start": "2025-12-01"}
        (root / SETTINGS_FILE).write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
        house = cls(Home(root))
        house.now(START)
        house.deploy(1, "promoted")
        house.deploy(2, "proposed")
        return house

    @property
    def installation(self) -> Installation:
        return Installation(self.home)

    def now(self, moment: datetime) -> None:
        ReplayClock(self.home.clock_file).move_to(moment)

    def deploy(self, version: int, action: Action) -> None:
        step = Deployment(version, START, "2025-12", f"models/{version}", f"f{version}", "test", "made up", action)
        Deployments(self.installation.lakehouse).append(step)

    def plan(self, wanted: transitions.Wanted | None = None, cost: Plan = COST) -> Experiment:
        return transitions.plan(self.installation, wanted or transitions.Wanted(2), cost, "Mona", "a test")

    def started(self) -> Experiment:
        experiment = self.plan()
        return transitions.start(self.installation, experiment.experiment_id, "Mona", "go").experiment

    def fill(self, tables: Tables) -> None:
        """Answers and labels as the loop leaves them, labels by the month in which they became known; the clock stands after."""
        lakehouse = self.installation.lakehouse
        lakehouse.append("served_predictions", tables.served)
        self.now(datetime(2026, 4, 1, tzinfo=UTC))
        if tables.labels is None:
            return
        months = pa.array([f"{at:%Y-%m}" for at in tables.labels["label_known_at"].to_pylist()])
        labels = tables.labels.set_column(0, "period", months)
        lakehouse.replace_periods("ground_truth_labels", sorted(set(months.to_pylist())), labels)

    def cohorts(self, cohorts: Sequence[tuple[str, int, int]], slow: int = 0) -> None:
        """Complete cohorts: name, leads, converted; of each so many conversions became known after 20 days, others after 3."""
        rows = [
            {"period": "2026-01", "cohort": name, "as_of": START, "leads": leads, "positive": won, "status": "complete"}
            for name, leads, won in cohorts
        ]
        coverage = pa.Table.from_pylist(rows)
        as_of = pc.cast(coverage["as_of"], pa.timestamp("us", tz="UTC"))
        coverage = coverage.set_column(2, "as_of", as_of)
        self.installation.lakehouse.replace_periods("label_coverage", ["2026-01"], coverage)
        labels = []
        for name, leads, won in cohorts:
            created = datetime.fromisoformat(f"{name}-01").replace(tzinfo=UTC)
            for number in range(leads):
                known = created + timedelta(days=20 if number < slow else 3 if number < won else 30)
                labels.append(
                    {
                        "period": "2026-01",
                        "lead_id": f"{name} {number}",
                        "created_at": created,
                        "label_known_at": known,
                        "label": int(number < won),
                        "rep": None,
                    }
                )
        moment = pa.timestamp("us", tz="UTC")
        kinds = [("period", pa.string()), ("lead_id", pa.string()), ("created_at", moment), ("label_known_at", moment)]
        schema = pa.schema([*kinds, ("label", pa.int64()), ("rep", pa.string())])
        self.installation.lakehouse.replace_periods(
            "ground_truth_labels", ["2026-01"], pa.Table.from_pylist(labels, schema)
        )

    def later(self, days: float) -> None:
        self.now(self.installation.clock.now() + timedelta(days=days))
