"""Columns of a table as arrays, one at a time: Arrow reads them, no query is planned, and numbers are sorted where they lie.
Which columns those are, and what is done about the others, stands in `row_by_row.py`."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from lead_scoring_assets.monitoring.drift.binning import Numbers
from lead_scoring_assets.monitoring.drift.distances import FloatArray
from lead_scoring_assets.monitoring.drift.distribution import Distribution
from lead_scoring_assets.monitoring.drift.gap_and_area import BoolArray

Rows = Any  # an Arrow table, or what reads itself in batches as an Arrow dataset does: what `Lakehouse.scan` gives


class UnreadableError(Exception):
    """A column that cannot be read, and why."""


def count(rows: Rows) -> int:
    """How many rows there are."""
    return int(rows.num_rows if isinstance(rows, pa.Table) else rows.count_rows())


def are_numbers(kind: pa.DataType) -> bool:
    """Whether `numbers` reads columns of this type."""
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def are_coded(kind: pa.DataType) -> bool:
    """Whether `names` reads columns of this type."""
    return bool(pa.types.is_dictionary(kind) and pa.types.is_string(kind.value_type))


def numbers(rows: Rows, name: str, room: FloatArray) -> Numbers:
    """A column's values as float64; missing are nulls and NaN. They lie in `room`, which has a place for each row."""
    end = 0
    for chunk in _chunks(rows, name):
        into = room[end : end + len(chunk)]
        into[:] = _plain(chunk)
        if chunk.null_count:
            into[~is_valid(chunk)] = np.nan
        end += len(chunk)
    values = room[:end]
    values.sort()  # infinities outside, NaN behind them
    first, last = np.searchsorted(values, -np.inf, side="right"), np.searchsorted(values, np.inf, side="left")
    n_missing = end - int(np.searchsorted(values, np.nan, side="left"))
    return Numbers(Distribution.of_sorted(values[first:last]), end - n_missing - int(last - first), n_missing)


def names(rows: Rows, name: str) -> dict[str | None, int]:
    """Rows by name of a column that holds codes of names; those without one under None."""
    found = Counter[str | None]()
    for chunk in _chunks(rows, name):
        codes = _plain(chunk.indices)
        if chunk.null_count:
            codes = codes[is_valid(chunk.indices)]
            found[None] += len(chunk) - len(codes)
        in_chunk = np.bincount(codes, minlength=len(chunk.dictionary)).tolist()
        for category, n in zip(chunk.dictionary.to_pylist(), in_chunk, strict=True):
            found[category] += n
    return {category: n for category, n in found.items() if n}


def is_valid(chunk: pa.Array) -> BoolArray:
    """Which values are there. Arrow's own way would import what it computes with."""
    bits = chunk.buffers()[0]
    if bits is None:
        return np.ones(len(chunk), dtype=bool)
    found = np.unpackbits(np.frombuffer(bits, np.uint8), count=chunk.offset + len(chunk), bitorder="little")
    return found[chunk.offset :].view(bool)


def _chunks(rows: Rows, name: str) -> Iterator[pa.Array]:
    if isinstance(rows, pa.Table):
        yield from (chunk for chunk in rows.column(name).chunks if len(chunk))
        return
    # In order, nothing ahead, and by an allocator that gives back what it no longer needs.
    pool = pa.system_memory_pool()
    batches = rows.to_batches(
        columns=[name], use_threads=False, batch_readahead=1, fragment_readahead=1, memory_pool=pool
    )
    yield from (batch.column(0) for batch in batches if len(batch))
    pool.release_unused()


def _plain(chunk: pa.Array) -> "np.ndarray[Any, Any]":
    """The values where they lie; anything at all where they are null. Arrow's own way would import pandas."""
    kind = "f" if pa.types.is_floating(chunk.type) else "u" if pa.types.is_unsigned_integer(chunk.type) else "i"
    dtype = np.dtype(f"{kind}{chunk.type.bit_width // 8}")
    return np.frombuffer(chunk.buffers()[1], dtype, len(chunk), chunk.offset * dtype.itemsize)
