"""Boosted trees as tables of bit masks: their library's own margins, bit for bit, without importing it.

QuickScorer (Lucchese et al. 2015). A value of a column says of every tree which leaves a row can still reach; the AND over the
columns leaves one bit in each tree, its leaf. Values of leaves are added as the library adds them: tree by tree, in its
precision.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from lead_scoring_assets.errors import ScoringError
from lead_scoring_assets.models.learners.paths import Paths, adding_up, paths_of
from lead_scoring_assets.models.learners.row_margin import RowMargin
from lead_scoring_assets.models.learners.trees import Layout, Singles, Trees, Whole, starts_of

Masks = npt.NDArray[Any]
"""One bit for each leaf of a tree."""
Sums = npt.NDArray[np.floating[Any]]
Doubles = npt.NDArray[np.float64]

_WIDTHS = (16, 32, 64)
# Beyond a processor's caches a library's own walk from node to node is no slower.
_MOST_TABLE_BYTES = 1 << 25


class _Parted(NamedTuple):
    """Splits of one column: their nodes, their trees, and the leaves that are left on either way."""

    nodes: Whole
    trees: Whole
    kept_left: Masks
    kept_right: Masks


@dataclass(frozen=True)
class Forest:
    """The trees of a fitted booster, for rows of `width` columns.

    `columns`: int64, shape (columns, 4): position in the row; where its thresholds begin; how many they are, or minus the
    categories that have a bin of their own; where its masks begin. `thresholds`: rising in each column; a number's bin is how
    many it reaches. `masks`: for each bin the leaves that stay reachable, shape (bins, trees); a column's last bin is for
    missing, a category's last but one for all that have none. `roots`: of each tree, all of its leaves. `leaves`: their
    values, shape (trees, most leaves), and `base`, which every row begins with: of the type that sums have. `trees`: what
    the tables were made of.
    """

    width: int
    columns: npt.NDArray[np.int64]
    thresholds: Singles
    masks: Masks
    roots: Masks
    leaves: Sums
    base: Any
    trees: Trees

    @classmethod
    def of(cls, trees: Trees, width: int, base: np.floating[Any]) -> Self | None:
        """None for trees of more than 64 leaves, and for tables beyond 32 MiB: their library has to score.

        Raises:
            ValueError: these are no trees, or not of so many columns.
        """
        layout = trees.layout
        counts = layout.below[trees.roots]
        most = int(counts.max(initial=1))
        bits = next((bits for bits in _WIDTHS if bits >= most), None)
        if bits is None:
            return None
        asked = _asked(trees, np.dtype(f"u{bits // 8}"))
        if asked and not 0 <= min(asked) <= max(asked) < width:
            raise ValueError(f"the trees ask column {max(asked)} of {width}")
        named = {position: _named(trees, parted.nodes) for position, parted in asked.items()}
        if sum(map(len, named.values())) * len(counts) * bits // 8 > _MOST_TABLE_BYTES:
            return None
        leaves = np.zeros((len(counts), most), base.dtype)
        leaves[layout.trees[layout.leaves], layout.first[layout.leaves]] = trees.values[layout.leaves]
        roots = _ones(counts).astype(f"u{bits // 8}")
        masks = [_masks(trees, parted, named[position], roots) for position, parted in asked.items()]
        is_number = [bool(trees.set_of_node[parted.nodes[0]] < 0) for parted in asked.values()]
        thresholds = [bins for bins, is_its in zip(named.values(), is_number, strict=True) if is_its]
        lengths = [len(bins) if is_its else -len(bins) for bins, is_its in zip(named.values(), is_number, strict=True)]
        first_thresholds = starts_of(np.array([max(0, n) for n in lengths], np.int64))
        first_masks = starts_of(np.array([len(its) for its in masks], np.int64))
        columns = [*zip(named, first_thresholds, lengths, first_masks, strict=True)]
        return cls(
            width=width,
            columns=np.array(columns, np.int64).reshape(-1, 4),
            thresholds=np.concatenate([np.empty(0, np.float32), *thresholds]),
            masks=np.concatenate([np.empty((0, len(roots)), roots.dtype), *masks]),
            roots=roots,
            leaves=leaves,
            base=base,
            trees=trees,
        )

    def margins(self, matrix: Singles) -> Sums:
        """Log odds of each row of `matrix` (rows, columns); NaN is missing. Shape (rows,).

        Raises:
            ScoringError: the matrix has another number of columns than the trees were grown on.
        """
        from lead_scoring_assets.models.learners.kernel import add_margins

        self._refuse_width(matrix.shape[1])
        found = np.empty(len(matrix), self.leaves.dtype)
        add_margins(np.ascontiguousarray(matrix), *self._tables, found)
        return found

    def row_margin(self) -> RowMargin:
        """`margins` of one row, as a function."""
        from lead_scoring_assets.models.learners.kernel import margin

        tables = self._tables

        def of_row(row: Singles) -> float:
            found: float = margin(row, *tables)
            return found

        # What is not compiled yet is now, and not while somebody waits for an answer.
        of_row(np.full(self.width, np.nan, np.float32))
        return of_row

    def contributions(self, matrix: Singles) -> Doubles:
        """Exact SHAP values of each row of `matrix`, as `paths.py` has them, shape (rows, width + 1); the base stands last.

        Raises:
            ScoringError: as for `margins`.
        """
        from lead_scoring_assets.models.learners.kernel import add_contributions

        self._refuse_width(matrix.shape[1])
        found = np.zeros((len(matrix), self.width + 1))
        found[:, -1] = self._paths.base
        add_contributions(
            np.ascontiguousarray(matrix), self.columns, self.thresholds, self.masks, *self._paths[1:], found
        )
        return adding_up(found, self.margins(matrix))

    @cached_property
    def _paths(self) -> Paths:
        return paths_of(self.trees, self.columns[:, 0].tolist(), float(self.base))

    @property
    def _tables(self) -> tuple[Any, ...]:
        return self.columns, self.thresholds, self.masks, self.roots, self.leaves, self.base

    def _refuse_width(self, found: int) -> None:
        if found != self.width:
            raise ScoringError(f"the trees read {self.width} columns, found a matrix of {found}; train again.")


def _asked(trees: Trees, kind: np.dtype[Any]) -> dict[int, _Parted]:
    """The splits of each column that is asked, by its position."""
    layout, nodes = trees.layout, trees.layout.splits
    nodes = nodes[np.argsort(trees.columns[nodes], kind="stable")]
    left, right = trees.left[nodes], trees.right[nodes]
    everywhere = _ones(layout.below[trees.roots])[layout.trees[nodes]]
    parts = (
        nodes,
        layout.trees[nodes],
        (everywhere & ~_leaves_below(layout, right)).astype(kind),
        (everywhere & ~_leaves_below(layout, left)).astype(kind),
    )
    positions, starts = np.unique(trees.columns[nodes], return_index=True)
    # Without a split there is one part, of nothing, and no position.
    split = zip(*(np.split(part, starts[1:]) for part in parts), strict=True)
    return {position: _Parted(*part) for position, part in zip(positions.tolist(), split, strict=False)}


def _leaves_below(layout: Layout, nodes: Whole) -> Masks:
    """As bits, the first leaf of the tree the lowest."""
    return _ones(layout.below[nodes]) << layout.first[nodes].astype(np.uint64)


def _ones(counts: Whole) -> Masks:
    """So many of the lowest bits, 1 to 64."""
    return np.uint64(0xFFFFFFFFFFFFFFFF) >> (64 - counts).astype(np.uint64)


def _named(trees: Trees, nodes: Whole) -> npt.NDArray[Any]:
    """What tells the bins of a column apart: its thresholds, rising, or the categories up to the last that a split names."""
    sets = trees.set_of_node[nodes]
    if sets[0] < 0:
        return np.unique(trees.thresholds[nodes])
    return np.arange(1 + int(trees.sets.of(sets)[1].max(initial=-1)))


def _masks(trees: Trees, parted: _Parted, named: npt.NDArray[Any], roots: Masks) -> Masks:
    """Shape (bins, trees); the last bin is for missing."""
    nodes, of_tree, left, right = parted
    masks = np.tile(roots, (len(named) + 2, 1))
    np.bitwise_and.at(masks[-1], of_tree, np.where(trees.missing_goes_left[nodes], left, right))
    sets = trees.set_of_node[nodes]
    if sets[0] < 0:
        # What a split keeps on its left holds for its own bin and all below it, what it keeps on its right for all above.
        own = np.searchsorted(named, trees.thresholds[nodes])
        below, above = np.tile(roots, (2, len(named) + 1, 1))
        np.bitwise_and.at(below.ravel(), own * len(roots) + of_tree, left)
        np.bitwise_and.at(above.ravel(), (own + 1) * len(roots) + of_tree, right)
        masks[:-1] = np.bitwise_and.accumulate(below[::-1])[::-1] & np.bitwise_and.accumulate(above)
        return masks
    goes_left = np.full((len(nodes), len(named) + 1), not trees.named_go_left)
    goes_left[trees.sets.of(sets)] = trees.named_go_left
    np.bitwise_and.at(masks[:-1].T, of_tree, np.where(goes_left, left[:, None], right[:, None]))
    return masks
