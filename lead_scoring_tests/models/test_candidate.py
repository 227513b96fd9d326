"""From rows to a calibrated model: learned from the training rows alone, the same every time, faults told."""

from dataclasses import replace

import numpy as np
import pytest

from lead_scoring_assets.errors import TrainingError
from lead_scoring_assets.models.candidate import train_candidate
from lead_scoring_assets.models.encoder import Encoder
from lead_scoring_assets.models.training_set import HOLDOUT
from lead_scoring_assets.settings import Settings, parse_settings
from lead_scoring_tests.models.trainings import SETTINGS, training_set

ROWS = training_set().to_pandas()
ENOUGH = """
labels: {conversion_window_days: 7}
training:
  minimum_holdout_rows: 50
  minimum_holdout_positives: 20
  class_weight: balanced
  rounds: 20
  parameters: {eta: 0.2, max_depth: 3}
  tuning: {trials: 3, folds: 3}
"""


def settings(more: str = ENOUGH) -> Settings:
    return parse_settings(SETTINGS + more, "here")


def test_balanced_weights_do_not_distort_probabilities() -> None:
    encoder, lines = Encoder.from_registry(settings().registry), list[str]()
    found = train_candidate(ROWS, encoder, settings(), None, lines.append)
    train = ROWS[ROWS["split"] != HOLDOUT]
    raw = found.learner.margins(encoder.encode(train))
    rate = train["label"].mean()
    assert abs((1 / (1 + np.exp(-raw))).mean() - rate) > abs(found.calibrator.probabilities(raw).mean() - rate)
    assert len(lines) == 3
    assert all("AUC" in line for line in lines)


def test_what_the_holdout_holds_changes_nothing() -> None:
    encoder = Encoder.from_registry(settings().registry)
    other = ROWS.copy()
    other.loc[other["split"] == HOLDOUT, "label"] = 1 - other.loc[other["split"] == HOLDOUT, "label"]
    one, two = (train_candidate(rows, encoder, settings(), None, lambda line: None) for rows in (ROWS, other))
    assert one.learner.to_bytes() == two.learner.to_bytes()
    assert (one.calibrator, one.tuned.trials) == (two.calibrator, two.tuned.trials)


def test_the_last_recipe_is_tried_second() -> None:
    encoder = Encoder.from_registry(settings().registry)
    first = train_candidate(ROWS, encoder, settings(), None, lambda line: None)
    last = replace(first.tuned.trials[0].recipe, parameters={"rounds": 7, "max_depth": 2})
    again = train_candidate(ROWS, encoder, settings(), last, lambda line: None)
    assert [trial.recipe.parameters for trial in again.tuned.trials[:2]] == [
        first.tuned.trials[0].recipe.parameters,
        last.parameters,
    ]


def test_too_few_leads_for_folds_leave_the_probabilities_as_they_are_and_say_so() -> None:
    few = settings(ENOUGH.replace("minimum_holdout_rows: 50", "minimum_holdout_rows: 5000"))
    found = train_candidate(ROWS, Encoder.from_registry(few.registry), few, None, lambda line: None)
    assert found.tuned.stopped == "no folds"
    assert (found.calibrator.slope, found.calibrator.intercept) == (1.0, 0.0)
    assert "not tuned" in found.tuned.remarks[0]


def test_a_wrong_recipe_in_the_settings_is_told_though_others_would_do() -> None:
    wrong = settings(ENOUGH.replace("max_depth: 3", "max_dept: 3"))
    with pytest.raises(TrainingError, match=r"Check training\.parameters"):
        train_candidate(ROWS, Encoder.from_registry(wrong.registry), wrong, None, lambda line: None)
