"""The rows of `experiment_results`: one for each figure of a reading, with the verdict beside it. Nothing is decided here."""

import json
from dataclasses import asdict
from math import isnan
from typing import Any

import pyarrow as pa

from lead_scoring_assets.experiments.reading import Reading
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.lakehouse.tables import Lakehouse

TABLE = "experiment_results"

_MOMENT = pa.timestamp("us", tz="UTC")
_EDGES = (("", "value"), ("_low", "low"), ("_high", "high"))
SCHEMA = pa.schema(
    [("experiment_id", pa.string()), ("as_of", _MOMENT), ("labels_until", _MOMENT)]
    + [("unit", pa.string()), ("age_days", pa.int64()), ("exposed", pa.int64())]
    + [("metric", pa.string()), ("role", pa.string()), ("n_control", pa.int64()), ("n_treatment", pa.int64())]
    + [(f"{name}{edge}", pa.float64()) for name in ("control", "treatment", "effect") for edge, _ in _EDGES]
    + [("p_value", pa.float64()), ("is_significant", pa.bool_()), ("is_sample_sufficient", pa.bool_())]
    + [(name, pa.string()) for name in ("status", "reason", "verdict", "verdict_reason", "checklist", "warnings")]
)
_IS_KNOWN = """
SELECT count(*) AS n FROM results
WHERE experiment_id = $1 AND as_of = $2 AND labels_until = $3 AND exposed = $4
"""


def rows_of(reading: Reading) -> list[dict[str, Any]]:
    """In `SCHEMA`. `effect` is treatment minus control, of the lifts relative to it; what is not known is NULL."""
    decision, plan = reading.decision, reading.experiment
    shared = {
        "experiment_id": plan.experiment_id,
        "as_of": reading.as_of,
        "labels_until": reading.labels_until,
        "unit": plan.unit,
        "age_days": plan.age_days,
        "exposed": reading.exposed,
        "is_significant": decision.answer("significance") == "yes",
        "is_sample_sufficient": decision.answer("sample_size") == "yes",
        "verdict": decision.verdict,
        "verdict_reason": decision.reason,
        "checklist": json.dumps([asdict(check) for check in decision.checklist]),
        "warnings": json.dumps(reading.warnings),
    }
    rows = []
    for figure in reading.figures:
        edges = {
            f"{name}{edge}": _known(getattr(getattr(figure, name), attribute))
            for name in ("control", "treatment", "effect")
            for edge, attribute in _EDGES
        }
        told = {"metric": figure.metric, "role": figure.role, "status": figure.status, "reason": figure.reason}
        sizes = {"n_control": figure.control.n, "n_treatment": figure.treatment.n, "p_value": _known(figure.p_value)}
        rows.append({**shared, **told, **sizes, **edges})
    return rows


def keep(lakehouse: Lakehouse, reading: Reading) -> bool:
    """Append the reading, unless one of the same moment over the same units and labels is there; True when it was new."""
    plan = reading.experiment
    key = [plan.experiment_id, reading.as_of, reading.labels_until, reading.exposed]
    if lakehouse.exists(TABLE):
        known = query(_IS_KNOWN, {"results": lakehouse.scan(TABLE)}, key)
        if known["n"][0].as_py():
            return False
    lakehouse.append(TABLE, pa.Table.from_pylist(rows_of(reading), schema=SCHEMA))
    return True


def _known(value: float) -> float | None:
    """Infinity stays: that nothing bounds a lift is known."""
    return None if isnan(value) else float(value)
