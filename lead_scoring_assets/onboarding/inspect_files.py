"""Looking at files as an export left them: encoding, delimiter, and what each column seems to hold. Nothing is judged
here; which column plays which part is `roles.py`'s affair."""

import codecs
import contextlib
import csv
import gzip
import io
import itertools
import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal, cast

import duckdb

from lead_scoring_assets.errors import SourceError
from lead_scoring_assets.lakehouse.names import quoted
from lead_scoring_assets.onboarding.times import TimeFormat, find_format, moment_sql
from lead_scoring_assets.onboarding.words import MISSING_WORDS

Kind = Literal["integer", "number", "time", "category", "text", "empty"]

_READ_ENDINGS = (".csv", ".csv.gz", ".txt", ".tsv", ".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz", ".parquet")
_DELIMITERS = (",", ";", "\t", "|")
_SNIFFED_CHARACTERS = 200_000
_BLOCK_BYTES = 1 << 20
_MOST_CATEGORIES = 50
_LONGEST_CATEGORY = 100
_WHOLE = "^[+-]?(0|[1-9][0-9]{0,14})$"
_DECIMAL = "^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]{1,2})?$"
_GROUPED = "^([A-Z]{3}|[$€£])? ?-?[0-9]{1,3}(,?[0-9]{3})*([.][0-9]+)? ?([A-Z]{3}|[$€£])?$"
_DECIMAL_COMMA = "^-?[0-9]+,[0-9]+$"
# Digits that are no quantity: +971…, 007. A single zero is a number.
_CODE = "^([+][0-9 ]{7,}|0[0-9])"


@dataclass(frozen=True)
class ColumnLook:
    """What one column seems to hold; counts are of rows, blanks around a value do not count.

    `values`: how often each value occurs, most frequent first, when there are few enough for a category; else empty.
    `low`, `high`: of numbers. `missing_words`: words in a column of numbers that mean "not there". `number_style`:
    grouped (1,200 or AED 1,200.50) or decimal_comma, when numbers have to be rewritten to be read as such.
    """

    name: str
    kind: Kind
    rows: int
    filled: int
    distinct: int
    values: Mapping[str, int]
    examples: Sequence[str]
    low: float | None = None
    high: float | None = None
    time: TimeFormat | None = None
    missing_words: Sequence[str] = ()
    number_style: Literal["plain", "grouped", "decimal_comma"] = "plain"
    is_code: bool = False
    formulas: int = 0

    @property
    def is_unique(self) -> bool:
        return self.filled == self.rows == self.distinct > 0


@dataclass(frozen=True)
class Export:
    """Files with the same columns, read as one table of texts.

    `reading`: the SQL that reads them, for a settings file. `table`: its name in the connection of `looking_at`.
    `copies`: files that only a copy in UTF-8 makes readable: where the copy belongs in a home → the file, its encoding.
    """

    paths: Sequence[Path]
    reading: str
    table: str
    rows: int
    columns: Mapping[str, ColumnLook]
    remarks: Sequence[str]
    copies: Mapping[str, tuple[Path, str]] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return ", ".join(path.name for path in self.paths)


@dataclass(frozen=True)
class _File:
    """One readable file: SQL that reads it for the settings, and now.

    `copy`: where a copy in UTF-8 belongs, and the encoding, when one is needed. `dialect`: encoding and delimiter of CSV.
    """

    path: Path
    call: str
    call_now: str
    remarks: Sequence[str] = ()
    copy: tuple[str, str] | None = None
    dialect: tuple[str, str] | None = None


@contextlib.contextmanager
def looking_at(paths: Sequence[Path]) -> Iterator[tuple[duckdb.DuckDBPyConnection, list[Export]]]:
    """The exports among `paths` (CSV, JSON lines, Parquet), and a DuckDB connection in which they are tables of texts.

    Raises:
        SourceError: a file is missing, empty, of another kind, has no column names, or cannot be read to its end.
    """
    if not paths:
        raise SourceError("no file is named: expected at least one export of leads (CSV, JSON lines or Parquet).")
    with duckdb.connect() as connection, tempfile.TemporaryDirectory() as scratch:
        connection.execute("SET TimeZone = 'UTC'")
        alike: dict[tuple[str, ...], list[_File]] = {}
        for position, path in enumerate(paths):
            file = _open(path, Path(scratch) / str(position))
            described = _run(connection, f"DESCRIBE SELECT * FROM {file.call_now}", file).fetchall()  # noqa: S608
            alike.setdefault(tuple(str(name) for name, *_ in described), []).append(file)
        yield (
            connection,
            [
                _export(connection, f"export_{position}", names, files)
                for position, (names, files) in enumerate(alike.items())
            ],
        )


def literal(text: str) -> str:
    """A text as SQL takes it."""
    return "'" + text.replace("'", "''") + "'"


def trimmed(name: str) -> str:
    """SQL: a column's text without the blanks around it; empty where there is none."""
    return f"coalesce(trim({quoted(name)}, ' \t\r\n\u00a0'), '')"


def _open(path: Path, scratch: Path) -> _File:
    name = path.name.casefold()
    if not path.is_file():
        raise SourceError(f"{path} does not exist, or is no file. Name the files of your export.")
    if not name.endswith(_READ_ENDINGS):
        hint = " Save the sheet as CSV UTF-8." if name.endswith((".xlsx", ".xls", ".ods")) else ""
        raise SourceError(f"{path}: expected a file that ends in one of {', '.join(_READ_ENDINGS)}.{hint}")
    where = literal(_verbatim(path))
    if name.endswith(".parquet"):
        return _File(path, f"read_parquet({where})", f"read_parquet({where})")
    if name.endswith((".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")):
        columns = ", ".join(f"{literal(key)}: 'VARCHAR'" for key in _keys(path))
        call = f"read_json({where}, format = 'newline_delimited', columns = {{{columns}}})"
        return _File(path, call, call)
    return _open_csv(path, scratch)


def _open_csv(path: Path, scratch: Path) -> _File:
    encoding, is_read_by_duckdb = _encoding(path)
    with _bytes(path) as stream:
        head = io.TextIOWrapper(stream, encoding, errors="replace", newline="")
        sample = head.read(_SNIFFED_CHARACTERS)
        head.detach()
    delimiter = _delimiter(sample)
    rows = csv.reader(lines := list(io.StringIO(sample, newline="")), delimiter=delimiter)
    header = next(rows, [])
    if not sample.strip():
        raise SourceError(f"{path} is empty: expected a line with column names, and rows.")
    numbers = sum(bool(re.fullmatch(r"\s*[+-]?[\d.,:/-]*\d[\d.,:/-]*\s*", cell)) for cell in header)
    if 2 * numbers >= len(header):
        raise SourceError(
            f"{path}: expected column names in the first line, found {header[:6]}. Export with a header line, or write "
            "one above the rows."
        )
    options = (
        f"delim = {literal(delimiter)}, header = true, all_varchar = true, quote = '\"', escape = '\"', comment = ''"
    )
    if any("\n" in cell or "\r" in cell for cell in header):
        # DuckDB guesses the line ends from the first break it meets, which here stands inside a name.
        last = lines[rows.line_num - 1]
        ending = last.removeprefix(last.rstrip("\r\n")).replace("\r", r"\r").replace("\n", r"\n")
        options += f", new_line = {literal(ending)}" if ending else ""
    if is_read_by_duckdb:
        more = ", encoding = 'latin-1'" if encoding == "cp1252" else ""
        call = f"read_csv({literal(_verbatim(path))}, {options}{more})"
        remarks = [f"{path.name} is read as Windows text (cp1252), which is a guess; prefer UTF-8."] if more else []
        return _File(path, call, call, remarks, dialect=(encoding, delimiter))
    target = f"exports/{path.name.removesuffix('.gz')}"
    copy_as_utf8(path, encoding, scratch)
    return _File(
        path,
        f"read_csv({literal(_verbatim(Path(target)))}, {options})",
        f"read_csv({literal(str(scratch))}, {options})",
        [
            (
                f"{path.name} is not UTF-8 (it seems to be {encoding}): a copy in UTF-8 is made as {target} in the new home, "
                "and the settings read that. Export as UTF-8 (Excel: CSV UTF-8) from now on, and name your file instead."
            )
        ],
        (target, encoding),
        (encoding, delimiter),
    )


def copy_as_utf8(path: Path, encoding: str, target: Path) -> None:
    """Write the text of `path` to `target` in UTF-8, block by block; what cannot be decoded becomes U+FFFD."""
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    with _bytes(path) as source, target.open("wb") as out:
        while block := source.read(_BLOCK_BYTES):
            out.write(decoder.decode(block).encode("utf-8", "replace"))
        out.write(decoder.decode(b"", final=True).encode("utf-8", "replace"))


@contextlib.contextmanager
def _bytes(path: Path) -> Iterator[IO[bytes]]:
    try:
        with gzip.open(path) if path.name.casefold().endswith(".gz") else path.open("rb") as stream:
            yield cast("IO[bytes]", stream)
    except (OSError, EOFError) as problem:
        raise SourceError(f"{path} cannot be read ({problem}). Is it damaged, or still being written?") from None


def _encoding(path: Path) -> tuple[str, bool]:
    """The encoding that a text file seems to have, and whether DuckDB reads it as it is."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    is_utf8, seen, neighbours, high, has_control = True, b"", 0, 0, False
    with _bytes(path) as stream:
        while block := stream.read(_BLOCK_BYTES):
            if not seen and block[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
                return "utf-16", False
            seen = block
            try:
                decoder.decode(block)
            except UnicodeDecodeError:
                is_utf8 = False
            if not is_utf8 or not block.isascii():
                high += sum(byte >= 0x80 for byte in block)
                neighbours += sum(one >= 0xC0 and other >= 0xC0 for one, other in itertools.pairwise(block))
                has_control |= any(0x80 <= byte <= 0x9F for byte in block)
    with contextlib.suppress(UnicodeDecodeError):
        decoder.decode(b"", final=True)
        if is_utf8:
            return "utf-8-sig", True
    # Letters of a Latin text with accents stand among plain ones; in an Arabic text each has one beside it.
    if neighbours > high / 2:
        return "cp1256", False
    return "cp1252", not has_control


def _delimiter(sample: str) -> str:
    """The delimiter by which most lines have the same number of cells, and more than one."""
    lines = list(io.StringIO(sample, newline=""))[:200]
    best, best_rank = ",", (0.0, 0)
    for delimiter in _DELIMITERS:
        with contextlib.suppress(csv.Error):
            widths = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
            if not widths or widths[0] < 2:
                continue
            rank = (sum(width == widths[0] for width in widths) / len(widths), widths[0])
            if rank > best_rank:
                best, best_rank = delimiter, rank
    return best


def _keys(path: Path) -> list[str]:
    """The keys of all objects of a file of JSON lines, in order of their first appearance."""
    keys: dict[str, None] = {}
    with _bytes(path) as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            try:
                found = json.loads(line)
            except ValueError:
                found = None
            if not isinstance(found, dict):
                raise SourceError(f"{path}: line {number} is no JSON object. Expected one object on each line.")
            keys.update(dict.fromkeys(found))
    if not keys:
        raise SourceError(f"{path} is empty: expected a JSON object on each line.")
    return list(keys)


def _run(connection: duckdb.DuckDBPyConnection, sql: str, file: _File) -> duckdb.DuckDBPyConnection:
    try:
        return connection.execute(sql)
    except duckdb.Error as problem:
        words = str(problem).split("\n\nLINE ")[0][:1_000]
        told = _ragged(file) or f"DuckDB says: {words}."
        raise SourceError(
            f"{file.path} cannot be read to its end: {told}\nMend the export; no row is left out silently."
        ) from None


def _ragged(file: _File) -> str | None:
    """The first line of a CSV file with another number of cells than its header, in words."""
    if file.dialect is None:
        return None
    encoding, delimiter = file.dialect
    with _bytes(file.path) as stream:
        rows = csv.reader(io.TextIOWrapper(stream, encoding, errors="replace", newline=""), delimiter=delimiter)
        with contextlib.suppress(csv.Error):
            expected = len(next(rows, []))
            for row in rows:
                if row and len(row) != expected:
                    return (
                        f"line {rows.line_num} has {len(row)} cells, and the header has {expected}. Is a quote missing?"
                    )
    return None


def _export(connection: duckdb.DuckDBPyConnection, table: str, names: Sequence[str], files: Sequence[_File]) -> Export:
    texts = ", ".join(f"CAST({quoted(name)} AS VARCHAR) AS {quoted(name)}" for name in names)
    now = " UNION ALL ".join(f"SELECT {texts} FROM {file.call_now}" for file in files)  # noqa: S608
    _run(connection, f"CREATE TEMP TABLE {table} AS {now}", files[0])
    calls = [file.call for file in files]
    reading = calls[0] if len(calls) == 1 else "(" + " UNION ALL ".join(f"SELECT * FROM {call}" for call in calls) + ")"  # noqa: S608
    (rows,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone() or (0,)  # noqa: S608
    if not rows:
        raise SourceError(f"{files[0].path} holds no rows, only column names. Expected an export with leads in it.")
    columns = {name: _look(connection, table, name, int(rows)) for name in names}
    remarks = [remark for file in files for remark in file.remarks]
    if formulas := [name for name, look in columns.items() if look.formulas and look.kind in ("text", "category")]:
        remarks.append(
            f"columns {formulas} hold cells that begin like a formula (= + - @): they are kept as text, word for word."
        )
    copies = {file.copy[0]: (file.path, file.copy[1]) for file in files if file.copy}
    return Export([file.path for file in files], reading, table, int(rows), columns, remarks, copies)


def _look(connection: duckdb.DuckDBPyConnection, table: str, name: str, rows: int) -> ColumnLook:
    v = trimmed(name)
    texts = f"(SELECT {v} AS v FROM {table})"  # noqa: S608  # a step inside: the table may have a column `v` itself
    nothing = ", ".join(map(literal, MISSING_WORDS))
    filled, distinct, worded, whole, decimal, grouped, comma, codes, formulas, longest = (
        int(value or 0)
        for value in connection.execute(
            f"""
            SELECT count(*), count(DISTINCT v), count_if(lower(v) IN ({nothing})),
                   count_if(regexp_matches(v, '{_WHOLE}')), count_if(regexp_matches(v, '{_DECIMAL}')),
                   count_if(regexp_matches(v, '{_GROUPED}')), count_if(regexp_matches(v, '{_DECIMAL_COMMA}')),
                   count_if(regexp_matches(v, '{_CODE}') AND NOT regexp_matches(v, '[.]')),
                   count_if(regexp_matches(v, '^[=+@-].*[^0-9.,eE+-]')), max(length(v))
            FROM {texts} WHERE v <> ''
            """  # noqa: S608  # names and values are quoted
        ).fetchall()[0]
    )
    values: dict[str, int] = {}
    if distinct <= _MOST_CATEGORIES and longest <= _LONGEST_CATEGORY:
        values = dict(
            connection.execute(
                f"SELECT v, count(*) AS n FROM {texts} WHERE v <> '' GROUP BY v ORDER BY n DESC, v"  # noqa: S608
            ).fetchall()
        )
    examples = [
        str(value)
        for (value,) in connection.execute(
            f"SELECT DISTINCT v FROM {texts} WHERE v <> '' ORDER BY md5(v) LIMIT 3"  # noqa: S608
        ).fetchall()
    ]

    def look(kind: Kind, **more: object) -> ColumnLook:
        return ColumnLook(name, kind, rows, filled, distinct, values, examples, formulas=formulas, **more)  # type: ignore[arg-type]

    numbers = filled - worded
    if not filled:
        return look("empty")
    if numbers and not codes and numbers in (whole, decimal, grouped, comma):
        style: Literal["plain", "grouped", "decimal_comma"] = (
            "plain" if numbers in (whole, decimal) else "grouped" if numbers == grouped else "decimal_comma"
        )
        low, high = connection.execute(
            f"SELECT min(n), max(n) FROM (SELECT try_cast({number_sql(v, style)} AS DOUBLE) AS n FROM {table})"  # noqa: S608
        ).fetchall()[0]
        words = [
            str(word)
            for (word,) in connection.execute(
                f"SELECT DISTINCT v FROM {texts} WHERE lower(v) IN ({nothing}) ORDER BY v"  # noqa: S608
            ).fetchall()
        ]
        is_day = low is not None and low >= 19_000_101 and high <= 21_001_231 and numbers == whole
        if not is_day or find_format(connection, table, v) is None:
            kind: Kind = "integer" if numbers == whole else "number"
            return look(kind, low=low, high=high, missing_words=words, number_style=style)
    if (form := find_format(connection, table, v)) is not None:
        return look("time", time=form)
    is_code = codes > filled / 2
    if values and (distinct <= max(10, rows / 5)) and not is_code:
        return look("category")
    return look("text", is_code=is_code)


def number_sql(text: str, style: str) -> str:
    """SQL: a text whose number is written in `style` as a plain one; empty where there is none."""
    if style == "grouped":
        return f"regexp_replace({text}, '[^0-9.-]', '', 'g')"
    return f"replace({text}, ',', '.')" if style == "decimal_comma" else text


def moments_sql(look: ColumnLook) -> str:
    """SQL: the column's times as TIMESTAMP; the column must be one of times."""
    if look.time is None:
        raise SourceError(f"column {look.name!r} holds no times")
    return moment_sql(trimmed(look.name), look.time)


def _verbatim(path: Path) -> str:
    """A path in which no character is a wildcard."""
    return "".join(f"[{character}]" if character in "*?[" else character for character in str(path))
