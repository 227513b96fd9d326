"""One landed file of any format, as blocks of rows of text under our names. What the columns mean is not known here."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from lead_scoring_assets.leads.blocks import BLOCK_BYTES, Block, LandedFile, Told
from lead_scoring_assets.leads.byte_streams import Hashed, as_utf8, bounded_lines, plain_chunks, unpacked_chunks
from lead_scoring_assets.leads.csv_rows import csv_blocks
from lead_scoring_assets.leads.headers import Wanted
from lead_scoring_assets.leads.json_rows import json_blocks
from lead_scoring_assets.leads.landing import CHUNK_BYTES, File, LandedBytes, Landing
from lead_scoring_assets.leads.parquet_rows import parquet_blocks
from lead_scoring_assets.settings import Source

MAXIMUM_FILE_BYTES = 2 * 1024**3  # as it lies there, and unpacked
ENDINGS = (".csv", ".csv.gz", ".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz", ".parquet")
_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def read_landed(
    landing: Landing,
    file: File,
    required: Sequence[str],
    optional: Sequence[str],
    source: Source,
    *,
    block_bytes: int = BLOCK_BYTES,
) -> LandedFile:
    """A file whose rows have the `required` columns and may have the `optional` ones. What it holds never raises.

    Raises, while blocks are read:
        SourceError: the store cannot be reached any more, or the file has gone.
        SettingsError: the source's delimiter can be none.
    """
    wanted = Wanted(file.entity, tuple(required), tuple(optional), source.rename)
    return _Landed(landing, file, wanted, source, block_bytes)


@dataclass
class _Landed:
    """See `LandedFile`."""

    landing: Landing
    file: File
    wanted: Wanted
    source: Source
    block_bytes: int
    name: str = field(init=False)
    sha256: str = field(default="", init=False)
    size_bytes: int = field(default=0, init=False)
    problem: str | None = field(default=None, init=False)
    note: str | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.name = self.file.name

    def blocks(self) -> Iterator[Block]:
        told = Told()
        with self.landing.open_bytes(self.file) as stream:
            hashed = Hashed(stream)
            for block in self._read(stream, hashed, told):
                yield Block(_translated(block.rows, self.source.values), block.raw, block.unreadable)
            self.sha256, self.size_bytes = hashed.finish(), hashed.size_bytes
        self.problem = f"{self.name}: {told.problem}" if told.problem else None
        self.note = f"{self.name}: {'; '.join(told.notes)}" if told.notes else None

    def _read(self, stream: LandedBytes, hashed: Hashed, told: Told) -> Iterator[Block]:
        name = self.name.rpartition("/")[2].lower()
        ending = next((ending for ending in reversed(ENDINGS) if name.endswith(ending)), None)
        if self.file.size_bytes > MAXIMUM_FILE_BYTES:
            told.problem = (
                f"has {self.file.size_bytes:,} bytes, more than the limit of {MAXIMUM_FILE_BYTES:,}; split it"
            )
        elif ending is None:
            found = name[name.rindex(".") :] if "." in name else "no ending"
            told.problem = (
                f"expected a file that ends with {', '.join(ENDINGS)}, found {found}; export as one of these, "
                "or remove the file"
            )
        elif ending == ".parquet":
            # Read out of order, so that the checksum takes a reading of its own.
            hashed.finish()
            stream.seek(0)
            yield from parquet_blocks(stream, self.wanted, told, self.block_bytes, MAXIMUM_FILE_BYTES)
        else:
            yield from self._read_text(hashed, told, ending)

    def _read_text(self, hashed: Hashed, told: Told, ending: str) -> Iterator[Block]:
        encoding = self.source.encoding if ending.startswith(".csv") else "utf-8"
        chunk_bytes = min(CHUNK_BYTES, self.block_bytes)
        if ending.endswith(".gz"):
            chunks = unpacked_chunks(hashed, chunk_bytes, told, MAXIMUM_FILE_BYTES)
        else:
            chunks = plain_chunks(hashed, chunk_bytes)
        mark, chunks = _peek(chunks, len(_UTF8_MARK))
        if problem := self._encoding_problem(mark, encoding):
            told.problem = problem
            return
        if encoding != "utf-8":
            mark, chunks = _peek(as_utf8(chunks, encoding), len(_UTF8_MARK))
        chunks = bounded_lines(_without(chunks, _UTF8_MARK) if mark == _UTF8_MARK else chunks)
        if ending.startswith(".csv"):
            yield from csv_blocks(chunks, self.wanted, self.source, told, self.block_bytes)
        else:
            yield from json_blocks(chunks, self.wanted, told, self.block_bytes)

    def _encoding_problem(self, mark: bytes, encoding: str) -> str | None:
        """What the first bytes say against the encoding that is expected."""
        if mark[:2] in _UTF16_MARKS and encoding != "utf-16":
            found = "utf-16"
        elif mark == _UTF8_MARK and encoding != "utf-8":
            found = "utf-8"
        else:
            return None
        remedy = f"set sources.{self.wanted.entity}.encoding to {found} in lead_scoring.yaml"
        return f"expected {encoding.upper()} text, found {found.upper()}; export as {encoding.upper()}, or {remedy}"


def _peek(chunks: Iterator[bytes], size: int) -> tuple[bytes, Iterator[bytes]]:
    """The first `size` bytes, or all there are, and everything from the beginning."""
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= size:
            break

    def all_of_it() -> Iterator[bytes]:
        yield head
        yield from chunks

    return head[:size], all_of_it()


def _without(chunks: Iterator[bytes], mark: bytes) -> Iterator[bytes]:
    yield next(chunks)[len(mark) :]
    yield from chunks


def _translated(rows: pa.Table, values: Mapping[str, Mapping[str, str]]) -> pa.Table:
    """`values`: our column → their value → ours. Outer blanks of theirs do not count; an empty cell is an empty text."""
    for column, ours in values.items():
        if column not in rows.column_names:
            continue
        stripped = {their.strip(): our for their, our in ours.items()}
        texts = rows[column].combine_chunks()
        coded = (texts.fill_null("") if "" in stripped else texts).dictionary_encode()
        spoken = pa.array([stripped.get(text.strip(), text) for text in coded.dictionary.to_pylist()], pa.string())
        rows = rows.set_column(rows.column_names.index(column), column, pc.take(spoken, coded.indices))
    return rows
