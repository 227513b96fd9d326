"""Why leads were disqualified, counted by how they had been scored: as known at a moment."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from lead_scoring_assets.labels.reasons import NO_REASON, NOT_SCORED, count_reasons, reasons_by_bucket
from lead_scoring_assets.lakehouse.tables import Lakehouse

TIMESTAMP = pa.timestamp("us", tz="UTC")
NOW = datetime(2024, 2, 1, tzinfo=UTC)
DAY = timedelta(days=1)
LABELS = pa.schema(
    [
        ("period", pa.string()),
        ("lead_id", pa.string()),
        ("label", pa.int8()),
        ("label_known_at", TIMESTAMP),
        ("basis", pa.string()),
        ("reason", pa.string()),
        ("revision", pa.int64()),
    ]
)
SCORES = pa.schema(
    [("period", pa.string()), ("lead_id", pa.string()), ("scored_at", TIMESTAMP), ("bucket", pa.string())]
)


def house(tmp_path: Path, *, with_scores: bool = True) -> Lakehouse:
    lakehouse = Lakehouse(tmp_path)
    labels = [
        ("a", 0, NOW - 9 * DAY, "disqualified", "no budget", 1),
        ("b", 0, NOW - 9 * DAY, "disqualified", "no budget", 1),
        ("c", 0, NOW - 9 * DAY, "disqualified", None, 1),
        ("d", 0, NOW - 9 * DAY, "lost", "competitor", 1),
        ("e", 1, NOW - 9 * DAY, "converted", "good call", 1),
        ("f", 0, NOW - 9 * DAY, "no outcome in the window", None, 1),
        ("g", 0, NOW - 9 * DAY, "disqualified", "wrong number", 1),
        ("g", None, NOW - 8 * DAY, "open", None, 2),
        ("h", 0, NOW - 9 * DAY, "disqualified", "no budget", 1),
        ("h", 0, NOW + DAY, "disqualified", "wrong number", 2),
    ]
    rows = [dict(zip(LABELS.names, ("2024-01", *label), strict=True)) for label in labels]
    lakehouse.replace_periods("ground_truth_labels", ["2024-01"], pa.Table.from_pylist(rows, schema=LABELS))
    scores = [
        ("2024-01", "a", NOW - 20 * DAY, "Hot"),
        ("2024-02", "a", NOW - 2 * DAY, "Cold"),
        ("2024-01", "b", NOW - 20 * DAY, "Hot"),
        ("2024-01", "d", NOW - 20 * DAY, "Warm"),
        ("2024-02", "h", NOW + DAY, "Hot"),
    ]
    rows = [dict(zip(SCORES.names, score, strict=True)) for score in scores]
    if with_scores:
        lakehouse.replace_periods("lead_scores", ["2024-01", "2024-02"], pa.Table.from_pylist(rows, schema=SCORES))
    return lakehouse


def test_reasons_are_counted_by_the_bucket_of_the_first_score(tmp_path: Path) -> None:
    found = reasons_by_bucket(house(tmp_path), NOW)
    assert [tuple(row.values()) for row in found.to_pylist()] == [
        ("disqualified", "no budget", "Hot", 2),
        ("disqualified", NO_REASON, NOT_SCORED, 1),
        ("disqualified", "no budget", NOT_SCORED, 1),
        ("lost", "competitor", "Warm", 1),
    ]


def test_a_corrected_reason_counts_from_when_it_is_known(tmp_path: Path) -> None:
    found = {tuple(row.values()) for row in reasons_by_bucket(house(tmp_path), NOW + DAY).to_pylist()}
    assert ("disqualified", "wrong number", "Hot", 1) in found
    assert ("disqualified", "no budget", NOT_SCORED, 1) not in found


def test_before_there_are_scores_the_reasons_are_counted_all_the_same(tmp_path: Path) -> None:
    found = reasons_by_bucket(house(tmp_path, with_scores=False), NOW)
    assert set(found["bucket"].to_pylist()) == {NOT_SCORED}
    assert sum(found["leads"].to_pylist()) == 5


def test_reasons_of_some_labels(tmp_path: Path) -> None:
    labels = house(tmp_path).read("ground_truth_labels")
    assert list(count_reasons(labels).items()) == [("no budget", 3), ("wrong number", 2), (NO_REASON, 1)]
    assert count_reasons(labels[:0]) == {}
