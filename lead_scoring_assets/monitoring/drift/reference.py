"""The reference window of a model, reduced to what drift is measured against: bins, counts, distinct values.
Built once per model, stored beside it as JSON. Distances and verdicts live in `drift.py`, not here."""

import json
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

ColumnKind = Literal["numeric", "categorical"]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

FORMAT_VERSION = 1

RARE_SHARE = 0.005
"""Categories below this share of the reference are pooled as "other"."""

RARE_ROWS = 10
"""Categories with fewer reference rows than this are pooled too. Categories are *chosen* by their reference count, so
those just above the limit look more frequent in the reference than they are. For many equal levels near a limit of
k rows this selection alone makes a PSI of about 0.64 / k between "other" and the rest; 10 keeps it under 0.10."""


def _empty_floats() -> FloatArray:
    return np.empty(0, dtype=np.float64)


def _empty_ints() -> IntArray:
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class ReferenceColumn:
    """Bins and counts of one column of the reference window.

    Numeric bins, in order: the intervals between `edges`, each `(lower, upper]`; one bin per lone value; not finite;
    missing. Categorical bins: one per category; other (rare in the reference); new category; missing.

    Attributes
    ----------
    edges : ascending, from -inf to +inf; empty for a categorical column.
    lone_values : values too frequent to share a bin; they never count in an interval.
    distinct_values, distinct_counts : the finite reference values, ascending, and how often each occurs.
    categories, rare_categories : names with a bin of their own, and names pooled as "other".
    once_seen, twice_seen : categories with exactly one and exactly two reference rows (for the Good-Turing estimate).
    """

    name: str
    kind: ColumnKind
    n_rows: int
    bin_labels: tuple[str, ...]
    bin_counts: tuple[int, ...]
    edges: tuple[float, ...] = ()
    lone_values: tuple[float, ...] = ()
    distinct_values: FloatArray = field(default_factory=_empty_floats, repr=False)
    distinct_counts: IntArray = field(default_factory=_empty_ints, repr=False)
    categories: tuple[str, ...] = ()
    rare_categories: frozenset[str] = frozenset()
    once_seen: int = 0
    twice_seen: int = 0

    @property
    def n_missing(self) -> int:
        """Reference rows without a value."""
        return self.bin_counts[-1]

    @property
    def n_usable(self) -> int:
        """Reference rows that say something about the column: finite numbers, or any category."""
        return int(self.distinct_counts.sum()) if self.kind == "numeric" else self.n_rows - self.n_missing

    @property
    def sorted_values(self) -> FloatArray:
        """The finite reference values, ascending, shape (n_finite,)."""
        return np.repeat(self.distinct_values, self.distinct_counts)


@dataclass(frozen=True, eq=False)
class ReferenceState:
    """All columns of one reference window. `bins` is the number of quantile bins that was asked for."""

    n_rows: int
    bins: int
    columns: tuple[ReferenceColumn, ...]

    def to_json(self) -> str:
        """Strict JSON (no Infinity or NaN); floats survive the round trip bit for bit."""
        content = {
            "format_version": FORMAT_VERSION,
            "n_rows": self.n_rows,
            "bins": self.bins,
            "columns": [_column_to_dict(column) for column in self.columns],
        }
        return json.dumps(content, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "ReferenceState":
        """Inverse of `to_json`. Raises ValueError for another format version."""
        content = json.loads(text)
        found = content.get("format_version")
        if found != FORMAT_VERSION:
            raise ValueError(
                f"The stored drift reference has format version {found}, this release reads {FORMAT_VERSION}: "
                "rebuild it from the model's training window."
            )
        columns = tuple(_column_from_dict(column) for column in content["columns"])
        return cls(n_rows=content["n_rows"], bins=content["bins"], columns=columns)


def build_reference(
    frame: pd.DataFrame, numeric: list[str], categorical: list[str], *, bins: int = 10
) -> ReferenceState:
    """Reduce a reference window to bins and counts.

    Parameters
    ----------
    frame : one row per lead; a listed column that is absent is kept as a column without values.
    numeric, categorical : column names, each in one list only.
    bins : quantile bins per numeric column before equal edges are merged, lone values included.

    Raises
    ------
    ValueError : fewer than two bins, or a column that is listed twice.
    """
    if bins < 2:
        raise ValueError(f"At least 2 bins are needed to see a shift, found bins={bins}.")
    names = [*numeric, *categorical]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"Each column is numeric or categorical, once; listed twice: {', '.join(twice)}.")
    columns = [_numeric_reference(name, single_column(frame, name), bins) for name in numeric]
    columns += [_categorical_reference(name, single_column(frame, name)) for name in categorical]
    return ReferenceState(n_rows=len(frame), bins=bins, columns=tuple(columns))


def single_column(frame: pd.DataFrame, name: str) -> "pd.Series[Any]":
    """The column, or an empty one where the frame has none or more than one of that name."""
    found = np.flatnonzero(frame.columns == name)
    return frame.iloc[:, found[0]] if len(found) == 1 else pd.Series([], dtype=object)


def bin_counts(column: ReferenceColumn, values: "pd.Series[Any]") -> IntArray:
    """Rows per bin of the reference, shape (len(column.bin_labels),). Every row falls into exactly one bin.

    Counts are additive: those of a month are the sum of those of its days.
    """
    if column.kind == "categorical":
        return _categorical_counts(column, category_counts(values))
    finite, n_not_finite, n_missing = split_numbers(values)
    return _numeric_counts(column.edges, column.lone_values, finite, n_not_finite, n_missing)


def split_numbers(values: "pd.Series[Any]") -> tuple[FloatArray, int, int]:
    """Finite values as float64, number of values that are not finite numbers (infinities, text), number missing."""
    n_missing = int(values.isna().sum())
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_complex_dtype(values):
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        numbers = np.array([_as_float(value) for value in values], dtype=np.float64)
    finite = numbers[np.isfinite(numbers)]
    return finite, len(values) - n_missing - len(finite), n_missing


def category_counts(values: "pd.Series[Any]") -> dict[str | None, int]:
    """Rows per category name; missing rows under None."""
    if pd.api.types.infer_dtype(values, skipna=True).startswith("mixed"):
        # Lists and dicts cannot be counted as they are; their text can.
        values = values.map(category_name, na_action="ignore")
    counts: dict[str | None, int] = {}
    for value, count in values.value_counts(dropna=True).items():
        if count:
            name = category_name(value)
            counts[name] = counts.get(name, 0) + int(count)
    n_missing = int(values.isna().sum())
    return {**counts, None: n_missing} if n_missing else counts


def category_name(value: Hashable) -> str:
    """Text of a category. 3 and 3.0 are one category: one null turns a column of whole numbers into floats."""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _as_float(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return float("nan")


def _numeric_reference(name: str, values: "pd.Series[Any]", bins: int) -> ReferenceColumn:
    finite, n_not_finite, n_missing = split_numbers(values)
    distinct, counts = np.unique(finite, return_counts=True)
    edges, lone_values = _numeric_bins(distinct, counts.astype(np.int64), bins)
    intervals = [f"({lower:.6g}, {upper:.6g}]" for lower, upper in pairwise(edges)]
    return ReferenceColumn(
        name=name,
        kind="numeric",
        n_rows=len(values),
        bin_labels=(*intervals, *(f"= {value:.6g}" for value in lone_values), "not finite", "missing"),
        bin_counts=tuple(_numeric_counts(edges, lone_values, finite, n_not_finite, n_missing).tolist()),
        edges=edges,
        lone_values=lone_values,
        distinct_values=distinct,
        distinct_counts=counts.astype(np.int64),
    )


def _numeric_bins(distinct: FloatArray, counts: IntArray, bins: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Edges and lone values of the finite reference values.

    A value with more than 1/bins of the mass would swallow a quantile bin and hide what moves inside it, so it stands
    alone. The remaining bins are quantiles of the rest; edges are observed values, which makes the bins follow
    any increasing transform of the column.
    """
    total = int(counts.sum())
    is_lone = counts > total / bins
    rest, rest_counts = distinct[~is_lone], counts[~is_lone]
    inner = _empty_floats()
    if len(rest):
        rest_total = int(rest_counts.sum())
        # A thin rest is not cut into bins below the rare share: they would only add noise.
        n_bins = max(1, min(bins - int(is_lone.sum()), int(rest_total / total / RARE_SHARE)))
        ranks = -(-np.arange(1, n_bins) * rest_total // n_bins)
        inner = np.unique(rest[np.searchsorted(np.cumsum(rest_counts), ranks, side="left")])
        inner = inner[inner < rest[-1]]
    return (-np.inf, *inner.tolist(), np.inf), tuple(distinct[is_lone].tolist())


def _numeric_counts(
    edges: Sequence[float], lone_values: Sequence[float], finite: FloatArray, n_not_finite: int, n_missing: int
) -> IntArray:
    interval = np.searchsorted(np.asarray(edges[1:-1]), finite, side="left")
    in_interval = np.bincount(interval, minlength=len(edges) - 1)
    alone = np.zeros(len(lone_values), dtype=np.int64)
    for position, value in enumerate(lone_values):
        alone[position] = np.count_nonzero(finite == value)
        in_interval[np.searchsorted(np.asarray(edges[1:-1]), value, side="left")] -= alone[position]
    return np.concatenate([in_interval, alone, [n_not_finite, n_missing]]).astype(np.int64)


def _categorical_reference(name: str, values: "pd.Series[Any]") -> ReferenceColumn:
    counts = category_counts(values)
    n_missing = counts.pop(None, 0)
    limit = max(RARE_SHARE * len(values), RARE_ROWS)
    named = {str(category): count for category, count in counts.items()}
    frequent = sorted((category for category, count in named.items() if count >= limit), key=lambda c: (-named[c], c))
    rare = frozenset(named) - frozenset(frequent)
    return ReferenceColumn(
        name=name,
        kind="categorical",
        n_rows=len(values),
        bin_labels=(*frequent, "other", "new category", "missing"),
        bin_counts=(*(named[category] for category in frequent), sum(named[c] for c in rare), 0, n_missing),
        categories=tuple(frequent),
        rare_categories=rare,
        once_seen=sum(count == 1 for count in named.values()),
        twice_seen=sum(count == 2 for count in named.values()),
    )


def _categorical_counts(column: ReferenceColumn, counts: dict[str | None, int]) -> IntArray:
    other, new, missing = (len(column.categories) + offset for offset in range(3))
    position: dict[str | None, int] = {category: index for index, category in enumerate(column.categories)}
    position |= dict.fromkeys(column.rare_categories, other)
    position[None] = missing
    result = np.zeros(len(column.bin_labels), dtype=np.int64)
    for category, count in counts.items():
        result[position.get(category, new)] += count
    return result


def _column_to_dict(column: ReferenceColumn) -> dict[str, object]:
    return {
        "name": column.name,
        "kind": column.kind,
        "n_rows": column.n_rows,
        "bin_labels": column.bin_labels,
        "bin_counts": column.bin_counts,
        # The outer edges are always infinite and JSON has no infinity.
        "inner_edges": column.edges[1:-1],
        "lone_values": column.lone_values,
        "distinct_values": column.distinct_values.tolist(),
        "distinct_counts": column.distinct_counts.tolist(),
        "categories": column.categories,
        "rare_categories": sorted(column.rare_categories),
        "once_seen": column.once_seen,
        "twice_seen": column.twice_seen,
    }


def _column_from_dict(content: dict[str, Any]) -> ReferenceColumn:
    is_numeric = content["kind"] == "numeric"
    return ReferenceColumn(
        name=content["name"],
        kind=content["kind"],
        n_rows=content["n_rows"],
        bin_labels=tuple(content["bin_labels"]),
        bin_counts=tuple(content["bin_counts"]),
        edges=(-np.inf, *content["inner_edges"], np.inf) if is_numeric else (),
        lone_values=tuple(content["lone_values"]),
        distinct_values=np.asarray(content["distinct_values"], dtype=np.float64),
        distinct_counts=np.asarray(content["distinct_counts"], dtype=np.int64),
        categories=tuple(content["categories"]),
        rare_categories=frozenset(content["rare_categories"]),
        once_seen=content["once_seen"],
        twice_seen=content["twice_seen"],
    )
