"""XGBoost's trees as tables of bit masks: the same margins, bit for bit, without importing XGBoost.

QuickScorer (Lucchese et al. 2015) in NumPy. A value of a column says of every tree which leaves a row can still reach; the
AND over the columns leaves one bit in each tree, its leaf. Values of leaves are added as XGBoost adds them: in 32 bits, tree
by tree, from the base margin.
"""

import ctypes
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from lead_scoring_assets.errors import ScoringError
from lead_scoring_assets.models.learners import ubjson

Singles = npt.NDArray[np.float32]
Masks = npt.NDArray[Any]
"""One bit for each leaf of a tree."""
_Places = npt.NDArray[np.intp]

# One bit is told by the top bits of its product with a de Bruijn sequence (Leiserson, Prokop and Randall 1998).
DE_BRUIJN = {16: 0x09AF, 32: 0x077CB531, 64: 0x03F79D71B4CB0A89}
# Beyond a processor's caches XGBoost's own walk from node to node is no slower.
_MOST_TABLE_BYTES = 1 << 25
_MASK_BYTES = 1 << 20
_ROWS = 16_384
_FEW_ROWS = 1_024


@dataclass(frozen=True)
class _Split:
    tree: int
    threshold: np.float32
    categories: npt.NDArray[np.integer[Any]] | None
    missing_goes_left: bool
    kept_left: int
    kept_right: int


@dataclass(frozen=True)
class Column:
    """Which leaves stay reachable: `masks` has a row for each bin of the column's values, and one for missing, the last.

    Bins of numbers lie between `thresholds`; a category has its own, and all that no split names share the last but one.
    """

    position: int
    thresholds: Singles | None
    masks: Masks

    def bins(self, values: Singles) -> _Places:
        last = len(self.masks) - 1
        if self.thresholds is None:
            is_named = (values >= 0) & (values < last - 1)
            found = np.where(is_named, values, last - 1).astype(np.intp)
        else:
            found = _count_reached(self.thresholds, values)
        found[np.isnan(values)] = last
        return found


class Forest:
    """A fitted booster's trees; build one with `from_xgboost`.

    `width`: how many columns rows have. `leaves`: values of leaves, shape (trees, bits). `roots`: of each tree, all of its
    leaves. `base`: what every row begins with.
    """

    def __init__(self, columns: Sequence[Column], width: int, leaves: Singles, roots: Masks, base: np.float32) -> None:
        self.columns = columns
        self.width = width
        self.leaves = leaves
        self.roots = roots
        self.base = base

    @classmethod
    def from_xgboost(cls, content: bytes) -> Self | None:
        """The trees in XGBoost's own file (UBJSON); None where XGBoost itself has to score.

        That is: trees of more than 64 leaves, tables beyond 32 MiB, or what is no plain binary classifier of one tree a
        round.

        Raises:
            ValueError, KeyError, TypeError: the content is no model of XGBoost.
        """
        learner = ubjson.read(content)["learner"]
        booster, told = learner["gradient_booster"], learner["learner_model_param"]
        is_plain = booster["name"] == "gbtree" and learner["objective"]["name"] == "binary:logistic"
        if not is_plain or told["num_target"] != "1" or told["num_class"] != "0":
            return None
        width = int(told["num_feature"])
        splits: list[list[_Split]] = [[] for _ in range(width)]
        leaves = [_take_apart(tree, number, splits) for number, tree in enumerate(booster["model"]["trees"])]
        bits = next((bits for bits in DE_BRUIJN if bits >= max(map(len, leaves), default=1)), None)
        bins = sum(len(named) for named in map(_named, splits))
        if bits is None or bins * len(leaves) * bits // 8 > _MOST_TABLE_BYTES:
            return None
        kind = np.dtype(f"u{bits // 8}")
        roots = np.array([(1 << len(tree)) - 1 for tree in leaves], kind)
        values = np.zeros((len(leaves), bits), np.float32)
        for tree, found in enumerate(leaves):
            values[tree, _leaf_of(np.array([1 << leaf for leaf in range(len(found))], kind))] = found
        columns = [_column(position, found, roots) for position, found in enumerate(splits) if found]
        return cls(columns, width, values, roots, _base_margin(told["base_score"]))

    def margins(self, matrix: Singles) -> Singles:
        """XGBoost's log odds of each row of `matrix` (rows, columns); NaN is missing. Shape (rows,).

        Raises:
            ScoringError: the matrix has another number of columns than the trees were grown on.
        """
        if matrix.shape[1] != self.width:
            raise ScoringError(
                f"the trees read {self.width} columns, found a matrix of {matrix.shape[1]}; train again."
            )
        found = np.full(len(matrix), self.base, np.float32)
        for start in range(0, len(matrix), _ROWS):
            self._add_leaves(matrix[start : start + _ROWS], found[start : start + _ROWS])
        return found

    def _add_leaves(self, matrix: Singles, margins: Singles) -> None:
        bins = [column.bins(np.ascontiguousarray(matrix[:, column.position])) for column in self.columns]
        step = max(1, _MASK_BYTES // max(1, self.roots.nbytes))
        values, firsts = self.leaves.ravel(), np.arange(len(self.roots), dtype=np.intp) * self.leaves.shape[1]
        masks, other = np.empty((2, min(step, len(matrix)), len(self.roots)), self.roots.dtype)
        for start in range(0, len(matrix), step):
            here = slice(start, min(start + step, len(matrix)))
            reachable, met = masks[: here.stop - start], other[: here.stop - start]
            reachable[:] = self.roots
            for column, places in zip(self.columns, bins, strict=True):
                # "clip" only saves the test of the places, which are all inside.
                np.take(column.masks, places[here], axis=0, out=met, mode="clip")
                reachable &= met
            leaves = _leaf_of(reachable).astype(np.intp)
            leaves += firsts
            terms = np.empty((len(leaves), len(self.roots) + 1), np.float32)
            terms[:, 0] = margins[here]
            terms[:, 1:] = values.take(leaves, mode="clip")
            # Accumulated and not summed, because NumPy's sums add in another order.
            margins[here] = np.add.accumulate(terms, axis=1)[:, -1]


def _count_reached(thresholds: Singles, values: Singles) -> _Places:
    """How many of the rising `thresholds` each value reaches. For many rows a binary search without branches, all rows at
    a time: NumPy's own guesses wrong at each step."""
    if len(values) < _FEW_ROWS:
        return np.searchsorted(thresholds, values, "right")
    step = 1 << len(thresholds).bit_length()
    padded = np.full(step, np.nan, np.float32)  # nothing reaches NaN
    padded[1 : len(thresholds) + 1] = thresholds
    found = np.zeros(len(values), np.intp)
    while step := step >> 1:
        found += (padded.take(found + step, mode="clip") <= values) * np.intp(step)
    return found


def _leaf_of(masks: Masks) -> Masks:
    """A number for the one bit of each mask."""
    bits = masks.dtype.itemsize * 8
    kind = masks.dtype.type
    found: Masks = (masks * kind(DE_BRUIJN[bits])) >> kind(top_bits_shift(bits))
    return found


def top_bits_shift(bits: int) -> int:
    """How far to shift a product with a de Bruijn sequence of `bits` bits, so that the bits that tell are left."""
    return bits - bits.bit_length() + 1


def _take_apart(tree: Mapping[str, Any], number: int, splits: list[list[_Split]]) -> Singles:
    """The values of a tree's leaves from left to right; its splits are appended to those of their columns."""
    left, right = tree["left_children"].tolist(), tree["right_children"].tolist()
    order, waiting = [], [0]
    while waiting:
        node = waiting.pop()
        order.append(node)
        if left[node] >= 0:
            waiting += [right[node], left[node]]
        if len(order) > len(left):
            raise ValueError(f"tree {number} has a circle")
    leaves = [node for node in order if left[node] < 0]
    below = {node: 1 << place for place, node in enumerate(leaves)}
    sets = zip(tree["categories_segments"].tolist(), tree["categories_sizes"].tolist(), strict=True)
    categories = {
        node: tree["categories"][start : start + size]
        for node, (start, size) in zip(tree["categories_nodes"].tolist(), sets, strict=True)
    }
    everywhere = (1 << len(leaves)) - 1
    for node in reversed(order):
        if left[node] >= 0:
            below[node] = below[left[node]] | below[right[node]]
            split = _Split(
                number,
                tree["split_conditions"][node],
                categories[node] if tree["split_type"][node] else None,
                bool(tree["default_left"][node]),
                everywhere & ~below[right[node]],
                everywhere & ~below[left[node]],
            )
            splits[tree["split_indices"][node]].append(split)
    values: Singles = tree["split_conditions"][leaves]
    return values


def _named(splits: Sequence[_Split]) -> npt.NDArray[Any]:
    """What tells the bins of a column apart: its thresholds, rising, or the categories up to the last that a split names."""
    if not splits:
        return np.empty(0, np.float32)
    if splits[0].categories is None:
        return np.unique(np.array([split.threshold for split in splits], np.float32))
    return np.arange(1 + max(int(split.categories.max(initial=-1)) for split in splits if split.categories is not None))


def _column(position: int, splits: Sequence[_Split], roots: Masks) -> Column:
    named, kind = _named(splits), roots.dtype
    trees = np.array([split.tree for split in splits])
    left = np.array([split.kept_left for split in splits], kind)
    right = np.array([split.kept_right for split in splits], kind)
    masks = np.tile(roots, (len(named) + 2, 1))
    np.bitwise_and.at(masks[-1], trees, np.where([split.missing_goes_left for split in splits], left, right))
    if splits[0].categories is None:
        # What a split keeps on its left holds for its own bin and all below it, what it keeps on its right for all above.
        own = np.searchsorted(named, np.array([split.threshold for split in splits], np.float32))
        below, above = np.tile(roots, (2, len(named) + 1, 1))
        np.bitwise_and.at(below, (own, trees), left)
        np.bitwise_and.at(above, (own + 1, trees), right)
        masks[:-1] = np.bitwise_and.accumulate(below[::-1])[::-1] & np.bitwise_and.accumulate(above)
        return Column(position, named, masks)
    goes_left = np.ones((len(splits), len(named) + 1), bool)
    for place, split in enumerate(splits):
        goes_left[place, split.categories] = False
    np.bitwise_and.at(masks[:-1].T, trees, np.where(goes_left, left[:, None], right[:, None]))
    return Column(position, None, masks)


def _base_margin(base_score: str) -> np.float32:
    """−log(1 / p − 1) by the C library's own 32-bit logarithm, as XGBoost takes it: NumPy's may differ in the last bit."""
    told = json.loads(base_score)
    rate = np.float32(told[0] if isinstance(told, list) else told)
    logf = ctypes.CDLL(None).logf
    logf.restype, logf.argtypes = ctypes.c_float, [ctypes.c_float]
    return np.float32(-logf(np.float32(1) / rate - np.float32(1)))
