"""CSV (RFC 4180) as blocks of rows, each with the line on which it begins. What the columns mean is not known here.

A row may span lines, inside quotes. What cannot be read as a row costs its first line only, and reading goes on with
the next line: a forgotten quote would otherwise swallow every row up to the next one. So each line that is not blank
lies in exactly one row or one `Unreadable`.
"""

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lead_scoring_assets.leads.blocks import (
    LINE,
    MAXIMUM_CELL_CHARACTERS,
    MAXIMUM_UNREADABLE,
    Block,
    Told,
    Unreadable,
    no_rows,
    shown,
)
from lead_scoring_assets.leads.byte_streams import MAXIMUM_LINE_BYTES
from lead_scoring_assets.leads.csv_plain import plain_rows
from lead_scoring_assets.leads.headers import Wanted
from lead_scoring_assets.leads.lines import Lines, LineSource
from lead_scoring_assets.settings import Source

_SPOKEN = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_MAXIMUM_LINES_OF_A_ROW = 1_000
_PIECE_BYTES = 128 * 1024  # where a window is not plain, so many bytes at a time may still be
_NO_TEXT = re.compile("[\udc80-\udcff]")  # how undecodable bytes come out of `surrogateescape`


def csv_blocks(
    chunks: Iterator[bytes], wanted: Wanted, source: Source, told: Told, block_bytes: int, *, is_quick: bool = True
) -> Iterator[Block]:
    """Rows of UTF-8 chunks (whatever the file's own encoding). `is_quick` False: every line is looked at by itself."""
    lines_of = LineSource(chunks, block_bytes, told)
    found = _find_header(lines_of, source)
    if found is None:
        told.problem = told.problem or (
            "is empty: expected a header line with the columns " + ", ".join(wanted.required)
        )
        return
    lines, at, head = found
    if problem := _header_problem(head, lines.texts(at, at + 1)[0], wanted, source):
        told.problem = problem
        at, read = at + 1, _refuse_lines(problem)
    else:
        reader = _Reader([cell.strip() for cell in head.cells], wanted, source, is_quick)
        at, read = at + head.lines, reader.block
        if note := wanted.extra_note(reader.header):
            told.notes.append(note)
    while True:
        block, came_to = read(lines, at)
        if block.rows.num_rows or block.unreadable:
            yield block
        if at < came_to < len(lines):
            at = came_to
        elif lines.is_last:
            break
        else:
            lines, at = lines_of.more(lines, came_to), 0
    if lines_of.cut_off:
        yield no_rows([lines_of.cut_off])
    elif not lines_of.ends_with_break:
        told.notes.append("ends without a line break; the last row may be cut off")


@dataclass(frozen=True)
class _Record:
    lines: int
    cells: list[str]
    fault: str | None = None
    is_open: bool = False  # a quote was not closed in the lines at hand


def _record(texts: Sequence[str], fields: int, source: Source) -> _Record:
    """The record that begins with the first of `texts`, which are all it may span. `fields` 0: any number of them."""
    line = texts[0]
    if '"' not in line and len(line) <= MAXIMUM_CELL_CHARACTERS:
        cells, span = line.rstrip("\r\n").split(source.delimiter), 1
    else:
        # Quotes come in pairs: a line with an odd number of them goes on in the next.
        reader = csv.reader(texts if line.count('"') % 2 else texts[:1], delimiter=source.delimiter, strict=True)
        try:
            cells = next(reader)
        except csv.Error as problem:
            unread = f"not readable as CSV ({problem}); is a quote missing, or the file cut off?"
            return _Record(1, [], unread, is_open="unexpected end" in str(problem))
        span = reader.line_num
    # A row inside a row: a quote is missing somewhere. Text that only looks like a row costs its record the same.
    fault = _fault(cells, texts[0] if span == 1 else "".join(texts[:span]), fields, source.encoding.upper())
    if fault is None and fields and any(_is_row(inner, fields, source.delimiter) for inner in texts[1 : span - 1]):
        fault = "holds further rows inside quotes; is a quote missing?"
    return _Record(1 if fault else span, cells, fault)


def _is_row(line: str, fields: int, delimiter: str) -> bool:
    try:
        return len(next(csv.reader([line], delimiter=delimiter, strict=True))) == fields
    except csv.Error:
        return False


def _fault(cells: list[str], text: str, fields: int, encoding: str) -> str | None:
    if "\0" in text:
        return f"holds a NUL byte; the file is damaged, or not {encoding} text"
    if not text.isascii() and _NO_TEXT.search(text):
        return f"not {encoding} text; export the file as {encoding}"
    if fields and len(cells) != fields:
        return f"expected {fields} fields, found {len(cells)}; is the row cut off, or a quote missing?"
    return None


def _may_go_on(lines: Lines, at: int) -> bool:
    """Whether a record that begins in line `at` may reach beyond the lines at hand."""
    is_within = len(lines) - at < _MAXIMUM_LINES_OF_A_ROW and lines.size(at, len(lines)) < MAXIMUM_LINE_BYTES
    return not lines.is_last and is_within


def _stop(lines: Lines, at: int) -> int:
    """Behind the last line to which a record that begins in line `at` may reach."""
    return min(at + _MAXIMUM_LINES_OF_A_ROW, lines.within(at, MAXIMUM_LINE_BYTES))


def _find_header(lines_of: LineSource, source: Source) -> tuple[Lines, int, _Record] | None:
    """The window that holds the first line that is not blank, where it stands there, and what it says."""
    lines = lines_of.more()
    while True:
        at = lines.first_filled()
        if at is not None:
            cut = lines.cut_fault(at)
            head = _Record(1, [], cut) if cut else _record(lines.texts(at, _stop(lines, at)), 0, source)
            if not (head.is_open and _may_go_on(lines, at)):
                return lines, at, head
        elif lines.is_last:
            return None
        lines = lines_of.more(lines, len(lines) if at is None else at)


def _header_problem(head: _Record, text: str, wanted: Wanted, source: Source) -> str | None:
    header = [cell.strip() for cell in head.cells]
    if problem := wanted.repeated_problem(header):
        return problem
    problem = wanted.missing_problem(header)
    if not problem:
        return head.fault
    for other, spoken in _SPOKEN.items():
        cells = [cell.strip().strip('"') for cell in text.split(other)]
        if other != source.delimiter and not wanted.missing(wanted.ours(cells)):
            expected = _SPOKEN.get(source.delimiter, repr(source.delimiter))
            written = {"\t": r"\t"}.get(other, other)
            return (
                f"expected {expected}s between the columns, found a {spoken}; export with {expected}s, or set "
                f'sources.{wanted.entity}.delimiter to "{written}" in lead_scoring.yaml'
            )
    return head.fault or problem


def _refuse_lines(problem: str) -> Callable[[Lines, int], tuple[Block, int]]:
    """Every line that is not blank is named: it was meant to be a row, and its file says why it is none."""

    def block(lines: Lines, at: int) -> tuple[Block, int]:
        stop = min(len(lines), at + MAXIMUM_UNREADABLE)
        texts = enumerate(lines.texts(at, stop), start=lines.number(at))
        return no_rows([Unreadable(number, problem, shown(text)) for number, text in texts if text.strip()]), stop

    return block


class _Reader:
    """Reads windows of lines as rows under one header."""

    def __init__(self, header: list[str], wanted: Wanted, source: Source, is_quick: bool) -> None:
        self.header = header
        self._source, self._is_quick = source, is_quick
        ours = wanted.ours(header)
        self._names = wanted.found(ours)
        self._places = [ours.index(name) for name in self._names]
        self._columns = [name if name in self._names else None for name in ours]

    def block(self, lines: Lines, at: int) -> tuple[Block, int]:
        """Rows from line `at` on, and the line from which on nothing is decided before more lines are at hand."""
        tables: list[pa.Table] = []
        unreadable: list[Unreadable] = []
        spans: dict[int, int] = {}  # of the rows that span lines
        piece_bytes = len(lines.data)
        while at < len(lines) and len(unreadable) < MAXIMUM_UNREADABLE:
            stop = lines.within(at, piece_bytes)
            plain = plain_rows(lines, at, stop, self._columns, self._source.delimiter) if self._is_quick else None
            if plain is not None:
                tables.append(plain.select([LINE, *self._names]))
                at = stop
            elif self._is_quick and piece_bytes > _PIECE_BYTES:
                piece_bytes = _PIECE_BYTES
            else:
                table, at = self._careful(lines, at, stop, unreadable, spans)
                tables.append(table)
                if at < stop:
                    break
        empty = {LINE: pa.array([], pa.int64())} | {name: pa.array([], pa.string()) for name in self._names}
        rows = pa.concat_tables([pa.table(empty), *tables]).combine_chunks()

        def raw(number: int) -> str:
            row = number - lines.first
            return lines.shown(row, row + spans.get(row, 1))

        return Block(rows, raw, unreadable), at

    def _careful(
        self, lines: Lines, at: int, stop: int, unreadable: list[Unreadable], spans: dict[int, int]
    ) -> tuple[pa.Table, int]:
        """Rows that begin in the lines `at` to `stop`, line by line; and where it came to."""
        numbers: list[int] = []
        cells: list[tuple[str, ...]] = []  # not lists: those make the garbage collector work
        first, texts = at, lines.texts(at, min(stop + _MAXIMUM_LINES_OF_A_ROW, len(lines)))
        while at < stop:
            line = texts[at - first]
            if not line.strip() and self._source.delimiter not in line:
                at += 1
                continue
            if cut := lines.cut_fault(at):
                record = _Record(1, [], cut)
            else:
                window = texts[at - first : _stop(lines, at) - first] if '"' in line else [line]
                record = _record(window, len(self.header), self._source)
            if record.is_open and _may_go_on(lines, at):
                break
            if record.fault:
                unreadable.append(Unreadable(lines.number(at), record.fault, lines.shown(at, at + 1)))
            else:
                numbers.append(lines.number(at))
                cells.append(tuple(record.cells[place] for place in self._places))
                if record.lines > 1:
                    spans[at] = record.lines
            at += record.lines
        table = {LINE: pa.array(np.array(numbers, dtype="int64"))}
        columns = zip(*cells, strict=True) if cells else [()] * len(self._names)
        for name, column in zip(self._names, columns, strict=True):
            table[name] = pa.array(column, pa.string())
        return pa.table(table), at
