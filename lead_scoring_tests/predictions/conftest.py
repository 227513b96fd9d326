"""A home with leads of four months, two models that were live one after the other, and a clock."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from lead_scoring_assets.clock import ReplayClock
from lead_scoring_assets.features.plan import feature_schema
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.models import learners
from lead_scoring_assets.models.bundle import save_bundle
from lead_scoring_assets.models.calibration import Calibrator
from lead_scoring_assets.models.encoder import Encoder
from lead_scoring_assets.models.recipe import default_recipe
from lead_scoring_assets.promotion.deployments import Deployment, Deployments
from lead_scoring_assets.settings import Home
from lead_scoring_tests.conftest import MakeHome

MONTHS = ("2008-05", "2008-06", "2008-07", "2008-08")
LEADS = 150
OF_MAY, OF_JUNE, OF_JULY = "L0003", "L0155", "L0310"
"""All three come again in August: June's as it was, the others with another age and job."""
EVER_LIVE = {"2008-05": None, "2008-06": 1, "2008-07": 1, "2008-08": 2}
"""The version that was live when each month began: v1 since the end of May, v2 since the end of July."""


@dataclass(frozen=True)
class World:
    """One home, and changes that a test may make to it."""

    home: Home

    @property
    def house(self) -> Installation:
        """A fresh one, as another process would open it."""
        return Installation(self.home)

    def features(self, period: str) -> pd.DataFrame:
        found: pd.DataFrame = self.house.lakehouse.read("lead_features", periods=[period]).to_pandas()
        return found

    def writes(self, table: str, period: str, rows: list[dict[str, Any]], schema: pa.Schema | None = None) -> None:
        self.house.lakehouse.replace_periods(table, [period], pa.Table.from_pylist(rows, schema=schema))

    def is_now(self, moment: datetime) -> None:
        ReplayClock(self.home.clock_file).move_to(moment)

    def end(self, period: str) -> datetime:
        return self.home.settings.calendar.period(period).end

    def deploys(self, version: int, period: str, fingerprint: str) -> None:
        Deployments(self.house.lakehouse).record(
            Deployment(version, self.end(period), period, f"m-{version}", fingerprint, "gate", "not worse")
        )

    def trains(self, version: int, algorithm: str, labels: Any, calibrator: Calibrator) -> str:
        """A small model of July's leads, its folder written; its fingerprint."""
        rows = self.features("2008-07")
        encoder = Encoder.from_registry(self.home.settings.registry)
        recipe = replace(default_recipe(algorithm, self.home.settings.training), seed=version)  # type: ignore[arg-type]
        if "rounds" in recipe.parameters:
            recipe = replace(recipe, parameters={**recipe.parameters, "rounds": 12})
        learner = learners.fit(recipe, encoder.encode(rows), labels(rows).astype(float), encoder.feature_types)
        return save_bundle(self.home.data / f"m-{version}", learner, recipe, calibrator, encoder, rows)


def leads_of(house: Installation, period: str, first: int, seed: int) -> pd.DataFrame:
    """Leads with every feature of the shipped registry, some not given."""
    random, start = np.random.default_rng(seed), house.settings.calendar.period(period).start
    columns: dict[str, Any] = {
        "period": period,
        "lead_id": [f"L{first + i:04}" for i in range(LEADS)],
        "created_at": [start + timedelta(hours=i) for i in range(LEADS)],
        "known_at": [start + timedelta(hours=i + 1) for i in range(LEADS)],
    }
    for name, column in house.settings.registry.features.items():
        if column.is_numeric:
            columns[name] = np.where(random.random(LEADS) < 0.1, np.nan, random.integers(15, 100, LEADS).astype(float))
        else:
            columns[name] = random.choice([*column.categories, None], LEADS)
    return pd.DataFrame(columns)


def build(make_home: MakeHome, name: str) -> World:
    world = World(Home(make_home(name)))
    house = world.house
    schema = feature_schema(house.settings.registry)
    by_month = {month: leads_of(house, month, n * LEADS, n) for n, month in enumerate(MONTHS)}
    again = [
        by_month["2008-05"].query("lead_id == @OF_MAY").assign(age=19.0, job="student"),
        by_month["2008-06"].query("lead_id == @OF_JUNE"),
        by_month["2008-07"].query("lead_id == @OF_JULY").assign(age=20.0, job=None),
    ]
    came_again = pd.concat(again).assign(period="2008-08", known_at=world.end("2008-08"))
    by_month["2008-08"] = pd.concat([by_month["2008-08"], came_again])
    for month, rows in by_month.items():
        rows = rows.sort_values("lead_id")
        table = pa.Table.from_pandas(rows[schema.names], schema=schema, preserve_index=False)
        house.lakehouse.replace_periods("lead_features", [month], table)
    young = world.trains(1, "xgboost", lambda rows: rows["age"] < 50, Calibrator(1.0, 0.0))
    calm = world.trains(2, "xgboost", lambda rows: rows["balance"] > 40, Calibrator(0.8, -0.3))
    world.deploys(1, "2008-05", young)
    world.deploys(2, "2008-07", calm)
    world.is_now(world.end("2008-08"))
    return world


@pytest.fixture(scope="module")
def world(make_home: MakeHome) -> World:
    """Shared by a module's tests, which leave it as it is."""
    return build(make_home, "scored")


@pytest.fixture
def own_world(make_home: MakeHome) -> World:
    """One that a test may change."""
    return build(make_home, "changed")
