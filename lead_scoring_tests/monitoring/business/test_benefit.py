"""Which leads the benefit is measured on: matured ones, once each, with the score of their arrival and the label of now."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa

from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.monitoring.business.benefit import MATURED

TIMESTAMP = pa.timestamp("us", tz="UTC")
NOW = datetime(2024, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def test_every_matured_lead_counts_once_with_its_first_score_and_its_newest_label() -> None:
    scores = [
        ("a", "2024-01", NOW - 50 * DAY, 0.5),
        ("a", "2024-02", NOW - 9 * DAY, 0.9),
        ("b", "2024-01", NOW - 50 * DAY, 0.4),
        ("young", "2024-02", NOW - 9 * DAY, 0.8),
        ("back", "2024-01", NOW - 50 * DAY, 0.7),
        ("unlabelled", "2024-01", NOW - 50 * DAY, 0.6),
    ]
    labels = [
        ("a", 0, NOW - 20 * DAY, NOW - 20 * DAY),
        ("a", 1, NOW - DAY, NOW - 20 * DAY),
        ("b", 0, NOW, NOW),
        ("young", 1, NOW - DAY, NOW + DAY),
        ("back", 1, NOW - 9 * DAY, NOW - DAY),
        ("back", None, NOW - 8 * DAY, NOW - DAY),
    ]
    kinds = [("lead_id", pa.string()), ("period", pa.string()), ("scored_at", TIMESTAMP), ("probability", pa.float64())]
    scored = pa.Table.from_pylist(
        [dict(zip([k for k, _ in kinds], row, strict=True)) for row in scores], pa.schema(kinds)
    )
    scored = scored.append_column("priority", pa.array(range(len(scores))))
    kinds = [("lead_id", pa.string()), ("label", pa.int8()), ("label_known_at", TIMESTAMP), ("matures_at", TIMESTAMP)]
    known = pa.Table.from_pylist(
        [dict(zip([k for k, _ in kinds], row, strict=True)) for row in labels], pa.schema(kinds)
    )
    found = query(
        f"WITH {MATURED} SELECT lead_id, period, probability, label FROM matured ORDER BY lead_id",
        {"lead_scores": scored, "ground_truth_labels": known},
    )
    assert [tuple(row.values()) for row in found.to_pylist()] == [("a", "2024-01", 0.5, 1), ("b", "2024-01", 0.4, 0)]
