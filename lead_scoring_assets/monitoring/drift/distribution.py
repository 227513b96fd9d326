"""A sample of numbers in ascending order, and what its order makes cheap to ask."""

from dataclasses import dataclass, field

import numpy as np

from lead_scoring_assets.monitoring.drift.distances import FloatArray, IntArray

BLOCK = 1 << 16
"""Values at a time, so that what is worked on stays in the processor's cache and nothing as long as the sample is made."""


@dataclass(frozen=True, eq=False)
class Distribution:
    """A sample of finite numbers: its distinct values, ascending, and how often each occurs (None: once each)."""

    values: FloatArray = field(default_factory=lambda: np.empty(0), repr=False)
    counts: IntArray | None = field(default=None, repr=False)

    @classmethod
    def of(cls, numbers: FloatArray) -> "Distribution":
        """The distribution of `numbers` (finite, in any order)."""
        return cls.of_sorted(np.sort(numbers))

    @classmethod
    def of_sorted(cls, ordered: FloatArray) -> "Distribution":
        """The distribution of finite numbers in ascending order, which may be written to; where all differ, they are its own."""
        # Zeros of either sign are equal, and come in any order: one of them stands for all.
        ordered[np.searchsorted(ordered, 0.0, side="left") : np.searchsorted(ordered, 0.0, side="right")] = 0.0
        is_first = np.ones(len(ordered), dtype=bool)
        np.not_equal(ordered[1:], ordered[:-1], out=is_first[1:])
        if is_first.all():
            return cls(ordered)
        places = np.flatnonzero(is_first)
        return cls(ordered[places], np.diff(places, append=len(ordered)))

    @property
    def n(self) -> int:
        """Rows, ties included."""
        return len(self.values) if self.counts is None else int(self.counts.sum())

    def rows_before(self, places: IntArray) -> IntArray:
        """Rows of the values that stand before each of `places`."""
        return places if self.counts is None else np.append(0, np.cumsum(self.counts))[places]

    def at_ranks(self, ranks: IntArray) -> FloatArray:
        """The values of the rows that stand in these places of the order, from 1 on."""
        places = ranks - 1 if self.counts is None else np.searchsorted(np.cumsum(self.counts), ranks, side="left")
        return self.values[places]

    @property
    def sorted_values(self) -> FloatArray:
        """Every row's value, ascending, shape (n,)."""
        return self.values if self.counts is None else np.repeat(self.values, self.counts)

    @property
    def weights(self) -> IntArray:
        """How often each value occurs."""
        return np.ones(len(self.values), dtype=np.int64) if self.counts is None else self.counts

    def standard_deviation(self) -> float:
        """Of the population (divided by n); infinite or NaN where the squares are too large for a float."""
        middle, total, squares = self.values[len(self.values) // 2], 0.0, 0.0
        with np.errstate(over="ignore", invalid="ignore"):
            for first in range(0, len(self.values), BLOCK):
                block = slice(first, first + BLOCK)
                # The median lies within one deviation of the mean: what is subtracted in the end never eats the digits up.
                apart = self.values[block] - middle
                weighted = apart if self.counts is None else apart * self.counts[block]
                total, squares = total + float(np.sum(weighted)), squares + float(np.sum(weighted * apart))
            return float(np.sqrt(np.maximum(0.0, squares / self.n - (total / self.n) ** 2)))
