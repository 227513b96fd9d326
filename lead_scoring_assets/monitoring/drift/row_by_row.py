"""References of tables, and windows compared with them row by row: one column in memory at a time, and where
rows are only counted, a few thousand values of it. Same answers as `reference.py`; groups are counted by `scan.py`.

Arrow reads numbers and coded names. What else a column may hold goes through DuckDB, and so does what Arrow cannot read:
DuckDB tells why, and that stops none of the other columns.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from operator import attrgetter

import numpy as np
import pyarrow as pa

from lead_scoring_assets.monitoring.drift import columns
from lead_scoring_assets.monitoring.drift.binning import (
    Numbers,
    categorical_counts,
    categorical_reference,
    missing_together,
    missingness_reference,
    numeric_counts,
    numeric_reference,
    refuse_bad_plan,
    rows_outside,
)
from lead_scoring_assets.monitoring.drift.columns import Rows, UnreadableError
from lead_scoring_assets.monitoring.drift.counts import Counts
from lead_scoring_assets.monitoring.drift.distances import FloatArray
from lead_scoring_assets.monitoring.drift.distribution import Distribution
from lead_scoring_assets.monitoring.drift.exact import ExactComparison, compare_exactly
from lead_scoring_assets.monitoring.drift.problems import absent, uncounted, unreadable
from lead_scoring_assets.monitoring.drift.reference_state import MISSINGNESS, ReferenceColumn, ReferenceState

Values = Callable[[ReferenceColumn], Distribution]
"""Where the finite values of a reference column are."""

_HELD: Values = attrgetter("distribution")


def reference_of_rows(
    rows: Rows, numeric: Sequence[str], categorical: Sequence[str], *, segments: Sequence[str] = (), bins: int = 10
) -> ReferenceState:
    """Reduce a reference window to bins and counts; those of each group of `segments` (columns) as well.

    Raises
    ------
    ValueError : fewer than two bins, or a column that is listed twice.
    """
    refuse_bad_plan(numeric, categorical, bins)
    names, n_rows = rows.schema.names, columns.count(rows)
    nothing = Numbers(Distribution(), 0, 0)
    found = [
        numeric_reference(c, _numbers(rows, c, np.empty(n_rows)) if c in names else nothing, bins) for c in numeric
    ]
    found += [categorical_reference(c, _categories(rows, c) if c in names else {}) for c in categorical]
    is_whole = len(found) > 0 and all(column.name in names for column in found)
    patterns = _patterns(rows, {column.name: column.n_missing for column in found}, n_rows) if is_whole else {}
    whole = ReferenceState(n_rows, bins, tuple(found), missingness_reference(patterns) if is_whole else None)
    return replace(whole, segments=_by_group(whole, rows, segments)) if segments else whole


def compare_rows(reference: ReferenceState, rows: Rows, values: Values = _HELD) -> dict[str, ExactComparison]:
    """Numeric columns compared row by row where both windows hold finite values."""
    compared, room = {}, np.empty(columns.count(rows))
    for column in reference.columns:
        if column.kind == "numeric" and column.name in rows.schema.names:
            with suppress(UnreadableError):  # told by whoever counts the rows
                compared[column.name] = compare_exactly(values(column), _numbers(rows, column.name, room).finite)
    return {name: found for name, found in compared.items() if found}


def read_rows(
    reference: ReferenceState, rows: Rows, values: Values = _HELD
) -> tuple[Counts, dict[str, ExactComparison]]:
    """`compare_rows`, and the counts of all rows as `scan.count_rows` gives them: what is sorted is as good as counted."""
    compared, room = {}, np.empty(columns.count(rows))

    def read(column: ReferenceColumn) -> tuple[tuple[int, ...], int]:
        numbers = _numbers(rows, column.name, room)
        compared[column.name] = compare_exactly(values(column), numbers.finite)
        bins = numeric_counts(column.edges, column.lone_values, numbers)
        return tuple(bins.tolist()), rows_outside(column, numbers.finite)

    counts = _counted(reference, rows, read)
    return counts, {name: found for name, found in compared.items() if found}


def count_window(reference: ReferenceState, rows: Rows) -> Counts:
    """`scan.count_rows` of all rows as one group: a column at a time, while Arrow reads it, and little of that in memory."""
    return _counted(reference, rows, lambda column: _number_counts(column, rows))


def _counted(
    reference: ReferenceState, rows: Rows, number_counts: Callable[[ReferenceColumn], tuple[tuple[int, ...], int]]
) -> Counts:
    """`number_counts`: a numeric column's rows by bin, and how many of its finite values lie outside the reference."""
    problems, n_rows = absent(reference, rows.schema.names), columns.count(rows)
    bins: dict[str, tuple[int, ...]] = {}
    outside: dict[str, int] = {}
    for column in reference.columns:
        if column.name in problems:
            continue
        try:
            if column.kind == "categorical":
                bins[column.name] = _category_counts(column, rows)
            else:
                bins[column.name], outside[column.name] = number_counts(column)
        except UnreadableError as problem:
            problems[column.name] = unreadable(column, str(problem))
    if reference.missingness is not None:
        if problems:
            problems[MISSINGNESS] = uncounted(problems)
        else:
            patterns = _patterns(rows, {name: counts[-1] for name, counts in bins.items()}, n_rows)
            bins[MISSINGNESS] = tuple(categorical_counts(reference.missingness, patterns).tolist())
    return Counts(n_rows, bins, outside, problems)


def _by_group(reference: ReferenceState, rows: Rows, segments: Sequence[str]) -> dict[str, dict[str, Counts]]:
    from lead_scoring_assets.monitoring.drift.scan import count_rows, named

    found: dict[str, dict[str, Counts]] = {segment: {} for segment in segments}
    for segment in found.keys() & set(rows.schema.names):
        for (group,), counts in count_rows(reference, rows, by=[segment]).items():
            found[segment][named(group)] = counts
    return found


def _numbers(rows: Rows, name: str, room: FloatArray) -> Numbers:
    if columns.are_numbers(rows.schema.field(name).type):
        with suppress(pa.ArrowException, OSError):
            return columns.numbers(rows, name, room)
    from lead_scoring_assets.monitoring.drift import queried  # brings DuckDB; most windows do without it

    return queried.numbers(rows, name)


def _categories(rows: Rows, name: str) -> Mapping[str | None, int]:
    if columns.are_coded(rows.schema.field(name).type):
        with suppress(pa.ArrowException, OSError, UnicodeDecodeError):
            return columns.names(rows, name)
    from lead_scoring_assets.monitoring.drift import queried

    return queried.names(rows, name)


def _number_counts(column: ReferenceColumn, rows: Rows) -> tuple[tuple[int, ...], int]:
    if columns.are_numbers(rows.schema.field(column.name).type):
        with suppress(pa.ArrowException, OSError):
            return columns.number_counts(column, rows)
    from lead_scoring_assets.monitoring.drift import queried

    return queried.number_counts(column, rows)


def _category_counts(column: ReferenceColumn, rows: Rows) -> tuple[int, ...]:
    if columns.are_coded(rows.schema.field(column.name).type):
        return tuple(categorical_counts(column, _categories(rows, column.name)).tolist())
    from lead_scoring_assets.monitoring.drift import queried

    return queried.category_counts(column, rows)


def _patterns(rows: Rows, n_missing: Mapping[str, int], n_rows: int) -> Mapping[str | None, int]:
    """Rows by what is missing in them together: looked at once more only where that may be more than one column."""
    missing = [name for name, n in n_missing.items() if n]
    if len(missing) > 1:
        kinds = [rows.schema.field(name).type for name in missing]
        are_read = all(columns.are_numbers(kind) or columns.are_coded(kind) for kind in kinds)
        if are_read and len(missing) <= columns.MOST_PATTERNS:
            with suppress(pa.ArrowException, OSError, UnicodeDecodeError):
                return columns.patterns(rows, list(n_missing), missing)
        from lead_scoring_assets.monitoring.drift import queried

        return queried.patterns(rows, list(n_missing), missing)
    alone = sum(n_missing.values())
    found = (missing_together(missing), alone), (missing_together([]), n_rows - alone)
    return {pattern: n for pattern, n in found if n}
