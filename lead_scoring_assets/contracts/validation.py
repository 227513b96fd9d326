"""Rows of text against their contract, as DuckDB SQL: typed rows on one side, reasons on the other. Which file they came
from is not known here.

Forms are stricter than DuckDB's own casts, which take `24:00`, `1_000` and the year 0: a pattern guards each cast.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from lead_scoring_assets.contracts.columns import Column
from lead_scoring_assets.engine import connect
from lead_scoring_assets.errors import SettingsError

LINE = "source_line"
ARROW_TYPES: Mapping[str, pa.DataType] = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "category": pa.string(),
    "text": pa.string(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}
REASONS_SCHEMA = pa.schema([(LINE, pa.int64()), ("reason", pa.string())])

_DECIMAL = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
LARGEST_EXACT = 2**53 - 1  # above it two whole numbers are the same float
_SHOWN_CHARACTERS = 100
_FOUND = ", found "

_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_HOUR, _SIXTIETH = "(?:[01][0-9]|2[0-3])", "[0-5][0-9]"
_OFFSET = f"(?:Z|[+-]{_HOUR}(?::?{_SIXTIETH})?)"
# As nearly everything writes it; DuckDB casts these as they stand.
_PLAIN_TIME = rf"{_DAY}(?:[T ]{_HOUR}:{_SIXTIETH}(?::{_SIXTIETH}(?:\.[0-9]{{1,9}})?)?{_OFFSET}?)?"
# Also ISO 8601, and rewritten for DuckDB: without minutes, without colons, with a blank before the offset.
_OTHER_TIME = rf"({_DAY})[T ]({_HOUR})(?::?({_SIXTIETH})(?::?({_SIXTIETH})(\.[0-9]{{1,9}})?)?)? ?({_OFFSET})?"
_HAS_OFFSET = f"{_OFFSET}$"
# Outside, neither nanoseconds nor pandas can hold a time; a year such as 9999 stands for "never".
_EARLIEST, _LATEST = "1678-01-01", "2262-01-01"

_FORMS: Mapping[str, tuple[str, str]] = {"currency": ("[A-Z]{3}", "three capital letters such as AED")}
_GO_WITH: Mapping[str, str] = {"currency": "deal_value"}  # an amount says nothing without its currency


@dataclass(frozen=True)
class Validated:
    """`accepted`: the contract's columns, typed, after `source_line`. `reasons`: one sentence for each other line."""

    accepted: pa.Table
    reasons: pa.Table


@dataclass(frozen=True)
class _Rule:
    """One column as SQL: from its text `t<n>` by way of a `form` `c<n>` to its value `v<n>`, and what may be wrong with
    it, the worst first. `faults`: a condition and its sentence, which ends with "found " where the text found is added.
    """

    value: str
    form: str = "NULL"
    stored: str | None = None  # None: the value as it is
    faults: tuple[tuple[str, str], ...] = ()


def validate(
    rows: pa.Table, columns: Mapping[str, Column], *, time_zone: str = "UTC", time_format: str | None = None
) -> Validated:
    """Split `rows` (texts; empty means missing; `source_line` int64, unique) by their contract.

    A row with several faults names them all, in column order. Every input line is in exactly one of the two results,
    and both keep the order of the input. A time without an offset lies in `time_zone`. One that a change of clocks
    brings twice is the later of the two, so that nothing counts as known too early; one that clocks skipped is
    refused; a date alone is the first instant of its day there. Fractions beyond microseconds are cut.

    Raises:
        SettingsError: `time_zone` or `time_format` cannot be used.
    """
    rules = [
        _rule(n, name, column, columns, time_zone, time_format) for n, (name, column) in enumerate(columns.items())
    ]
    present = [n for n, name in enumerate(columns) if name in rows.column_names]
    names = list(columns)
    texts = pa.table({LINE: rows[LINE], **{f"t{n}": _stripped(rows[names[n]]) for n in present}})
    with connect() as connection:
        connection.register("texts", texts)
        found = connection.sql(_statement(rules, present)).to_arrow_table()
    schema = pa.schema([(LINE, pa.int64()), *arrow_schema(columns)])
    values = found.select([LINE, *(f"v{n}" for n in range(len(rules)))]).rename_columns(schema.names).cast(schema)
    is_bad = found["bad"]
    if not pc.any(is_bad).as_py():
        return Validated(values, REASONS_SCHEMA.empty_table())
    return Validated(
        values.filter(pc.invert(is_bad)), _reasons(found.filter(is_bad), texts.filter(is_bad), rules, present)
    )


def arrow_schema(columns: Mapping[str, Column]) -> pa.Schema:
    """The Arrow schema of validated rows."""
    return pa.schema([(name, ARROW_TYPES[column.kind]) for name, column in columns.items()])


def _stripped(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    texts = pc.utf8_trim_whitespace(texts.cast(pa.string()))
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def _statement(rules: list[_Rule], present: list[int]) -> str:
    """One pass: texts → forms → values → faults. A fault's number is its place among its column's, from 1; 0 is none."""
    absent = "".join(f", NULL::VARCHAR AS t{n}" for n in range(len(rules)) if n not in present)
    forms = "".join(f", {rule.form} AS c{n}" for n, rule in enumerate(rules))
    values = "".join(f", {rule.value} AS v{n}" for n, rule in enumerate(rules))
    faults = "".join(f", {_first_fault(rule)} AS f{n}" for n, rule in enumerate(rules))
    stored = "".join(f", {rule.stored or f'v{n}'} AS v{n}, f{n}" for n, rule in enumerate(rules))
    is_bad = " OR ".join(f"f{n} > 0" for n in range(len(rules))) or "false"
    return (
        f"WITH whole AS (SELECT *{absent} FROM texts), formed AS (SELECT *{forms} FROM whole), "  # noqa: S608  # quoted
        f"valued AS (SELECT *{values} FROM formed), judged AS (SELECT *{faults} FROM valued) "
        f"SELECT {LINE}{stored}, {is_bad} AS bad FROM judged"
    )


def _first_fault(rule: _Rule) -> str:
    cases = " ".join(f"WHEN {condition} THEN {at}" for at, (condition, _) in enumerate(rule.faults, 1))
    return f"CASE {cases} ELSE 0 END" if cases else "0"


def _reasons(found: pa.Table, texts: pa.Table, rules: list[_Rule], present: list[int]) -> pa.Table:
    """The faults of the few bad rows in words. Python writes them, because a found text is shown as Python's repr."""
    told: list[list[str]] = [[] for _ in range(found.num_rows)]
    for n, rule in enumerate(rules):
        cells = texts[f"t{n}"].to_pylist() if n in present else [None] * found.num_rows
        for row, (at, text) in enumerate(zip(found[f"f{n}"].to_pylist(), cells, strict=True)):
            if at:
                sentence = rule.faults[at - 1][1]
                told[row].append(sentence + _shown(text) if text and sentence.endswith(_FOUND) else sentence)
    return pa.table([found[LINE], pa.array(["; ".join(faults) for faults in told], pa.string())], schema=REASONS_SCHEMA)


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…")


def _rule(
    n: int, name: str, column: Column, columns: Mapping[str, Column], time_zone: str, time_format: str | None
) -> _Rule:
    text, value = f"t{n}", f"v{n}"
    partner = _GO_WITH.get(name) if column.kind == "text" else None
    partner = partner if partner in columns else None
    faults: list[tuple[str, str]] = []

    def blame(condition: str, expected: str) -> None:
        faults.append((condition, f"{name}: expected {expected}{_FOUND}"))

    if column.required:
        faults.append((f"{text} IS NULL", f"{name}: is required and empty"))
    elif partner is not None:
        given = f"t{list(columns).index(partner)} IS NOT NULL"
        faults.append((f"{text} IS NULL AND {given}", f"{name}: is required beside {partner} and empty"))
    if column.is_numeric:
        blame(f"{text} IS NOT NULL AND ({value} IS NULL OR NOT isfinite({value}))", "a number")
        if column.kind == "integer":
            blame(f"{value} <> floor({value})", "a whole number")
            blame(f"abs({value}) > {LARGEST_EXACT}", f"a whole number up to {LARGEST_EXACT:,}")
        if column.minimum is not None:
            blame(f"{value} < {_double(column.minimum)}", f"at least {column.minimum:g}")
        if column.maximum is not None:
            blame(f"{value} > {_double(column.maximum)}", f"at most {column.maximum:g}")
        return _Rule(
            value=f"CASE WHEN regexp_full_match({text}, {_quoted(_DECIMAL)}) THEN try_cast({text} AS DOUBLE) END",
            # Whole numbers that are too large are faults already; the cast must not stumble over them.
            stored=f"try_cast({value} AS BIGINT)" if column.kind == "integer" else None,
            faults=tuple(faults),
        )
    if column.kind == "timestamp":
        time = _zoned(n, time_zone) if time_format is None else _formatted(n, time_zone, time_format)
        out = f"{value} < TIMESTAMPTZ '{_EARLIEST}' OR {value} >= TIMESTAMPTZ '{_LATEST}'"
        blame(f"{text} IS NOT NULL AND ({value} IS NULL OR {out})", time.expected)
        if time.skipped is not None:
            blame(time.skipped, f"a time that exists in {time_zone}, whose clocks were put forward over it")
        return _Rule(value=time.value, form=time.form, faults=tuple(faults))
    if column.categories:
        allowed = ", ".join(_quoted(category) for category in column.categories)
        blame(f"{text} NOT IN ({allowed})", f"one of {', '.join(column.categories)}")
    elif partner is not None:
        form, expected = _FORMS[name]
        blame(f"NOT regexp_full_match({text}, {_quoted(form)})", expected)
    return _Rule(value=text, faults=tuple(faults))


@dataclass(frozen=True)
class _Time:
    """SQL of a time: its form, its value, when clocks skipped it (None: they do not), and what is expected."""

    form: str
    value: str
    skipped: str | None
    expected: str


def _zoned(n: int, time_zone: str) -> _Time:
    """ISO 8601."""
    text, form, value, zone = f"t{n}", f"c{n}", f"v{n}", _quoted(time_zone)
    _, day, hour, minute, second, fraction, offset = (
        f"regexp_extract({text}, {_quoted(f'^{_OTHER_TIME}$')}, {group})" for group in range(7)
    )
    rewritten = (
        f"{day} || ' ' || {hour} || ':' || coalesce(nullif({minute}, ''), '00') || ':' || "
        f"coalesce(nullif({second}, ''), '00') || {fraction} || {offset}"
    )
    formed = (
        f"CASE WHEN regexp_full_match({text}, {_quoted(_PLAIN_TIME)}) THEN {text} "
        f"WHEN regexp_full_match({text}, {_quoted(_OTHER_TIME)}) THEN {rewritten} END"
    )
    expected = "an ISO 8601 date or time"
    if time_zone == "UTC":
        return _Time(formed, f"try_cast({form} AS TIMESTAMPTZ)", None, expected)
    _require_zone(time_zone)
    has_offset = f"(length({form}) > 10 AND regexp_matches({form}, {_quoted(_HAS_OFFSET)}))"
    naive = f"try_cast({form} AS TIMESTAMP)"  # without looking at an offset
    return _Time(
        form=formed,
        value=f"CASE WHEN {has_offset} THEN try_cast({form} AS TIMESTAMPTZ) ELSE timezone({zone}, {naive}) END",
        skipped=f"length({text}) > 10 AND NOT {has_offset} AND timezone({zone}, {value}) <> {naive}",
        expected=expected,
    )


def _formatted(n: int, time_zone: str, time_format: str) -> _Time:
    """As strptime takes it; ISO 8601 as well, because files that know times (Parquet) come so whatever the others say."""
    example, has_offset = _try_format(time_format)
    naive, zone, value = f"try_strptime(t{n}, {_quoted(time_format)})", _quoted(time_zone), f"v{n}"
    expected = f"a time such as {example}"
    if time_zone != "UTC":
        _require_zone(time_zone)
    # A format that begins like ISO 8601 must not be helped out by it: 2024-31-05 and 2024-05-31 are two orders.
    iso = None if time_format.startswith("%Y") else _zoned(n, time_zone)
    form, otherwise = (iso.form, iso.value) if iso else ("NULL", "NULL")
    if has_offset:
        return _Time(form, f"coalesce({naive}, {otherwise})", None, expected)
    skipped = [f"timezone({zone}, {value}) <> {naive}"] if re.search("%[-]?[HIcXT]", time_format) else []
    skipped += [f"{naive} IS NULL AND {iso.skipped}"] if iso and iso.skipped else []
    told = " OR ".join(f"coalesce({each}, false)" for each in skipped) or None
    return _Time(form, f"coalesce(timezone({zone}, {naive}), {otherwise})", told, expected)


@lru_cache(maxsize=32)
def _try_format(time_format: str) -> tuple[str, bool]:
    """An example of the format, and whether it holds an offset."""
    try:
        with connect() as connection:
            (example,) = connection.execute(
                "SELECT strftime(TIMESTAMPTZ '2024-12-31 18:45:00+00', $1)", [time_format]
            ).fetchone() or (None,)
            (kind, read) = connection.execute(
                f"SELECT typeof(m), m FROM (SELECT strptime($1, {_quoted(time_format)}) AS m)",  # noqa: S608  # quoted
                [example],
            ).fetchone() or (None, None)
    except duckdb.Error as problem:
        raise SettingsError(
            f"sources: time_format {time_format!r} cannot be used ({problem}). Write it as strptime takes it, such as "
            "%d/%m/%Y %H:%M, with year, month and day."
        ) from None
    if read is None or (read.year, read.month, read.day) != (2024, 12, 31):
        raise SettingsError(f"sources: time_format {time_format!r} lacks the year, month or day, as in %d/%m/%Y %H:%M.")
    return str(example), kind == "TIMESTAMP WITH TIME ZONE"


@lru_cache(maxsize=32)
def _require_zone(time_zone: str) -> None:
    try:
        with connect() as connection:
            connection.execute("SELECT timezone($1, TIMESTAMP '2024-12-31')", [time_zone]).fetchone()
    except duckdb.Error as problem:
        raise SettingsError(
            f"sources.time_zone {time_zone!r} cannot be used ({problem}). Write it like Asia/Dubai or UTC."
        ) from None


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _double(number: float) -> str:
    return f"CAST('{number!r}' AS DOUBLE)"
