"""One name for the same rows: a hash that does not depend on row order, file layout or column order."""

import hashlib
from collections import defaultdict
from collections.abc import Collection
from typing import TYPE_CHECKING, Union

import pyarrow as pa

from lead_scoring_assets.lakehouse.query import query

if TYPE_CHECKING:
    import pyarrow.dataset as pads

LINEAGE = ("source_file", "source_line")
"""Columns that tell where a row was read, not what it says: leave them `out` to compare contents."""


def content_hash(rows: Union[pa.Table, "pads.Dataset"], out: Collection[str] = ()) -> str:
    """SHA-256 of a multiset of rows (hexadecimal, 64 characters), of `rows` or of a scan, without the columns `out`.

    Each row is the list of its columns in order of name, every value in full precision, framed by its length, so that
    neither NULL and the empty text nor "ab","c" and "a","bc" collide; names and types are hashed as well. Duplicated
    rows count as often as they occur.

    Built as AdHash (Bellare and Micciancio 1997, "A new paradigm for collision-free hashing"; for multisets Clarke et al.
    2003, "Incremental multiset hash functions"): the SHA-256 of each row is cut into four numbers of 64 bits, each is
    summed exactly over all rows, and the SHA-256 of header, row count and sums is the name. One pass in any order,
    memory does not grow with the rows. It finds every accident (two different contents agree with a chance of about
    2^-256). It is no seal against somebody who chooses the rows: sums that agree can be sought with a generalised
    birthday attack (Wagner 2002), in the order of 2^32 steps and as many rows to choose from.
    """
    header, sums = _summed(rows, out, None)
    return _named(header, sums[None])


def content_hashes(
    rows: Union[pa.Table, "pads.Dataset"], by: str, values: Collection[str]
) -> dict[str, tuple[int, str]]:
    """For each of `values` of the column `by`: how many rows have it, and the `content_hash` of those. In one pass."""
    header, sums = _summed(rows, (), by)
    return {value: (sums[value][0], _named(header, sums[value])) for value in values}


def _summed(
    rows: Union[pa.Table, "pads.Dataset"], out: Collection[str], by: str | None
) -> tuple[str, dict[object, list[int]]]:
    """The header, and for each value of `by` (None: for all rows at once) the number of its rows and their sums."""
    fields = sorted((field.name, place, str(field.type)) for place, field in enumerate(rows.schema))
    kept = [(name, place, kind) for name, place, kind in fields if name not in out]
    header = repr([(name, kind) for name, _, kind in kept])
    if not kept:
        return header, defaultdict(lambda: [0])
    if isinstance(rows, pa.Table):
        # By position, because SQL takes "Age" and "age" for the same name.
        rows = rows.rename_columns([f"c{place}" for place in range(len(fields))])
    places = ", ".join(f"c{place}" for place in range(len(fields)))
    framed = ", ".join(f"strlen(c{place}::VARCHAR), ':', c{place}::VARCHAR" for _, place, _ in kept)
    lanes = ", ".join(f"sum(('0x' || substr(h, {first}, 16))::UBIGINT)" for first in (1, 17, 33, 49))
    group = next((f"c{place}" for name, place, _ in fields if name == by), "NULL")
    hashed = f"SELECT {group} AS g, sha256(concat({framed})) AS h FROM data AS d({places})"  # noqa: S608  # holds only c0, c1, …
    found = query(f"SELECT g, count(*), {lanes} FROM ({hashed}) GROUP BY g", {"data": rows})  # noqa: S608
    values, *sums = (column.to_pylist() for column in found.columns)
    told: dict[object, list[int]] = defaultdict(lambda: [0] * len(sums))
    told.update({value: [int(n) for n in numbers] for value, *numbers in zip(values, *sums, strict=True)})
    return header, told


def _named(header: str, sums: list[int]) -> str:
    return hashlib.sha256(f"{header} {sums}".encode()).hexdigest()
