"""One row through the trees within microseconds: the tables of `forest.py` as Python's own integers, no compiler needed.

An integer holds the masks of all trees for one bin of one column, so that a row costs one binary search and one AND for each
column. The margin is that of `Forest.margins`, bit for bit: leaves are added in 32 bits, tree by tree.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence

import numpy as np

from lead_scoring_assets.models.learners.forest import DE_BRUIJN, Forest, Masks, top_bits_shift

RowMargin = Callable[[Sequence[float]], float]
"""From a row of the encoder's numbers, as 32 bits hold them and NaN for missing, to log odds before calibration."""


def one_row(forest: Forest) -> RowMargin:
    """The margin of one row by `forest`, as a function."""
    kind, bits = forest.roots.dtype, forest.roots.dtype.itemsize * 8
    de_bruijn, shift = kind.type(DE_BRUIJN[bits]), kind.type(top_bits_shift(bits))
    # What every row begins with is the first tree, of one leaf: its bit is always reached.
    trees = 1 + len(forest.roots)
    width = trees * kind.itemsize
    values = np.concatenate([np.zeros((1, bits), np.float32), forest.leaves]).ravel()
    values[0] = forest.base
    firsts = np.arange(trees, dtype=np.intp) * bits
    [everything] = _joined(forest.roots[None])
    columns = [
        (
            column.position,
            None if column.thresholds is None else column.thresholds.tolist(),
            _joined(column.masks),
            len(column.masks) - 2,
        )
        for column in forest.columns
    ]

    def margin(row: Sequence[float]) -> float:
        reachable = everything
        for position, thresholds, masks, others in columns:
            value = row[position]
            if value != value:  # NaN: the row for missing stands last
                reachable &= masks[-1]
            elif thresholds is not None:
                reachable &= masks[bisect_right(thresholds, value)]
            else:
                reachable &= masks[int(value) if 0 <= value < others else others]
        found = np.frombuffer(reachable.to_bytes(width, "little"), kind) * de_bruijn
        found >>= shift
        leaves = found.astype(np.intp)
        leaves += firsts
        # Accumulated and not summed, because NumPy's sums add in another order.
        return float(np.add.accumulate(values.take(leaves, mode="clip"))[-1])

    return margin


def _joined(masks: Masks) -> list[int]:
    """In each row the masks of all trees as one integer, before them the one bit of the first."""
    rows = np.concatenate([np.ones((len(masks), 1), masks.dtype), masks], axis=1)
    return [int.from_bytes(row.tobytes(), "little") for row in rows]
