"""One name for the same rows: a hash that does not depend on row order, file layout or column order."""

import hashlib
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
    fields = sorted((field.name, place, str(field.type)) for place, field in enumerate(rows.schema))
    kept = [(name, place, kind) for name, place, kind in fields if name not in out]
    header = repr([(name, kind) for name, _, kind in kept])
    if isinstance(rows, pa.Table):
        # By position, because SQL takes "Age" and "age" for the same name.
        rows = rows.rename_columns([f"c{place}" for place in range(len(fields))])
    places = ", ".join(f"c{place}" for place in range(len(fields)))
    framed = ", ".join(f"strlen(c{place}::VARCHAR), ':', c{place}::VARCHAR" for _, place, _ in kept)
    lanes = ", ".join(f"sum(('0x' || substr(h, {first}, 16))::UBIGINT)" for first in (1, 17, 33, 49))
    sums: list[object] = [0]
    if kept:
        hashed = f"SELECT sha256(concat({framed})) AS h FROM data AS d({places})"  # noqa: S608  # holds only c0, c1, …
        found = query(f"SELECT count(*), {lanes} FROM ({hashed})", {"data": rows})  # noqa: S608
        sums = [int(column[0].as_py() or 0) for column in found.columns]
    return hashlib.sha256(f"{header} {sums}".encode()).hexdigest()
