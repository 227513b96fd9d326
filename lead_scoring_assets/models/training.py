"""Fitting one model. Which rows it sees is decided in `training_set.py`, with what in `tuning.py`."""

import numpy as np
import pandas as pd

from lead_scoring_assets.models import learners
from lead_scoring_assets.models.encoder import Encoder
from lead_scoring_assets.models.learners import Learner
from lead_scoring_assets.models.minimum_data import TrainingData, what_is_short
from lead_scoring_assets.models.recipe import Recipe
from lead_scoring_assets.models.training_set import HOLDOUT, TRAIN
from lead_scoring_assets.settings import Training


def refuse_to_train(training_set: pd.DataFrame, settings: Training) -> str | None:
    """Why there is too little to train and judge a model on, or None when there is enough."""
    train, holdout = (training_set.loc[training_set["split"] == split, "label"] for split in (TRAIN, HOLDOUT))
    data = TrainingData(len(train), int(train.sum()), len(holdout), int(holdout.sum()))
    return what_is_short(data, settings)


def remark_on_features(training_set: pd.DataFrame, encoder: Encoder) -> str | None:
    """Which features have no value that can be used in any training lead, or None; they are harmless, and useless."""
    train = training_set[training_set["split"] == TRAIN]
    is_unknown = np.isnan(encoder.encode(train))
    empty = [name for position, name in enumerate(encoder.columns) if is_unknown[:, position].all()]
    if not empty or not len(train):
        return None
    return f"no known value in any of {len(train):,} training leads: {', '.join(empty)}"


def fit_model(training_set: pd.DataFrame, encoder: Encoder, recipe: Recipe) -> Learner:
    """Fit `recipe` on the rows of split `train`, in their order: same rows, same bytes.

    Raises:
        TrainingError: the learner refuses the parameters or the rows.
    """
    train = training_set[training_set["split"] == TRAIN]
    labels = train["label"].to_numpy(dtype=np.float64, na_value=np.nan)
    return learners.fit(recipe, encoder.encode(train), labels, encoder.feature_types)
