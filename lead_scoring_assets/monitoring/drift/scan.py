"""Counts of tables by groups of their rows, read by DuckDB as they lie: one pass, no frame, no sort. Same answers as
`reference.py`; of one group `row_by_row.count_window` gives them for less.

Bins are counted by `count_if(x <= edge)`: `count(*) FILTER` is many times slower, and `histogram` of text has no bound on
its memory. A column that cannot be read is told as a problem and stops none of the others.
"""

from collections.abc import Sequence

import duckdb
import numpy as np
import pyarrow as pa

from lead_scoring_assets.lakehouse.names import quoted
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.monitoring.drift.binning import bin_positions, categorical_counts, cumulated, missing_together
from lead_scoring_assets.monitoring.drift.columns import Rows
from lead_scoring_assets.monitoring.drift.counts import Counts
from lead_scoring_assets.monitoring.drift.problems import absent, uncounted, unreadable
from lead_scoring_assets.monitoring.drift.reference_state import MISSINGNESS, ReferenceColumn, ReferenceState
from lead_scoring_assets.monitoring.drift.sql_columns import as_category, as_number, is_missing, rows_counted

Group = tuple[str | None, ...]
Found = dict[Group, dict[str, tuple[int, ...]]]
"""For each group of rows, the rows by bin of each feature that could be counted."""

_PATTERN_BITS = 60


def count_rows(reference: ReferenceState, rows: Rows, by: Sequence[str] = ()) -> dict[Group, Counts]:
    """The rows in the bins of `reference`, for each group of `by`; one group `()` without. Empty groups are not there."""
    problems = absent(reference, rows.schema.names)
    columns = [column for column in reference.columns if column.name not in problems]
    keys = [quoted(name) for name in by]
    found = query(f"SELECT {', '.join([*keys, 'count(*)'])} FROM rows GROUP BY ALL", {"rows": rows})  # noqa: S608
    n_rows = {tuple(group): n for *group, n in zip(*(column.to_pylist() for column in found.columns), strict=True)}
    bins: Found = {group: {} for group in n_rows}
    outside: dict[Group, dict[str, int]] = {group: {} for group in n_rows}
    numeric = [column for column in columns if column.kind == "numeric"]
    try:
        count_numbers(numeric, rows, keys, bins, outside)
    except duckdb.Error:  # one column spoils the statement of all: each on its own
        for column in numeric:
            try:
                count_numbers([column], rows, keys, bins, outside)
            except duckdb.Error as problem:
                problems[column.name] = unreadable(column, str(problem))
    for column in columns:
        if column.kind == "categorical":
            try:
                count_categories(column, rows, keys, bins)
            except duckdb.Error as problem:
                problems[column.name] = unreadable(column, str(problem))
    if reference.missingness is not None:
        if problems:
            problems[MISSINGNESS] = uncounted(problems)
        else:
            _count_patterns(reference.missingness, [column.name for column in columns], rows, keys, bins)
    return {group: Counts(n, bins[group], outside[group], problems) for group, n in n_rows.items()}


def named(group: str | None) -> str:
    """A group's name; rows without one are a group of their own."""
    return "missing" if group is None else group


def count_numbers(
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
    as_numbers = [f"{as_number(rows, column.name)} AS x{place}" for place, column in enumerate(columns)]
    source = f"(SELECT {', '.join([*keys, *as_numbers])} FROM rows)"  # noqa: S608  # quoted names
    groups = f" GROUP BY {', '.join(keys)}" if keys else ""
    found = query(f"SELECT {', '.join([*keys, *asked])} FROM {source}{groups}", {"rows": rows}, values)  # noqa: S608
    for row in zip(*(column.to_pylist() for column in found.columns), strict=True):
        group, answers = tuple(row[: len(keys)]), map(rows_counted, row[len(keys) :])
        n = next(answers)
        if group not in bins:  # of no row at all
            continue
        for column in columns:
            missing, low, high = next(answers), next(answers), next(answers)
            alone = [next(answers) for _ in column.lone_values]
            below, up_to_largest = next(answers), next(answers)
            finite = n - missing - low - high
            up_to = [next(answers) - low for _ in column.edges[1:-1]]
            rows_by_bin = cumulated(column.edges, column.lone_values, up_to, alone, finite, low + high, missing)
            bins[group][column.name] = tuple(rows_by_bin.tolist())
            is_known = column.smallest is not None
            outside[group][column.name] = (below - low) + (finite - (up_to_largest - low)) if is_known else finite


def count_categories(column: ReferenceColumn, rows: Rows, keys: Sequence[str], bins: Found) -> None:
    """Names are brought to their bins by a join, so that a hundred thousand new ones are never listed."""
    positions = bin_positions(column)
    missing, new = positions.pop(None), len(column.categories) + 1
    known = pa.table({"name": list(positions), "bin": list(positions.values())}, _KNOWN)
    source = f"SELECT {', '.join([*keys, f'{as_category(rows, column.name)} AS name, count(*) AS n'])} FROM rows GROUP BY ALL"  # noqa: S608
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
    patterns = missing_patterns(rows, names, missing, keys) if len(missing) > 1 else {}
    for group, found in bins.items():
        n, alone = sum(found[names[0]]), sum(found[name][-1] for name in missing)
        counts = patterns.get(group, {missing_together(missing): alone, missing_together([]): n - alone})
        found[MISSINGNESS] = tuple(categorical_counts(missingness, counts).tolist())


def missing_patterns(
    rows: Rows, names: Sequence[str], missing: Sequence[str], keys: Sequence[str]
) -> dict[Group, dict[str | None, int]]:
    """Rows by the columns of `missing` that are missing in them together, for each group."""
    numbered = {name: place for place, name in enumerate(missing)}
    words = [missing[start : start + _PATTERN_BITS] for start in range(0, len(missing), _PATTERN_BITS)]
    masks = [
        " + ".join(
            f"CASE WHEN {is_missing(rows, name)} THEN {1 << (numbered[name] % _PATTERN_BITS)} ELSE 0 END"
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
