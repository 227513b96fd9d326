"""How far two distribution functions lie apart, without merging two samples of which most rows decide nothing."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lead_scoring_assets.monitoring.drift.distances import FloatArray, IntArray
from lead_scoring_assets.monitoring.drift.distribution import BLOCK, Distribution

BoolArray = npt.NDArray[np.bool_]

CELL = 32
"""Rows in a cell, at least."""
CELLS = 16
"""Into how many cells the square root of the rows goes: where nothing moved, the largest gap is of about as many rows."""
CONDITION = 1e4
"""How many times a difference the sums that it is of may be: float64 then tells it to ten digits and more."""


def gap_and_area(reference: Distribution, current: Distribution) -> tuple[float, float | None]:
    """Largest gap between both distribution functions, and the area between them.

    The numbers are cut into cells of a few rows. Where the gap keeps its sign within a cell, the area follows from the sum of
    the cell's values; where it cannot become the largest either, nothing else is needed. Only the other cells are merged.
    """
    n, m = reference.n, current.n
    # A cell begins at a value of the longer sample and ends where the next begins: a value never falls into two.
    longer = reference.values if len(reference.values) >= len(current.values) else current.values
    cell = max(CELL, math.isqrt(len(longer)) // CELLS)
    starts = longer[::cell].copy()
    starts[0] = min(reference.values[0], current.values[0])
    ends = np.append(starts[1:], max(reference.values[-1], current.values[-1]))
    a, b = (_Cells.of(side, starts, cell if side.values is longer else None) for side in (reference, current))
    # Whole numbers up to 2^53 are exact: steps of m for a row of the reference, of -n for one of the current sample.
    up, down = m * a.rows, n * b.rows
    after = np.cumsum(up - down, dtype=np.float64)
    before = np.append(0.0, after[:-1])
    lowest, highest = before - down, before + up
    gap = float(np.max(np.abs(after)))
    is_merged = ((lowest < 0) & (highest > 0)) | (np.maximum(-lowest, highest) > gap)
    area = 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        for first in range(0, len(starts), max(1, BLOCK // cell)):
            block = slice(first, first + max(1, BLOCK // cell))
            beyond = [np.abs(after[block]) * (ends - starts)[block], m * a.sums(block), n * b.sums(block)]
            whole = np.abs(np.sign(after[block]) * beyond[0] - beyond[1] + beyond[2])
            # A small difference of large sums, or one that is no number, would be wrong.
            is_told = ~is_merged[block] & (whole * CONDITION >= sum(beyond)) & np.isfinite(whole)
            area += float(np.sum(whole, where=is_told)) / n / m
            cells = first + np.flatnonzero(~is_told)
            if len(cells):
                numbers = np.concatenate(
                    [starts[cells], *(side.values(block, ~is_told) for side in (a, b)), ends[cells]]
                )
                steps = [before[cells], m * a.counts(block, ~is_told), -n * b.counts(block, ~is_told), -after[cells]]
                order = np.argsort(numbers, kind="stable")  # which merges: all parts are sorted
                levels, width = np.abs(np.cumsum(np.concatenate(steps)[order]))[:-1], np.diff(numbers[order])
                area += float(np.sum(levels * width)) / n / m
                # Between equal values the distribution functions have no level of their own.
                gap = max(gap, float(np.max(levels, where=width > 0, initial=0.0)))
    return gap / n / m, area if np.isfinite(area) else None


@dataclass(frozen=True, eq=False)
class _Cells:
    """A sample cut at `starts`: the places of its values at which cells begin (and the last one ends), rows by cell."""

    sample: Distribution
    starts: FloatArray
    cuts: IntArray
    rows: IntArray

    @classmethod
    def of(cls, sample: Distribution, starts: FloatArray, every: int | None) -> "_Cells":
        """Where `every` so many of the sample's own values begin a cell, nothing has to be looked up."""
        n = len(sample.values)
        cuts = np.append(np.arange(0, n, every) if every else np.searchsorted(sample.values, starts), n)
        return cls(sample, starts, cuts, np.diff(sample.rows_before(cuts)))

    def sums(self, block: slice) -> FloatArray:
        """For each cell of a block, how far its rows lie above its start, together."""
        cuts = self.cuts[block.start : block.stop + 1]
        inside = slice(cuts[0], cuts[-1])
        above = np.zeros(inside.stop - inside.start + 1)  # one more, at which an empty last cell may stand
        np.subtract(self.sample.values[inside], np.repeat(self.starts[block], np.diff(cuts)), out=above[:-1])
        if self.sample.counts is not None:
            above[:-1] *= self.sample.counts[inside]
        return np.where(np.diff(cuts) > 0, np.add.reduceat(above, cuts[:-1] - cuts[0]), 0.0)

    def values(self, block: slice, chosen: BoolArray) -> FloatArray:
        """The values in the chosen cells of a block."""
        cuts = self.cuts[block.start : block.stop + 1]
        return self.sample.values[cuts[0] : cuts[-1]][np.repeat(chosen, np.diff(cuts))]

    def counts(self, block: slice, chosen: BoolArray) -> IntArray:
        """How often each of them occurs."""
        cuts = self.cuts[block.start : block.stop + 1]
        is_in = np.repeat(chosen, np.diff(cuts))
        if self.sample.counts is None:
            return np.ones(np.count_nonzero(is_in), dtype=np.int64)
        return self.sample.counts[cuts[0] : cuts[-1]][is_in]
