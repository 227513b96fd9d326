"""Scorers for tests about explanations: real ones of every algorithm, and one whose contributions are known."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from lead_scoring_assets.contracts.columns import Column, Registry
from lead_scoring_assets.models.calibration import Calibrator
from lead_scoring_assets.models.encoder import Encoder
from lead_scoring_assets.models.recipe import Recipe
from lead_scoring_assets.models.scorer import Scorer
from lead_scoring_assets.models.training import fit_model
from lead_scoring_assets.models.training_set import TRAIN

REGISTRY = Registry(
    {
        "visits": Column(kind="integer", role="feature", why="visits of the web site"),
        "age": Column(kind="number", role="feature", required=False, why="life stage"),
        "noise": Column(kind="number", role="feature", why="nothing"),
        "job": Column(kind="category", role="feature", required=False, why="who asks", categories=("clerk", "student")),
    }
)
RECIPES = {
    "xgboost": Recipe("xgboost", {"rounds": 40, "max_depth": 3, "eta": 0.2}, "none", 42),
    "lightgbm": Recipe("lightgbm", {"rounds": 40, "num_leaves": 7}, "none", 42),
    "logistic": Recipe("logistic", {"C": 0.5}, "none", 42),
}


def leads(n: int, seed: int = 0) -> pd.DataFrame:
    """More visits are better, more age is worse, students hardly convert, noise is noise."""
    draws = np.random.default_rng(seed)
    visits, age, noise = draws.poisson(4, n).astype(np.float64), draws.normal(40, 12, n), draws.normal(0, 1, n)
    job = draws.choice(np.array(["clerk", "student", None], dtype=object), n, p=[0.6, 0.3, 0.1])
    odds = 0.8 * (visits - 4) - (age - 40) / 24 - 1.5 * (job == "student") - 0.5
    frame = pd.DataFrame({"visits": visits, "age": age, "noise": noise, "job": job, "split": TRAIN})
    frame["label"] = (draws.random(n) < 1 / (1 + np.exp(-odds))).astype(np.int8)
    frame.loc[draws.random(n) < 0.1, "age"] = np.nan
    return frame


def real_scorer(algorithm: str, n: int = 2_000) -> Scorer:
    """Fitted on `leads`, with a calibrator that changes something."""
    encoder = Encoder.from_registry(REGISTRY)
    recipe = RECIPES[algorithm]
    return Scorer(fit_model(leads(n), encoder, recipe), encoder, recipe, Calibrator(slope=0.8, intercept=-0.3))


class AdditiveScorer:
    """Log odds are `base` and a function of each column: contributions are known."""

    def __init__(self, parts: Mapping[str, Callable[[pd.Series], object]], base: float = -1.0) -> None:
        self._parts, self._base = parts, base

    @property
    def columns(self) -> list[str]:
        return list(self._parts)

    def contributions(self, features: pd.DataFrame) -> np.ndarray:
        parts = [np.asarray(part(features[name]), dtype=np.float64) for name, part in self._parts.items()]
        return np.stack([*parts, np.full(len(features), self._base)], axis=1)

    def probabilities(self, features: pd.DataFrame) -> np.ndarray:
        return np.asarray(1 / (1 + np.exp(-self.contributions(features).sum(axis=1))))
