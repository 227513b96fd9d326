"""What a model is fitted with, beside the rows: the algorithm and its parameters, as one value that can be stored."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal, Self, get_args

from lead_scoring_assets.errors import TrainingError
from lead_scoring_assets.settings import Algorithm, Training

ClassWeight = Literal["none", "balanced"]
Parameter = float | int | str
_EXACT = 2**53  # up to here every whole number is a 64-bit float


@dataclass(frozen=True)
class Recipe:
    """What a model is fitted with: everything but the rows.

    `parameters` go by the learner's own names; the number of trees is called `rounds`. Whole numbers are kept as
    integers, so that recipes that are equal are written, and fitted, alike.

    Raises:
        TrainingError: the algorithm or the class weight is unknown, or a parameter is not a finite number or a text.
    """

    algorithm: Algorithm
    parameters: Mapping[str, Parameter]
    class_weight: ClassWeight
    seed: int

    def __post_init__(self) -> None:
        for what, found, known in (
            ("algorithm", self.algorithm, get_args(Algorithm)),
            ("class_weight", self.class_weight, get_args(ClassWeight)),
        ):
            if found not in known:
                raise TrainingError(f"{what} {found!r} of a recipe is unknown; expected one of {', '.join(known)}.")
        plain = {name: _plain(name, value) for name, value in sorted(self.parameters.items())}
        object.__setattr__(self, "parameters", plain)

    def to_json(self) -> str:
        """The recipe as text: equal recipes give equal texts."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        return cls(**json.loads(text))


def documented_recipe(settings: Training) -> Recipe:
    """XGBoost with the parameters and rounds that stand in lead_scoring.yaml."""
    return Recipe("xgboost", {**settings.parameters, "rounds": settings.rounds}, settings.class_weight, settings.seed)


def default_recipe(algorithm: Algorithm, settings: Training) -> Recipe:
    """Where a search begins for `algorithm`: small trees that learn slowly, or a mild penalty."""
    return Recipe(algorithm, _DEFAULTS[algorithm], settings.class_weight, settings.seed)


_DEFAULTS: Mapping[Algorithm, Mapping[str, Parameter]] = {
    "xgboost": {
        "rounds": 150,
        "eta": 0.05,
        "max_depth": 4,
        "min_child_weight": 5,
        "subsample": 0.8,
        "colsample_bytree": 0.8,
        "lambda": 1,
    },
    "lightgbm": {
        "rounds": 150,
        "learning_rate": 0.05,
        "num_leaves": 15,
        "min_data_in_leaf": 20,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "feature_fraction": 0.8,
        "lambda_l2": 1,
    },
    "logistic": {"C": 0.1},
}


def _plain(name: str, value: object) -> Parameter:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and math.isfinite(value):
        # XGBoost takes a depth of 4 and refuses one of 4.0.
        return int(value) if value == int(value) and abs(value) <= _EXACT else float(value)
    raise TrainingError(f"parameter {name} of a recipe is {value!r}; expected a finite number or a text.")
