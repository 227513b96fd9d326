"""What readers of every format hand to ingestion: a landed file as blocks of text rows, each row with its position."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

LINE = "source_line"
BLOCK_BYTES = 16 * 1024**2  # of text: what is in memory at a time, a few times over
MAXIMUM_CELL_CHARACTERS = 131_072  # the limit of Python's csv; the other formats keep to it
MAXIMUM_UNREADABLE = 20_000  # in one block, about: each holds a text of its own
_SHOWN_CHARACTERS = 2_000


@dataclass(frozen=True)
class Unreadable:
    """One line or record that is not a row: its position (from 1), why, and its text."""

    line: int
    reason: str
    text: str


@dataclass(frozen=True)
class Block:
    """Some rows of a file, few enough for memory.

    `rows`: `source_line` (int64, ascending, unique in the file) and a string column for each wanted column that the
    file has, under our names; NULL or empty means missing. `raw`: a row's text as it was, by its line, for quarantine.
    """

    rows: pa.Table
    raw: Callable[[int], str]
    unreadable: Sequence[Unreadable] = field(default_factory=tuple)


def no_rows(unreadable: Sequence[Unreadable]) -> Block:
    """A block that only names what is no row."""
    return Block(pa.table({LINE: pa.array([], pa.int64())}), str, unreadable)


class LandedFile(Protocol):
    """One landed file. What it is called is known at once; the rest when `blocks` has been read to its end.

    `name`: `<entity>/<period>/<file>`. `sha256`, `size_bytes`: of the file as it lies there, packed if it is packed.
    `problem`: why none of it, or no more of it, could be read. `note`: what people should know about it.
    """

    name: str
    sha256: str
    size_bytes: int
    problem: str | None
    note: str | None

    def blocks(self) -> Iterator[Block]:
        """Every row of the file once, in order. Never raises for what the file holds."""
        ...


@dataclass
class Told:
    """What a reader finds out about a file beside its rows: why it stopped, and what people should know."""

    problem: str | None = None
    notes: list[str] = field(default_factory=list)
    is_damaged: bool = False  # the text ends where the damage begins: its last line may be half a line

    def damaged(self, problem: str) -> None:
        self.problem = self.problem or problem
        self.is_damaged = True


def shown(text: str) -> str:
    """Text for people: without its line break, never too long, and always text that can be written."""
    return printable(text.rstrip("\r\n"))[:_SHOWN_CHARACTERS]


def printable(text: str) -> str:
    """Bytes that were no text, and came as surrogates, as question marks."""
    return text.encode("utf-8", errors="replace").decode("utf-8")


def listed(names: Sequence[str], most: int = 20) -> str:
    """Names for a message, the first of them when they are many."""
    told = printable(str([name[:100] for name in names[:most]]))
    return told if len(names) <= most else f"{told} and {len(names) - most:,} more"
