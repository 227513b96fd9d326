"""What a search for the best recipe has found: its trials, in words, as a table and as a picture. Nothing is fitted here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lead_scoring_assets.evaluation.metrics import Metric, PairedDifference
from lead_scoring_assets.models.recipe import Recipe
from lead_scoring_assets.plots import trials_plot

Floats = npt.NDArray[np.float64]
Positions = npt.NDArray[np.intp]

TRIALS_SCHEMA = pa.schema(
    [("number", pa.int64()), ("algorithm", pa.string()), ("state", pa.string())]
    + [(name, pa.float64()) for name in ("auc", "auc_low", "auc_high")]
    + [("leads", pa.int64()), ("fold_aucs", pa.list_(pa.float64())), ("is_best", pa.bool_())]
    + [("recipe", pa.string()), ("remark", pa.string())]
)


@dataclass(frozen=True)
class Trial:
    """One recipe on the folds: all of them when `completed`, the first few when `pruned`.

    `auc` is the mean over the folds done, weighted by their pairs of a converted and another lead; its interval is that
    of the test rows' choice, given the fitted models. `seconds` are measured, so they are no part of what is equal.
    """

    number: int
    recipe: Recipe
    state: Literal["completed", "pruned", "failed"]
    auc: Metric
    fold_aucs: tuple[float, ...]
    remark: str | None = None
    seconds: float = field(default=0.0, compare=False)


@dataclass(frozen=True)
class Tuned:
    """The best recipe of a search, and the margins that models of it gave to leads they had not seen.

    `out_of_fold_rows` are positions in the rows that were searched on, oldest fold first; shape (m,) like the margins
    (log odds) and the labels. They are empty where there was no fold: the recipe is then the first one, untried.
    `gain`: AUC of the best recipe minus that of trial 0 on the same folds. Its value is too high as a promise, as is the
    best trial's own AUC, because the best of many is chosen on these rows; its interval allows for as many choices as
    there were trials. NaN where trial 0 failed or there was no fold. `remarks`: what a reader has to know, in words.
    """

    recipe: Recipe
    trials: tuple[Trial, ...]
    best: int | None
    gain: PairedDifference
    out_of_fold_margins: Floats
    out_of_fold_labels: Floats
    out_of_fold_rows: Positions
    stopped: Literal["trials", "budget", "no folds"]
    remarks: tuple[str, ...] = ()


def best_of(trials: Sequence[Trial]) -> Trial | None:
    """The completed trial with the highest AUC; of equal ones the earlier, so that the better known recipe wins."""
    completed = [trial for trial in trials if trial.state == "completed"]
    return max(completed, key=lambda trial: trial.auc.value, default=None)


def trial_line(trial: Trial, best: Trial | None, trials: int) -> str:
    """A trial in one line: how far the search is, what was tried, how good it was, and the best so far."""
    head = f"trial {trial.number} of {trials}: {trial.recipe.algorithm}"
    if trial.state == "failed":
        found = f"failed: {trial.remark}"
    else:
        count = len(trial.fold_aucs)
        found = f"AUC {_plus_minus(trial.auc)} over {count} fold{'' if count == 1 else 's'}"
        if trial.state == "pruned":
            found += f", given up ({trial.remark})"
    so_far = "none completed so far" if best is None else f"best {best.auc.value:.3f} (trial {best.number})"
    return f"{head}, {found}, {so_far}"


def tell_lines(say: Callable[[str], None], trials: int) -> Callable[[Trial], None]:
    """A listener for a search of up to `trials` trials that says each one's line, such as into a run's log."""
    seen: list[Trial] = []

    def tell(trial: Trial) -> None:
        seen.append(trial)
        say(trial_line(trial, best_of(seen), trials))

    return tell


def trials_table(tuned: Tuned) -> pa.Table:
    """A row for each trial. Seconds are left out: the same search has to give the same rows."""
    rows = [
        {
            "number": trial.number,
            "algorithm": trial.recipe.algorithm,
            "state": trial.state,
            **{name: value if isfinite(value) else None for name, value in _interval(trial.auc).items()},
            "leads": trial.auc.n,
            "fold_aucs": list(trial.fold_aucs),
            "is_best": trial.number == tuned.best,
            "recipe": trial.recipe.to_json(),
            "remark": trial.remark,
        }
        for trial in tuned.trials
    ]
    return pa.Table.from_pylist(rows, schema=TRIALS_SCHEMA)


def study_plot(tuned: Tuned) -> str:
    """AUC of each completed trial by algorithm, with the best so far, as a Markdown image; words where none completed."""
    completed = [trial for trial in tuned.trials if trial.state == "completed"]
    if not completed:
        return "; ".join(tuned.remarks) or "no trial was completed"
    points: dict[str, tuple[list[int], list[float]]] = {}
    for trial in completed:
        numbers, values = points.setdefault(trial.recipe.algorithm, ([], []))
        numbers.append(trial.number)
        values.append(trial.auc.value)
    return trials_plot(points, f"AUC in folds over time, {len(completed)} of {len(tuned.trials)} trials completed")


def _interval(auc: Metric) -> dict[str, float]:
    return {"auc": auc.value, "auc_low": auc.low, "auc_high": auc.high}


def _plus_minus(auc: Metric) -> str:
    """The half width of the 95 % interval on its wider side: the other may be cut at 0 or 1."""
    return f"{auc.value:.3f} ± {max(auc.high - auc.value, auc.value - auc.low):.3f}"
