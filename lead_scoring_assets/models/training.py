"""Fitting one model. Which rows it sees is decided in `training_set.py`, whether it is used in `gate.py`."""

import warnings
from dataclasses import dataclass

import pandas as pd

from lead_scoring_assets.errors import TrainingError
from lead_scoring_assets.models.encoder import Encoder
from lead_scoring_assets.models.training_set import HOLDOUT, TRAIN
from lead_scoring_assets.settings import Training


@dataclass(frozen=True)
class TrainedModel:
    """A fitted booster in XGBoost's own format (UBJSON), and the share of gain that each feature brought."""

    model: bytes
    importance: dict[str, float]


def refuse_to_train(training_set: pd.DataFrame, settings: Training) -> str | None:
    """Why there is too little to train and judge a model on, or None when there is enough."""
    train = training_set[training_set["split"] == TRAIN]
    holdout = training_set[training_set["split"] == HOLDOUT]
    needed = {
        "training leads": (len(train), settings.minimum_rows),
        "converted training leads": (int(train["label"].sum()), settings.minimum_positives),
        "holdout leads": (len(holdout), settings.minimum_holdout_rows),
        "converted holdout leads": (int(holdout["label"].sum()), settings.minimum_holdout_positives),
    }
    short = [f"{found:,} of {least:,} {what}" for what, (found, least) in needed.items() if found < least]
    if short:
        return "insufficient data: " + ", ".join(short)
    for what, rows in (("training", train), ("holdout", holdout)):
        if rows["label"].nunique() < 2:
            return f"insufficient data: all {len(rows):,} {what} leads have the same outcome"
    return None


def train(training_set: pd.DataFrame, encoder: Encoder, settings: Training) -> TrainedModel:
    """Fit gradient-boosted trees on the rows of split `train`, in their order: same rows, same bytes.

    Raises:
        TrainingError: XGBoost refuses the parameters or the rows.
    """
    import xgboost

    rows = training_set[training_set["split"] == TRAIN]
    features, labels = encoder.encode(rows), rows["label"].to_numpy()
    # One thread: sums in one order, so that the same rows give the same model, byte for byte.
    fixed = {"objective": "binary:logistic", "tree_method": "hist", "nthread": 1, "seed": settings.seed}
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            # The encoder, not the booster, knows the names of columns: XGBoost does not take every name.
            matrix = xgboost.DMatrix(features, label=labels, feature_types=encoder.feature_types, nthread=1)
            booster = xgboost.train({**settings.parameters, **fixed}, matrix, num_boost_round=settings.rounds)
            gain = booster.get_score(importance_type="total_gain")
    except xgboost.core.XGBoostError as problem:
        raise TrainingError(_explain(str(problem).splitlines()[0])) from problem
    for warning in told:
        # XGBoost only warns about a parameter that it does not know, and trains without it.
        if "are not used" in str(warning.message):
            raise TrainingError(_explain(str(warning.message).splitlines()[-1]))
        warnings.warn(warning.message, stacklevel=2)
    total = sum(gain.values()) or 1.0
    importance = {name: gain.get(f"f{position}", 0.0) / total for position, name in enumerate(encoder.columns)}
    return TrainedModel(model=bytes(booster.save_raw("ubj")), importance=importance)


def _explain(problem: str) -> str:
    return f"training failed, XGBoost says: {problem.rstrip('.')}. Check training.parameters in lead_scoring.yaml."
