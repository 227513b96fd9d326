"""Why leads were disqualified or lost, and how those leads had been scored."""

from datetime import datetime

import pyarrow as pa

from lead_scoring_assets.labels.maturity import first_rows, labels_known_at
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.lakehouse.tables import Lakehouse

NO_REASON = "(no reason given)"
NOT_SCORED = "(not scored)"

_NO_SCORES = pa.schema(
    [
        ("period", pa.string()),
        ("lead_id", pa.string()),
        ("scored_at", pa.timestamp("us", tz="UTC")),
        ("bucket", pa.string()),
    ]
)


def reasons_by_bucket(lakehouse: Lakehouse, as_of: datetime) -> pa.Table:
    """Leads by outcome (disqualified or lost), reason and bucket of their first score, as known at `as_of`.

    Columns outcome, reason, bucket, leads; most frequent first. A reason that is frequent among the best buckets names
    what the scores do not see.

    Raises:
        LakehouseError: ground_truth_labels does not exist.
    """
    scores = lakehouse.scan("lead_scores") if lakehouse.exists("lead_scores") else _NO_SCORES.empty_table()
    known = "(SELECT * FROM lead_scores WHERE scored_at <= $1)"
    return query(
        f"""
        SELECT l.basis AS outcome, coalesce(l.reason, '{NO_REASON}') AS reason,
               coalesce(s.bucket, '{NOT_SCORED}') AS bucket, count(*) AS leads
        FROM {labels_known_at("labels", "$1")} l
        LEFT JOIN {first_rows(known, "scored_at")} s USING (lead_id)
        WHERE l.basis IN ('disqualified', 'lost')
        GROUP BY ALL ORDER BY leads DESC, outcome, reason, bucket
        """,  # noqa: S608  # only our own names are pasted in
        {"labels": lakehouse.scan("ground_truth_labels"), "lead_scores": scores},
        [as_of],
    )


def count_reasons(labels: pa.Table) -> dict[str, int]:
    """Reasons of the disqualified leads among `labels` (rows of ground_truth_labels), most frequent first."""
    found = query(
        f"SELECT coalesce(reason, '{NO_REASON}') AS reason, count(*) AS n FROM labels WHERE basis = 'disqualified' "  # noqa: S608
        "GROUP BY ALL ORDER BY n DESC, reason",
        {"labels": labels},
    )
    return dict(zip(found["reason"].to_pylist(), found["n"].to_pylist(), strict=True))
