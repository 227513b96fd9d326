"""A small installation that has lived: leads of a year, two models that went live, and a third month to be trained.

Bad input goes into its tables or its surroundings; what it does to models and scores is then played by the real assets.
"""

import hashlib
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from lead_scoring_assets import definitions, jobs
from lead_scoring_assets.clock import ReplayClock
from lead_scoring_assets.features.plan import feature_schema
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.jobs import StretchRun
from lead_scoring_assets.models.registry import ModelRegistry
from lead_scoring_assets.promotion.deployments import Deployments
from lead_scoring_assets.resources import InstallationResource
from lead_scoring_assets.settings import Home

dg = pytest.importorskip("dagster")  # after definitions, which silence its notes on the parts used on purpose

FIRST, SECOND, NOW = "2009-04", "2009-05", "2009-06"
LEADS_A_DAY = 6
QUICK = {
    "algorithms: [xgboost, lightgbm, logistic]": "algorithms: [xgboost]",
    "tuning: {trials: 4, folds: 3,": "tuning: {trials: 1, folds: 2,",
    "rounds: 120 ": "rounds: 12 ",
    "bootstrap_samples: 1000": "bootstrap_samples: 200",
    "refresh_margin: 0.02": "refresh_margin: 0.50",  # the gate is tested elsewhere: here whoever comes goes live
}
Change = Callable[[pd.DataFrame], pd.DataFrame]


@dataclass(frozen=True)
class Small:
    """One home, what a test may do to it, and what must not move."""

    root: Path

    @property
    def house(self) -> Installation:
        """Opened anew, as another process would."""
        return Installation(Home(self.root))

    @property
    def settings_file(self) -> Path:
        return self.root / "lead_scoring.yaml"

    def rewrite_settings(self, found: str, wanted: str) -> None:
        told = self.settings_file.read_text()
        assert found in told
        self.settings_file.write_text(told.replace(found, wanted))

    def change(self, table: str, change: Change) -> None:
        """Rewrite the periods of a table."""
        lakehouse = self.house.lakehouse
        rows = lakehouse.read(table)
        changed = change(rows.to_pandas())
        lakehouse.replace_periods(
            table,
            sorted(set(rows["period"].to_pylist())),
            pa.Table.from_pandas(changed, schema=rows.schema, preserve_index=False),
        )

    def rows(self, table: str) -> pd.DataFrame:
        """All of a table, as `change` gives it."""
        found: pd.DataFrame = self.house.lakehouse.read(table).to_pandas()
        return found

    def train(self, period: str = NOW) -> StretchRun:
        """The job `retraining`, as a sensor or a person starts it."""
        return self._run("retraining", period)

    def score(self, period: str = NOW) -> StretchRun:
        return self._run("scoring", period)

    def evidence(self) -> dict[str, object]:
        """Everything that a bad run may not touch: steps, the champion and its files, scores and decisions."""
        lakehouse = self.house.lakehouse
        steps = Deployments(lakehouse).steps()
        files = [file for step in steps for file in sorted(step.folder(self.house.home.data).iterdir())]
        tables = ("lead_scores", "promotion_decision")
        return {
            "steps": steps,
            "files": {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files},
            "rows": {name: lakehouse.read(name).to_pylist() for name in tables if lakehouse.exists(name)},
        }

    def row(self, table: str, period: str = NOW) -> dict[str, Any]:
        [found] = self.house.lakehouse.read(table, periods=[period]).to_pylist()
        return dict(found)

    def registered(self) -> list[int]:
        return [model.version for model, _ in ModelRegistry(self.house.home).versions()]

    def runs(self) -> dict[str, set[str]]:
        """How the MLflow runs of each Dagster run stand."""
        registry = ModelRegistry(self.house.home)
        experiment = registry.client.get_experiment_by_name(registry.name)
        found: dict[str, set[str]] = {}
        for run in registry.client.search_runs([experiment.experiment_id]):
            found.setdefault(run.data.tags["dagster_run_id"], set()).add(run.info.status)
        return found

    def snapshots(self) -> list[Path]:
        return sorted(path for path in self.house.home.snapshots.glob("*/*") if path.is_dir())

    def _run(self, job: str, period: str) -> StretchRun:
        resource = InstallationResource(root=str(self.root))
        built = definitions.build_definitions(
            {"installation": resource, "io_manager": definitions.LakehouseIOManager(installation=resource)},
            {jobs.PROGRESS_LOGGER: jobs.progress_logger(lambda what, period: None)},
        )
        scoring = dg.Definitions(jobs=[dg.define_asset_job("scoring", dg.AssetSelection.assets("lead_scores"))])
        with dg.DagsterInstance.ephemeral() as instance:
            asked = [self.house.settings.calendar.period(period)]
            [run] = jobs.run_history(dg.Definitions.merge(built, scoring), instance, job, asked)
        return run


def build(root: Path) -> Small:
    """Make it in the home `root`: `FIRST` and `SECOND` are trained, decided and live; `NOW` has its leads and labels."""
    small = Small(root)
    for found, wanted in QUICK.items():
        small.rewrite_settings(found, wanted)
    lakehouse, settings = small.house.lakehouse, small.house.settings
    rows = _leads(small.house)
    months = sorted(set(rows["period"]))
    schema = feature_schema(settings.registry)
    lakehouse.replace_periods("lead_features", months, pa.Table.from_pandas(rows, schema=schema, preserve_index=False))
    known = rows["created_at"] + timedelta(days=settings.labels.conversion_window_days)
    labels = pd.DataFrame(
        {"period": known.dt.strftime("%Y-%m"), "lead_id": rows["lead_id"], "label": rows["label"]}
    ).assign(label_known_at=known, revision=1, deal_value=None)
    lakehouse.replace_periods(
        "ground_truth_labels",
        sorted(set(labels["period"])),
        pa.Table.from_pandas(
            labels,
            schema=pa.schema(
                [
                    ("period", pa.string()),
                    ("lead_id", pa.string()),
                    ("label", pa.int8()),
                    ("label_known_at", pa.timestamp("us", tz="UTC")),
                    ("revision", pa.int64()),
                    ("deal_value", pa.float64()),
                ]
            ),
            preserve_index=False,
        ),
    )
    for period in (FIRST, SECOND):
        run = small.train(period)
        assert run.succeeded, run.errors
    assert [step.version for step in Deployments(lakehouse).history()] == [1, 2]
    ReplayClock(small.house.home.clock_file).move_to(settings.calendar.period(NOW).end)
    assert small.score().succeeded
    return small


def copied(small: Small, root: Path) -> Small:
    """A copy elsewhere. MLflow keeps the address of its artefacts in its store: it is told the new one."""
    shutil.copytree(small.root, root)
    with sqlite3.connect(root / "data" / "mlflow" / "mlflow.db") as store:
        for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
            store.execute(
                f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (small.root.as_uri(), root.as_uri())
            )
    store.close()
    return Small(root)


def _leads(house: Installation) -> pd.DataFrame:
    """Age decides, a little more with each month; half of the other features say nothing."""
    draw, registry = np.random.default_rng(6), house.settings.registry
    created = pd.date_range("2008-08-01", "2009-06-30 23:00", freq=f"{24 // LEADS_A_DAY}h", tz="UTC")
    n = len(created)
    rows = pd.DataFrame(
        {
            "lead_id": [f"lead-{i:05}" for i in range(n)],
            "created_at": created.astype("datetime64[us, UTC]"),
            **{name: draw.integers(0, 9, n).astype(float) for name in registry.numeric_features},
            **{name: draw.choice(registry.features[name].categories, n) for name in registry.category_features},
            "age": draw.integers(18, 90, n).astype(float),
        }
    )
    rows["known_at"] = rows["created_at"]
    rows["period"] = rows["created_at"].dt.strftime("%Y-%m")
    rows["label"] = (draw.random(n) < 1 / (1 + np.exp(-(rows["age"] - 60) / 8))).astype("int8")
    return rows
