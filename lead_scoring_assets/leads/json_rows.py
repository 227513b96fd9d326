"""JSON lines (one object each) as blocks of rows, each with its line. What the keys mean is not known here.

Numbers keep their digits as they are written; true and false become those words; null is missing. Keys may differ from
line to line. Each line that is not blank is one row or one `Unreadable`.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lead_scoring_assets.leads.blocks import (
    LINE,
    MAXIMUM_CELL_CHARACTERS,
    MAXIMUM_UNREADABLE,
    Block,
    Told,
    Unreadable,
    listed,
    no_rows,
)
from lead_scoring_assets.leads.headers import Wanted
from lead_scoring_assets.leads.lines import Lines, LineSource

_LINES_OF_A_BLOCK = 50_000
_MAXIMUM_KEYS = 1_000  # of those that nobody reads; more than that are not data
_HALF_A_CHARACTER = re.compile("[\ud800-\udfff]")
_ESCAPED_FAULT = re.compile(r"\\u(?:[dD][89a-fA-F]|0000)")
_WORDS = {True: "true", False: "false"}


class _FaultError(ValueError):
    """What is wrong with a line."""


def json_blocks(chunks: Iterator[bytes], wanted: Wanted, told: Told, block_bytes: int) -> Iterator[Block]:
    """Rows of UTF-8 chunks."""
    lines_of = LineSource(chunks, block_bytes, told)
    reader = _Reader(wanted)
    lines, at = lines_of.more(), 0
    while True:
        while at < len(lines):
            stop = min(at + _LINES_OF_A_BLOCK, len(lines))
            block, at = reader.block(lines, at, stop)
            if block.rows.num_rows or block.unreadable:
                yield block
        if lines.is_last:
            break
        lines, at = lines_of.more(lines, at), 0
    if lines_of.cut_off:
        yield no_rows([lines_of.cut_off])
    elif not reader.is_filled:
        told.notes.append("is empty")  # so is an export of nothing, which has no header that could be missing
    elif not lines_of.ends_with_break:
        told.notes.append("ends without a line break; the last row may be cut off")
    told.notes += reader.notes()


class _Reader:
    """Reads windows of lines as objects, and remembers which keys they had."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        theirs = {our: their for their, our in wanted.rename.items()}
        # By column: the key that is looked for first. A key of ours that is renamed to another column is not ours.
        self._first = [theirs.get(column, None if column in wanted.rename else column) for column in wanted.columns]
        self._second = [
            (place, column)
            for place, column in enumerate(wanted.columns)
            if self._first[place] not in (None, column) and column not in wanted.rename
        ]
        self._keys: set[str] = set()
        self._has_rows = False
        self.is_filled = False
        decoder = json.JSONDecoder(object_pairs_hook=_object, parse_float=str, parse_int=str, parse_constant=_no_number)
        self._scan = decoder.scan_once  # type: ignore[attr-defined]  # in no stub, but what `raw_decode` calls

    def block(self, lines: Lines, at: int, stop: int) -> tuple[Block, int]:
        """Rows of the lines from `at` to `stop`, or fewer where too many of them cannot be read; and where it came to."""
        numbers: list[int] = []
        cells: list[tuple[Any, ...]] = []
        faults: dict[int, str] = {}
        for line in lines.texts(at, stop):
            number = lines.number(at)
            if text := line.strip():
                try:
                    cells.append(self._cells(text, lines.cut_fault(at)))
                    numbers.append(number)
                except _FaultError as fault:
                    faults[number] = str(fault)
            at += 1
            if len(faults) >= MAXIMUM_UNREADABLE:
                break
        self.is_filled = self.is_filled or bool(cells) or bool(faults)
        self._has_rows = self._has_rows or bool(cells)
        rows = pa.table({LINE: pa.array(numbers, pa.int64())})
        columns = zip(*cells, strict=True) if cells else [()] * len(self._first)
        for column, values in zip(self._wanted.columns, columns, strict=True):
            rows = rows.append_column(column, _texts(column, values, numbers, faults))
        if faults:
            rows = rows.filter(pa.array([number not in faults for number in numbers], pa.bool_()))

        def raw(number: int) -> str:
            return lines.shown(number - lines.first, number - lines.first + 1)

        unreadable = [Unreadable(number, fault, raw(number)) for number, fault in sorted(faults.items())]
        return Block(rows, raw, unreadable), at

    def notes(self) -> list[str]:
        """What to say of the keys, once all lines are read."""
        if len(self._keys) > _MAXIMUM_KEYS:
            return [f"more than {_MAXIMUM_KEYS:,} different keys were found; those not in the contract were not read"]
        found = sorted(self._keys)
        extra = self._wanted.extra_note(found)
        never = self._wanted.missing(self._wanted.ours(found)) if self._has_rows else []
        return [*([extra] if extra else []), *([f"no line has the columns {listed(never)}"] if never else [])]

    def _cells(self, text: str, cut: str | None) -> tuple[Any, ...]:
        """What the line holds in the wanted columns, as JSON says it."""
        if cut:
            raise _FaultError(cut)
        if not text.isascii() and _HALF_A_CHARACTER.search(text):
            raise _FaultError("not UTF-8 text; export the file as UTF-8")
        try:
            found, end = self._scan(text, 0)
            if end < len(text):
                raise ValueError(f"more text behind its value, from character {end + 1} on")
        except _FaultError:
            raise
        except StopIteration:
            raise _FaultError("not readable as JSON (no value); is the line cut off?") from None
        except (ValueError, RecursionError) as problem:
            raise _FaultError(f"not readable as JSON ({problem}); is the line cut off?") from None
        if not isinstance(found, dict):
            raise _FaultError("expected an object { … } on the line, found another value")
        if "\\u" in text and _ESCAPED_FAULT.search(text):
            _refuse_no_text(found)
        if len(self._keys) <= _MAXIMUM_KEYS:
            self._keys.update(found)
        if not self._second:
            return tuple(map(found.get, self._first))  # not a list: those make the garbage collector work
        cells = list(map(found.get, self._first))
        for place, column in self._second:
            if column in found:
                if self._first[place] in found:
                    raise _FaultError(
                        f"keys {[self._first[place], column]} are both {column}, because `rename` says so"
                    )
                cells[place] = found[column]
        return tuple(cells)


def _texts(column: str, values: Sequence[Any], numbers: Sequence[int], faults: dict[int, str]) -> pa.Array:
    """The texts of one column; a value that is none is told in `faults`."""
    try:
        texts = pa.array(values, pa.string())
        if (pc.max(pc.binary_length(texts)).as_py() or 0) <= MAXIMUM_CELL_CHARACTERS:
            return texts
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # words and nested values: one by one
        pass
    told = [_text(value, column, number, faults) for value, number in zip(values, numbers, strict=True)]
    return pa.array(told, pa.string())


def _text(value: Any, column: str, number: int, faults: dict[int, str]) -> str | None:
    if isinstance(value, bool):
        return _WORDS[value]
    if isinstance(value, dict | list):
        _add(faults, number, f"{column}: expected a single value, found a nested one")
        return None
    if isinstance(value, str) and len(value) > MAXIMUM_CELL_CHARACTERS:
        _add(faults, number, f"{column}: has more than {MAXIMUM_CELL_CHARACTERS:,} characters")
        return None
    return None if value is None else str(value)


def _add(faults: dict[int, str], number: int, fault: str) -> None:
    faults[number] = f"{faults[number]}; {fault}" if number in faults else fault


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        repeated = sorted(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise _FaultError(f"keys {listed(repeated)} occur more than once")
    return found


def _no_number(word: str) -> str:
    raise _FaultError(f"expected a number, found {word}, which JSON does not know")


def _refuse_no_text(value: Any) -> None:
    """Escapes can spell what is no text, anywhere in a line."""
    for text in _strings(value):
        if _HALF_A_CHARACTER.search(text):
            raise _FaultError("holds half a character, as an escape; export the file as UTF-8")
        if "\0" in text:
            raise _FaultError("holds a NUL character; the file is damaged")


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for pair in value.items():
            yield from _strings(pair)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item)
