"""The algorithms that compete, behind one interface: fit, log odds, exact contributions, bytes without pickle.

What the columns mean is the encoder's; how log odds become calibrated probabilities is `calibration.py`'s.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from lead_scoring_assets.errors import LakehouseError, TrainingError
from lead_scoring_assets.models.learners import lightgbm_trees, logistic, xgboost_trees
from lead_scoring_assets.models.learners.row_margin import RowMargin
from lead_scoring_assets.models.recipe import Recipe
from lead_scoring_assets.settings import Algorithm

Floats = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float32]


class Learner(Protocol):
    """A fitted model on the encoder's matrix (rows, k columns); NaN is missing or unseen."""

    def margins(self, matrix: Matrix) -> Floats:
        """Log odds of conversion before calibration, shape (rows,)."""

    def row_margin(self) -> RowMargin | None:
        """`margins` of one row, as a function that takes microseconds; None where only the library can."""

    def contributions(self, matrix: Matrix) -> Floats:
        """Exact SHAP values in log odds, shape (rows, k + 1): the base stands last, a row adds up to its margin."""

    def to_bytes(self) -> bytes:
        """The model in its library's own format: the same rows and recipe give the same bytes."""

    def importance(self) -> Floats:
        """Share of each column, shape (k,): of gain, or of spread in log odds. Adds up to 1, or is all 0."""


_FIT: Mapping[Algorithm, Callable[[Recipe, Matrix, Floats, Floats | None, list[str]], Learner]] = {
    "xgboost": xgboost_trees.fit,
    "lightgbm": lightgbm_trees.fit,
    "logistic": logistic.fit,
}
_LOAD: Mapping[Algorithm, Callable[[bytes], Learner]] = {
    "xgboost": xgboost_trees.load,
    "lightgbm": lightgbm_trees.load,
    "logistic": logistic.load,
}


def fit(recipe: Recipe, matrix: Matrix, labels: Floats, feature_types: Sequence[str]) -> Learner:
    """Fit `recipe` on rows in their order: the same rows and recipe give the same model, byte for byte.

    Args:
        recipe: Algorithm, parameters, class weight and seed.
        matrix: The encoder's matrix, shape (rows, k).
        labels: 0 or 1 for each row, shape (rows,).
        feature_types: "q"(uantitative) or "c"(ategorical) for each column, shape (k,).

    Raises:
        TrainingError: the labels or the parameters cannot be used; the sentence names what and where.
    """
    labels = np.asarray(labels, dtype=np.float64)
    _refuse_labels(labels)
    if matrix.shape != (len(labels), len(feature_types)):
        raise TrainingError(
            f"a matrix of {matrix.shape} does not fit {len(labels):,} labels and {len(feature_types)} columns."
        )
    weights = balanced_weights(labels) if recipe.class_weight == "balanced" else None
    return _FIT[recipe.algorithm](recipe, np.ascontiguousarray(matrix), labels, weights, list(feature_types))


def load(algorithm: Algorithm, content: bytes) -> Learner:
    """The learner that `to_bytes` wrote.

    Raises:
        LakehouseError: the content is not a model of this algorithm.
    """
    try:
        return _LOAD[algorithm](content)
    except (ValueError, KeyError, TypeError, IndexError) as problem:
        told = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        raise LakehouseError(f"content is not a model of {algorithm} ({told}); roll back, or train it again.") from None


def balanced_weights(labels: Floats) -> Floats:
    """A weight for each row that makes both classes weigh as much as half of the rows: n / (2 × rows of its class)."""
    positives = labels.sum()
    n = len(labels)
    weights: Floats = np.where(labels == 1, n / (2 * positives), n / (2 * (n - positives)))
    return weights


def _refuse_labels(labels: Floats) -> None:
    unknown = int((~np.isin(labels, (0, 1))).sum())
    if unknown:
        raise TrainingError(f"training failed: {unknown:,} of {len(labels):,} labels are neither 0 nor 1.")
    if len(np.unique(labels)) < 2:
        raise TrainingError(f"training failed: all {len(labels):,} leads have the same outcome; both are needed.")
