"""Columns cut into a few groups that two windows share, chosen by the first alone: what outcomes are compared by."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lead_scoring_assets.evaluation.metrics import Floats
from lead_scoring_assets.monitoring.drift.reference import category_counts, category_name

_GROUPS = 4
_MOST_CATEGORIES = 12

Cells = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Grouping:
    """One column cut into groups: the group of each lead in both windows, and the groups' names."""

    names: tuple[str, ...]
    then: Cells
    now: Cells


def feature_groupings(
    then: pd.DataFrame, now: pd.DataFrame, numeric: Sequence[str], categorical: Sequence[str]
) -> dict[str, Grouping]:
    """Groups of every feature that both windows have."""
    shared = then.columns.intersection(now.columns)
    return {
        name: group_column(then[name], now[name], is_number=name in numeric)
        for name in (*numeric, *categorical)
        if name in shared
    }


def group_column(then: "pd.Series[Any]", now: "pd.Series[Any]", *, is_number: bool) -> Grouping:
    """Groups of a feature, chosen by the reference alone: quarters of a number, or the most frequent categories.

    What is missing is a group; so is every other category, those the reference never held included.
    """
    if is_number:
        numbers = [pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64) for values in (then, now)]
        return group_numbers(numbers[0], numbers[1], _GROUPS)
    counts = {name: count for name, count in category_counts(then).items() if name is not None}
    frequent = sorted(counts, key=lambda name: (-counts[name], name))[:_MOST_CATEGORIES]
    place = {name: index for index, name in enumerate(frequent)}
    missing = len(place) + 1

    def groups_of(values: "pd.Series[Any]") -> Cells:
        codes, distinct = pd.factorize(values)
        groups = np.array([place.get(category_name(value), len(place)) for value in distinct], dtype=np.int64)
        found: Cells = np.append(groups, missing)[codes]  # a missing value has code -1: the last
        return found

    return Grouping((*frequent, "other", "missing"), groups_of(then), groups_of(now))


def group_numbers(then: Floats, now: Floats, groups: int) -> Grouping:
    """About equally many of the reference's numbers in each group; what is not finite is one more."""
    known = then[np.isfinite(then)]
    edges = np.unique(np.quantile(known, np.arange(1, groups) / groups)) if len(known) else np.empty(0)
    bounds = [-np.inf, *edges.tolist(), np.inf]
    names = [f"({low:.4g}, {high:.4g}]" for low, high in pairwise(bounds)]
    found = [
        np.where(np.isfinite(column), np.searchsorted(edges, column, side="left"), len(names)).astype(np.int64)
        for column in (then, now)
    ]
    return Grouping((*names, "missing"), found[0], found[1])
