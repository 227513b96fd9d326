"""How scores turned out: who belongs to a cohort, whose label counts, and when there is too little to say so."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.evaluation.metrics import evaluate
from lead_scoring_assets.monitoring.performance.matured import SCHEMA, Cohort, cohorts, judge_cohort, measure
from lead_scoring_assets.settings import Home

pytestmark = pytest.mark.filterwarnings("error")

SETTINGS = Home(Path(__file__).resolve().parents[3]).settings.performance.model_copy(
    update={"minimum_rows": 20, "minimum_positives": 5}
)
FROM = datetime(2024, 1, 1, tzinfo=UTC)
BEFORE = datetime(2024, 2, 1, tzinfo=UTC)
AS_OF = datetime(2024, 3, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)
TIMESTAMP = pa.timestamp("us", tz="UTC")


def scores_of(rows: list[tuple[str, datetime, int, float]]) -> pa.Table:
    names = ["lead_id", "created_at", "model_version", "probability"]
    kinds = [pa.string(), TIMESTAMP, pa.int64(), pa.float64(), TIMESTAMP, pa.string()]
    schema = pa.schema(list(zip([*names, "scored_at", "period"], kinds, strict=True)))
    # A row that comes again later is the score of a lead that was corrected.
    table = [
        {**dict(zip(names, row, strict=True)), "scored_at": row[1] + timedelta(days=i), "period": f"{i:06}"}
        for i, row in enumerate(rows)
    ]
    return pa.Table.from_pylist(table, schema=schema)


def labels_of(rows: Sequence[tuple[str, int | None, datetime]]) -> pa.Table:
    names = ["lead_id", "label", "label_known_at"]
    schema = pa.schema([(names[0], pa.string()), (names[1], pa.int8()), (names[2], TIMESTAMP)])
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows], schema=schema)


def found(
    scores: list[tuple[str, datetime, int, float]], labels: Sequence[tuple[str, int | None, datetime]]
) -> list[Cohort]:
    return cohorts(scores_of(scores), labels_of(labels), FROM, BEFORE, AS_OF)


def cohort(positives: int, negatives: int, scored: int | None = None) -> Cohort:
    labels = np.repeat([1.0, 0.0], [positives, negatives])
    scores = np.random.default_rng(0).random(len(labels))
    return Cohort(7, len(labels) if scored is None else scored, labels, scores)


# Who belongs to a cohort.


@pytest.mark.parametrize(
    ("created_at", "n"), [(FROM - TICK, 0), (FROM, 1), (BEFORE - TICK, 1), (BEFORE, 0), (BEFORE + TICK, 0)]
)
def test_borders_of_the_cohort(created_at: datetime, n: int) -> None:
    assert sum(c.scored for c in found([("a", created_at, 1, 0.5)], [("a", 1, AS_OF)])) == n


@pytest.mark.parametrize(("known_at", "n"), [(AS_OF - TICK, 1), (AS_OF, 1), (AS_OF + TICK, 0)])
def test_a_label_counts_from_when_it_is_known(known_at: datetime, n: int) -> None:
    (only,) = found([("a", FROM, 1, 0.5)], [("a", 1, known_at)])
    assert (only.scored, len(only.labels), only.label_coverage) == (1, n, n)


def test_scored_leads_without_label_count_against_the_coverage() -> None:
    scores = [(f"lead-{i}", FROM, 1, i / 10) for i in range(8)]
    labels = [("lead-1", 1, AS_OF), ("lead-4", 0, AS_OF), ("lead-5", 1, AS_OF + TICK), ("stranger", 1, AS_OF)]
    (only,) = found(scores, labels)
    assert (only.scored, only.label_coverage) == (8, 0.25)
    assert (only.labels.tolist(), only.scores.tolist()) == ([1.0, 0.0], [0.1, 0.4])


def test_no_label_at_all_is_not_a_no() -> None:
    (only,) = found([("a", FROM, 1, 0.5), ("b", FROM, 1, 0.6)], [])
    assert (only.scored, len(only.labels), only.label_coverage) == (2, 0, 0.0)


def test_every_model_version_answers_for_its_own_leads() -> None:
    scores = [
        ("a", FROM, 2, 0.1),
        ("b", FROM, 10, 0.2),
        ("c", FROM, 2, 0.3),
        ("d", FROM, 10, 0.4),
        ("e", BEFORE, 3, 0.5),
    ]
    two, ten = found(scores, [("a", 1, AS_OF), ("b", 0, AS_OF), ("c", 0, AS_OF)])
    assert (two.model_version, two.scored, two.labels.tolist(), two.scores.tolist()) == (2, 2, [1, 0], [0.1, 0.3])
    assert (ten.model_version, ten.scored, ten.labels.tolist(), ten.scores.tolist()) == (10, 2, [0], [0.2])


def test_a_corrected_label_counts_as_it_was_known() -> None:
    scores = [("a", FROM, 1, 0.5), ("b", FROM, 1, 0.6)]
    labels: list[tuple[str, int | None, datetime]] = [
        ("a", 0, AS_OF - 2 * TICK),
        ("a", 1, AS_OF),
        ("a", 0, AS_OF + TICK),
        ("b", 1, AS_OF - TICK),
        ("b", None, AS_OF),
    ]
    (only,) = found(scores, labels)
    assert (only.scored, only.labels.tolist(), only.scores.tolist()) == (2, [1.0], [0.5])


def test_a_lead_that_was_scored_again_answers_for_its_first_score_only() -> None:
    scores = [("a", FROM, 1, 0.5), ("a", FROM, 2, 0.9), ("b", FROM, 2, 0.3)]
    one, two = found(scores, [("a", 1, AS_OF), ("b", 0, AS_OF)])
    assert (one.model_version, one.scores.tolist()) == (1, [0.5])
    assert (two.model_version, two.scores.tolist()) == (2, [0.3])


def test_nobody_scored_no_cohort() -> None:
    assert found([], []) == []
    assert math.isnan(Cohort(1, 0, np.empty(0), np.empty(0)).label_coverage)


def test_cohorts_against_a_loop() -> None:
    rng = np.random.default_rng(0)
    scores = [
        (
            f"lead-{i:03}",
            FROM + timedelta(days=int(rng.integers(-10, 45))),
            int(rng.integers(1, 4)),
            float(rng.random()),
        )
        for i in range(300)
    ]
    labels = [
        (f"lead-{i:03}", int(rng.random() < 0.3), AS_OF + timedelta(days=int(rng.integers(-20, 5)))) for i in range(250)
    ]
    known = {lead: label for lead, label, known_at in labels if known_at <= AS_OF}
    result = found(scores, labels)
    for version in (1, 2, 3):
        mine = [row for row in scores if row[2] == version and FROM <= row[1] < BEFORE]
        this = next(c for c in result if c.model_version == version)
        assert this.scored == len(mine)
        assert this.labels.tolist() == [known[row[0]] for row in mine if row[0] in known]
        assert this.scores.tolist() == [row[3] for row in mine if row[0] in known]
    shuffled = [scores[i] for i in rng.permutation(300)]
    again = found(shuffled, labels[::-1])
    assert [(c.scored, c.labels.tolist(), c.scores.tolist()) for c in again] == [
        (c.scored, c.labels.tolist(), c.scores.tolist()) for c in result
    ]


# Enough to say something.


@pytest.mark.parametrize(
    ("positives", "negatives", "status"),
    [
        (5, 15, "ok"),
        (15, 5, "ok"),
        (5, 14, "insufficient_data"),
        (4, 100, "insufficient_data"),
        (100, 4, "insufficient_data"),  # a ranking is known as well as its rarer outcome
        (20, 0, "insufficient_data"),
        (0, 20, "insufficient_data"),
        (0, 0, "insufficient_data"),
    ],
)
def test_what_is_needed(positives: int, negatives: int, status: str) -> None:
    assert judge_cohort(cohort(positives, negatives), SETTINGS)[0] == status


def test_the_reason_holds_the_numbers() -> None:
    assert judge_cohort(cohort(300, 1_200, scored=2_000), SETTINGS) == (
        "ok",
        "1,500 labelled leads, 300 converted, label coverage 75%",
    )
    assert judge_cohort(cohort(3, 7), SETTINGS) == (
        "insufficient_data",
        "10 labelled leads, 3 converted, label coverage 100%; 20 are needed, and 5 of either outcome",
    )


@given(st.integers(0, 6), st.integers(0, 6), st.integers(1, 5), st.integers(1, 5))
def test_what_cannot_be_computed_is_never_ok(positives: int, negatives: int, rows: int, least: int) -> None:
    settings = SETTINGS.model_copy(update={"minimum_rows": rows, "minimum_positives": least})
    for row in measure(cohort(positives, negatives), settings, "2024-02", AS_OF):
        assert row["status"] in ("ok", "insufficient_data")
        if any(math.isnan(float(str(row[name]))) for name in ("value", "low", "high")):
            assert row["status"] == "insufficient_data"
        if row["status"] == "ok":
            assert positives + negatives >= rows
            assert min(positives, negatives) >= least


def test_rows_are_the_evaluations_figures_with_their_circumstances() -> None:
    this = cohort(30, 70, scored=125)
    rows = measure(this, SETTINGS, "2024-02", AS_OF)
    expected = evaluate(this.labels, this.scores)
    assert [(r["metric"], r["value"], r["low"], r["high"], r["n"]) for r in rows] == [
        (m.name, m.value, m.low, m.high, m.n) for m in expected
    ]
    for row in rows:
        told = {
            name: row[name] for name in ("period", "model_version", "positives", "label_coverage", "as_of", "status")
        }
        assert told == {
            "period": "2024-02",
            "model_version": 7,
            "positives": 30,
            "label_coverage": 0.8,
            "as_of": AS_OF,
            "status": "ok",
        }
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    assert table.num_rows == len(expected)
    assert set(rows[0]) == set(SCHEMA.names)


def test_a_cohort_without_labels_can_be_written_down() -> None:
    rows = measure(Cohort(1, 12, np.empty(0), np.empty(0)), SETTINGS, "2024-02", AS_OF)
    assert {row["status"] for row in rows} == {"insufficient_data"}
    assert {row["label_coverage"] for row in rows} == {0.0}
    assert pa.Table.from_pylist(rows, schema=SCHEMA)["value"].to_pylist() != []


def test_labels_that_are_still_open_would_have_looked_like_a_broken_model() -> None:
    """12 % convert, after 20 days; others say no after 3. One week in all known labels are 0, and nothing is ok."""
    rng = np.random.default_rng(0)
    scores = [(f"lead-{i:04}", FROM, 1, float(rng.random())) for i in range(1_000)]
    converts = rng.random(1_000) < 0.12
    labels = [
        (row[0], int(c), FROM + timedelta(days=20 if c else 3))
        for row, c in zip(scores, converts, strict=True)
        if c or rng.random() < 0.5
    ]
    (early,) = cohorts(scores_of(scores), labels_of(labels), FROM, BEFORE, FROM + timedelta(days=7))
    assert early.labels.sum() == 0
    assert early.label_coverage < 0.6
    assert judge_cohort(early, SETTINGS)[0] == "insufficient_data"
