"""The event log: nothing is edited or taken away, and recording a cause twice changes nothing."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lead_scoring_assets.events.log import SCHEMA, TABLE, Event, EventLog
from lead_scoring_assets.lakehouse.tables import Lakehouse

FIRST = Event(
    event_id="drift-2008-06",
    kind="retraining",
    subject="2008-06",
    happened_at=datetime(2008, 7, 1, tzinfo=UTC),
    actor="retrain_on_drift",
    reason="age drifted, PSI 0.31",
    evidence={"psi": 0.31, "rows": 1500, "columns": ["age"]},
)
LATER = replace(
    FIRST, event_id="alert-1", kind="alert", subject="age", happened_at=FIRST.happened_at + timedelta(hours=1)
)


@pytest.fixture
def lakehouse(tmp_path: Path) -> Lakehouse:
    return Lakehouse(tmp_path)


@pytest.fixture
def log(lakehouse: Lakehouse) -> EventLog:
    return EventLog(lakehouse)


def test_an_empty_log_has_no_events(log: EventLog) -> None:
    assert log.events() == []


def test_an_event_comes_back_as_it_was_recorded(log: EventLog) -> None:
    assert log.record(FIRST) is True
    assert log.events() == [FIRST]


def test_recording_a_cause_twice_changes_nothing(log: EventLog, lakehouse: Lakehouse) -> None:
    assert log.record(FIRST) is True
    version = lakehouse.version(TABLE)
    assert log.record(FIRST) is False
    assert log.record(replace(FIRST, reason="told otherwise")) is False
    assert log.record(replace(FIRST, kind="alert")) is False
    assert lakehouse.version(TABLE) == version
    assert log.events() == [FIRST]


def test_events_come_in_order_of_time_and_can_be_chosen(log: EventLog) -> None:
    same_time = replace(FIRST, event_id="another", subject="2008-05")
    for event in (LATER, FIRST, same_time):
        log.record(event)
    assert log.events() == [same_time, FIRST, LATER]
    assert log.events(kind="retraining") == [same_time, FIRST]
    assert log.events(subject="age") == [LATER]
    assert log.events(kind="alert", subject="2008-06") == []
    assert log.events(kind="' OR 1=1 --") == []


def test_recording_appends_and_never_rewrites(log: EventLog, lakehouse: Lakehouse) -> None:
    log.record(FIRST)
    before = lakehouse.version(TABLE)
    log.record(LATER)
    assert lakehouse.read(TABLE, version=before)["event_id"].to_pylist() == [FIRST.event_id]
    assert sorted(lakehouse.read(TABLE)["event_id"].to_pylist()) == sorted([FIRST.event_id, LATER.event_id])


def test_an_id_that_two_processes_appended_is_shown_once_the_earliest(log: EventLog, lakehouse: Lakehouse) -> None:
    log.record(FIRST)
    row = lakehouse.read(TABLE).to_pylist()[0]
    for change in ({"happened_at": LATER.happened_at, "actor": "z"}, {"actor": "aaa"}, {"kind": "alert"}):
        lakehouse.append(TABLE, pa.Table.from_pylist([{**row, **change}], schema=SCHEMA))
    assert lakehouse.read(TABLE).num_rows == 4
    (shown,) = log.events()
    assert shown == replace(FIRST, kind="alert")
    assert log.events(kind="alert") == [shown]
    assert log.events(kind="retraining") == []


def test_another_time_zone_is_the_same_instant(log: EventLog) -> None:
    dubai = FIRST.happened_at.astimezone(timezone(timedelta(hours=4)))
    log.record(replace(FIRST, happened_at=dubai))
    assert log.events() == [FIRST]
    assert log.events()[0].happened_at.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("given_value", "kept"),
    [
        (np.int64(7), 7),
        (np.float64(0.1), 0.1),
        (np.bool_(True), True),
        (date(2008, 5, 1), "2008-05-01"),
        (Path("a/b"), "a/b"),
        ({"deep": [1, None]}, {"deep": [1, None]}),
        ("é\0'\"", "é\0'\""),
    ],
)
def test_evidence_keeps_its_numbers(given_value: Any, kept: Any, log: EventLog) -> None:
    log.record(replace(FIRST, evidence={"found": given_value}))
    assert log.events()[0].evidence == {"found": kept}


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.builds(replace, st.just(FIRST), event_id=words, kind=words, subject=words, reason=words), max_size=4)
)
def test_each_id_is_kept_once_whatever_is_recorded(
    tmp_path_factory: pytest.TempPathFactory, events: list[Event]
) -> None:
    log = EventLog(Lakehouse(tmp_path_factory.mktemp("events")))
    first_of = {event.event_id: event for event in reversed(events)}
    assert [log.record(event) for event in events] == [first_of[event.event_id] is event for event in events]
    assert {event.event_id: event for event in log.events()} == first_of
