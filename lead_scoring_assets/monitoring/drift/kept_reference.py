"""References kept with the model they belong to, in the append-only table `drift_reference`: one row a column, and one for
the whole. A reference is named by its content, and that name stands in every row of drift.

What such a row holds stands in `reference_rows.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.lakehouse.tables import Lakehouse
from lead_scoring_assets.monitoring.drift.reference_rows import (
    FIELDS,
    from_rows,
    holding,
    reference_id,
    strict_json,
    to_rows,
)
from lead_scoring_assets.monitoring.drift.reference_state import ReferenceState
from lead_scoring_assets.monitoring.drift.verdict import DEFINITION_VERSION

TABLE = "drift_reference"
SCHEMA = pa.schema(
    [
        ("reference_id", pa.string()),
        ("model_version", pa.int64()),
        ("model_fingerprint", pa.string()),
        ("trained_period", pa.string()),
        ("definition", pa.string()),
        *FIELDS,
    ]
)
_FORM = 2  # of the table's rows; references of an older form are made again


@dataclass(frozen=True)
class KeptReference:
    """A reference and its name."""

    id: str
    state: ReferenceState


def definition_of(bins: int, features: Sequence[str], segments: Sequence[str]) -> str:
    """What decides how a reference is made of rows, as text: those of different definitions are not the same."""
    of = {"form": _FORM, "version": DEFINITION_VERSION, "bins": bins}
    return strict_json({**of, "features": list(features), "segments": list(segments)})


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
    return KeptReference(first, from_rows(row for row in rows.to_pylist() if row["reference_id"] == first))


def with_values(lakehouse: Lakehouse, kept: KeptReference) -> ReferenceState:
    """The reference with its finite values, as they were kept."""
    rows = query(
        "SELECT feature, finite_values, value_counts FROM kept WHERE reference_id = $1",
        {"kept": lakehouse.scan(TABLE)},
        [kept.id],
    )
    return holding(kept.state, rows)


def keep(
    lakehouse: Lakehouse, state: ReferenceState, *, definition: str, version: int, fingerprint: str, period: str
) -> KeptReference:
    """Append `state` as the reference of a model, and give it its name."""
    name = reference_id(state)
    model = {"model_version": version, "model_fingerprint": fingerprint, "trained_period": period}
    named = [{"reference_id": name, **model, "definition": definition, **row} for row in to_rows(state)]
    lakehouse.append(TABLE, pa.Table.from_pylist(named, schema=SCHEMA))
    return KeptReference(name, state)
