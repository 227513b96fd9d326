"""Exports as files of any size: written part by part under a hidden name, shown whole at the end or never."""

import gzip
import io
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, Literal, get_args

import pyarrow as pa
import pyarrow.compute as pc

from lead_scoring_assets.simulation.export_tables import as_text

Format = Literal["csv", "csv.gz", "parquet", "jsonl"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)


Part = Callable[[pa.Table], object]
"""Takes tables of one schema, one after the other."""


@contextmanager
def files_at_once(paths: Sequence[Path], schemas: Sequence[pa.Schema], format_: Format) -> Iterator[list[Part]]:
    """Open one export per path. When the block ends well, all appear, in this order; else none does.

    A temporary file's name starts with a dot, so that who lists the folder for data files passes over it.
    """
    temporaries = [path.with_name(f".{path.name}.{secrets.token_hex(4)}.part") for path in paths]
    try:
        with ExitStack() as stack:
            parts: list[Part] = []
            for temporary, schema in zip(temporaries, schemas, strict=True):
                temporary.parent.mkdir(parents=True, exist_ok=True)
                sink = stack.enter_context(temporary.open("xb"))
                # Called in reverse: the writer closes, then the file is forced to the disk.
                stack.callback(_to_disk, sink)
                parts.append(stack.enter_context(_writing(sink, schema, format_)))
            yield parts
        for temporary, path in zip(temporaries, paths, strict=True):
            temporary.replace(path)
    finally:
        for temporary in temporaries:
            temporary.unlink(missing_ok=True)


@contextmanager
def _writing(sink: io.BufferedWriter, schema: pa.Schema, format_: Format) -> Iterator[Part]:
    with ExitStack() as stack:
        if format_ == "parquet":
            from pyarrow import parquet

            writer = stack.enter_context(parquet.ParquetWriter(sink, schema, compression="zstd"))
            yield writer.write_table
        elif format_ == "jsonl":
            yield lambda table: _write_json_lines(sink, table)
        else:
            from pyarrow import csv

            # Neither name nor time in the header: the same rows give the same bytes.
            packed: Any = sink
            if format_ == "csv.gz":
                packed = stack.enter_context(gzip.GzipFile("", "wb", compresslevel=4, fileobj=sink, mtime=0))
            text_schema = as_text(schema.empty_table()).schema
            # No value of ours holds a comma, a quote or a line break; one that did would be refused, not mangled.
            options = csv.WriteOptions(quoting_style="none")
            lines = stack.enter_context(csv.CSVWriter(packed, text_schema, write_options=options))
            yield lambda table: lines.write_table(as_text(table))


def _write_json_lines(sink: io.BufferedWriter, table: pa.Table) -> None:
    """One object a line. Our texts hold nothing that JSON escapes, so that joining columns is enough."""
    pieces = []
    for name, column in zip(table.column_names, as_text(table).columns, strict=True):
        values = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        quote = '"' if pa.types.is_string(values.type) else ""
        texts = pc.binary_join_element_wise(f'"{name}": {quote}', values.cast(pa.string()), quote, "")
        pieces.append(pc.if_else(values.is_valid(), texts, f'"{name}": null'))
    rows = pc.binary_join_element_wise("{", pc.binary_join_element_wise(*pieces, ", "), "}\n", "")
    sink.write("".join(rows.to_pylist()).encode())


def _to_disk(sink: io.BufferedWriter) -> None:
    sink.flush()
    os.fsync(sink.fileno())
