"""Gradient-boosted trees by LightGBM (Ke et al. 2017), kept in its own text format.

Trees that were read back score through `forest.py`, as XGBoost's do.
"""

import difflib
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lead_scoring_assets.errors import LakehouseError, TrainingError
from lead_scoring_assets.models.learners.forest import Forest
from lead_scoring_assets.models.learners.lightgbm_file import read_forest
from lead_scoring_assets.models.learners.row_margin import RowMargin
from lead_scoring_assets.models.recipe import Recipe

if TYPE_CHECKING:
    import lightgbm

# Stated, because LightGBM takes any other name in silence, and a second name of a parameter it would take as well.
PARAMETERS = (
    "learning_rate",
    "num_leaves",
    "max_depth",
    "min_data_in_leaf",
    "min_sum_hessian_in_leaf",
    "min_gain_to_split",
    "bagging_fraction",
    "bagging_freq",
    "feature_fraction",
    "feature_fraction_bynode",
    "lambda_l1",
    "lambda_l2",
    "path_smooth",
    "max_bin",
    "cat_smooth",
    "cat_l2",
    "max_cat_threshold",
    "max_cat_to_onehot",
    "min_data_per_group",
    "scale_pos_weight",
)


class LightGBMTrees:
    """A fitted booster; it reads the encoder's matrix as it is."""

    def __init__(
        self, content: str, *, booster: "lightgbm.Booster | None" = None, forest: Forest | None = None
    ) -> None:
        """`content` is the booster's text; `booster` and `forest` are what has been made of it so far."""
        self._content = content
        self._known_booster = booster
        self._forest = forest

    def margins(self, matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """LightGBM's own log odds, bit for bit."""
        if self._forest is not None:
            return self._forest.margins(matrix).astype(np.float64, copy=False)
        if not len(matrix):
            return np.empty(0)
        return np.asarray(self._booster.predict(matrix, raw_score=True, num_threads=1), dtype=np.float64)

    def row_margin(self) -> RowMargin | None:
        return None if self._forest is None else self._forest.row_margin()

    def contributions(self, matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Exact SHAP values of the trees (Lundberg et al. 2020), the base last."""
        if self._explaining is not None:
            return self._explaining.contributions(matrix)
        if not len(matrix):
            return np.empty((0, matrix.shape[1] + 1))
        return np.asarray(self._booster.predict(matrix, pred_contrib=True, num_threads=1), dtype=np.float64)

    def to_bytes(self) -> bytes:
        return self._content.encode()

    def importance(self) -> npt.NDArray[np.float64]:
        """Share of the loss reduction ("gain") that each column's splits brought."""
        gain = np.asarray(self._booster.feature_importance("gain"), dtype=np.float64)
        return gain / (gain.sum() or 1.0)

    @cached_property
    def _explaining(self) -> Forest | None:
        """Right after the training as well: so one model explains a row in one way, to the last bit."""
        return self._forest or read_forest(self._content)

    @property
    def _booster(self) -> "lightgbm.Booster":
        if self._known_booster is None:
            try:
                self._known_booster = _booster_of(self._content)
            except ValueError as problem:
                raise LakehouseError(
                    f"the installed LightGBM cannot read the model ({problem}): install the locked environment, or train again."
                ) from None
        return self._known_booster


def fit(
    recipe: Recipe,
    matrix: npt.NDArray[np.float32],
    labels: npt.NDArray[np.float64],
    weights: npt.NDArray[np.float64] | None,
    feature_types: list[str],
) -> LightGBMTrees:
    """Fit `rounds` trees.

    Raises:
        TrainingError: LightGBM refuses the parameters, or does not know one of them.
    """
    import lightgbm

    parameters = dict(recipe.parameters)
    rounds = parameters.pop("rounds", None)
    if not isinstance(rounds, int) or rounds < 1:
        raise TrainingError(_explain(f"rounds is {rounds!r}, expected the number of trees"))
    for name in parameters:
        if name not in PARAMETERS:
            near = difflib.get_close_matches(name, PARAMETERS, n=1)
            meant = f"did you mean {near[0]}?" if near else f"it takes {', '.join(PARAMETERS)}"
            raise TrainingError(_explain(f"parameter {name} is unknown; {meant}"))
    # One thread and one way to build histograms: sums in one order, so that the same rows give the same bytes.
    fixed = {
        "objective": "binary",
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "seed": recipe.seed,
        "verbosity": -1,
    }
    categories = [position for position, kind in enumerate(feature_types) if kind == "c"]
    try:
        data = lightgbm.Dataset(matrix, label=labels, weight=weights, categorical_feature=categories)
        booster = lightgbm.train({**parameters, **fixed}, data, num_boost_round=rounds)
    except (lightgbm.basic.LightGBMError, ValueError, TypeError) as problem:
        # What follows is the place in LightGBM's own source.
        raise TrainingError(_explain(str(problem).splitlines()[0].split(" at /")[0])) from problem
    # Read back: scores come from the text everywhere, also right after the training.
    content = booster.model_to_string()
    return LightGBMTrees(content, booster=_booster_of(content))


def load(content: bytes) -> LightGBMTrees:
    """The booster that `to_bytes` wrote; ValueError or KeyError where the content is none."""
    if b"\nend of trees\n" not in content:
        # LightGBM reads on behind the end of a text that was cut off, and takes the whole process with it.
        raise ValueError("it has no end")
    text = content.decode()
    forest = read_forest(text)
    return LightGBMTrees(text, forest=forest, booster=None if forest else _booster_of(text))


def _booster_of(content: str) -> "lightgbm.Booster":
    import lightgbm

    try:
        return lightgbm.Booster(model_str=content)
    except lightgbm.basic.LightGBMError as problem:
        raise ValueError(str(problem)) from None


def _explain(problem: str) -> str:
    return f"training failed, LightGBM says: {problem.rstrip('.')}. Check the parameters of the recipe."
