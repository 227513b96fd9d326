"""Leads that a plain rule answered because no model could, and whether a model has scored them since.

Nothing has to be asked for: such a lead comes from the CRM like any other, and is scored with its period. This says who
still waits.
"""

import pyarrow as pa

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.lakehouse.tables import Commit
from lead_scoring_assets.prediction_log.tables import PREDICTIONS

TABLE, SCORES = "fallback_leads", "lead_scores"
SCHEMA = pa.schema(
    [
        ("period", pa.string()),
        ("lead_id", pa.string()),
        ("answered_at", pa.timestamp("us", tz="UTC")),
        ("fallback_score", pa.float64()),
        ("status", pa.string()),
        ("scored_in", pa.string()),
        ("model_version", pa.int64()),
        ("probability", pa.float64()),
    ]
)
_NO_SCORES = pa.table(
    {"period": [], "lead_id": [], "model_version": [], "probability": []},
    schema=pa.schema(
        [
            ("period", pa.string()),
            ("lead_id", pa.string()),
            ("model_version", pa.int64()),
            ("probability", pa.float64()),
        ]
    ),
)
_SQL = """
    WITH answered AS (
        SELECT lead_id, max("at") FILTER (source = 'fallback') AS answered_at,
               arg_max(score, "at") FILTER (source = 'fallback') AS fallback_score,
               arg_max(period, "at") FILTER (source = 'fallback') AS period,
               arg_max(struct_pack(moment := "at", version := model_version, score := score), "at")
                   FILTER (source = 'model') AS by_model
        FROM served WHERE lead_id IN (SELECT lead_id FROM served WHERE source = 'fallback') GROUP BY lead_id
    ), scored AS (
        SELECT lead_id, max(period) AS scored_in, arg_max(model_version, period) AS version,
               arg_max(probability, period) AS probability
        FROM scores WHERE lead_id IN (SELECT lead_id FROM answered) GROUP BY lead_id
    ), told AS (
        SELECT *, CASE WHEN by_model.moment > answered_at THEN 'answered_by_model'
                       WHEN scored_in >= period THEN 'rescored'
                       WHEN scored_in IS NOT NULL THEN 'scored_before'
                       ELSE 'waiting' END AS status
        FROM answered LEFT JOIN scored USING (lead_id)
    )
    SELECT period, lead_id, answered_at, fallback_score, status, scored_in,
           CASE WHEN status = 'answered_by_model' THEN by_model.version ELSE version END AS model_version,
           CASE WHEN status = 'answered_by_model' THEN by_model.score ELSE probability END AS probability
    FROM told ORDER BY period, lead_id
"""


def fallback_leads(installation: Installation) -> pa.Table:
    """One row for each lead whose newest answer by the plain rule stands, in `SCHEMA`; `period`: of that answer.

    `status`: `answered_by_model` later on, `rescored` by batch in that period or a later one, `scored_before` (and its data
    have not changed since, or it would be scored again), else `waiting`.
    """
    lakehouse = installation.lakehouse
    if not lakehouse.exists(PREDICTIONS):
        return SCHEMA.empty_table()
    scores = lakehouse.scan(SCORES) if lakehouse.exists(SCORES) else _NO_SCORES
    return query(_SQL, {"served": lakehouse.scan(PREDICTIONS), "scores": scores}).cast(SCHEMA)


def write(installation: Installation) -> Commit | None:
    """Bring the table up to date; None: it is, or nobody was ever answered so."""
    lakehouse, found = installation.lakehouse, fallback_leads(installation)
    known = lakehouse.read(TABLE).select(SCHEMA.names) if lakehouse.exists(TABLE) else SCHEMA.empty_table()
    if found.equals(known.sort_by([("period", "ascending"), ("lead_id", "ascending")])):
        return None
    periods = sorted({*found["period"].to_pylist(), *known["period"].to_pylist()})
    return lakehouse.replace_periods(TABLE, periods, found)
