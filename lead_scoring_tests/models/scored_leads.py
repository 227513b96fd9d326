"""Leads of the shipped registry, made up, and a quick model of each algorithm on them; for the tests of scorer and folder."""

from pathlib import Path

import numpy as np
import pandas as pd

from lead_scoring_assets.models.calibration import Calibrator
from lead_scoring_assets.models.encoder import Encoder
from lead_scoring_assets.models.recipe import Recipe
from lead_scoring_assets.models.training_set import TRAIN
from lead_scoring_assets.settings import Home

SETTINGS = Home(Path(__file__).resolve().parents[2]).settings
SHIPPED = Encoder.from_registry(SETTINGS.registry)
STEEPER = Calibrator(slope=1.7, intercept=-0.4)
RECIPES = {
    "xgboost": Recipe("xgboost", {**SETTINGS.training.parameters, "rounds": 60}, "none", 42),
    "lightgbm": Recipe("lightgbm", {"rounds": 60, "num_leaves": 7, "learning_rate": 0.1}, "none", 42),
    "logistic": Recipe("logistic", {"C": 0.1}, "none", 42),
}


def leads(n: int, seed: int = 0) -> pd.DataFrame:
    """Age and housing decide; a tenth of `pdays` and `job` is missing."""
    rng = np.random.default_rng(seed)
    values: dict[str, object] = {}
    for name, column in SETTINGS.registry.features.items():
        values[name] = rng.normal(40, 15, n).round(1) if column.is_numeric else rng.choice(column.categories, n)
    frame = pd.DataFrame(values)
    frame.loc[rng.random(n) < 0.1, "pdays"] = np.nan
    frame.loc[rng.random(n) < 0.1, "job"] = None
    odds = (frame["age"] - 40) / 15 + (frame["housing"] == "no") - 1
    return frame.assign(split=TRAIN, label=(rng.random(n) < 1 / (1 + np.exp(-odds))).astype(np.int8))
