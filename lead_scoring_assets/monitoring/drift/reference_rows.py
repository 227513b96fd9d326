"""A reference as rows, one a column and one for the whole, and back. Where the rows are kept stands in `kept_reference.py`.

Bins need a few kilobytes; the finite values, which only comparisons row by row look at, may be hundreds of megabytes. They
lie in columns of their own, as float64 and int64 of the lowest byte first, and are read when somebody asks for them.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pyarrow as pa

from lead_scoring_assets.monitoring.drift.columns import is_valid
from lead_scoring_assets.monitoring.drift.counts import Counts
from lead_scoring_assets.monitoring.drift.distribution import Distribution
from lead_scoring_assets.monitoring.drift.reference_state import ReferenceColumn, ReferenceState

FIELDS = [
    ("feature", pa.string()),
    ("content", pa.string()),
    ("finite_values", pa.binary()),
    ("value_counts", pa.binary()),
]
_WHOLE = ""

Row = Mapping[str, Any]


def reference_id(reference: ReferenceState) -> str:
    """SHA-256 of everything that drift is measured against."""
    digest = hashlib.sha256()
    for row in to_rows(reference):
        digest.update(f"{row['feature']}\n{row['content']}\n".encode())
        for values in (row["finite_values"], row["value_counts"]):
            digest.update(b"-" if values is None else values)
    return digest.hexdigest()


def to_rows(reference: ReferenceState) -> Iterator[dict[str, Any]]:
    """One row for the whole and one a column: strict JSON, and the finite values, of which no bit is lost."""
    whole = {
        "n_rows": reference.n_rows,
        "bins": reference.bins,
        "columns": [column.name for column in reference.columns],
        "missingness": reference.missingness.name if reference.missingness else None,
        "segments": {
            segment: {group: asdict(counts) for group, counts in sorted(groups.items())}
            for segment, groups in reference.segments.items()
        },
    }
    columns = [*reference.columns, *([reference.missingness] if reference.missingness else [])]
    yield {"feature": _WHOLE, "content": strict_json(whole), "finite_values": None, "value_counts": None}
    for column in columns:
        yield _column_row(column)


def from_rows(rows: Iterable[Row]) -> ReferenceState:
    """Inverse of `to_rows` but for the finite values, in whatever order the rows come and however often."""
    by_feature = {row["feature"]: row for row in rows}
    whole = json.loads(by_feature[_WHOLE]["content"])
    missingness = by_feature.get(whole["missingness"])
    return ReferenceState(
        n_rows=whole["n_rows"],
        bins=whole["bins"],
        columns=tuple(_column(by_feature[name]) for name in whole["columns"]),
        missingness=_column(missingness) if missingness else None,
        segments={
            segment: {group: _counts(counts) for group, counts in groups.items()}
            for segment, groups in whole["segments"].items()
        },
    )


def holding(state: ReferenceState, rows: pa.Table) -> ReferenceState:
    """`state` with the values that its rows hold."""
    found = values_of(rows)
    columns = (replace(column, distribution=found[column.name]) for column in state.columns)
    return replace(state, columns=tuple(columns))


def values_of(rows: pa.Table) -> dict[str, Distribution]:
    """By feature, the finite values where they lie: none is copied."""
    names, values, counts = (rows[name] for name in ("feature", "finite_values", "value_counts"))
    return {
        name: Distribution(
            np.empty(0) if of_values is None else np.frombuffer(of_values, dtype="<f8"),
            None if of_counts is None else np.frombuffer(of_counts, dtype="<i8"),
        )
        for name, of_values, of_counts in zip(names.to_pylist(), _bytes(values), _bytes(counts), strict=True)
    }


def _bytes(column: pa.ChunkedArray) -> Iterator[memoryview | None]:
    """What each row holds. Arrow's own scalars would be copies."""
    for chunk in column.chunks:
        _, offsets, content = chunk.buffers()
        cuts = np.frombuffer(offsets, np.int64 if pa.types.is_large_binary(chunk.type) else np.int32)[chunk.offset :]
        for place, is_there in enumerate(is_valid(chunk)):
            yield memoryview(content or b"")[cuts[place] : cuts[place + 1]] if is_there else None


def _column_row(column: ReferenceColumn) -> dict[str, Any]:
    content = {
        "name": column.name,
        "kind": column.kind,
        "n_rows": column.n_rows,
        "bin_labels": column.bin_labels,
        "bin_counts": column.bin_counts,
        # The outer edges are always infinite and JSON has no infinity.
        "inner_edges": column.edges[1:-1],
        "lone_values": column.lone_values,
        "smallest": column.smallest,
        "largest": column.largest,
        "categories": column.categories,
        "rare_categories": sorted(column.rare_categories),
        "once_seen": column.once_seen,
        "twice_seen": column.twice_seen,
        "tail_rows": column.tail_rows,
    }
    values, counts = column.distribution.values, column.distribution.counts
    return {
        "feature": column.name,
        "content": strict_json(content),
        "finite_values": values.astype("<f8").tobytes() if column.kind == "numeric" else None,
        "value_counts": None if counts is None else counts.astype("<i8").tobytes(),
    }


def _column(row: Row) -> ReferenceColumn:
    content = json.loads(row["content"])
    inner_edges, is_numeric = content.pop("inner_edges"), content["kind"] == "numeric"
    lists: dict[str, Any] = {
        name: tuple(content.pop(name)) for name in ("bin_labels", "bin_counts", "lone_values", "categories")
    }
    rare = frozenset(content.pop("rare_categories"))
    return ReferenceColumn(
        **content,
        **lists,
        rare_categories=rare,
        edges=(-np.inf, *inner_edges, np.inf) if is_numeric else (),
    )


def _counts(content: dict[str, Any]) -> Counts:
    bins = {name: tuple(rows) for name, rows in content["bins"].items()}
    return Counts(content["n_rows"], bins, content["outside"], content["problems"])


def strict_json(content: Row) -> str:
    """JSON in which every number is one."""
    return json.dumps(content, allow_nan=False)
