"""References and counts of tables, read by DuckDB as they lie: one pass, no frame, no sort. Same answers as `reference.py`.

Bins are counted by `count_if(x <= edge)`: `count(*) FILTER` is many times slower, and `histogram` of text has no bound on
its memory. A column that cannot be read is told as a problem and stops none of the others.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from lead_scoring_assets.lakehouse.names import quoted
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.monitoring.drift.binning import (
    Numbers,
    bin_positions,
    categorical_counts,
    categorical_reference,
    missing_together,
    missingness_reference,
    numeric_reference,
    refuse_bad_plan,
)
from lead_scoring_assets.monitoring.drift.counts import Counts
from lead_scoring_assets.monitoring.drift.exact import Distribution, ExactComparison, compare_exactly
from lead_scoring_assets.monitoring.drift.reference_state import MISSINGNESS, ReferenceColumn, ReferenceState

Rows = Any  # an Arrow table, or what `Lakehouse.scan` gives
Group = tuple[str | None, ...]
Found = dict[Group, dict[str, tuple[int, ...]]]
"""For each group of rows, the rows by bin of each feature that could be counted."""

_PATTERN_BITS = 60


def reference_of_rows(
    rows: Rows, numeric: Sequence[str], categorical: Sequence[str], *, segments: Sequence[str] = (), bins: int = 10
) -> ReferenceState:
    """Reduce a reference window to bins and counts; those of each group of `segments` (columns) as well.

    Raises
    ------
    ValueError : fewer than two bins, or a column that is listed twice.
    """
    refuse_bad_plan(numeric, categorical, bins)
    schema = rows.schema
    columns = [numeric_reference(name, _numbers(rows, name), bins) for name in numeric]
    columns += [categorical_reference(name, _categories(rows, name)) for name in categorical]
    n_rows = int(query("SELECT count(*) FROM rows", {"rows": rows})[0][0].as_py())
    names = [column.name for column in columns]
    is_whole = len(names) > 0 and all(name in schema.names for name in names)
    patterns = _patterns(rows, names, names, ()).get((), {}) if is_whole else {}
    whole = ReferenceState(n_rows, bins, tuple(columns), missingness_reference(patterns) if is_whole else None)
    groups = {
        segment: {named(group): counts for (group,), counts in count_rows(whole, rows, by=[segment]).items()}
        if segment in schema.names
        else {}
        for segment in segments
    }
    return ReferenceState(n_rows, bins, whole.columns, whole.missingness, groups)


def count_rows(reference: ReferenceState, rows: Rows, by: Sequence[str] = ()) -> dict[Group, Counts]:
    """The rows in the bins of `reference`, for each group of `by`; one group `()` without. Empty groups are not there."""
    names = rows.schema.names
    problems = {c.name: f"{c.name} is missing from the current data." for c in reference.columns if c.name not in names}
    columns = [column for column in reference.columns if column.name not in problems]
    keys = [quoted(name) for name in by]
    found = query(f"SELECT {', '.join([*keys, 'count(*)'])} FROM rows GROUP BY ALL", {"rows": rows})  # noqa: S608
    n_rows = {tuple(group): n for *group, n in zip(*(column.to_pylist() for column in found.columns), strict=True)}
    bins: Found = {group: {} for group in n_rows}
    outside: dict[Group, dict[str, int]] = {group: {} for group in n_rows}
    numeric = [column for column in columns if column.kind == "numeric"]
    try:
        _count_numbers(numeric, rows, keys, bins, outside)
    except duckdb.Error:  # one column spoils the statement of all: each on its own
        for column in numeric:
            try:
                _count_numbers([column], rows, keys, bins, outside)
            except duckdb.Error as problem:
                problems[column.name] = _told(column, problem)
    for column in columns:
        if column.kind == "categorical":
            try:
                _count_categories(column, rows, keys, bins)
            except duckdb.Error as problem:
                problems[column.name] = _told(column, problem)
    if reference.missingness is not None:
        if problems:
            problems[MISSINGNESS] = f"These columns could not be counted: {', '.join(problems)}."
        else:
            _count_patterns(reference.missingness, [column.name for column in columns], rows, keys, bins)
    return {group: Counts(n, bins[group], outside[group], problems) for group, n in n_rows.items()}


def named(group: str | None) -> str:
    """A group's name; rows without one are a group of their own."""
    return "missing" if group is None else group


def compare_rows(reference: ReferenceState, rows: Rows) -> dict[str, ExactComparison]:
    """Numeric columns compared row by row, one column in memory at a time, where both windows hold finite values."""
    compared = {}
    for column in reference.columns:
        if column.kind == "numeric" and column.name in rows.schema.names:
            try:
                compared[column.name] = compare_exactly(column.distribution, _finite(rows, column.name))
            except duckdb.Error:  # told by `count_rows`
                continue
    return {name: found for name, found in compared.items() if found}


def _count_numbers(
    columns: Sequence[ReferenceColumn],
    rows: Rows,
    keys: Sequence[str],
    bins: Found,
    outside: dict[Group, dict[str, int]],
) -> None:
    """Each column by cumulative counts; infinities are told apart afterwards, because they too lie beside an edge."""
    asked, values = ["count(*)"], list[float]()

    def ask(condition: str, *bound: float) -> None:
        asked.append(f"count_if({condition.replace('?', f'${len(values) + 1}')})")
        values.extend(bound)

    for place, column in enumerate(columns):
        x = f"x{place}"
        ask(f"{x} IS NULL OR isnan({x})")
        ask(f"{x} = '-infinity'")
        ask(f"{x} = 'infinity'")
        for value in column.lone_values:
            ask(f"{x} = ?", value)
        ask(f"{x} < ?", np.inf if column.smallest is None else column.smallest)
        ask(f"{x} <= ?", -np.inf if column.largest is None else column.largest)
        for edge in column.edges[1:-1]:
            ask(f"{x} <= ?", edge)
    as_numbers = [f"{_number(rows, column.name)} AS x{place}" for place, column in enumerate(columns)]
    source = f"(SELECT {', '.join([*keys, *as_numbers])} FROM rows)"  # noqa: S608  # quoted names
    groups = f" GROUP BY {', '.join(keys)}" if keys else ""
    found = query(f"SELECT {', '.join([*keys, *asked])} FROM {source}{groups}", {"rows": rows}, values)  # noqa: S608
    for row in zip(*(column.to_pylist() for column in found.columns), strict=True):
        group, answers = tuple(row[: len(keys)]), map(_rows_counted, row[len(keys) :])
        n = next(answers)
        if group not in bins:  # of no row at all
            continue
        for column in columns:
            missing, low, high = next(answers), next(answers), next(answers)
            alone = [next(answers) for _ in column.lone_values]
            below, up_to_largest = next(answers), next(answers)
            finite = n - missing - low - high
            up_to = [0, *(next(answers) - low for _ in column.edges[1:-1]), finite]
            in_interval = np.diff(up_to)
            for count, value in zip(alone, column.lone_values, strict=True):
                in_interval[np.searchsorted(column.edges[1:-1], value, side="left")] -= count
            bins[group][column.name] = (*in_interval.tolist(), *alone, low + high, missing)
            is_known = column.smallest is not None
            outside[group][column.name] = (below - low) + (finite - (up_to_largest - low)) if is_known else finite


def _count_categories(column: ReferenceColumn, rows: Rows, keys: Sequence[str], bins: Found) -> None:
    """Names are brought to their bins by a join, so that a hundred thousand new ones are never listed."""
    positions = bin_positions(column)
    missing, new = positions.pop(None), len(column.categories) + 1
    known = pa.table({"name": list(positions), "bin": list(positions.values())}, _KNOWN)
    source = (
        f"SELECT {', '.join([*keys, f'{_category(rows, column.name)} AS name, count(*) AS n'])} FROM rows GROUP BY ALL"  # noqa: S608
    )
    place = f"CASE WHEN counted.name IS NULL THEN {missing} ELSE coalesce(known.bin, {new}) END"
    told = ", ".join([*(f"counted.{key}" for key in keys), f"{place} AS bin", "sum(n)::BIGINT AS n"])
    found = query(
        f"SELECT {told} FROM ({source}) counted LEFT JOIN known USING (name) GROUP BY ALL",  # noqa: S608
        {"rows": rows, "known": known},
    )
    counted = {group: np.zeros(len(column.bin_labels), dtype=np.int64) for group in bins}
    for *group, position, n in zip(*(answer.to_pylist() for answer in found.columns), strict=True):
        counted[tuple(group)][position] += n
    for each, by_bin in counted.items():
        bins[each][column.name] = tuple(by_bin.tolist())


_KNOWN = pa.schema([("name", pa.string()), ("bin", pa.int64())])


def _count_patterns(
    missingness: ReferenceColumn, names: Sequence[str], rows: Rows, keys: Sequence[str], bins: Found
) -> None:
    """Only columns in which something is missing are looked at once more, and only where that is more than one."""
    missing = [name for name in names if any(found[name][-1] for found in bins.values())]
    patterns = _patterns(rows, names, missing, keys) if len(missing) > 1 else {}
    for group, found in bins.items():
        n, alone = sum(found[names[0]]), sum(found[name][-1] for name in missing)
        counts = patterns.get(group, {missing_together(missing): alone, missing_together([]): n - alone})
        found[MISSINGNESS] = tuple(categorical_counts(missingness, counts).tolist())


def _patterns(
    rows: Rows, names: Sequence[str], missing: Sequence[str], keys: Sequence[str]
) -> dict[Group, dict[str | None, int]]:
    """Rows by the columns of `missing` that are missing in them together, for each group."""
    numbered = {name: place for place, name in enumerate(missing)}
    words = [missing[start : start + _PATTERN_BITS] for start in range(0, len(missing), _PATTERN_BITS)]
    masks = [
        " + ".join(
            f"CASE WHEN {_is_missing(rows, name)} THEN {1 << (numbered[name] % _PATTERN_BITS)} ELSE 0 END"
            for name in word
        )
        for word in words
    ]
    columns = [*keys, *(f"({mask})::BIGINT AS mask{place}" for place, mask in enumerate(masks)), "count(*)"]
    found = query(f"SELECT {', '.join(columns)} FROM rows GROUP BY ALL", {"rows": rows})  # noqa: S608
    result: dict[Group, dict[str | None, int]] = {}
    for row in zip(*(column.to_pylist() for column in found.columns), strict=True):
        group, bits, n = tuple(row[: len(keys)]), row[len(keys) : -1], row[-1]
        together = [name for name in names if name in numbered and _has(bits, numbered[name])]
        if n:
            result.setdefault(group, {})[missing_together(together)] = n
    return result


def _has(words: Sequence[int], place: int) -> bool:
    word, bit = divmod(place, _PATTERN_BITS)
    return bool(words[word] >> bit & 1)


def _numbers(rows: Rows, name: str) -> Numbers:
    """The values of a column; none where the rows have no such column."""
    if name not in rows.schema.names:
        return Numbers(Distribution(), 0, 0)
    expression = _number(rows, name)
    counted = query(
        f"SELECT count_if(x IS NULL OR isnan(x)), count_if(isinf(x)) FROM (SELECT {expression} AS x FROM rows)",  # noqa: S608
        {"rows": rows},
    )
    missing, not_finite = (_rows_counted(column[0].as_py()) for column in counted.columns)
    return Numbers(_finite(rows, name), not_finite, missing)


def _finite(rows: Rows, name: str) -> Distribution:
    expression = _number(rows, name)
    found = query(f"SELECT x FROM (SELECT {expression} AS x FROM rows) WHERE isfinite(x)", {"rows": rows})  # noqa: S608
    return Distribution.of(found["x"].to_numpy())


def _categories(rows: Rows, name: str) -> Mapping[str | None, int]:
    if name not in rows.schema.names:
        return {}
    found = query(f"SELECT {_category(rows, name)} AS name, count(*) AS n FROM rows GROUP BY ALL", {"rows": rows})  # noqa: S608
    return dict(zip(found["name"].to_pylist(), found["n"].to_pylist(), strict=True))


def _rows_counted(told: Decimal | int | None) -> int:
    """`count_if` gives a decimal, and of no row at all NULL. To cast a hundred of them in SQL takes longer to plan."""
    return int(told or 0)


def _number(rows: Rows, name: str) -> str:
    """SQL of a column as DOUBLE: NULL or NaN where nothing is there, infinite where it is no finite number."""
    kind, column = rows.schema.field(name).type, quoted(name)
    if (
        pa.types.is_floating(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_boolean(kind)
    ):
        return f"{column}::DOUBLE"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        as_number = f"TRY_CAST({column} AS DOUBLE)"
        is_number = f"{as_number} IS NOT NULL AND NOT isnan({as_number})"
        return f"CASE WHEN {column} IS NULL THEN NULL WHEN {is_number} THEN {as_number} ELSE 'infinity'::DOUBLE END"
    return f"CASE WHEN {column} IS NOT NULL THEN 'infinity'::DOUBLE END"


def _category(rows: Rows, name: str) -> str:
    """SQL of a column as the name of a category. 3 and 3.0 are one."""
    kind, column = rows.schema.field(name).type, quoted(name)
    if pa.types.is_boolean(kind):
        return f"CASE WHEN {column} THEN 'True' WHEN NOT {column} THEN 'False' END"
    if pa.types.is_floating(kind):
        whole = f"regexp_replace({column}::VARCHAR, '\\.0$', '')"
        return f"CASE WHEN NOT isnan({column}) THEN {whole} END"
    return f"{column}::VARCHAR"


def _is_missing(rows: Rows, name: str) -> str:
    column = quoted(name)
    is_floating = pa.types.is_floating(rows.schema.field(name).type)
    return f"{column} IS NULL OR isnan({column})" if is_floating else f"{column} IS NULL"


def _told(column: ReferenceColumn, problem: duckdb.Error) -> str:
    return f"{column.name} cannot be read as {column.kind}: {str(problem).splitlines()[0]}"
