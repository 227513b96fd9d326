"""The landing folder: `landing/<entity>/<period>/*.csv`. Reads files into rows of text with their position; a file or
row that cannot be read is told apart with its reason. What the columns mean is not known here.

A row may span lines, inside quotes. What cannot be read as a row costs its first line only, and reading goes on with
the next line: a forgotten quote would otherwise swallow every row up to the next one. So each line that is not blank
lies in exactly one row or one `Unreadable`.
"""

import csv
import hashlib
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pandas as pd

Entity = Literal["leads", "outcomes"]
ENTITIES: tuple[Entity, ...] = ("leads", "outcomes")

MAXIMUM_FILE_BYTES = 2 * 1024**3
_OTHER_DELIMITERS = {";": "semicolon", "\t": "tab", "|": "bar"}
_MAXIMUM_LINES_OF_A_ROW = 1_000
_NOT_UTF8 = re.compile("[\udc80-\udcff]")  # how undecodable bytes come out of `surrogateescape`
_SHOWN_CHARACTERS = 2_000


@dataclass(frozen=True)
class Unreadable:
    """One line that is not a row: its number (from 1), why, and its text."""

    line: int
    reason: str
    text: str


@dataclass(frozen=True)
class LandedFile:
    """One file as read. `rows` holds texts, indexed by the line on which each begins; `raw` has them as they were."""

    name: str
    sha256: str
    size_bytes: int
    rows: pd.DataFrame
    raw: Mapping[int, str] = field(default_factory=dict)
    unreadable: list[Unreadable] = field(default_factory=list)
    problem: str | None = None
    note: str | None = None

    @property
    def rows_in(self) -> int:
        return len(self.rows) + len(self.unreadable)


def landed_files(landing: Path, entity: Entity, period: str) -> list[Path]:
    """Files of one period in order of name; names that start with a dot are still being written."""
    folder = landing / entity / period
    return sorted(p for p in folder.glob("*") if p.is_file() and not p.name.startswith(".")) if folder.is_dir() else []


def landed_periods(landing: Path) -> list[str]:
    """Names of the period folders that exist for any entity, in order."""
    folders = [landing / entity for entity in ENTITIES if (landing / entity).is_dir()]
    return sorted({p.name for folder in folders for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")})


def stray_files(landing: Path) -> list[str]:
    """Files that lie anywhere but directly in an entity's period folder, where nothing reads them."""
    found = [p.relative_to(landing) for p in landing.rglob("*") if p.is_file()]
    return sorted(
        _printable(str(p))
        for p in found
        if not any(part.startswith(".") for part in p.parts) and not (len(p.parts) == 3 and p.parts[0] in ENTITIES)
    )


def read_landed_file(path: Path, required: Sequence[str], optional: Sequence[str]) -> LandedFile:
    """Read a CSV file (RFC 4180, comma, UTF-8) that must have the `required` columns. Never raises for its content."""
    name = _printable(f"{path.parent.parent.name}/{path.parent.name}/{path.name}")
    size = path.stat().st_size
    nothing = pd.DataFrame(columns=[*required, *optional], dtype="string")

    def refused(problem: str, digest: str, unreadable: list[Unreadable] | None = None) -> LandedFile:
        return LandedFile(name, digest, size, nothing, unreadable=unreadable or [], problem=f"{name}: {problem}")

    if size > MAXIMUM_FILE_BYTES:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return refused(f"has {size:,} bytes, more than the limit of {MAXIMUM_FILE_BYTES:,}; split it", digest)
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if path.suffix.lower() != ".csv":
        ending = _printable(path.suffix) or "no ending"
        return refused(f"expected a .csv file, found {ending}; export as CSV, or remove the file", digest)
    text = content.decode("utf-8-sig", errors="surrogateescape")
    # Not str.splitlines: it also breaks at characters that may stand inside a cell, such as U+2028.
    lines = list(io.StringIO(text, newline=""))
    first = next((number for number, line in enumerate(lines) if line.strip()), None)
    if first is None:
        return refused("is empty: expected a header line with the columns " + ", ".join(required), digest)
    head = _record(lines, first, 0)
    header = [cell.strip() for cell in head.cells]
    if problem := _header_problem(header, head, required):
        rest = enumerate(lines[first + 1 :], start=first + 2)
        return refused(
            problem, digest, [Unreadable(number, problem, _shown(line)) for number, line in rest if line.strip()]
        )

    wanted = [column for column in (*required, *optional) if column in header]
    positions = [header.index(column) for column in wanted]
    good: dict[int, list[str]] = {}
    raw: dict[int, str] = {}
    unreadable: list[Unreadable] = []
    for record in _records(lines, first + head.lines, len(header)):
        if record.fault:
            unreadable.append(Unreadable(record.line, record.fault, _shown(record.text)))
        else:
            good[record.line] = [record.cells[i] for i in positions]
            raw[record.line] = _shown(record.text)
    rows = pd.DataFrame.from_dict(good, orient="index", columns=wanted, dtype="string") if good else nothing
    return LandedFile(name, digest, size, rows, raw, unreadable, note=_note(name, header, wanted, lines))


@dataclass(frozen=True)
class _Record:
    line: int
    lines: int
    cells: list[str]
    text: str
    fault: str | None = None


def _records(lines: Sequence[str], start: int, fields: int) -> Iterator[_Record]:
    """Everything from `start` (counted from 0) on; one that is not a row of `fields` cells is a line with a fault."""
    at = start
    while at < len(lines):
        if not lines[at].strip():
            at += 1
            continue
        record = _record(lines, at, fields)
        at += record.lines
        yield record


def _record(lines: Sequence[str], at: int, fields: int) -> _Record:
    """The record that begins at `lines[at]`. `fields` 0: any number of them."""
    line = lines[at]
    # Quotes come in pairs: a line with an odd number of them goes on in the next.
    reader = csv.reader(lines[at : at + (_MAXIMUM_LINES_OF_A_ROW if line.count('"') % 2 else 1)], strict=True)
    try:
        cells = next(reader)
    except csv.Error as problem:
        unread = f"not readable as CSV ({problem}); is a quote missing, or the file cut off?"
        return _Record(at + 1, 1, [], line, unread)
    span = reader.line_num
    text = "".join(lines[at : at + span])
    fault = _fault(cells, text, fields)
    # A row inside a row: a quote is missing somewhere. Text that only looks like a row costs its record the same.
    if fault is None and fields and any(_is_row(inner, fields) for inner in lines[at + 1 : at + span - 1]):
        fault = "holds further rows inside quotes; is a quote missing?"
    return _Record(at + 1, 1, cells, line, fault) if fault else _Record(at + 1, span, cells, text)


def _is_row(line: str, fields: int) -> bool:
    try:
        return len(next(csv.reader([line], strict=True))) == fields
    except csv.Error:
        return False


def _fault(cells: list[str], text: str, fields: int) -> str | None:
    if "\0" in text:
        return "holds a NUL byte; the file is damaged, or not UTF-8 text"
    if _NOT_UTF8.search(text):
        return "not UTF-8 text; export the file as UTF-8"
    if fields and len(cells) != fields:
        return f"expected {fields} fields, found {len(cells)}; is the row cut off, or a quote missing?"
    return None


def _header_problem(header: list[str], head: _Record, required: Sequence[str]) -> str | None:
    if repeated := sorted({column for column in header if header.count(column) > 1}):
        return f"columns {repeated} occur more than once; rename or remove them"
    missing = [column for column in required if column not in header]
    if not missing:
        return head.fault
    for delimiter, spoken in _OTHER_DELIMITERS.items():
        if set(required) <= {cell.strip().strip('"') for cell in head.text.split(delimiter)}:
            return f"expected commas between the columns, found a {spoken}; export with commas"
    return (
        head.fault or f"columns {missing} are missing: expected {list(required)}, found {_printable(str(header))[:500]}"
    )


def _note(name: str, header: list[str], wanted: list[str], lines: Sequence[str]) -> str | None:
    notes = []
    if extra := [column for column in header if column not in wanted]:
        notes.append(f"columns {extra} are not in the contract and were not read")
    if not lines[-1].endswith(("\n", "\r")):
        notes.append("ends without a line break; the last row may be cut off")
    return f"{name}: " + "; ".join(notes) if notes else None


def _shown(text: str) -> str:
    return _printable(text.rstrip("\r\n"))[:_SHOWN_CHARACTERS]


def _printable(text: str) -> str:
    return text.encode("utf-8", errors="replace").decode("utf-8")
