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
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lead_scoring_assets.models.learners.trees import Tree

Doubles = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

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


def paths_of(trees: Sequence[Tree], positions: Sequence[int], base: float) -> Paths:
    """Of all trees. `positions`: in the row, of the columns that the forest's tables hold."""
    places = {position: place for place, position in enumerate(positions)}
    of_tree, bits, lengths, columns = list[int](), list[int](), list[int](), list[int]()
    shares = list[float]()
    for number, tree in enumerate(trees):
        for bit, path in enumerate(tree.paths()):
            of_tree.append(number)
            bits.append(bit)
            lengths.append(len(path))
            columns += [places[position] for position in path]
            shares += path.values()
    values = np.concatenate([np.empty(0), *(tree.values[tree.leaves()].astype(np.float64) for tree in trees)])
    starts = np.cumsum([0, *lengths])
    z = np.array(shares, np.float64)
    expected = np.array([z[start:end].prod() for start, end in pairwise(starts)])
    return Paths(
        base=base + float(values @ expected),
        trees=np.array(of_tree, np.int64),
        bits=np.array(bits, np.uint64),
        values=values,
        starts=starts,
        columns=np.array(columns, np.int64),
        shares=z,
        weights=_weights(),
    )


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
