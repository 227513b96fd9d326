"""The space of recipes: what is drawn can be fitted, what is known finds its place, the settings are obeyed."""

from dataclasses import replace
from typing import get_args

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.models.learners import fit
from lead_scoring_assets.models.recipe import Recipe, default_recipe, documented_recipe
from lead_scoring_assets.models.search.search_space import draw, first_recipes, place, space
from lead_scoring_assets.settings import Algorithm, Training

pytestmark = pytest.mark.filterwarnings("error")

ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)
SETTINGS = Training(rounds=12, parameters={"eta": 0.08, "max_depth": 4}, class_weight="balanced", seed=7)
optuna.logging.set_verbosity(optuna.logging.WARNING)


def drawn(algorithm: Algorithm, count: int, seed: int = 0) -> list[tuple[optuna.Trial, Recipe]]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    trials = [study.ask() for _ in range(count)]
    return [(trial, draw(trial, algorithm, SETTINGS)) for trial in trials]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_is_drawn_lies_in_the_ranges_and_obeys_the_settings(algorithm: Algorithm) -> None:
    ranges = space(algorithm, SETTINGS)
    for _, recipe in drawn(algorithm, 200):
        assert (recipe.algorithm, recipe.class_weight, recipe.seed) == (algorithm, "balanced", 7)
        assert ranges.keys() <= recipe.parameters.keys()
        for name, values in ranges.items():
            value = recipe.parameters[name]
            assert values.low <= value <= values.high
            assert not values.is_whole or isinstance(value, int)
            assert float(f"{value:.4g}") == value


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_learner_takes_what_is_drawn_and_both_ends_of_each_range(algorithm: Algorithm) -> None:
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(300, 3)).astype(np.float32)
    matrix[:, 2] = rng.integers(0, 3, 300)
    labels = (matrix[:, 0] + rng.normal(size=300) > 0).astype(np.float64)
    recipes = [recipe for _, recipe in drawn(algorithm, 5)]
    for end in ("low", "high"):
        ends = {name: getattr(values, end) for name, values in space(algorithm, SETTINGS).items()}
        recipes.append(replace(recipes[0], parameters={**recipes[0].parameters, **ends}))
    for recipe in recipes:
        assert np.isfinite(fit(recipe, matrix, labels, ["q", "q", "c"]).margins(matrix)).all()


@given(seed=st.integers(0, 10_000), algorithm=st.sampled_from(ALGORITHMS))
def test_a_drawn_recipe_lies_where_it_was_drawn(seed: int, algorithm: Algorithm) -> None:
    ((trial, recipe),) = drawn(algorithm, 1, seed)
    parameters, distributions = place(recipe, SETTINGS)
    assert parameters.pop("algorithm") == algorithm
    assert distributions.pop("algorithm").choices == SETTINGS.algorithms
    assert distributions == trial.distributions
    assert parameters == pytest.approx(trial.params, rel=1e-3)


def test_what_the_space_does_not_hold_is_left_out_of_the_place() -> None:
    stranger = Recipe("xgboost", {"eta": 0.9, "max_depth": 3.5, "subsample": 0.7, "gamma": 2, "rounds": 12}, "none", 1)
    parameters, distributions = place(stranger, SETTINGS)
    assert parameters == {"algorithm": "xgboost", "xgboost.subsample": 0.7, "xgboost.rounds": 12}
    assert distributions.keys() == parameters.keys()


def test_a_search_begins_with_the_documents_the_champion_and_each_other_default() -> None:
    champion = Recipe("lightgbm", {"rounds": 30}, "none", 99)
    renewed = replace(champion, class_weight="balanced", seed=7)
    documented, logistic = documented_recipe(SETTINGS), default_recipe("logistic", SETTINGS)
    assert first_recipes(SETTINGS, champion) == [documented, renewed, logistic]
    assert first_recipes(SETTINGS, None) == [documented, default_recipe("lightgbm", SETTINGS), logistic]


def test_an_algorithm_that_the_settings_do_not_name_is_not_tried() -> None:
    only = SETTINGS.model_copy(update={"algorithms": ("logistic",)})
    champion = Recipe("lightgbm", {"rounds": 30}, "none", 99)
    assert first_recipes(only, champion) == [default_recipe("logistic", only)]


def test_defaults_lie_inside_the_space_so_that_the_search_learns_from_them() -> None:
    settings = Training()
    for algorithm in ALGORITHMS:
        parameters, _ = place(default_recipe(algorithm, settings), settings)
        assert parameters.keys() == {"algorithm", *(f"{algorithm}.{name}" for name in space(algorithm, settings))}
