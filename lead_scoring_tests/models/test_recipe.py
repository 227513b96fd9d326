"""A recipe as text: equal recipes are equal bytes, and what cannot be a recipe is refused in words."""

import dataclasses
import math
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.errors import TrainingError
from lead_scoring_assets.models.recipe import Recipe, default_recipe, documented_recipe
from lead_scoring_assets.settings import Algorithm, Home

TRAINING = Home(Path(__file__).resolve().parents[2]).settings.training
ALGORITHMS = st.sampled_from(["xgboost", "lightgbm", "logistic"])
VALUES = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**70), 2**70) | st.text(max_size=5)
RECIPES = st.builds(
    Recipe,
    ALGORITHMS,
    st.dictionaries(st.text(max_size=5), VALUES, max_size=5),
    st.sampled_from(["none", "balanced"]),
    st.integers(0, 2**40),
)


@given(RECIPES)
def test_json_round_trip(recipe: Recipe) -> None:
    back = Recipe.from_json(recipe.to_json())
    assert back == recipe
    assert back.to_json() == recipe.to_json()


@given(RECIPES, RECIPES)
def test_recipes_are_equal_exactly_when_their_texts_are(one: Recipe, other: Recipe) -> None:
    assert (one == other) == (one.to_json() == other.to_json())


@given(RECIPES, st.randoms(use_true_random=False))
def test_the_order_of_parameters_is_irrelevant(recipe: Recipe, random: Random) -> None:
    names = list(recipe.parameters)
    random.shuffle(names)
    shuffled = dataclasses.replace(recipe, parameters={name: recipe.parameters[name] for name in names})
    assert shuffled == recipe
    assert shuffled.to_json() == recipe.to_json()


@given(st.integers(-(2**53), 2**53))
def test_a_whole_number_is_an_integer_however_it_is_written(number: int) -> None:
    whole, decimal = (Recipe("logistic", {"C": value}, "none", 1) for value in (number, float(number)))
    assert whole == decimal
    assert whole.to_json() == decimal.to_json()
    assert isinstance(decimal.parameters["C"], int)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("forest", {}, "none", 1), "algorithm 'forest'.*expected one of xgboost, lightgbm, logistic"),
        (("xgboost", {}, "heavy", 1), "class_weight 'heavy'.*expected one of none, balanced"),
        (("xgboost", {"eta": math.nan}, "none", 1), "parameter eta .*nan"),
        (("xgboost", {"eta": math.inf}, "none", 1), "parameter eta .*inf"),
        (("xgboost", {"eta": None}, "none", 1), "parameter eta .*None"),
        (("xgboost", {"eta": [1]}, "none", 1), "parameter eta "),
    ],
)
def test_what_cannot_be_a_recipe_is_refused(arguments: tuple[object, ...], named: str) -> None:
    with pytest.raises(TrainingError, match=named):
        Recipe(*arguments)  # type: ignore[arg-type]


def test_the_documented_recipe_stands_in_the_settings() -> None:
    recipe = documented_recipe(TRAINING)
    assert recipe.algorithm == "xgboost"
    assert recipe.parameters == {**TRAINING.parameters, "rounds": TRAINING.rounds}
    assert (recipe.class_weight, recipe.seed) == (TRAINING.class_weight, TRAINING.seed)
    other = TRAINING.model_copy(update={"parameters": {"eta": 0.5}, "rounds": 7, "class_weight": "balanced", "seed": 9})
    assert documented_recipe(other) == Recipe("xgboost", {"eta": 0.5, "rounds": 7}, "balanced", 9)


@pytest.mark.parametrize("algorithm", ["xgboost", "lightgbm", "logistic"])
def test_defaults_take_seed_and_class_weight_from_the_settings(algorithm: Algorithm) -> None:
    other = TRAINING.model_copy(update={"class_weight": "balanced", "seed": 9})
    recipe = default_recipe(algorithm, other)
    assert (recipe.algorithm, recipe.class_weight, recipe.seed) == (algorithm, "balanced", 9)
    assert recipe.parameters
