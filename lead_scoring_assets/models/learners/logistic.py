"""Logistic regression with an L2 penalty, kept as JSON: one effect in log odds for each column, and a base.

Its own transform (`effects.py`) lies in the JSON: what a number is clipped, centred and scaled by, what a missing one adds.
"""

import json
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from lead_scoring_assets.errors import TrainingError
from lead_scoring_assets.models.learners.effects import CategoryEffect, Effect, NumberEffect, blank_effect
from lead_scoring_assets.models.learners.row_margin import RowMargin
from lead_scoring_assets.models.recipe import Recipe

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LogisticModel:
    """Log odds = intercept + the sum of the columns' effects; `means` and `spreads` are the effects' on training rows."""

    intercept: float
    effects: tuple[Effect, ...]
    means: tuple[float, ...]
    spreads: tuple[float, ...]

    def margins(self, matrix: npt.NDArray[np.float32]) -> Floats:
        # Column by column, in one order: the sum of a row never depends on how many rows come with it.
        total = np.full(len(matrix), self._base)
        for centred in self._centred(matrix):
            total += centred
        return total

    def row_margin(self) -> RowMargin:
        """`margins` of one row, as a function; bit for bit, because it adds in the same order."""
        base, columns = self._base, [*zip([effect.of_one for effect in self.effects], self.means, strict=True)]

        def margin(row: npt.NDArray[np.float32]) -> float:
            total = base
            for (of_one, mean), value in zip(columns, row.tolist(), strict=True):
                total += of_one(value) - mean
            return total

        return margin

    def contributions(self, matrix: npt.NDArray[np.float32]) -> Floats:
        """SHAP values of a linear model with independent columns: effect − its mean over the training rows."""
        return np.column_stack([*self._centred(matrix), np.full(len(matrix), self._base)])

    @property
    def _base(self) -> float:
        return self.intercept + sum(self.means)

    def _centred(self, matrix: npt.NDArray[np.float32]) -> Iterator[Floats]:
        for position, (effect, mean) in enumerate(zip(self.effects, self.means, strict=True)):
            yield effect(matrix[:, position].astype(np.float64)) - mean

    def to_bytes(self) -> bytes:
        kinds = ["q" if isinstance(effect, NumberEffect) else "c" for effect in self.effects]
        return json.dumps({**asdict(self), "kinds": kinds}, indent=1, sort_keys=True).encode()

    def importance(self) -> Floats:
        """Share of the effects' standard deviation over the training rows: of a number, its |standardised weight|."""
        spreads = np.asarray(self.spreads, dtype=np.float64)
        return spreads / (spreads.sum() or 1.0)


def fit(
    recipe: Recipe, matrix: npt.NDArray[np.float32], labels: Floats, weights: Floats | None, feature_types: list[str]
) -> LogisticModel:
    """Fit with scikit-learn; the only parameter is `C`, the inverse of the penalty on squared weights.

    Raises:
        TrainingError: another parameter, a `C` that is not above 0, or no convergence.
    """
    if unknown := sorted(set(recipe.parameters) - {"C"}):
        raise TrainingError(_explain(f"parameter {unknown[0]} is unknown; it takes C"))
    strength = recipe.parameters.get("C", 1.0)
    if isinstance(strength, str) or strength <= 0:
        raise TrainingError(_explain(f"C is {strength!r}, expected a number above 0"))
    columns = [matrix[:, position].astype(np.float64) for position in range(matrix.shape[1])]
    blank = [blank_effect(kind, column) for kind, column in zip(feature_types, columns, strict=True)]
    designs = [effect.design(column) for effect, column in zip(blank, columns, strict=True)]
    found, intercept = _fit_weights(np.hstack(designs), labels, weights, float(strength))
    parts = np.split(found, np.cumsum([design.shape[1] for design in designs])[:-1])
    effects = tuple(effect.weighted(part) for effect, part in zip(blank, parts, strict=True))
    on_training = [effect(column) for effect, column in zip(effects, columns, strict=True)]
    return LogisticModel(
        intercept=intercept,
        effects=effects,
        means=tuple(float(effect.mean()) for effect in on_training),
        spreads=tuple(float(effect.std()) for effect in on_training),
    )


def _fit_weights(design: Floats, labels: Floats, weights: Floats | None, strength: float) -> tuple[Floats, float]:
    """A weight for each column of `design`, and the intercept; a column that never varies weighs nothing."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    found = np.zeros(design.shape[1])
    varies = np.ptp(design, axis=0) > 0
    if not varies.any():
        rate = np.average(labels, weights=weights)
        return found, float(np.log(rate / (1 - rate)))
    model = LogisticRegression(C=strength, solver="newton-cholesky", tol=1e-8, max_iter=200)
    try:
        # One thread: sums in one order, so that the same rows give the same model, byte for byte.
        with warnings.catch_warnings(), threadpool_limits(1):
            warnings.simplefilter("error", ConvergenceWarning)
            model.fit(design[:, varies], labels, sample_weight=weights)
    except (ConvergenceWarning, ValueError) as problem:
        raise TrainingError(_explain(str(problem).splitlines()[0])) from problem
    found[varies] = model.coef_[0]
    return found, float(model.intercept_[0])


def load(content: bytes) -> LogisticModel:
    """The model that `to_bytes` wrote; ValueError, KeyError or TypeError where the content is none."""
    read = json.loads(content)
    effects: list[Effect] = []
    for kind, effect in zip(read["kinds"], read["effects"], strict=True):
        if kind == "c":
            effects.append(CategoryEffect(tuple(effect["codes"]), tuple(effect["weights"]), effect["missing_weight"]))
        else:
            effects.append(NumberEffect(**effect))
    return LogisticModel(float(read["intercept"]), tuple(effects), tuple(read["means"]), tuple(read["spreads"]))


def _explain(problem: str) -> str:
    return f"training failed, logistic regression says: {problem.rstrip('.')}. Check the parameters of the recipe."
