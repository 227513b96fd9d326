"""From the bytes of a landed file to UTF-8 text in chunks: checksum, unpacking, encoding, a bound on the line length.

What the text says is not known here. Bytes that are no text of the encoding stay bytes that are no UTF-8, so that
readers find them in the row where they stand.
"""

import codecs
import gzip
import hashlib
import re
import zlib
from collections.abc import Iterator
from typing import cast

from lead_scoring_assets.leads.blocks import Told
from lead_scoring_assets.leads.landing import CHUNK_BYTES, LandedBytes

MAXIMUM_LINE_BYTES = 16 * 1024**2
_LINE_BREAK = re.compile(b"[\r\n]")
_NO_TEXT = b"\xff"  # in no UTF-8 text


class Hashed:
    """A file's bytes, read once from first to last, whose checksum and size are taken on the way."""

    def __init__(self, stream: LandedBytes) -> None:
        self._stream = stream
        self._digest = hashlib.sha256()
        self.size_bytes = 0
        self._is_finished = False

    def read(self, size: int = CHUNK_BYTES) -> bytes:
        chunk = self._stream.read(size)
        self._digest.update(chunk)
        self.size_bytes += len(chunk)
        return chunk

    def finish(self) -> str:
        """The checksum of the whole file, whatever part of it somebody wanted."""
        while not self._is_finished:
            self._is_finished = not self.read()
        return self._digest.hexdigest()


def plain_chunks(stream: Hashed, chunk_bytes: int) -> Iterator[bytes]:
    """A file as it lies there."""
    while chunk := stream.read(chunk_bytes):
        yield chunk


def unpacked_chunks(stream: Hashed, chunk_bytes: int, told: Told, limit: int) -> Iterator[bytes]:
    """What a gzip stream holds, up to damage, its end, or `limit` bytes. The reason is told, the bytes before are given."""
    total = 0
    pending = bytearray()
    unpacked = gzip.GzipFile(fileobj=cast("gzip._ReadableFileobj", stream))
    try:
        while piece := unpacked.read1(chunk_bytes):
            total += len(piece)
            if total > limit:
                told.damaged(f"unpacks to more than the limit of {limit:,} bytes; split it")
                break
            pending += piece
            if len(pending) >= chunk_bytes:
                yield bytes(pending)
                pending.clear()
    except EOFError:
        told.damaged(
            "is cut off inside its gzip stream: only the rows before that were read; send the whole file again"
        )
    except (gzip.BadGzipFile, zlib.error) as problem:
        if total:
            told.damaged(f"is damaged ({problem}): only the rows before that were read; send the file again")
        else:
            told.damaged(f"is not packed with gzip, as its name says ({problem}); send it again, or rename it")
    if pending:
        yield bytes(pending)


def as_utf8(chunks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """The same text as UTF-8. What the encoding does not know becomes bytes that are no UTF-8 either."""
    # A half of a character pair can be written as bytes, which UTF-8 refuses, as can an unknown byte of a code page.
    faults = "surrogatepass" if encoding == "utf-16" else "surrogateescape"
    decoder = codecs.getincrementaldecoder(encoding)(errors=faults)
    for chunk in chunks:
        yield decoder.decode(chunk).encode("utf-8", errors=faults)
    try:
        yield decoder.decode(b"", final=True).encode("utf-8", errors=faults)
    except UnicodeDecodeError:  # half a character at the very end
        yield _NO_TEXT


def bounded_lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same text, but no line takes more memory than a little over the limit: the rest of a longer one is left out.

    A cut line keeps so much more than the limit that no line within it, with its break, is as long (`Lines.is_cut`).
    """
    length = 0  # of the line that is not over yet
    for chunk in chunks:
        found = _LINE_BREAK.search(chunk)
        first = found.start() if found else len(chunk)
        kept = min(first, max(0, MAXIMUM_LINE_BYTES + 3 - length))
        yield chunk if kept == first else chunk[:kept] + chunk[first:]
        last = max(chunk.rfind(b"\n"), chunk.rfind(b"\r"))
        length = length + first if found is None else len(chunk) - last - 1
