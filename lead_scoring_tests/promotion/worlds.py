"""A home whose models are real and small: each version is registered, loads, and can be damaged."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from lead_scoring_assets.clock import FixedClock
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.models.bundle import RECIPE, save_bundle
from lead_scoring_assets.models.calibration import identity
from lead_scoring_assets.models.encoder import Encoder
from lead_scoring_assets.models.provenance import Provenance
from lead_scoring_assets.models.recipe import documented_recipe
from lead_scoring_assets.models.record import TrainingRecord, write_record
from lead_scoring_assets.models.registry import ModelRegistry
from lead_scoring_assets.models.training import fit_model
from lead_scoring_assets.models.training_set import TRAIN
from lead_scoring_assets.promotion.deployments import Deployment, Deployments
from lead_scoring_assets.settings import Home

PERIODS = ("2008-05", "2008-06", "2008-07", "2008-08", "2008-09", "2008-10")
NOW = datetime(2009, 1, 1, tzinfo=UTC)
COMMIT = "0123456789abcdef0123456789abcdef01234567"
CLEAN = Provenance(COMMIT, "main", False, "unknown", "lock", "3.11.9", "Linux x86_64", {}, "settings", 0)


def leads(n: int = 200, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    age = rng.normal(40, 10, n)
    label = (rng.random(n) < 1 / (1 + np.exp((40 - age) / 5))).astype(np.int8)
    return pd.DataFrame({"age": age, "split": TRAIN, "label": label})


@dataclass(frozen=True)
class World:
    """A home with versions 1, 2, 3, … of the periods 2008-05, 2008-06, …; none is live yet."""

    root: Path

    @property
    def house(self) -> Installation:
        """Opened anew, as another process would; its clock stands still at the beginning of 2009."""
        house = Installation(Home(self.root))
        house.__dict__["clock"] = FixedClock(NOW)
        return house

    def version(self, number: int) -> Deployment:
        """The version as the gate would record it."""
        period = self.house.settings.calendar.period(PERIODS[number - 1])
        found = ModelRegistry(self.house.home).find_version(number)
        assert found is not None
        model, key = found
        assert key == period.key
        return Deployment(number, period.end, key, model.bundle, model.fingerprint, "gate, run 1", f"reason {number}")

    def promote(self, *numbers: int) -> None:
        for number in numbers:
            assert Deployments(self.house.lakehouse).record(self.version(number))

    def live(self) -> int | None:
        newest = Deployments(self.house.lakehouse).newest()
        return newest.version if newest else None

    def record_code(self, number: int, code: Provenance) -> None:
        """Say of a version which code trained it, as its training would."""
        version = self.version(number)
        told = TrainingRecord(
            period=version.period,
            snapshot="snapshots/s",
            content_hash="h",
            inputs={},
            recipe="{}",
            calibrator="{}",
            calibration=None,
            encoder="{}",
            settings="{}",
            provenance=code,
            fingerprint=version.fingerprint,
            files={},
            metrics={},
            trigger="by hand",
            trigger_reason="a test",
        )
        write_record(self.root / "data" / version.bundle, told)

    def set_gate(self, found: str, wanted: str) -> None:
        settings = self.root / "lead_scoring.yaml"
        assert found in settings.read_text()
        settings.write_text(settings.read_text().replace(found, wanted))

    def damage(self, number: int) -> None:
        file = self.root / "data" / self.version(number).bundle / RECIPE
        file.write_bytes(file.read_bytes() + b" ")


def make_world(root: Path, versions: int) -> World:
    """Train and register `versions` models in the home `root`, with small XGBoost models."""
    house = Installation(Home(root))
    house.lakehouse.root.mkdir(parents=True)
    registry = ModelRegistry(house.home)
    registry.prepare()
    encoder = Encoder(numeric=("age",), categories={})
    for number in range(1, versions + 1):
        settings = house.settings.training.model_copy(update={"rounds": 2, "seed": number})
        recipe = documented_recipe(settings)
        sample = leads(seed=number)
        folder = house.home.mlflow / "artifacts" / f"m-{number}" / "bundle"
        fingerprint = save_bundle(folder, fit_model(sample, encoder, recipe), recipe, identity(), encoder, sample)
        tags = {
            "period": PERIODS[number - 1],
            "fingerprint": fingerprint,
            "bundle": str(folder.relative_to(house.home.data)),
        }
        registry.client.create_model_version(registry.name, folder.as_uri(), tags=tags)
    return World(root)
