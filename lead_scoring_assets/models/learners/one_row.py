"""One row through the trees within microseconds: the tables of `forest.py` as Python's own integers, no compiler needed.

An integer holds the masks of all trees for one bin of one column, so that a row costs one binary search and one AND for each
column. The margin is that of `Forest.margins`, bit for bit: leaves are added in 32 bits, tree by tree.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence

import numpy as np

from lead_scoring_assets.models.learners.forest import DE_BRUIJN, Forest, top_bits_shift

RowMargin = Callable[[Sequence[float]], float]
"""From a row of the encoder's numbers, as 32 bits hold them and NaN for missing, to log odds before calibration."""


def one_row(forest: Forest) -> RowMargin:
    """The margin of one row by `forest`, as a function."""
    roots = forest.roots
    kind, width, trees = roots.dtype, roots.nbytes, len(roots)
    de_bruijn, shift = kind.type(DE_BRUIJN[kind.itemsize * 8]), kind.type(top_bits_shift(kind.itemsize * 8))
    values = forest.leaves.ravel()
    firsts = np.arange(trees, dtype=np.intp) * forest.leaves.shape[1]
    start = np.float32(forest.base)
    everything = int.from_bytes(roots.tobytes(), "little")
    columns = [
        (
            column.position,
            None if column.thresholds is None else column.thresholds.tolist(),
            [int.from_bytes(masks.tobytes(), "little") for masks in column.masks],
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
        found = np.frombuffer(reachable.to_bytes(width, "little"), kind)
        leaves = ((found * de_bruijn) >> shift).astype(np.intp)
        leaves += firsts
        terms = np.empty(trees + 1, np.float32)
        terms[0] = start
        values.take(leaves, out=terms[1:], mode="clip")
        # Accumulated and not summed, because NumPy's sums add in another order.
        return float(np.add.accumulate(terms)[-1])

    return margin
