"""Columns of a table as arrays, one at a time: Arrow reads them, no query is planned, and numbers are sorted where they lie.
Which columns those are, and what is done about the others, stands in `row_by_row.py`."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from lead_scoring_assets.monitoring.drift.binning import Numbers, cumulated, missing_together
from lead_scoring_assets.monitoring.drift.distances import FloatArray
from lead_scoring_assets.monitoring.drift.distribution import Distribution
from lead_scoring_assets.monitoring.drift.gap_and_area import BoolArray
from lead_scoring_assets.monitoring.drift.reference_state import ReferenceColumn

Rows = Any  # an Arrow table, or what reads itself in batches as an Arrow dataset does: what `Lakehouse.scan` gives


MOST_PATTERNS = 16
"""Columns of which `patterns` tells what is missing together: it has a place for every combination."""

_BLOCK = 16_384
"""Values that are compared with all edges while they lie in the processor's cache."""


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


def number_counts(column: ReferenceColumn, rows: Rows) -> tuple[tuple[int, ...], int]:
    """Rows of a numeric column by bin, and finite values outside the reference. No value is kept or sorted:
    they are compared with each of the few edges."""
    smallest = np.inf if column.smallest is None else column.smallest
    largest = -np.inf if column.largest is None else column.largest
    asked = [(np.less_equal, np.inf), (np.equal, -np.inf), (np.equal, np.inf)]
    asked += [(np.less, smallest), (np.less_equal, largest)]
    asked += [(np.equal, value) for value in column.lone_values]
    asked += [(np.less_equal, edge) for edge in column.edges[1:-1]]
    found, is_so, n_rows = [0] * len(asked), np.empty(_BLOCK, dtype=bool), 0
    for block in _blocks(rows, column.name):
        n_rows += len(block)
        for place, (holds, value) in enumerate(asked):
            found[place] += int(np.count_nonzero(holds(block, value, out=is_so[: len(block)])))
    valid, low, high, below, up_to_largest, *rest = found
    alone, up_to_edge = rest[: len(column.lone_values)], [n - low for n in rest[len(column.lone_values) :]]
    finite = valid - low - high
    bins = cumulated(column.edges, column.lone_values, up_to_edge, alone, finite, low + high, n_rows - valid)
    inside = up_to_largest - below if column.smallest is not None else 0
    return tuple(bins.tolist()), finite - inside


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


def patterns(rows: Rows, names: Sequence[str], missing: Sequence[str]) -> dict[str | None, int]:
    """Rows by the columns of `missing`, at most `MOST_PATTERNS`, that are missing in them together. Those columns hold
    numbers or codes of names."""
    found = np.zeros(2 ** len(missing), dtype=np.int64)
    for batch in _batches(rows, missing):
        pattern = np.zeros(len(batch), dtype=np.int64)
        for place, name in enumerate(missing):
            pattern += _is_missing(batch.column(name)).astype(np.int64) << place
        found += np.bincount(pattern, minlength=len(found))
    together = [[name for name in names if name in missing and n >> missing.index(name) & 1] for n in range(len(found))]
    return {missing_together(those): n for those, n in zip(together, found.tolist(), strict=True) if n}


def _is_missing(chunk: pa.Array) -> BoolArray:
    """What `numbers` and `names` call missing."""
    if pa.types.is_dictionary(chunk.type):
        found = ~is_valid(chunk.indices)
        nothing = [code for code, name in enumerate(chunk.dictionary.to_pylist()) if name is None]
        return found | np.isin(_plain(chunk.indices), nothing) if nothing else found
    found = ~is_valid(chunk)
    return found | np.isnan(_plain(chunk)) if pa.types.is_floating(chunk.type) else found


def is_valid(chunk: pa.Array) -> BoolArray:
    """Which values are there. Arrow's own way would import what it computes with."""
    bits = chunk.buffers()[0]
    if bits is None:
        return np.ones(len(chunk), dtype=bool)
    found = np.unpackbits(np.frombuffer(bits, np.uint8), count=chunk.offset + len(chunk), bitorder="little")
    return found[chunk.offset :].view(bool)


def _blocks(rows: Rows, name: str) -> Iterator[FloatArray]:
    """A column's values as float64, `_BLOCK` of them at a time; missing are NaN. Each block is gone with the next."""
    room = np.empty(_BLOCK)
    for chunk in _chunks(rows, name):
        values, is_null = _plain(chunk), ~is_valid(chunk) if chunk.null_count else None
        for begin in range(0, len(values), _BLOCK):
            block = values[begin : begin + _BLOCK]
            if is_null is None and block.dtype == room.dtype:
                yield block
                continue
            copied = room[: len(block)]
            copied[:] = block
            if is_null is not None:
                copied[is_null[begin : begin + _BLOCK]] = np.nan
            yield copied


def _chunks(rows: Rows, name: str) -> Iterator[pa.Array]:
    yield from (batch.column(0) for batch in _batches(rows, [name]))


def _batches(rows: Rows, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    if isinstance(rows, pa.Table):
        yield from (batch for batch in rows.select(names).to_batches() if len(batch))
        return
    # In order, nothing ahead, and by an allocator that gives back what it no longer needs.
    pool = pa.system_memory_pool()
    batches = rows.to_batches(
        columns=names, use_threads=False, batch_readahead=1, fragment_readahead=1, memory_pool=pool
    )
    yield from (batch for batch in batches if len(batch))
    pool.release_unused()


def _plain(chunk: pa.Array) -> "np.ndarray[Any, Any]":
    """The values where they lie; anything at all where they are null. Arrow's own way would import pandas."""
    kind = "f" if pa.types.is_floating(chunk.type) else "u" if pa.types.is_unsigned_integer(chunk.type) else "i"
    dtype = np.dtype(f"{kind}{chunk.type.bit_width // 8}")
    return np.frombuffer(chunk.buffers()[1], dtype, len(chunk), chunk.offset * dtype.itemsize)
