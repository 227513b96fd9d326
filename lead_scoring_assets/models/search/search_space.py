"""Which recipes a search may draw: for each algorithm its parameters and their ranges, and the recipes it begins with."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from lead_scoring_assets.models.recipe import Parameter, Recipe, default_recipe, documented_recipe
from lead_scoring_assets.settings import Algorithm, Training


@dataclass(frozen=True)
class Range:
    """From which numbers a parameter is drawn; `is_log`: every doubling is as likely as the next."""

    low: float
    high: float
    is_log: bool = False
    is_whole: bool = False

    def suggest(self, trial: Any, name: str) -> Parameter:
        """The number that an Optuna trial proposes, with four significant digits, as people write it."""
        if self.is_whole:
            return int(trial.suggest_int(name, int(self.low), int(self.high), log=self.is_log))
        return float(f"{trial.suggest_float(name, self.low, self.high, log=self.is_log):.4g}")

    def distribution(self) -> Any:
        """The same range in Optuna's words."""
        from optuna.distributions import FloatDistribution, IntDistribution

        if self.is_whole:
            return IntDistribution(int(self.low), int(self.high), log=self.is_log)
        return FloatDistribution(self.low, self.high, log=self.is_log)


def space(algorithm: Algorithm, settings: Training) -> Mapping[str, Range]:
    """The range of each parameter that is drawn.

    The number of trees is searched like the rest (a quarter to three times of `training.rounds`): to stop early on the
    fold's own test rows would choose by what is to judge.
    """
    if algorithm == "logistic":
        return {"C": Range(1e-4, 1e2, is_log=True)}
    rounds = Range(max(1, settings.rounds // 4), settings.rounds * 3, is_log=True, is_whole=True)
    return {"rounds": rounds, **(_XGBOOST if algorithm == "xgboost" else _LIGHTGBM)}


_XGBOOST = {
    "eta": Range(0.01, 0.3, is_log=True),
    "max_depth": Range(2, 8, is_whole=True),
    "min_child_weight": Range(1, 50, is_log=True),
    "subsample": Range(0.5, 1),
    "colsample_bytree": Range(0.4, 1),
    "lambda": Range(0.1, 30, is_log=True),
}
_LIGHTGBM = {
    "learning_rate": Range(0.01, 0.3, is_log=True),
    "num_leaves": Range(4, 64, is_log=True, is_whole=True),
    "min_data_in_leaf": Range(5, 200, is_log=True, is_whole=True),
    "bagging_fraction": Range(0.5, 1),
    "feature_fraction": Range(0.4, 1),
    "lambda_l2": Range(0.1, 30, is_log=True),
}
_FIXED: Mapping[Algorithm, Mapping[str, Parameter]] = {
    "xgboost": {},
    "lightgbm": {"bagging_freq": 1},  # without it LightGBM takes every row, whatever the fraction
    "logistic": {},
}


def draw(trial: Any, algorithm: Algorithm, settings: Training) -> Recipe:
    """The recipe of `algorithm` that an Optuna trial proposes.

    Class weight and seed are the settings': to weigh classes is a decision, and to choose a seed is to choose by luck.
    """
    drawn = {name: values.suggest(trial, f"{algorithm}.{name}") for name, values in space(algorithm, settings).items()}
    return Recipe(algorithm, {**_FIXED[algorithm], **drawn}, settings.class_weight, settings.seed)


def place(recipe: Recipe, settings: Training) -> tuple[dict[str, Parameter], dict[str, Any]]:
    """Where a recipe that was not drawn lies in the space: Optuna's parameters and distributions.

    What the space does not hold, or holds within narrower bounds, is left out: the sampler then learns from the rest.
    """
    from optuna.distributions import CategoricalDistribution

    parameters: dict[str, Parameter] = {"algorithm": recipe.algorithm}
    distributions: dict[str, Any] = {"algorithm": CategoricalDistribution(settings.algorithms)}
    for name, values in space(recipe.algorithm, settings).items():
        value = recipe.parameters.get(name)
        is_number = isinstance(value, int) or (isinstance(value, float) and not values.is_whole)
        if value is not None and is_number and values.low <= value <= values.high:  # type: ignore[operator]
            parameters[f"{recipe.algorithm}.{name}"] = value
            distributions[f"{recipe.algorithm}.{name}"] = values.distribution()
    return parameters, distributions


def first_recipes(settings: Training, champion: Recipe | None) -> list[Recipe]:
    """What a search tries before it draws: the documents' recipe, the champion's, each other algorithm's default.

    Only algorithms that the settings name; class weight and seed of the champion give way to the settings'.
    """
    known = [documented_recipe(settings)]
    if champion is not None:
        known.append(replace(champion, class_weight=settings.class_weight, seed=settings.seed))
    known = [recipe for recipe in known if recipe.algorithm in settings.algorithms]
    missing = [name for name in settings.algorithms if name not in {recipe.algorithm for recipe in known}]
    return known + [default_recipe(name, settings) for name in missing]
