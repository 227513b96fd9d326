"""The reference window of a model, reduced to what drift is measured against: bins, counts, distinct values.
How it is made from rows stands in `reference.py` and `scan.py`, how it is kept in `kept_reference.py`."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from lead_scoring_assets.monitoring.drift.counts import Counts
from lead_scoring_assets.monitoring.drift.distances import FloatArray
from lead_scoring_assets.monitoring.drift.distribution import Distribution

ColumnKind = Literal["numeric", "categorical"]

MISSINGNESS = "(missing together)"
"""The feature under which the pattern of nulls across columns is told: which columns are missing in the same row."""


@dataclass(frozen=True, eq=False)
class ReferenceColumn:
    """Bins and counts of one column of the reference window.

    Numeric bins, in order: the intervals between `edges`, each `(lower, upper]`; one bin per lone value; not finite;
    missing. Categorical bins: one per category; other (rare in the reference); new category; missing.

    Attributes
    ----------
    edges : ascending, from -inf to +inf; empty for a categorical column.
    lone_values : values too frequent to share a bin; they never count in an interval.
    smallest, largest : of the finite reference values; None where there is none, and for categories.
    distribution : the finite reference values, and how often each occurs; empty where only the bins were read.
    categories, rare_categories : names with a bin of their own, and names pooled as "other".
    once_seen, twice_seen : categories with exactly one and exactly two rows among `tail_rows` (Good-Turing estimate).
    """

    name: str
    kind: ColumnKind
    n_rows: int
    bin_labels: tuple[str, ...]
    bin_counts: tuple[int, ...]
    edges: tuple[float, ...] = ()
    lone_values: tuple[float, ...] = ()
    smallest: float | None = None
    largest: float | None = None
    distribution: Distribution = field(default_factory=Distribution, repr=False)
    categories: tuple[str, ...] = ()
    rare_categories: frozenset[str] = frozenset()
    once_seen: int = 0
    twice_seen: int = 0
    tail_rows: int = 0

    @property
    def n_missing(self) -> int:
        """Reference rows without a value."""
        return self.bin_counts[-1]

    @property
    def n_usable(self) -> int:
        """Reference rows that say something about the column: finite numbers, or any category."""
        n_not_finite = self.bin_counts[-2] if self.kind == "numeric" else 0
        return self.n_rows - self.n_missing - n_not_finite

    @property
    def sorted_values(self) -> FloatArray:
        """The finite reference values, ascending, shape (n_finite,)."""
        return self.distribution.sorted_values

    def in_group(self, counts: Counts) -> "ReferenceColumn":
        """The same bins with the rows of one group of the reference; bins stay those of the whole, distances compare."""
        found = counts.bins.get(self.name, (0,) * len(self.bin_labels))
        return replace(self, n_rows=counts.n_rows, bin_counts=found, distribution=Distribution())


@dataclass(frozen=True, eq=False)
class ReferenceState:
    """All columns of one reference window.

    Attributes
    ----------
    bins : quantile bins that were asked for.
    missingness : the pattern of nulls across `columns` as a categorical column; None where it was not taken.
    segments : rows by column and group, in the bins of `columns`.
    """

    n_rows: int
    bins: int
    columns: tuple[ReferenceColumn, ...]
    missingness: ReferenceColumn | None = None
    segments: Mapping[str, Mapping[str, Counts]] = field(default_factory=dict)

    def of_group(self, segment: str, group: str) -> "ReferenceState":
        """The reference of one group of a segment, without the segment's own column, which is constant there.

        A group that the reference does not hold has a reference without rows.
        """
        counts = self.segments[segment].get(group, Counts(0))
        columns = tuple(column.in_group(counts) for column in self.columns if column.name != segment)
        return ReferenceState(n_rows=counts.n_rows, bins=self.bins, columns=columns)
