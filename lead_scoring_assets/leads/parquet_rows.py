"""Parquet as blocks of rows: each value as the text that says exactly the same, each row by its number from 1.

Only the wanted columns are read, a part of a row group at a time. What the columns mean is not known here.
"""

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from lead_scoring_assets.leads.blocks import LINE, MAXIMUM_CELL_CHARACTERS, Block, Told, Unreadable, shown
from lead_scoring_assets.leads.headers import Wanted
from lead_scoring_assets.leads.landing import LandedBytes

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_MAXIMUM_ROWS_OF_A_BLOCK = 65_536
_BUFFER_BYTES = 1024**2
_MICROSECOND_NS = 1_000


class _NoTextError(ValueError):
    """A column of a type that has no text."""


def parquet_blocks(stream: LandedBytes, wanted: Wanted, told: Told, block_bytes: int, limit: int) -> Iterator[Block]:
    """Rows of a Parquet file. `limit`: of the unpacked bytes."""
    import pyarrow.parquet as pq  # not needed by who only opens the house

    try:
        file = pq.ParquetFile(pa.PythonFile(stream, mode="r"), pre_buffer=False, buffer_size=_BUFFER_BYTES)
        theirs = list(file.schema_arrow.names)
    except (pa.ArrowException, OSError) as problem:
        told.damaged(f"is not readable as Parquet ({problem}); is it cut off? Send the whole file again")
        return
    metadata = file.metadata
    unpacked = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
    problem_found = wanted.repeated_problem(theirs) or wanted.missing_problem(theirs)
    if unpacked > limit:
        problem_found = f"unpacks to {unpacked:,} bytes, more than the limit of {limit:,}; split it"
    if problem_found:
        told.problem = problem_found
        return
    if note := wanted.extra_note(theirs):
        told.notes.append(note)
    ours = wanted.ours(theirs)
    names = {column: theirs[ours.index(column)] for column in wanted.found(ours)}
    per_row = max(1, unpacked // max(1, metadata.num_rows))
    most = max(1, min(_MAXIMUM_ROWS_OF_A_BLOCK, block_bytes // per_row))
    first = 1
    try:
        for rows in _batches(file, list(names.values()), most):
            yield _block(rows, names, first)
            first += rows.num_rows
    except _NoTextError as problem:
        told.problem = str(problem)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as problem:
        told.damaged(
            f"is damaged ({problem}): rows {first:,} to {metadata.num_rows:,} could not be read; send the file again"
        )


def _batches(file: "pq.ParquetFile", columns: list[str], most: int) -> Iterator[pa.Table]:
    """Tables of `most` rows; row groups apart from each other, so that a damaged one costs none before it."""
    pending: list[pa.RecordBatch] = []
    size = 0
    for group in range(file.num_row_groups):
        batches = file.iter_batches(batch_size=most, row_groups=[group], columns=columns)
        while True:
            try:
                batch = next(batches, None)
            except (pa.ArrowException, OSError):
                if pending:
                    yield pa.Table.from_batches(pending)
                raise
            if batch is None:
                break
            if pending and size + batch.num_rows > most:
                yield pa.Table.from_batches(pending)
                pending, size = [], 0
            pending.append(batch)
            size += batch.num_rows
    if size:
        yield pa.Table.from_batches(pending)


def _block(rows: pa.Table, names: dict[str, str], first: int) -> Block:
    """`names`: our column → theirs."""
    faults: dict[int, str] = {}
    numbers = pa.array(range(first, first + rows.num_rows), pa.int64())
    table = pa.table({LINE: numbers})
    for ours, theirs in names.items():
        texts = _as_texts(rows[theirs].combine_chunks(), theirs)
        table = table.append_column(ours, _refuse_no_text(texts, ours, first, faults))
    told = table.rename_columns([LINE, *names.values()])

    def raw(number: int) -> str:
        row = told.slice(number - first, 1).drop_columns([LINE]).to_pylist()[0]
        return shown(json.dumps(row, ensure_ascii=False))

    unreadable = [Unreadable(number, fault, raw(number)) for number, fault in sorted(faults.items())]
    if faults:
        table = table.filter(pc.invert(pc.is_in(table[LINE], pa.array(list(faults), pa.int64()))))
    return Block(table, raw, unreadable)


def _refuse_no_text(texts: pa.Array, column: str, first: int, faults: dict[int, str]) -> pa.Array:
    """The same texts, but NULL where a value is no text that a table can hold; that is told in `faults`."""
    try:
        texts.validate(full=True)
        is_long = (pc.max(pc.binary_length(texts)).as_py() or 0) > MAXIMUM_CELL_CHARACTERS
        if not is_long and not pc.any(pc.match_substring(texts, "\0")).as_py():
            return texts
    except pa.ArrowInvalid:  # bytes that are no UTF-8: Arrow does not look before it is asked
        pass
    kept: list[str | None] = []
    for number, value in enumerate(texts.cast(pa.binary()).to_pylist(), start=first):
        text = None if value is None else value.decode("utf-8", errors="surrogateescape")
        if fault := _fault(text):
            faults[number] = f"{faults[number]}; {column}: {fault}" if number in faults else f"{column}: {fault}"
            text = None
        kept.append(text)
    return pa.array(kept, pa.string())


def _fault(text: str | None) -> str | None:
    if text is None:
        return None
    if len(text) > MAXIMUM_CELL_CHARACTERS:
        return f"has more than {MAXIMUM_CELL_CHARACTERS:,} characters"
    if "\0" in text:
        return "holds a NUL character; the file is damaged"
    return None if text.isascii() or text.encode("utf-8", "replace").decode() == text else "not UTF-8 text"


def _as_texts(values: pa.Array, name: str) -> pa.Array:
    """Values as texts that say exactly the same."""
    if isinstance(values, pa.ExtensionArray):
        values = values.storage
    kind = values.type
    if pa.types.is_dictionary(kind):
        return _as_texts(values.cast(kind.value_type), name)
    if pa.types.is_timestamp(kind):
        return _moments(values)
    if pa.types.is_decimal(kind):
        return _decimals(values)
    if pa.types.is_duration(kind) or pa.types.is_interval(kind) or pa.types.is_nested(kind) or _is_binary(kind):
        remedy = "export it as text" if _is_binary(kind) else "export a column for each value"
        raise _NoTextError(f"column {name!r}: expected texts, numbers or times, found {kind}; {remedy}")
    return values.cast(pa.string())


def _is_binary(kind: pa.DataType) -> bool:
    is_view = pa.types.is_binary_view(kind)
    return bool(
        is_view or pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)
    )


def _moments(values: pa.Array) -> pa.Array:
    """ISO 8601: in UTC with a Z where the file knows the zone, else without one. Nanoseconds only where there are some."""
    unit, zone = values.type.unit, values.type.tz
    if unit == "ns" and not pc.any(pc.not_equal(_rest(values.cast(pa.int64())), 0)).as_py():
        unit = "us"
    # To UTC and then without the zone, so that Arrow writes the moment and not the time of day there.
    bare = values.cast(pa.timestamp(unit, zone)).cast(pa.int64()).cast(pa.timestamp(unit))
    texts = pc.replace_substring(bare.cast(pa.string()), " ", "T")
    return pc.binary_join_element_wise(texts, "Z", "") if zone else texts


def _rest(nanoseconds: pa.Array) -> pa.Array:
    whole = pc.multiply(pc.divide(nanoseconds, _MICROSECOND_NS), _MICROSECOND_NS)
    return pc.subtract(nanoseconds, whole)


def _decimals(values: pa.Array) -> pa.Array:
    """All digits, without an exponent."""
    texts = values.cast(pa.string())
    if not pc.any(pc.match_substring(texts, "E")).as_py():
        return texts
    plain: Sequence[str | None] = [None if value is None else format(value, "f") for value in values.to_pylist()]
    return pa.array(plain, pa.string())
