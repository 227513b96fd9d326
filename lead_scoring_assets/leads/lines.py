"""Text in windows of whole lines, each with its number in the file. What a line says is not known here."""

import io
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from lead_scoring_assets.leads.blocks import Told, Unreadable, shown
from lead_scoring_assets.leads.byte_streams import MAXIMUM_LINE_BYTES

_SHOWN_BYTES = 8_004  # holds the 2,000 characters that are shown, whatever they are
_BREAKS = (b"\n", b"\r")


class Lines:
    """Whole lines of a file, counted from 0 here; line 0 has the number `first` (from 1) in the file.

    `bounds`: where each line begins in `data`, and where the last one ends. What follows is the beginning of a line
    that is not over. Lines end with LF, CR LF or CR, and with nothing else, because anything else may be in a cell.
    """

    def __init__(self, data: bytes, first: int, is_last: bool) -> None:
        self.data, self.first, self.is_last = data, first, is_last
        text = np.frombuffer(data, dtype=np.uint8)
        ends = np.flatnonzero(text == ord("\n"))
        if b"\r" in data:
            returns = np.flatnonzero(text == ord("\r"))
            alone = text[np.minimum(returns + 1, len(text) - 1)] != ord("\n")
            if returns[-1] == len(text) - 1:
                alone[-1] = is_last  # else the LF of a CR LF may come with the next bytes
            ends = np.sort(np.concatenate([ends, returns[alone]]))
        has_rest = is_last and len(data) > (ends[-1] + 1 if len(ends) else 0)
        self.bounds: npt.NDArray[np.int64] = np.concatenate([[0], ends + 1, [len(data)] if has_rest else []]).astype(
            "int64"
        )

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def number(self, at: int) -> int:
        """The number in the file of line `at`."""
        return self.first + at

    def size(self, at: int, stop: int) -> int:
        return int(self.bounds[stop] - self.bounds[at])

    def cut_fault(self, at: int) -> str | None:
        """What to say of a line that is too long; its end was not kept."""
        is_cut = self.size(at, at + 1) > MAXIMUM_LINE_BYTES + len("\r\n")
        return f"has more than {MAXIMUM_LINE_BYTES:,} bytes in one line" if is_cut else None

    def within(self, at: int, size: int) -> int:
        """The first line that does not lie in the `size` bytes from line `at` on; at least the next one."""
        return min(len(self), max(at + 1, int(np.searchsorted(self.bounds, self.bounds[at] + size, side="right")) - 1))

    def content(self, at: int, stop: int) -> bytes:
        return self.data[self.bounds[at] : self.bounds[stop]]

    def texts(self, at: int, stop: int) -> list[str]:
        """Lines with their breaks; bytes that are no text as surrogates."""
        text = self.content(at, stop).decode("utf-8", errors="surrogateescape")
        # Not str.splitlines: it also breaks at characters that may stand inside a cell, such as U+2028.
        return list(io.StringIO(text, newline=""))

    def shown(self, at: int, stop: int) -> str:
        content = self.data[self.bounds[at] : min(self.bounds[stop], self.bounds[at] + _SHOWN_BYTES)]
        return shown(content.decode("utf-8", errors="surrogateescape"))

    def first_filled(self) -> int | None:
        """The first line that is not blank."""
        at = 0
        while at < len(self):
            rest = self.data[self.bounds[at] : self.bounds[-1]]
            # Past what is blank in ASCII at once: a file may be nothing but line breaks.
            at = int(np.searchsorted(self.bounds, self.bounds[-1] - len(rest.lstrip()), side="right")) - 1
            if at < len(self) and self.texts(at, at + 1)[0].strip():
                return at
            at += 1
        return None


class LineSource:
    """Hands out a text as windows of whole lines; what a reader could not use yet comes again, with more behind it."""

    def __init__(self, chunks: Iterator[bytes], block_bytes: int, told: Told) -> None:
        self._chunks, self._block_bytes, self._told = chunks, block_bytes, told
        self._last_byte = b""
        self.cut_off: Unreadable | None = None
        """The last line, where damage of the file leaves half of it."""

    @property
    def ends_with_break(self) -> bool:
        return self._last_byte in _BREAKS

    def more(self, lines: Lines | None = None, used: int = 0) -> Lines:
        """What follows the first `used` of `lines`. Never the same again: more bytes, or the news that it is the end."""
        rest = b"" if lines is None else lines.data[lines.bounds[used] :]
        first = 1 if lines is None else lines.number(used)
        # When nothing could be used the window doubles: growing by little would read a long row again and again.
        wanted = max(self._block_bytes, len(rest) + 1 if used else 2 * len(rest))
        pieces, size, is_last = [rest], len(rest), False
        while size < wanted:
            chunk = next(self._chunks, None)
            if chunk is None:
                is_last = True
                break
            pieces.append(chunk)
            size += len(chunk)
            self._last_byte = chunk[-1:] or self._last_byte
        window = Lines(b"".join(pieces), first, is_last)
        if is_last and self._told.is_damaged and not self.ends_with_break and len(window):
            half = len(window) - 1
            self.cut_off = Unreadable(
                window.number(half), "cut off, because the file is damaged here", window.shown(half, half + 1)
            )
            window = Lines(window.data[: window.bounds[half]], first, is_last)
        return window
