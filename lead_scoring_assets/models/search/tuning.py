"""Which recipe is best: known recipes first, then drawn ones, each judged on folds in time, within a budget.

What may be drawn stands in `search_space.py`, how one recipe is judged in `cross_validation.py`, what is told about a
search in `trials.py`.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from statistics import NormalDist, median
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lead_scoring_assets.errors import TrainingError
from lead_scoring_assets.evaluation.metrics import Metric, PairedDifference
from lead_scoring_assets.models.learners import fit
from lead_scoring_assets.models.recipe import Recipe
from lead_scoring_assets.models.search.cross_validation import CrossValidation, Fit
from lead_scoring_assets.models.search.folds import time_folds
from lead_scoring_assets.models.search.search_space import draw, place
from lead_scoring_assets.models.search.trials import Trial, Tuned, best_of
from lead_scoring_assets.settings import Training

Floats = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float32]

WARM_UP_TRIALS = 5  # so many must be completed before a drawn one is given up,
WARM_UP_FOLDS = 2  # and so many folds of its own must be done
_UNKNOWN = PairedDifference(np.nan, np.nan, np.nan)


def tune(
    matrix: Matrix,
    labels: Floats,
    created_at: npt.NDArray[np.datetime64],
    feature_types: Sequence[str],
    recipes: Sequence[Recipe],
    settings: Training,
    embargo: timedelta,
    tell: Callable[[Trial], None] | None = None,
    *,
    fit: Fit = fit,
    clock: Callable[[], float] = time.monotonic,
) -> Tuned:
    """The recipe with the highest mean AUC over folds in time, and its out-of-fold margins.

    `recipes` are tried first, in order and in full; then a tree-structured Parzen estimator (Bergstra et al. 2011)
    draws others until `tuning.trials` are done or `tuning.budget_seconds` are over. The same rows, recipes and settings
    give the same trials, unless the budget ends them. Equal recipes are tried once.

    The highest mean wins, not the first within its error: a rule of one standard error would keep trial 0 for almost any
    gain that tuning can bring, and `gain` says how sure the difference is. The gate judges on other rows in any case.

    Args:
        matrix: the encoder's, shape (n, k).
        labels: 0 or 1, shape (n,).
        created_at: when each lead came in, UTC as numpy keeps it (without a zone), shape (n,), in any order.
        feature_types: "q" or "c" for each column.
        recipes: at least one, the one to fall back on first.
        settings: how many folds and trials, for how long; each side of a fold needs what a holdout needs.
        embargo: the conversion window.
        tell: is called with each trial when it is over.
        fit: fits one recipe.
        clock: seconds that only go forward, for the budget.

    Raises:
        TrainingError: every recipe failed; the message holds the first reason.
    """
    in_time = time_folds(
        created_at,
        labels,
        embargo=embargo,
        folds=settings.tuning.folds,
        minimum_rows=settings.minimum_holdout_rows,
        minimum_positives=max(2, settings.minimum_holdout_positives),  # an AUC has an interval from two on
    )
    if not in_time.folds:
        remark = "not tuned, because no fold in time can be used: the first recipe is taken, its margins as they are"
        nothing, nowhere = np.empty(0), np.empty(0, dtype=np.intp)
        remarks = (remark, *in_time.left_out)
        return Tuned(recipes[0], (), None, _UNKNOWN, nothing, nothing, nowhere, "no folds", remarks)
    search = _Search(CrossValidation(matrix, labels, feature_types, in_time.folds, fit), settings, clock, tell)
    stopped = search.run(recipes)
    best = best_of(search.trials)
    if best is None:
        raise TrainingError(f"all {len(search.trials)} recipes failed. The first: {search.trials[0].remark}")
    remarks = in_time.left_out
    if stopped == "budget":
        spent = f"the budget of {settings.tuning.budget_seconds:,} s ended the search"
        remarks = (*remarks, f"{spent} after {len(search.trials):,} of {settings.tuning.trials:,} trials")
    rows = np.concatenate([fold.test for fold in in_time.folds])
    return Tuned(
        recipe=best.recipe,
        trials=tuple(search.trials),
        best=best.number,
        gain=search.gain(best.number),
        out_of_fold_margins=np.concatenate(search.margins[best.number]),
        out_of_fold_labels=labels[rows],
        out_of_fold_rows=rows,
        stopped=stopped,
        remarks=remarks,
    )


def falls_behind(so_far: float, others: Sequence[float]) -> bool:
    """The median rule (Golovin et al. 2017): below the median of what completed trials had after the same folds.

    Optuna's own pruner takes a trial's best value at any step. Here a step is another block of leads, not progress: one
    easy block would then protect a poor recipe for good.
    """
    return len(others) >= WARM_UP_TRIALS and so_far < median(others)


@dataclass
class _Search:
    """One search in progress; keeps the margins of trial 0 and of the best trial only."""

    validation: CrossValidation
    settings: Training
    clock: Callable[[], float]
    tell: Callable[[Trial], None] | None
    trials: list[Trial] = field(default_factory=list)
    margins: dict[int, Sequence[Floats]] = field(default_factory=dict)
    is_cut: bool = False

    def __post_init__(self) -> None:
        self.ends_at = self.clock() + self.settings.tuning.budget_seconds

    def run(self, recipes: Sequence[Recipe]) -> Literal["trials", "budget"]:
        """Try the known recipes, then drawn ones; says what ended the search."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)  # trials are told in the product's own words
        # Each parameter on its own: which ones there are depends on the algorithm, so few are common to all trials.
        sampler = optuna.samplers.TPESampler(seed=self.settings.seed % 2**32, multivariate=False, constant_liar=False)
        study = optuna.create_study(direction="maximize", sampler=sampler)
        known = list({recipe.to_json(): recipe for recipe in recipes}.values())[: self.settings.tuning.trials]
        for recipe in known:
            if self._is_over():
                return "budget"
            state, value, steps = self._in_optunas_words(self._try(recipe, is_known=True))
            where, distributions = place(recipe, self.settings)
            study.add_trial(
                optuna.trial.create_trial(
                    state=state, value=value, params=where, distributions=distributions, intermediate_values=steps
                )
            )
        done = {trial.recipe.to_json(): trial for trial in self.trials}
        for _ in range(self.settings.tuning.trials - len(known)):
            if self._is_over():
                return "budget"
            asked = study.ask()
            recipe = draw(asked, asked.suggest_categorical("algorithm", self.settings.algorithms), self.settings)
            key = recipe.to_json()
            if key not in done:
                done[key] = self._try(recipe, is_known=False)
            state, value, steps = self._in_optunas_words(done[key])
            for step, reached in steps.items():
                asked.report(reached, step)
            study.tell(asked, value, state)
        return "budget" if self.is_cut else "trials"

    def gain(self, best: int) -> PairedDifference:
        """AUC of trial `best` minus trial 0's, for every trial at once (Bonferroni): the best of many looks good by chance."""
        if 0 not in self.margins:
            return _UNKNOWN
        single = self.validation.difference(self.margins[best], self.margins[0])
        others = max(1, sum(trial.state != "failed" for trial in self.trials) - 1)
        wider = NormalDist().inv_cdf(1 - 0.025 / others) / NormalDist().inv_cdf(1 - 0.025)
        half = (single.high - single.value) * wider
        return PairedDifference(single.value, single.value - half, single.value + half)

    def _try(self, recipe: Recipe, *, is_known: bool) -> Trial:
        began, number = self.clock(), len(self.trials)
        try:
            measured = self.validation.measure(recipe, lambda aucs: self._reason_to_give_up(aucs, is_known))
        except TrainingError as problem:
            unknown = Metric("auc", np.nan, np.nan, np.nan, 0)
            trial = Trial(number, recipe, "failed", unknown, (), str(problem), self.clock() - began)
        else:
            state: Literal["completed", "pruned"] = "completed" if measured.given_up is None else "pruned"
            seconds = self.clock() - began
            trial = Trial(number, recipe, state, measured.auc, measured.fold_aucs, measured.given_up, seconds)
            if state == "completed":
                self.margins[number] = measured.margins
        self.trials.append(trial)
        best = best_of(self.trials)
        self.margins = {kept: m for kept, m in self.margins.items() if best and kept in (0, best.number)}
        if self.tell:
            self.tell(trial)
        return trial

    def _reason_to_give_up(self, aucs: tuple[float, ...], is_known: bool) -> str | None:
        """Known recipes are measured in full unless the budget ends: people compare others with them."""
        after = f"after {len(aucs)} of {len(self.validation.folds)} folds"
        if self._is_over():
            self.is_cut = True
            return f"the budget of {self.settings.tuning.budget_seconds:,} s was over {after}"
        if is_known or len(aucs) < WARM_UP_FOLDS:
            return None
        mean = self.validation.mean
        others = [mean(trial.fold_aucs[: len(aucs)]) for trial in self.trials if trial.state == "completed"]
        if not falls_behind(mean(aucs), others):
            return None
        return f"below the median {median(others):.3f} of {len(others)} completed trials {after}"

    def _is_over(self) -> bool:
        """The first trial that succeeds is never cut: without one there is no result."""
        return best_of(self.trials) is not None and self.clock() >= self.ends_at

    def _in_optunas_words(self, trial: Trial) -> tuple[Any, float | None, dict[int, float]]:
        """State, value, and the mean after each fold, by which the sampler ranks trials that were given up."""
        from optuna.trial import TrialState

        state = {"completed": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}[trial.state]
        steps = {step: self.validation.mean(trial.fold_aucs[: step + 1]) for step in range(len(trial.fold_aucs))}
        return state, trial.auc.value if trial.state == "completed" else None, steps
