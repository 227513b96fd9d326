"""Planted faults in the ground truth, each found by the check that is there for it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from lead_scoring_assets.contracts.findings import Finding
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.labels import coverage, quality
from lead_scoring_assets.labels.maturity import NO_OUTCOME, NO_RESPONSE
from lead_scoring_assets.periods import Period
from lead_scoring_assets.settings import Home
from lead_scoring_tests.conftest import MakeHome

TIMESTAMP = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("period", "lead_id", "basis")]
    + [(name, TIMESTAMP) for name in ("created_at", "matures_at", "label_known_at")]
    + [("label", pa.int8()), ("revision", pa.int64())]
)
CREATED = datetime(2008, 6, 5, tzinfo=UTC)
TICK = timedelta(microseconds=1)
DAY = timedelta(days=1)
MATURES = CREATED + 30 * DAY


@pytest.fixture(scope="module")
def house(make_home: MakeHome) -> Installation:
    return Installation(Home(make_home("labels")))


def period_of(house: Installation, moment: datetime) -> Period:
    return house.settings.calendar.containing(moment - TICK)


def label(
    moment: datetime, value: int | None, basis: str, revision: int = 1, lead_id: str = "a", **other: Any
) -> dict[str, Any]:
    row = {"lead_id": lead_id, "created_at": CREATED, "matures_at": MATURES, "label_known_at": moment}
    return {**row, "label": value, "basis": basis, "revision": revision, **other}


def judged(
    house: Installation, judge: Callable[[Installation, Period], Finding], rows: list[dict[str, Any]]
) -> Finding:
    """What the check says of the newest period, with every row in the period in which it became known."""
    keyed = [{"period": period_of(house, row["label_known_at"]).key, **row} for row in rows]
    last = period_of(house, max(row["label_known_at"] for row in rows))
    keys = [period.key for period in house.settings.calendar.through(house.settings.calendar.period("2008-12"))]
    house.lakehouse.replace_periods("ground_truth_labels", keys, pa.Table.from_pylist(keyed, schema=SCHEMA))
    return judge(house, last)


GOOD = [
    label(CREATED + 3 * DAY, 0, "lost", 1),
    label(CREATED + 5 * DAY, None, "open", 2),
    label(MATURES, 0, NO_OUTCOME, 3),
    label(MATURES + DAY, 1, "converted", 4),
    label(CREATED + 3 * DAY, 1, "converted", 1, "b"),
    label(MATURES, 0, NO_RESPONSE, 1, "c"),
    label(CREATED + 4 * DAY, 0, "disqualified", 1, "d"),
    label(CREATED + 5 * DAY, None, "no_response", 2, "d"),
]
JUDGES = [quality.one_label_per_lead, quality.no_label_before_its_time, quality.taken_back_by_word_only]


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("until", range(1, len(GOOD) + 1))
def test_labels_as_they_should_be_pass(
    house: Installation, judge: Callable[[Installation, Period], Finding], until: int
) -> None:
    finding = judged(house, judge, GOOD[:until])
    assert finding.passed, finding.sentence


FAULTS = {
    "two first labels": (JUDGES[0], [label(MATURES, 0, NO_OUTCOME), label(MATURES + DAY, 0, NO_OUTCOME)]),
    "a row twice": (JUDGES[0], [label(MATURES, 0, NO_OUTCOME), label(MATURES, 0, NO_OUTCOME)]),
    "a gap": (JUDGES[0], [label(CREATED + DAY, 0, "lost"), label(MATURES, 0, NO_OUTCOME, 3)]),
    "no first": (JUDGES[0], [label(MATURES, 0, NO_OUTCOME, 2)]),
    "back in time": (JUDGES[0], [label(MATURES, 0, "lost", 1), label(MATURES - DAY, 1, "converted", 2)]),
    "at once": (JUDGES[0], [label(MATURES, 0, "lost", 1), label(MATURES, 1, "converted", 2)]),
    "silence too early": (JUDGES[1], [label(MATURES - TICK, 0, NO_OUTCOME)]),
    "no response too early": (JUDGES[1], [label(MATURES - TICK, 0, NO_RESPONSE)]),
    "silence that converted": (JUDGES[1], [label(MATURES, 1, NO_OUTCOME)]),
    "silence without label": (JUDGES[1], [label(MATURES, None, NO_OUTCOME, 2)]),
    "a lost that counts as won": (JUDGES[1], [label(CREATED + DAY, 1, "lost")]),
    "a won that counts as lost": (JUDGES[1], [label(CREATED + DAY, 0, "converted")]),
    "another label": (JUDGES[1], [label(CREATED + DAY, 2, "lost")]),
    "before the lead": (JUDGES[1], [label(CREATED + DAY, 0, "lost", created_at=CREATED + 2 * DAY)]),
    "missing without a word": (JUDGES[2], [label(CREATED + DAY, None, "lost", 2)]),
    "missing from the start": (JUDGES[2], [label(CREATED + DAY, None, "open", 1)]),
    "missing at maturity": (JUDGES[2], [label(MATURES, None, "open", 2)]),
    "open, and yet labelled": (JUDGES[2], [label(CREATED + DAY, 0, "open", 2)]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_planted_fault_is_found(house: Installation, fault: str) -> None:
    judge, rows = FAULTS[fault]
    # Among others that are as they should be.
    others = [{**row, "lead_id": f"good-{row['lead_id']}"} for row in (GOOD[4], GOOD[6])]
    assert not judged(house, judge, [*rows, *others]).passed


def test_a_label_in_a_period_in_which_it_was_not_known_is_found(house: Installation) -> None:
    rows = pa.Table.from_pylist([{"period": "2008-08", **label(MATURES, 0, NO_OUTCOME)}], schema=SCHEMA)
    house.lakehouse.replace_periods("ground_truth_labels", ["2008-08"], rows)
    assert not quality.no_label_before_its_time(house, house.settings.calendar.period("2008-08")).passed


def test_a_closed_cohort_with_a_lead_that_has_no_label_is_told(house: Installation) -> None:
    period = house.settings.calendar.period("2008-09")
    row = {"period": "2008-09", "as_of": period.end, "leads": 10, "labelled": 10, "not_yet_known": 0}
    whole = {**row, "cohort": "2008-07", "is_closed": True}
    young = {**row, "cohort": "2008-09", "is_closed": False, "labelled": 2, "not_yet_known": 8}
    short = {**row, "cohort": "2008-06", "is_closed": True, "labelled": 9, "not_yet_known": 1}
    for rows, passed in (([whole, young], True), ([whole, young, short], False)):
        table = pa.Table.from_pylist(rows, schema=coverage.SCHEMA)
        house.lakehouse.replace_periods("label_coverage", ["2008-09"], table)
        finding = quality.closed_cohorts_are_labelled(house, period)
        assert finding.passed is passed
        assert ("2008-06 (9 of 10)" in finding.sentence) is not passed
