"""From a period's rows to a model: the search for a recipe, the fit on all rows, the calibration on rows not fitted on."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd

from lead_scoring_assets.errors import TrainingError
from lead_scoring_assets.models.calibration import Calibrator, fit_calibrator, identity
from lead_scoring_assets.models.encoder import Encoder
from lead_scoring_assets.models.learners import Learner
from lead_scoring_assets.models.recipe import Recipe
from lead_scoring_assets.models.search.search_space import first_recipes
from lead_scoring_assets.models.search.trials import Tuned, tell_lines
from lead_scoring_assets.models.search.tuning import tune
from lead_scoring_assets.models.training import fit_model
from lead_scoring_assets.models.training_set import TRAIN
from lead_scoring_assets.settings import Settings


@dataclass(frozen=True)
class Candidate:
    """A fitted model: its learner (log odds), what turns these into probabilities, and how its recipe was found."""

    learner: Learner
    calibrator: Calibrator
    tuned: Tuned

    @property
    def recipe(self) -> Recipe:
        return self.tuned.recipe


def train_candidate(
    rows: pd.DataFrame, encoder: Encoder, settings: Settings, last: Recipe | None, say: Callable[[str], None]
) -> Candidate:
    """Search on the rows of split `train`, fit the best recipe on all of them, calibrate on the out-of-fold margins.

    `last`: the recipe of the model that was trained before this one, tried second. `say` is told each trial in a line.

    Raises:
        TrainingError: the recipe of the settings, or every recipe, cannot be fitted.
    """
    train = rows[rows["split"] == TRAIN]
    tuned = tune(
        encoder.encode(train),
        train["label"].to_numpy(dtype=np.float64),
        # Without its zone: NumPy has no instants with one, and all are in UTC.
        train["created_at"].dt.tz_localize(None).to_numpy(),
        encoder.feature_types,
        first_recipes(settings.training, last),
        settings.training,
        timedelta(days=settings.labels.conversion_window_days),
        tell=tell_lines(say, settings.training.tuning.trials),
    )
    if tuned.trials and tuned.trials[0].state == "failed":
        # The recipe in the settings: another would do, but whoever wrote it has to know, and now.
        raise TrainingError(str(tuned.trials[0].remark))
    is_searched = tuned.stopped != "no folds"
    calibrator = fit_calibrator(tuned.out_of_fold_margins, tuned.out_of_fold_labels) if is_searched else identity()
    return Candidate(fit_model(rows, encoder, tuned.recipe), calibrator, tuned)
