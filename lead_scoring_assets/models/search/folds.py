"""Folds in time: each block of leads is judged by a model of leads whose labels were known before the block began.

Fitting is not done here, nor is the split between training and holdout (`training_set.py`), which follows the same rule.
"""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Fold:
    """Positions of rows, ascending: a model is fitted on `train` and judged on `test`."""

    train: Positions
    test: Positions


@dataclass(frozen=True)
class FoldsInTime:
    """The folds that can be used, oldest first, and why the others cannot, in words."""

    folds: tuple[Fold, ...]
    left_out: tuple[str, ...]


def time_folds(
    created_at: npt.NDArray[np.datetime64],
    labels: Floats,
    *,
    embargo: timedelta,
    folds: int,
    minimum_rows: int,
    minimum_positives: int,
) -> FoldsInTime:
    """Expanding folds: the later half of the leads in blocks of equal count, each with all leads older than its embargo.

    On the day a block's first lead came in, the labels of leads younger than the conversion window were not known: a
    model that used them would look better than it could have been. The older half is never judged, so that the first
    fold has something to learn from. Leads of one instant stay on one side of a border.

    Args:
        created_at: UTC as numpy keeps it (without a zone), shape (n,), in any order.
        labels: 0 or 1, shape (n,).
        embargo: the conversion window.
        folds: how many blocks.
        minimum_rows: that each side of a fold needs; a fold with fewer is left out.
        minimum_positives: converted leads that each side needs, and as many others.
    """
    order = np.argsort(created_at, kind="stable")
    ordered = created_at[order]
    usable, left_out = [], []
    for number, (begin, end) in enumerate(_blocks(ordered, folds), start=1):
        # Half open like the training window: created before the block's first lead by more than the embargo.
        known = np.searchsorted(ordered, ordered[begin] - np.timedelta64(embargo), side="left") if begin < end else 0
        fold = Fold(train=np.sort(order[:known]), test=np.sort(order[begin:end]))
        short = [
            f"{found:,} of {least:,} {what} in {side}"
            for side, rows in (("training", fold.train), ("test", fold.test))
            for what, found, least in _needs(labels[rows], minimum_rows, minimum_positives)
            if found < least
        ]
        if short:
            left_out.append(f"fold {number} of {folds} left out: {', '.join(short)}")
        else:
            usable.append(fold)
    return FoldsInTime(tuple(usable), tuple(left_out))


def _blocks(ordered: npt.NDArray[np.datetime64], folds: int) -> list[tuple[int, int]]:
    """Begin and end of each block in the order of creation; a border moves back to the first lead of its instant."""
    n = len(ordered)
    if not n:
        return [(0, 0)] * folds
    even = [n // 2 + (n - n // 2) * block // folds for block in range(folds)]
    borders = [int(np.searchsorted(ordered, ordered[position], side="left")) for position in even]
    return list(zip(borders, [*borders[1:], n], strict=True))


def _needs(labels: Floats, minimum_rows: int, minimum_positives: int) -> list[tuple[str, int, int]]:
    converted = int(labels.sum())
    return [
        ("leads", len(labels), minimum_rows),
        ("converted leads", converted, minimum_positives),
        ("leads that did not convert", len(labels) - converted, minimum_positives),
    ]
