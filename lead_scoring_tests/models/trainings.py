"""A small installation in which one model was trained and recorded, for tests about doing that again."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from lead_scoring_assets.models.bundle import save_bundle
from lead_scoring_assets.models.calibration import identity
from lead_scoring_assets.models.encoder import Encoder
from lead_scoring_assets.models.recipe import Recipe
from lead_scoring_assets.models.record import CalibrationFolds, TrainingRecord, record, write_record
from lead_scoring_assets.models.snapshot import load, shaping_settings_sha256, take
from lead_scoring_assets.models.training import fit_model
from lead_scoring_assets.models.training_set import HOLDOUT, TRAIN
from lead_scoring_assets.periods import Period
from lead_scoring_assets.reproduction.rebuild import calibrate
from lead_scoring_assets.settings import SETTINGS_FILE, Home

SETTINGS = """
name: small
periods: {start: 2009-01-01}
columns:
  age: {kind: number, role: feature, why: w}
  size: {kind: number, role: feature, why: w}
  job: {kind: category, role: feature, why: w, categories: [clerk, student]}
"""
JUNE = Period(datetime(2009, 6, 1, tzinfo=UTC), datetime(2009, 7, 1, tzinfo=UTC), "2009-06")
RECIPES = {
    "xgboost": Recipe("xgboost", {"rounds": 12, "max_depth": 3, "subsample": 0.8, "eta": 0.3}, "none", 42),
    "lightgbm": Recipe(
        "lightgbm", {"rounds": 12, "num_leaves": 7, "bagging_fraction": 0.8, "bagging_freq": 1}, "none", 7
    ),
    "logistic": Recipe("logistic", {"C": 0.5}, "balanced", 3),
}
FOLDS = CalibrationFolds(folds=3, embargo_days=7, minimum_rows=50, minimum_positives=20)


@dataclass(frozen=True)
class Trained:
    """A home, the folder of its model, and the record beside it."""

    home: Home
    bundle: Path
    record: TrainingRecord

    @property
    def record_file(self) -> Path:
        return self.bundle.parent / "record.json"


def training_set(n: int = 900, seed: int = 5) -> pa.Table:
    """Leads in which age and job decide; the last quarter is the holdout."""
    rng = np.random.default_rng(seed)
    age = rng.normal(40, 12, n)
    job = rng.choice(np.array(["clerk", "student", None], dtype=object), n)
    odds = (age - 40) / 12 + (job == "student") - 0.5
    start = datetime(2009, 1, 1, tzinfo=UTC)
    return pa.table(
        {
            "period": [JUNE.key] * n,
            "split": [TRAIN if i < 0.75 * n else HOLDOUT for i in range(n)],
            "lead_id": [f"lead-{i:05}" for i in range(n)],
            "created_at": pa.array([start + timedelta(hours=4 * i) for i in range(n)], pa.timestamp("us", tz="UTC")),
            "label": pa.array((rng.random(n) < 1 / (1 + np.exp(-odds))).astype(np.int8)),
            "age": age,
            "size": np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n)),
            "job": pa.array(job, pa.string()),
        }
    )


def frame_of(rows: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = rows.to_pandas()
    return frame


def train_and_record(root: Path, recipe: Recipe, folds: CalibrationFolds | None = None) -> Trained:
    """What a training does: keep the rows, fit on what was kept, write the model's folder and the record."""
    root.mkdir(parents=True, exist_ok=True)
    (root / SETTINGS_FILE).write_text(SETTINGS)
    home = Home(root)
    taken = take(
        training_set(),
        home.snapshots,
        JUNE,
        inputs={"lead_features": 4},
        settings_sha256=shaping_settings_sha256(home.settings),
    )
    rows, snapshot = load(home.snapshots / taken.path)
    frame = frame_of(rows)
    encoder = Encoder.from_registry(home.settings.registry)
    calibrator = calibrate(frame[frame["split"] == TRAIN], recipe, encoder, folds) if folds else identity()
    bundle = home.data / "models" / "1" / "bundle"
    learner = fit_model(frame, encoder, recipe)
    fingerprint = save_bundle(bundle, learner, recipe, calibrator, encoder, frame[frame["split"] == HOLDOUT])
    told = record(
        home,
        bundle,
        fingerprint,
        snapshot,
        trigger="drift",
        trigger_reason="age moved",
        calibration=folds,
    )
    write_record(bundle, told)
    return Trained(home, bundle, told)
