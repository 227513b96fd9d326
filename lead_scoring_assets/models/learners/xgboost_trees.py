"""Gradient-boosted trees by XGBoost (Chen and Guestrin 2016), kept in its own binary format (UBJSON).

Trees that were read back score through `forest.py`, which gives the same bits; `save_bundle` compares both before a model is
kept. XGBoost itself is imported for what the tables do not give: training, importance, and trees that are too large.
"""

import warnings
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lead_scoring_assets.errors import LakehouseError, TrainingError
from lead_scoring_assets.models.learners.forest import Forest
from lead_scoring_assets.models.learners.paths import adding_up
from lead_scoring_assets.models.learners.row_margin import RowMargin
from lead_scoring_assets.models.learners.xgboost_file import read_forest
from lead_scoring_assets.models.recipe import Recipe

if TYPE_CHECKING:
    import xgboost


class XGBoostTrees:
    """A fitted booster; it reads the encoder's matrix as it is."""

    def __init__(
        self, content: bytes, *, booster: "xgboost.Booster | None" = None, forest: Forest | None = None
    ) -> None:
        """`content` is the booster's file; `booster` and `forest` are what has been made of it so far."""
        self._content = content
        self._known_booster = booster
        self._forest = forest

    def margins(self, matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """XGBoost's own log odds, bit for bit."""
        if self._forest is not None:
            return self._forest.margins(matrix).astype(np.float64)
        if not len(matrix):
            return np.empty(0)
        return np.asarray(self._booster.predict(self._data(matrix), output_margin=True), dtype=np.float64)

    def row_margin(self) -> RowMargin | None:
        return None if self._forest is None else self._forest.row_margin()

    def contributions(self, matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Exact SHAP values of the trees (Lundberg et al. 2020), the base last."""
        if self._explaining is not None:
            return self._explaining.contributions(matrix)
        if not len(matrix):
            return np.empty((0, matrix.shape[1] + 1))
        values = np.asarray(self._booster.predict(self._data(matrix), pred_contribs=True), dtype=np.float64)
        return adding_up(values, self.margins(matrix))

    def to_bytes(self) -> bytes:
        return self._content

    def importance(self) -> npt.NDArray[np.float64]:
        """Share of the loss reduction ("total gain") that each column's splits brought."""
        gain = self._booster.get_score(importance_type="total_gain")
        found = np.array([gain.get(f"f{i}", 0.0) for i in range(self._booster.num_features())], dtype=np.float64)
        return found / (found.sum() or 1.0)

    @cached_property
    def _explaining(self) -> Forest | None:
        """Right after the training as well: so one model explains a row in one way, to the last bit."""
        return self._forest or read_forest(self._content)

    @property
    def _booster(self) -> "xgboost.Booster":
        if self._known_booster is None:
            try:
                self._known_booster = _booster_of(self._content)
            except ValueError as problem:
                raise LakehouseError(
                    f"the installed XGBoost cannot read the model ({problem}): install the locked environment, or train again."
                ) from None
        return self._known_booster

    def _data(self, matrix: npt.NDArray[np.float32]) -> "xgboost.DMatrix":
        import xgboost

        return xgboost.DMatrix(matrix, feature_types=self._booster.feature_types, nthread=1)


def fit(
    recipe: Recipe,
    matrix: npt.NDArray[np.float32],
    labels: npt.NDArray[np.float64],
    weights: npt.NDArray[np.float64] | None,
    feature_types: list[str],
) -> XGBoostTrees:
    """Fit `rounds` trees.

    Raises:
        TrainingError: XGBoost refuses the parameters, or does not know one of them.
    """
    import xgboost

    parameters = dict(recipe.parameters)
    rounds = parameters.pop("rounds", None)
    if not isinstance(rounds, int) or rounds < 1:
        raise TrainingError(_explain(f"rounds is {rounds!r}, expected the number of trees"))
    if parameters.pop("booster", "gbtree") != "gbtree":
        raise TrainingError(_explain(f"booster is {recipe.parameters['booster']!r}, expected 'gbtree' or nothing"))
    # One thread: sums in one order, so that the same rows give the same model, byte for byte.
    fixed = {"objective": "binary:logistic", "tree_method": "hist", "device": "cpu", "nthread": 1, "seed": recipe.seed}
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            # The encoder, not the booster, knows the names of columns: XGBoost does not take every name.
            data = xgboost.DMatrix(matrix, label=labels, weight=weights, feature_types=feature_types, nthread=1)
            booster = xgboost.train({**parameters, **fixed}, data, num_boost_round=rounds)
    except (xgboost.core.XGBoostError, ValueError) as problem:
        raise TrainingError(_explain(str(problem).splitlines()[0])) from problem
    for warning in told:
        # XGBoost only warns about a parameter that it does not know, and trains without it.
        if "are not used" in str(warning.message):
            raise TrainingError(_explain(str(warning.message).splitlines()[-1]))
        warnings.warn(warning.message, stacklevel=2)
    return XGBoostTrees(bytes(booster.save_raw("ubj")), booster=booster)


def load(content: bytes) -> XGBoostTrees:
    """The trees that `to_bytes` wrote; ValueError where the content is none."""
    if not (content.startswith(b"{L") and content.endswith(b"}") and b"gradient_booster" in content):
        # What is no object of UBJSON can take the whole process with it.
        raise ValueError("it is not a whole file of XGBoost")
    forest = read_forest(content)
    return XGBoostTrees(content, forest=forest, booster=None if forest else _booster_of(content))


def _booster_of(content: bytes) -> "xgboost.Booster":
    import xgboost

    try:
        return xgboost.Booster(params={"nthread": 1}, model_file=bytearray(content))
    except xgboost.core.XGBoostError as problem:
        raise ValueError(str(problem).splitlines()[0]) from None


def _explain(problem: str) -> str:
    return f"training failed, XGBoost says: {problem.rstrip('.')}. Check training.parameters in lead_scoring.yaml."
