"""Boosted trees as tables of bit masks: their library's own margins, bit for bit, without importing it.

QuickScorer (Lucchese et al. 2015). A value of a column says of every tree which leaves a row can still reach; the AND over the
columns leaves one bit in each tree, its leaf. Values of leaves are added as the library adds them: tree by tree, in its
precision.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from lead_scoring_assets.errors import ScoringError
from lead_scoring_assets.models.learners.paths import Paths, adding_up, paths_of
from lead_scoring_assets.models.learners.row_margin import RowMargin
from lead_scoring_assets.models.learners.trees import Singles, Split, Tree

Masks = npt.NDArray[Any]
"""One bit for each leaf of a tree."""
Sums = npt.NDArray[np.floating[Any]]
Doubles = npt.NDArray[np.float64]

_WIDTHS = (16, 32, 64)
# Beyond a processor's caches a library's own walk from node to node is no slower.
_MOST_TABLE_BYTES = 1 << 25


class _Parted(NamedTuple):
    """A split of tree number `tree`, and the leaves that are left on either way."""

    tree: int
    split: Split
    kept_left: int
    kept_right: int


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
    trees: Sequence[Tree]

    @classmethod
    def of(cls, trees: Sequence[Tree], width: int, base: np.floating[Any]) -> Self | None:
        """None for trees of more than 64 leaves, and for tables beyond 32 MiB: their library has to score.

        Raises:
            ValueError, KeyError: these are no trees, or not of so many columns.
        """
        asked: dict[int, list[_Parted]] = {position: [] for position in range(width)}
        found = [_take_apart(tree, number, asked) for number, tree in enumerate(trees)]
        most = max(map(len, found), default=1)
        bits = next((bits for bits in _WIDTHS if bits >= most), None)
        named = {position: _named(splits) for position, splits in asked.items() if splits}
        if bits is None or sum(map(len, named.values())) * len(trees) * bits // 8 > _MOST_TABLE_BYTES:
            return None
        leaves = np.zeros((len(found), most), base.dtype)
        for tree, values in enumerate(found):
            leaves[tree, : len(values)] = values
        roots = np.array([(1 << len(values)) - 1 for values in found], f"u{bits // 8}")
        masks = [_masks(asked[position], bins, roots) for position, bins in named.items()]
        is_number = [asked[position][0].split.categories is None for position in named]
        thresholds = [bins for bins, is_its in zip(named.values(), is_number, strict=True) if is_its]
        lengths = [len(bins) if is_its else -len(bins) for bins, is_its in zip(named.values(), is_number, strict=True)]
        columns = zip(named, _starts([max(0, n) for n in lengths]), lengths, _starts(map(len, masks)), strict=True)
        return cls(
            width=width,
            columns=np.array([*columns], np.int64).reshape(-1, 4),
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


def _take_apart(tree: Tree, number: int, asked: dict[int, list[_Parted]]) -> Sums:
    """The values of a tree's leaves from left to right; its splits are appended to those of their columns."""
    leaves, parted = tree.parted()
    everywhere = (1 << len(leaves)) - 1
    for split, left, right in parted:
        asked[split.column].append(_Parted(number, split, everywhere & ~right, everywhere & ~left))
    return tree.values[leaves]


def _named(parted: Sequence[_Parted]) -> npt.NDArray[Any]:
    """What tells the bins of a column apart: its thresholds, rising, or the categories up to the last that a split names."""
    if parted[0].split.categories is None:
        return np.unique(_thresholds(parted))
    return np.arange(
        1 + max(int(its.split.categories.max(initial=-1)) for its in parted if its.split.categories is not None)
    )


def _thresholds(parted: Sequence[_Parted]) -> Singles:
    return np.array([its.split.threshold for its in parted], np.float32)


def _masks(parted: Sequence[_Parted], named: npt.NDArray[Any], roots: Masks) -> Masks:
    """Shape (bins, trees); the last bin is for missing."""
    kind = roots.dtype
    trees = np.array([its.tree for its in parted])
    left = np.array([its.kept_left for its in parted], kind)
    right = np.array([its.kept_right for its in parted], kind)
    masks = np.tile(roots, (len(named) + 2, 1))
    np.bitwise_and.at(masks[-1], trees, np.where([its.split.missing_goes_left for its in parted], left, right))
    if parted[0].split.categories is None:
        # What a split keeps on its left holds for its own bin and all below it, what it keeps on its right for all above.
        own = np.searchsorted(named, _thresholds(parted))
        below, above = np.tile(roots, (2, len(named) + 1, 1))
        np.bitwise_and.at(below.ravel(), own * len(roots) + trees, left)
        np.bitwise_and.at(above.ravel(), (own + 1) * len(roots) + trees, right)
        masks[:-1] = np.bitwise_and.accumulate(below[::-1])[::-1] & np.bitwise_and.accumulate(above)
        return masks
    goes_left = np.empty((len(parted), len(named) + 1), bool)
    for place, its in enumerate(parted):
        goes_left[place] = not its.split.named_go_left
        goes_left[place, its.split.categories] = its.split.named_go_left
    np.bitwise_and.at(masks[:-1].T, trees, np.where(goes_left, left[:, None], right[:, None]))
    return masks


def _starts(lengths: Any) -> list[int]:
    """Where each of the parts begins that stand one after the other."""
    return [0, *np.cumsum([*lengths]).tolist()][:-1]
