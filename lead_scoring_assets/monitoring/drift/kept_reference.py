"""References kept with the model they belong to, in the append-only table `drift_reference`: one row a column, and one for
the whole. A reference is named by its content, and that name stands in every row of drift.

Bins need a few kilobytes; the finite values, which only comparisons row by row look at, may be hundreds of megabytes. They
lie in columns of their own, as float64 and int64 of the lowest byte first, and are read when somebody asks for them.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.lakehouse.tables import Lakehouse
from lead_scoring_assets.monitoring.drift.counts import Counts
from lead_scoring_assets.monitoring.drift.exact import Distribution
from lead_scoring_assets.monitoring.drift.reference_state import ReferenceColumn, ReferenceState
from lead_scoring_assets.monitoring.drift.verdict import DEFINITION_VERSION

TABLE = "drift_reference"
SCHEMA = pa.schema(
    [
        ("reference_id", pa.string()),
        ("model_version", pa.int64()),
        ("model_fingerprint", pa.string()),
        ("trained_period", pa.string()),
        ("definition", pa.string()),
        ("feature", pa.string()),
        ("content", pa.string()),
        ("finite_values", pa.binary()),
        ("value_counts", pa.binary()),
    ]
)
_WHOLE = ""
_FORM = 2  # of the table's rows; references of an older form are made again

Row = Mapping[str, Any]


@dataclass(frozen=True)
class KeptReference:
    """A reference and its name."""

    id: str
    state: ReferenceState


def definition_of(bins: int, features: Sequence[str], segments: Sequence[str]) -> str:
    """What decides how a reference is made of rows, as text: those of different definitions are not the same."""
    of = {"form": _FORM, "version": DEFINITION_VERSION, "bins": bins}
    return _json({**of, "features": list(features), "segments": list(segments)})


def find(lakehouse: Lakehouse, model_fingerprint: str, definition: str) -> KeptReference | None:
    """The bins of the reference that was kept for a model; None where there is none of that definition."""
    if not lakehouse.exists(TABLE):
        return None
    rows = query(
        "SELECT reference_id, feature, content FROM kept WHERE model_fingerprint = $1 AND definition = $2 "
        "ORDER BY reference_id, feature",
        {"kept": lakehouse.scan(TABLE)},
        [model_fingerprint, definition],
    )
    if not rows.num_rows:
        return None
    # Two processes may have kept it at the same time: the same content, or the first of the two by name.
    first = rows["reference_id"][0].as_py()
    return KeptReference(first, from_rows(rows.filter(pc.equal(rows["reference_id"], first)).to_pylist()))


def with_values(lakehouse: Lakehouse, kept: KeptReference) -> ReferenceState:
    """The reference with its finite values, as they were kept."""
    rows = query(
        "SELECT feature, finite_values, value_counts FROM kept WHERE reference_id = $1",
        {"kept": lakehouse.scan(TABLE)},
        [kept.id],
    )
    return holding(kept.state, rows)


def holding(state: ReferenceState, rows: pa.Table) -> ReferenceState:
    """`state` with the values that its rows hold, where they lie: none is copied."""
    found = {
        feature: Distribution(
            np.frombuffer(values.as_buffer() or b"", dtype="<f8"),
            np.frombuffer(counts.as_buffer(), dtype="<i8") if counts.is_valid else None,
        )
        for feature, values, counts in zip(
            rows["feature"].to_pylist(), rows["finite_values"], rows["value_counts"], strict=True
        )
    }
    columns = (replace(column, distribution=found[column.name]) for column in state.columns)
    return replace(state, columns=tuple(columns))


def keep(
    lakehouse: Lakehouse, state: ReferenceState, *, definition: str, version: int, fingerprint: str, period: str
) -> KeptReference:
    """Append `state` as the reference of a model, and give it its name."""
    rows, name = to_rows(state), reference_id(state)
    model = {"model_version": version, "model_fingerprint": fingerprint, "trained_period": period}
    named = [{"reference_id": name, **model, "definition": definition, **row} for row in rows]
    lakehouse.append(TABLE, pa.Table.from_pylist(named, schema=SCHEMA))
    return KeptReference(name, state)


def reference_id(reference: ReferenceState) -> str:
    """SHA-256 of everything that drift is measured against."""
    digest = hashlib.sha256()
    for row in to_rows(reference):
        digest.update(f"{row['feature']}\n{row['content']}\n".encode())
        for values in (row["finite_values"], row["value_counts"]):
            digest.update(b"-" if values is None else values)
    return digest.hexdigest()


def to_rows(reference: ReferenceState) -> list[dict[str, Any]]:
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
    return [
        {"feature": _WHOLE, "content": _json(whole), "finite_values": None, "value_counts": None},
        *(_column_row(column) for column in columns),
    ]


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
        "content": _json(content),
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


def _json(content: Row) -> str:
    return json.dumps(content, allow_nan=False)
