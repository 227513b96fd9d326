"""Exact SHAP values of trees (Lundberg et al. 2020, path-dependent), leaf by leaf.

A leaf on whose path m columns are asked gives its value v to the game in which a set S of columns is known:

    v × ∏ over the path's columns of (o if the column is in S, else z)

where o says whether the row's value goes the leaf's way at all questions to that column, and z is the share of the training
rows that does. The Shapley value of column i, with A the columns of o = 1 but i, and B those of o = 0 but i:

    v × (o_i − z_i) × ∏_B z × Σ over S ⊆ A of |S|! (m − |S| − 1)! / m! × ∏ over A without S of z

Sums over sets of one size are the coefficients of ∏_A (z + x). Which columns of a leaf have o = 1 is what the bit masks say.
The sum over all leaves is the forest's, because Shapley values add up.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lead_scoring_assets.models.learners.trees import Doubles, Trees, Whole

# More than 32-bit sums can lose: such a difference is not rounding, and must stay visible.
_MOST_ROUNDING = 1e-3
_MOST_COLUMNS = 64


class Paths(NamedTuple):
    """`base`: the mean margin of the training rows. For each leaf of all trees: `trees`, its tree; `bits`, its place there;
    `values`; `starts`, where its columns begin among those of all leaves (one more for the end). For each of these:
    `columns`, by its place in the forest's tables; `shares`, z. `weights`: |S|! (m − |S| − 1)! / m! by m and |S|."""

    base: float
    trees: Whole
    bits: npt.NDArray[np.uint64]
    values: Doubles
    starts: Whole
    columns: Whole
    shares: Doubles
    weights: Doubles


def paths_of(trees: Trees, positions: Sequence[int], base: float) -> Paths:
    """Of all trees. `positions`: in the row, of the columns that the forest's tables hold."""
    layout = trees.layout
    leaves, columns, shares = _ways(trees)
    values = trees.values[layout.leaves].astype(np.float64)
    expected = np.ones(len(values))
    np.multiply.at(expected, leaves, shares)
    places = np.zeros(1 + max(positions, default=0), np.int64)
    places[list(positions)] = np.arange(len(positions))
    return Paths(
        base=base + float(values @ expected),
        trees=layout.trees[layout.leaves],
        bits=layout.first[layout.leaves].astype(np.uint64),
        values=values,
        starts=np.concatenate([[0], np.cumsum(np.bincount(leaves, minlength=len(values)))]),
        columns=places[columns],
        shares=shares,
        weights=_weights(),
    )


def _ways(trees: Trees) -> tuple[Whole, Whole, Doubles]:
    """Each column that is asked on the way to a leaf: the leaf's number, rising, the column's position, and the share of the
    training rows that goes the leaf's way at these questions, however often the column is asked."""
    parents = trees.layout.parents
    leaves, nodes = np.arange(len(trees.layout.leaves)), trees.layout.leaves
    steps = [(leaves[:0], nodes[:0], np.empty(0))]
    while True:
        is_root = parents[nodes] == nodes
        leaves, nodes = leaves[~is_root], nodes[~is_root]
        if not len(nodes):
            break
        above = parents[nodes]
        came_by = trees.covers[above]
        # Where nobody came by, nobody went on.
        steps.append((leaves, trees.columns[above], trees.covers[nodes] / np.where(came_by == 0, 1, came_by)))
        nodes = above
    leaves, columns, shares = map(np.concatenate, zip(*steps, strict=True))
    order = np.lexsort((columns, leaves))
    leaves, columns, shares = leaves[order], columns[order], shares[order]
    is_new = np.append(True, (np.diff(leaves) != 0) | (np.diff(columns) != 0))[: len(leaves)]
    starts = np.flatnonzero(is_new)
    return leaves[starts], columns[starts], np.multiply.reduceat(shares, starts) if len(starts) else shares


def adding_up(values: Doubles, margins: npt.NDArray[np.floating]) -> Doubles:
    """`values` of rows (rows, columns + 1), so that each row adds up to its margin: what rounding of 32-bit sums has lost is
    spread over the columns in proportion."""
    lost = margins - values.sum(axis=1)
    size = np.abs(values[:, :-1])
    total = size.sum(axis=1)
    is_rounding = (np.abs(lost) < _MOST_ROUNDING) & (total > 0)
    values[:, :-1] += size * np.where(is_rounding, lost / np.where(total > 0, total, 1), 0)[:, None]
    return values


def _weights() -> Doubles:
    found = np.zeros((_MOST_COLUMNS + 1, _MOST_COLUMNS))
    for m in range(1, _MOST_COLUMNS + 1):
        for size in range(m):
            found[m, size] = 1 / (m * math.comb(m - 1, size))
    return found
