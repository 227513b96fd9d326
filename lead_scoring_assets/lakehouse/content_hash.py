"""One name for the same rows: a hash that does not depend on row order, file layout or column order."""

import hashlib

import pyarrow as pa

from lead_scoring_assets.lakehouse.query import query


def content_hash(table: pa.Table) -> str:
    """SHA-256 over the sorted hashes of all rows (hexadecimal, 64 characters).

    Each row is the list of its columns in order of name, every value in full precision, framed by its length, so that
    neither NULL and the empty text nor "ab","c" and "a","bc" collide. Duplicated rows count as often as they occur.
    """
    names = sorted(table.column_names)
    header = hashlib.sha256(repr([(name, str(table.schema.field(name).type)) for name in names]).encode()).hexdigest()
    if not names or table.num_rows == 0:
        return hashlib.sha256(header.encode()).hexdigest()
    # By position, because SQL takes "Age" and "age" for the same name.
    places = [f"c{place}" for place in range(len(names))]
    framed = " || ".join(f"coalesce('v' || length({c}::VARCHAR) || ':' || {c}::VARCHAR, 'n')" for c in places)
    hashed = f"SELECT sha256({framed}) AS h FROM data"  # noqa: S608  # holds only c0, c1, …
    rows = query(
        f"SELECT sha256(string_agg(h, '' ORDER BY h)) AS digest FROM ({hashed})",  # noqa: S608
        {"data": table.select(names).rename_columns(places)},
    )
    return hashlib.sha256((header + rows["digest"][0].as_py()).encode()).hexdigest()
