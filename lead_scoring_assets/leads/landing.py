"""The landing folder: `landing/<entity>/<period>/*.csv`. Reads files into rows of text with their position; a file or
row that cannot be read is told apart with its reason. What the columns mean is not known here."""

import csv
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pandas as pd

Entity = Literal["leads", "outcomes"]
ENTITIES: tuple[Entity, ...] = ("leads", "outcomes")

MAXIMUM_FILE_BYTES = 2 * 1024**3
_OTHER_DELIMITERS = {";": "semicolon", "\t": "tab", "|": "bar"}
_SHOWN_CHARACTERS = 2_000


@dataclass(frozen=True)
class Unreadable:
    """One record that is not a row: the line it starts on, why, and the text as far as it is known."""

    line: int
    reason: str
    text: str


@dataclass(frozen=True)
class LandedFile:
    """One file as read. `rows` holds texts, indexed by the line on which each record ends."""

    name: str
    sha256: str
    size_bytes: int
    rows: pd.DataFrame
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
    """Files that lie beside the period folders, where nothing reads them."""
    return sorted(
        str(p.relative_to(landing))
        for entity in ENTITIES
        for p in (landing / entity).glob("*")
        if p.is_file() and not p.name.startswith(".")
    )


def read_landed_file(path: Path, required: Sequence[str], optional: Sequence[str]) -> LandedFile:
    """Read a CSV file (RFC 4180, comma, UTF-8) that must have the `required` columns. Never raises for its content."""
    name = f"{path.parent.parent.name}/{path.parent.name}/{path.name}"
    size = path.stat().st_size
    nothing = pd.DataFrame(columns=[*required, *optional], dtype="string")

    def refused(problem: str, digest: str = "", unreadable: list[Unreadable] | None = None) -> LandedFile:
        return LandedFile(name, digest, size, nothing, unreadable or [], problem=f"{name}: {problem}")

    if path.suffix != ".csv":
        return refused(f"expected a .csv file, found {path.suffix or 'no ending'}; export as CSV, or remove the file")
    if size > MAXIMUM_FILE_BYTES:
        return refused(f"has {size:,} bytes, more than the limit of {MAXIMUM_FILE_BYTES:,}; split it")
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    text = content.decode("utf-8-sig", errors="surrogateescape")
    records = list(_records(text))
    if not records:
        return refused("is empty: expected a header line with the columns " + ", ".join(required), digest)
    header = [cell.strip() for cell in records[0].cells]
    if problem := _header_problem(header, text.splitlines()[0], required):
        return refused(problem, digest, [Unreadable(r.line, problem, r.text) for r in records[1:]])

    wanted = [column for column in (*required, *optional) if column in header]
    positions = [header.index(column) for column in wanted]
    good: dict[int, list[str]] = {}
    unreadable: list[Unreadable] = []
    for record in records[1:]:
        if reason := record.fault or _shape_fault(record.cells, len(header)):
            unreadable.append(Unreadable(record.line, reason, record.text))
        else:
            good[record.line] = [record.cells[i] for i in positions]
    rows = pd.DataFrame.from_dict(good, orient="index", columns=wanted, dtype="string") if good else nothing
    extra = [column for column in header if column not in wanted]
    note = f"{name}: columns {extra} are not in the contract and were not read" if extra else None
    return LandedFile(name, digest, size, rows, unreadable, note=note)


@dataclass(frozen=True)
class _Record:
    line: int
    cells: list[str]
    fault: str | None = None

    @property
    def text(self) -> str:
        return _printable(",".join(self.cells))[:_SHOWN_CHARACTERS]


def _records(text: str) -> Iterator[_Record]:
    """Records with the line on which each ends; what the CSV reader cannot take becomes a record with a fault."""
    reader = csv.reader(text.splitlines(keepends=True), strict=True)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as problem:
            yield _Record(reader.line_num, [], f"not readable as CSV ({problem}); is a quote missing, or the file cut off?")
            continue
        if cells:
            yield _Record(reader.line_num, cells)


def _header_problem(header: list[str], line: str, required: Sequence[str]) -> str | None:
    if repeated := sorted({column for column in header if header.count(column) > 1}):
        return f"columns {repeated} occur more than once; rename or remove them"
    missing = [column for column in required if column not in header]
    if not missing:
        return None
    for delimiter, spoken in _OTHER_DELIMITERS.items():
        if set(required) <= {cell.strip().strip('"') for cell in line.split(delimiter)}:
            return f"expected commas between the columns, found a {spoken}; export with commas"
    return f"columns {missing} are missing: expected {list(required)}, found {_printable(str(header))[:500]}"


def _shape_fault(cells: list[str], expected: int) -> str | None:
    if len(cells) != expected:
        return f"expected {expected} fields, found {len(cells)}; is the row cut off, or a quote missing?"
    if any("\udc80" <= character <= "\udcff" for cell in cells for character in cell):
        return "not UTF-8 text; export the file as UTF-8"
    return None


def _printable(text: str) -> str:
    return text.encode("utf-8", errors="replace").decode("utf-8")
