"""Which bins a reference column gets, and into which of them values fall. Pure arithmetic on distinct values and counts;
where those come from is not known here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lead_scoring_assets.monitoring.drift.distances import FloatArray, IntArray
from lead_scoring_assets.monitoring.drift.distribution import Distribution
from lead_scoring_assets.monitoring.drift.reference_state import MISSINGNESS, ReferenceColumn

RARE_SHARE = 0.005
"""Categories below this share of the reference are pooled as "other"."""

RARE_ROWS = 10
"""Categories with fewer reference rows than this are pooled too. Categories are *chosen* by their reference count, so
those just above the limit look more frequent in the reference than they are. For many equal levels near a limit of
k rows this selection alone makes a PSI of about 0.64 / k between "other" and the rest; 10 keeps it under 0.10."""


@dataclass(frozen=True)
class Numbers:
    """A numeric column: its finite values, rows that are no finite number (infinities, text), rows without a value."""

    finite: Distribution
    n_not_finite: int
    n_missing: int

    @property
    def n_rows(self) -> int:
        return self.finite.n + self.n_not_finite + self.n_missing


def refuse_bad_plan(numeric: Sequence[str], categorical: Sequence[str], bins: int) -> None:
    """Raises ValueError for fewer than two bins, or a column that is listed twice."""
    if bins < 2:
        raise ValueError(f"At least 2 bins are needed to see a shift, found bins={bins}.")
    names = [*numeric, *categorical]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"Each column is numeric or categorical, once; listed twice: {', '.join(twice)}.")


def numeric_reference(name: str, numbers: Numbers, bins: int) -> ReferenceColumn:
    """Quantile bins of a column's finite values, and the column's own rows in them."""
    edges, lone_values = _numeric_bins(numbers.finite, bins)
    values = numbers.finite.values
    intervals = [f"({lower:.6g}, {upper:.6g}]" for lower, upper in pairwise(edges)]
    return ReferenceColumn(
        name=name,
        kind="numeric",
        n_rows=numbers.n_rows,
        bin_labels=(*intervals, *(f"= {value:.6g}" for value in lone_values), "not finite", "missing"),
        bin_counts=tuple(numeric_counts(edges, lone_values, numbers).tolist()),
        edges=edges,
        lone_values=lone_values,
        smallest=float(values[0]) if len(values) else None,
        largest=float(values[-1]) if len(values) else None,
        distribution=numbers.finite,
    )


def numeric_counts(edges: Sequence[float], lone_values: Sequence[float], numbers: Numbers) -> IntArray:
    """Rows by interval, lone value, not finite, missing."""
    finite = numbers.finite
    before, up_to = (
        finite.rows_before(np.searchsorted(finite.values, np.asarray([*edges[1:-1], *lone_values]), side=side))
        for side in ("left", "right")
    )
    n_inner = len(edges[1:-1])
    alone = up_to[n_inner:] - before[n_inner:]
    return cumulated(edges, lone_values, up_to[:n_inner], alone, finite.n, numbers.n_not_finite, numbers.n_missing)


def cumulated(
    edges: Sequence[float],
    lone_values: Sequence[float],
    up_to_edge: Sequence[int] | IntArray,
    alone: Sequence[int] | IntArray,
    n_finite: int,
    n_not_finite: int,
    n_missing: int,
) -> IntArray:
    """Rows by bin, of the finite rows up to each inner edge and those at each lone value."""
    in_interval = np.diff(up_to_edge, prepend=0, append=n_finite)
    for n, value in zip(alone, lone_values, strict=True):
        in_interval[np.searchsorted(edges[1:-1], value, side="left")] -= n
    return np.concatenate([in_interval, alone, [n_not_finite, n_missing]]).astype(np.int64)


def rows_outside(column: ReferenceColumn, finite: Distribution) -> int:
    """Finite values below the reference's smallest or above its largest; all of them where it holds none."""
    if column.smallest is None or column.largest is None:
        return finite.n
    inside = [
        np.searchsorted(finite.values, column.smallest, side="left"),
        np.searchsorted(finite.values, column.largest, side="right"),
    ]
    return finite.n - int(np.diff(finite.rows_before(np.asarray(inside)))[0])


def categorical_reference(name: str, counts: Mapping[str | None, int]) -> ReferenceColumn:
    """One bin for each frequent category of `counts` (rows by name; missing rows under None)."""
    n_rows, n_missing = sum(counts.values()), counts.get(None, 0)
    limit = max(RARE_SHARE * n_rows, RARE_ROWS)
    named = {category: count for category, count in counts.items() if category is not None}
    frequent = sorted((category for category, count in named.items() if count >= limit), key=lambda c: (-named[c], c))
    rare = frozenset(named) - frozenset(frequent)
    return ReferenceColumn(
        name=name,
        kind="categorical",
        n_rows=n_rows,
        bin_labels=(*frequent, "other", "new category", "missing"),
        bin_counts=(*(named[category] for category in frequent), sum(named[c] for c in rare), 0, n_missing),
        categories=tuple(frequent),
        rare_categories=rare,
        once_seen=sum(count == 1 for count in named.values()),
        twice_seen=sum(count == 2 for count in named.values()),
        tail_rows=n_rows,
    )


def categorical_counts(column: ReferenceColumn, counts: Mapping[str | None, int]) -> IntArray:
    """Rows by category, other, new category, missing."""
    position = bin_positions(column)
    new = len(column.categories) + 1
    result = np.zeros(len(column.bin_labels), dtype=np.int64)
    for category, count in counts.items():
        result[position.get(category, new)] += count
    return result


def bin_positions(column: ReferenceColumn) -> dict[str | None, int]:
    """The bin of every name that the reference knows, and of None (missing); any other name is a new category."""
    other, _, missing = (len(column.categories) + offset for offset in range(3))
    position: dict[str | None, int] = {category: index for index, category in enumerate(column.categories)}
    return position | dict.fromkeys(column.rare_categories, other) | {None: missing}


def missingness_reference(counts: Mapping[str | None, int]) -> ReferenceColumn:
    """The patterns of `missing_together` as a categorical column."""
    return categorical_reference(MISSINGNESS, counts)


def missing_together(names: Sequence[str]) -> str:
    """A pattern of nulls as text: the columns of a row that are missing."""
    return ", ".join(names) or "nothing missing"


def _numeric_bins(finite: Distribution, bins: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Edges and lone values of the finite reference values.

    A value with more than 1/bins of the mass would swallow a quantile bin and hide what moves inside it, so it stands
    alone. The remaining bins are quantiles of the rest; edges are observed values, which makes the bins follow
    any increasing transform of the column.
    """
    is_lone = finite.weights > finite.n / bins if finite.counts is not None or finite.n <= bins else np.zeros(0, bool)
    n_lone = int(np.count_nonzero(is_lone))
    rest = Distribution(finite.values[~is_lone], finite.weights[~is_lone]) if n_lone else finite
    inner: FloatArray = np.empty(0)
    if len(rest.values):
        # A thin rest is not cut into bins below the rare share: they would only add noise.
        n_bins = max(1, min(bins - n_lone, int(rest.n / finite.n / RARE_SHARE)))
        inner = np.unique(rest.at_ranks(-(-np.arange(1, n_bins) * rest.n // n_bins)))
        inner = inner[inner < rest.values[-1]]
    return (-np.inf, *inner.tolist(), np.inf), tuple(finite.values[is_lone].tolist() if n_lone else ())
