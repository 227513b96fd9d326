"""Which leads are open, what is known of them, and from whom is learned: against a loop over the same rows."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from lead_scoring_assets.monitoring.performance.open_leads import matured_leads, open_leads

TIMESTAMP = pa.timestamp("us", tz="UTC")
AS_OF = datetime(2024, 6, 1, tzinfo=UTC)
DAY, TICK = timedelta(days=1), timedelta(microseconds=1)
WINDOW, REFERENCE = 30, 60

Score = tuple[str, datetime, datetime, int, float]
Label = tuple[str, int | None, datetime]


def scores_of(rows: list[Score]) -> pa.Table:
    names = ["lead_id", "created_at", "scored_at", "model_version", "probability", "period"]
    kinds = [pa.string(), TIMESTAMP, TIMESTAMP, pa.int64(), pa.float64(), pa.string()]
    keyed = [dict(zip(names, (*row, f"{row[2]:%Y-%m}"), strict=True)) for row in rows]
    return pa.Table.from_pylist(keyed, schema=pa.schema(list(zip(names, kinds, strict=True))))


def labels_of(rows: list[Label]) -> pa.Table:
    names = ["lead_id", "label", "label_known_at"]
    schema = pa.schema(list(zip(names, [pa.string(), pa.int8(), TIMESTAMP], strict=True)))
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows], schema=schema)


def score(lead: str, age_days: float, lag_days: float = 0.0, version: int = 1, said: float = 0.5) -> Score:
    created = AS_OF - age_days * DAY
    return lead, created, created + lag_days * DAY, version, said


@pytest.mark.parametrize(
    ("created_at", "is_open", "is_matured"),
    [
        (AS_OF - TICK, True, False),
        (AS_OF - WINDOW * DAY, True, False),
        (AS_OF - WINDOW * DAY - TICK, False, True),
        (AS_OF - (WINDOW + REFERENCE) * DAY, False, True),
        (AS_OF - (WINDOW + REFERENCE) * DAY - TICK, False, False),
        (AS_OF, False, False),
    ],
)
def test_a_lead_is_open_matured_or_neither(created_at: datetime, is_open: bool, is_matured: bool) -> None:
    scores, labels = scores_of([("a", created_at, created_at, 1, 0.5)]), labels_of([("a", 0, created_at)])
    assert [leads.n for leads in open_leads(scores, labels, AS_OF, WINDOW)] == ([1] if is_open else [])
    assert len(matured_leads(scores, labels, AS_OF, WINDOW, REFERENCE).labels) == is_matured


def test_nothing_that_was_not_known_then_is_there() -> None:
    """A lead that arrives later, a label that comes later, a correction that comes later."""
    scores = scores_of([score("late", 5, lag_days=6), score("a", 5), score("b", 6), score("c", 7)])
    labels = labels_of([("a", 1, AS_OF + TICK), ("b", 1, AS_OF), ("c", 0, AS_OF - DAY), ("c", 1, AS_OF + DAY)])
    (leads,) = open_leads(scores, labels, AS_OF, WINDOW, later=AS_OF + 40 * DAY)
    assert sorted(leads.ages_days) == [5, 6, 7]
    by_age = dict(zip(leads.ages_days, zip(leads.labels, leads.truth, strict=True), strict=True))
    assert np.isnan(by_age[5][0])
    assert (by_age[5][1], by_age[6], by_age[7]) == (1, (1, 1), (0, 1))
    assert leads.label_coverage == pytest.approx(2 / 3)
    assert leads.converted.sum() == 1


def test_the_truth_is_what_is_known_now_unless_a_later_moment_is_given() -> None:
    (leads,) = open_leads(scores_of([score("a", 5)]), labels_of([("a", 1, AS_OF + DAY)]), AS_OF, WINDOW)
    assert np.isnan(leads.truth).all()


def test_a_change_of_model_within_the_window_makes_two_cohorts_and_the_first_score_counts() -> None:
    scores = [score(f"a{i}", 10 + i, version=3, said=i / 10) for i in range(4)]
    scores += [score(f"b{i}", 1 + i, version=4, said=i / 10) for i in range(3)]
    scores += [score("a0", 10, lag_days=5, version=4, said=0.9)]
    old, new = open_leads(scores_of(scores), labels_of([]), AS_OF, WINDOW)
    assert (old.model_version, old.scores.tolist()) == (3, [0.3, 0.2, 0.1, 0.0])
    assert (new.model_version, new.scores.tolist()) == (4, [0.2, 0.1, 0.0])


def test_matured_leads_against_a_loop() -> None:
    rng = np.random.default_rng(0)
    scores = [score(f"{i:03}", rng.uniform(20, 110), rng.uniform(0, 2), 1 + i % 3, rng.random()) for i in range(300)]
    labels: list[Label] = []
    for lead, created, *_ in scores:
        said = int(rng.random() < 0.4)
        labels.append((lead, said, created + rng.uniform(2, 30) * DAY))
        if rng.random() < 0.2:  # corrected, the other way
            labels.append((lead, 1 - said, created + rng.uniform(31, 60) * DAY))
    found = matured_leads(scores_of(scores), labels_of(labels[::-1]), AS_OF, WINDOW, REFERENCE)
    expected = []
    for lead, created, scored, version, said_score in scores:
        known = [row for row in labels if row[0] == lead and row[2] <= AS_OF]
        if 30 < (AS_OF - created) / DAY <= 90 and known:
            label = max(known, key=lambda row: row[2])[1]
            delay = min((row[2] for row in known if row[1] == 1), default=created) - created
            row = (said_score, version, label, (scored - created) / DAY, delay / DAY if label else -1.0)
            expected.append(row)
    columns = (found.scores, found.versions, found.labels, found.lags_days, np.nan_to_num(found.delays_days, nan=-1.0))
    assert np.column_stack(columns) == pytest.approx(np.array(sorted(expected, reverse=True)), abs=1e-6)


def test_nobody_scored() -> None:
    nothing = scores_of([]), labels_of([])
    assert open_leads(*nothing, AS_OF, WINDOW) == []
    assert len(matured_leads(*nothing, AS_OF, WINDOW, REFERENCE).labels) == 0
