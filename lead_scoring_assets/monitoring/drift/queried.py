"""Columns of a table as DuckDB tells them, one at a time, whatever they hold: text and dates as numbers, anything as names.
What Arrow can read alone is read by `columns.py`, which takes less time and memory."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import duckdb

from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.monitoring.drift.binning import Numbers
from lead_scoring_assets.monitoring.drift.columns import Rows, UnreadableError
from lead_scoring_assets.monitoring.drift.distribution import Distribution
from lead_scoring_assets.monitoring.drift.reference_state import ReferenceColumn
from lead_scoring_assets.monitoring.drift.scan import Found, Group, count_categories, count_numbers, missing_patterns
from lead_scoring_assets.monitoring.drift.sql_columns import as_category, as_number, rows_counted


def numbers(rows: Rows, name: str) -> Numbers:
    """A column's finite values; what is there and no number counts as not finite."""
    source = f"(SELECT {as_number(rows, name)} AS x FROM rows)"  # noqa: S608
    asked = f"SELECT count_if(x IS NULL OR isnan(x)), count_if(isinf(x)) FROM {source}"  # noqa: S608
    with _telling():
        missing, not_finite = (rows_counted(found[0].as_py()) for found in query(asked, {"rows": rows}).columns)
        finite = query(f"SELECT x FROM {source} WHERE isfinite(x)", {"rows": rows})["x"]  # noqa: S608
    return Numbers(Distribution.of(finite.to_numpy()), not_finite, missing)


def names(rows: Rows, name: str) -> Mapping[str | None, int]:
    """Rows by name; those without a value under None."""
    asked = f"SELECT {as_category(rows, name)} AS name, count(*) AS n FROM rows GROUP BY ALL"  # noqa: S608
    with _telling():
        found = query(asked, {"rows": rows})
    return dict(zip(found["name"].to_pylist(), found["n"].to_pylist(), strict=True))


def number_counts(column: ReferenceColumn, rows: Rows) -> tuple[tuple[int, ...], int]:
    """Rows of a numeric column by bin, and finite values outside the reference, without holding a value."""
    found: Found = {(): {}}
    outside: dict[Group, dict[str, int]] = {(): {}}
    with _telling():
        count_numbers([column], rows, (), found, outside)
    return found[()][column.name], outside[()][column.name]


def category_counts(column: ReferenceColumn, rows: Rows) -> tuple[int, ...]:
    """Rows of a categorical column by bin, without a list of the names."""
    found: Found = {(): {}}
    with _telling():
        count_categories(column, rows, (), found)
    return found[()][column.name]


def patterns(rows: Rows, names: Sequence[str], missing: Sequence[str]) -> Mapping[str | None, int]:
    """Rows by the columns of `missing` that are missing in them together."""
    return missing_patterns(rows, names, missing, ()).get((), {})


@contextmanager
def _telling() -> Iterator[None]:
    try:
        yield
    except duckdb.Error as problem:
        raise UnreadableError(str(problem)) from problem
