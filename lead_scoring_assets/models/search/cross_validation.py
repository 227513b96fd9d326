"""How good one recipe is on folds in time: AUC with its interval, and margins of leads that the models had not seen."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from lead_scoring_assets.errors import TrainingError
from lead_scoring_assets.evaluation.metrics import Metric, PairedDifference, auc, auc_difference
from lead_scoring_assets.models.learners import Learner
from lead_scoring_assets.models.recipe import Recipe
from lead_scoring_assets.models.search.folds import Fold

Floats = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float32]
Fit = Callable[[Recipe, Matrix, Floats, Sequence[str]], Learner]


@dataclass(frozen=True)
class Measured:
    """A recipe on the first folds: AUC and margins (log odds) of each, and why it was given up before the last."""

    auc: Metric
    fold_aucs: tuple[float, ...]
    margins: tuple[Floats, ...]
    given_up: str | None


@dataclass(frozen=True)
class CrossValidation:
    """The rows (matrix of shape (n, k), labels of shape (n,)), their folds, and what fits a recipe."""

    matrix: Matrix
    labels: Floats
    feature_types: Sequence[str]
    folds: Sequence[Fold]
    fit: Fit

    def measure(self, recipe: Recipe, give_up: Callable[[tuple[float, ...]], str | None]) -> Measured:
        """Fit and judge `recipe` fold by fold, until `give_up` names a reason after the AUCs of the folds so far.

        Raises:
            TrainingError: the recipe cannot be fitted, or gives margins that are not finite.
        """
        aucs: list[Metric] = []
        margins: list[Floats] = []
        reason = None
        for fold in self.folds:
            if aucs and (reason := give_up(tuple(metric.value for metric in aucs))):
                break
            learner = self.fit(recipe, self.matrix[fold.train], self.labels[fold.train], self.feature_types)
            margins.append(learner.margins(self.matrix[fold.test]))
            if not np.isfinite(margins[-1]).all():
                raise TrainingError(f"{recipe.algorithm} gives margins that are not finite. Check its parameters.")
            aucs.append(auc(self.labels[fold.test], margins[-1]))
        # An interval may be cut at 0 or 1 on one side: the wider side is the whole half.
        halves = [max(metric.high - metric.value, metric.value - metric.low) for metric in aucs]
        value, half = self._combined([metric.value for metric in aucs], halves)
        low, high = max(0.0, value - half), min(1.0, value + half)
        fold_aucs = tuple(metric.value for metric in aucs)
        return Measured(
            Metric("auc", value, low, high, sum(metric.n for metric in aucs)), fold_aucs, tuple(margins), reason
        )

    def mean(self, fold_aucs: Sequence[float]) -> float:
        """Mean AUC of the first folds, weighted by their pairs of a converted and another lead.

        It is the share of all pairs within a fold that are ranked rightly. In blocks of equal count these weights are
        also as 1 / variance of the folds' AUCs where a model knows nothing (Hanley and McNeil 1982).
        """
        return float(self._shares(len(fold_aucs)) @ np.asarray(fold_aucs))

    def difference(self, challenger: Sequence[Floats], first: Sequence[Floats]) -> PairedDifference:
        """Mean AUC of the challenger's margins minus the first's, paired within each fold (DeLong et al. 1988)."""
        folds = [
            auc_difference(self.labels[fold.test], one, other)
            for fold, one, other in zip(self.folds, challenger, first, strict=True)
        ]
        value, half = self._combined([d.value for d in folds], [d.high - d.value for d in folds])
        return PairedDifference(value, value - half, value + half)

    def _combined(self, values: Sequence[float], halves: Sequence[float]) -> tuple[float, float]:
        """Mean and half width of its interval: folds' test rows are disjoint, so given the models errors add in squares."""
        return self.mean(values), float(np.sqrt(((self._shares(len(halves)) * np.asarray(halves)) ** 2).sum()))

    def _shares(self, done: int) -> Floats:
        shares: Floats = self._pairs[:done] / self._pairs[:done].sum()
        return shares

    @cached_property
    def _pairs(self) -> Floats:
        converted = [(float(self.labels[fold.test].sum()), len(fold.test)) for fold in self.folds]
        return np.array([m * (n - m) for m, n in converted])
