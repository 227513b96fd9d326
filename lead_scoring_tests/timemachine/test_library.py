"""Models are those that the product trains, each once; figures in closed form are close to those by resampling."""

import numpy as np
import pytest

from lead_scoring_assets.evaluation.metrics import Metric
from lead_scoring_assets.models.candidate import train_candidate
from lead_scoring_assets.models.encoder import Encoder
from lead_scoring_assets.models.recipe import Recipe
from lead_scoring_assets.models.training_set import TrainingWindow, build_training_set
from lead_scoring_assets.timemachine.library import ClosedForm, Library, Model, Resampled
from lead_scoring_assets.timemachine.recorded import Recorded
from lead_scoring_tests.timemachine.worlds import WINDOW, settings_of, tables


def model(library: Library, place: int) -> Model:
    found = library.candidate(place)
    assert isinstance(found, Model)
    return found


def test_a_model_is_the_one_that_the_product_trains(steady: Recorded) -> None:
    settings = steady.settings
    features, labels = tables()
    period = steady.periods[6]
    window = TrainingWindow.of(period, WINDOW, settings.training.window_months)
    rows = build_training_set(period, window, features, labels, settings.registry).to_pandas()
    encoder = Encoder.from_registry(settings.registry)
    theirs = train_candidate(rows, encoder, settings, None, lambda words: None)
    ours = model(Library(steady, settings, ClosedForm()), 6)
    later = np.flatnonzero(steady.period_of == 9)
    expected = theirs.calibrator.probabilities(theirs.learner.margins(encoder.encode(steady.frame.iloc[later])))
    assert np.allclose(ours.probabilities[later], expected, rtol=0, atol=1e-12)
    assert ours.recipe == theirs.recipe
    assert (ours.holdout_labels == rows.query("split == 'holdout'")["label"].to_numpy()).all()
    # What it could not be asked for is not there to be used by mistake.
    assert np.isnan(ours.probabilities[steady.period_of == 2]).all()


def test_too_little_data_is_told_and_nothing_is_trained_twice(steady: Recorded) -> None:
    told: list[str] = []
    library = Library(steady, steady.settings, ClosedForm(), told.append)
    refused = library.candidate(0)
    assert isinstance(refused, str)
    assert refused.startswith("insufficient data: 0 of 60 training leads")
    first = model(library, 5)
    # Without a search the recipe before it changes nothing.
    other = Recipe("logistic", {"C": 3.0}, "none", 1)
    assert library.candidate(5, other) is first
    assert told == ["training a model as of the end of 2008-01", "training a model as of the end of 2008-06"]


def test_with_a_search_the_recipe_before_it_matters(steady: Recorded) -> None:
    settings = settings_of(**{"trials: 1": "trials: 2"})
    library = Library(steady, settings, ClosedForm())
    assert library.candidate(5, Recipe("logistic", {"C": 3.0}, "none", 1)) is not library.candidate(5)


def test_closed_forms_are_close_to_resampling(steady: Recorded) -> None:
    settings = steady.settings
    quick, slow = Library(steady, settings, ClosedForm()), Library(steady, settings, Resampled(settings))
    for place in (4, 8):
        ours, theirs = model(quick, place).figures, model(slow, place).figures
        for name in ("auc", "brier", "precision_at_10_percent"):
            assert ours[name].value == pytest.approx(theirs[name].value)
            assert _half(ours[name]) == pytest.approx(_half(theirs[name]), rel=0.35)
    one = quick.comparison(3, model(quick, 8), model(quick, 4))
    other = slow.comparison(3, model(slow, 8), model(slow, 4))
    assert (one.version, one.n) == (other.version, other.n)
    assert one.auc.value == pytest.approx(other.auc.value)
    assert one.auc.low == pytest.approx(other.auc.low, abs=0.01)
    assert one.brier == other.brier


def _half(metric: Metric) -> float:
    return (metric.high - metric.low) / 2
