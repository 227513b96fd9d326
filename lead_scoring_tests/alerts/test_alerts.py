"""An alert is on record once a cause, and in the log channel as one line; a broken channel loses nothing."""

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lead_scoring_assets.alerts.alerts import Alert, raise_alert
from lead_scoring_assets.alerts.kinds import KIND
from lead_scoring_assets.events.log import Event, EventLog
from lead_scoring_assets.lakehouse.tables import Lakehouse

NOW = datetime(2008, 9, 1, tzinfo=UTC)
ALERT = Alert("alert-run-1", "critical", "retraining", 'run 1 failed: "größer"\nsecond line')


@pytest.fixture
def events(tmp_path: Path) -> EventLog:
    return EventLog(Lakehouse(tmp_path / "lakehouse"))


@pytest.fixture
def log_file(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "alerts.jsonl"


def lines(log_file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log_file.read_text(encoding="utf-8").splitlines()]


def test_an_alert_is_stored_and_written_as_one_line(events: EventLog, log_file: Path) -> None:
    event = raise_alert(ALERT, NOW, "a sensor", events, log_file)
    told = {"level": "critical", "topic": "problem", "episode_id": "alert-run-1", "periods": [], "figures": {}}
    assert event == Event("alert-run-1", KIND, "retraining", NOW, "a sensor", ALERT.message, told)
    assert events.events() == [event]
    assert log_file.read_text(encoding="utf-8").count("\n") == 1
    assert lines(log_file) == [
        {
            "at": "2008-09-01T00:00:00+00:00",
            "actor": "a sensor",
            "alert_id": "alert-run-1",
            "level": "critical",
            "subject": "retraining",
            "message": ALERT.message,
            "periods": [],
            "topic": "problem",
            "evidence": {},
            "page": None,
            "episode_id": "alert-run-1",
        }
    ]


def test_half_a_sign_is_stored_as_a_question_mark(events: EventLog, log_file: Path) -> None:
    raise_alert(replace(ALERT, subject="a\ud83d", message="\ud83d failed"), NOW, "a sensor", events, log_file)
    [event] = events.events()
    assert (event.subject, event.reason) == ("a?", "? failed")
    assert len(lines(log_file)) == 1


def test_the_same_cause_alerts_once(events: EventLog, log_file: Path) -> None:
    raise_alert(ALERT, NOW, "a sensor", events, log_file)
    again = replace(ALERT, level="warning", message="told otherwise")
    assert raise_alert(again, NOW + timedelta(days=1), "another", events, log_file) is None
    assert len(events.events()) == len(lines(log_file)) == 1
    assert lines(log_file)[0]["level"] == "critical"


def test_causes_alert_each_for_themselves_in_order(events: EventLog, log_file: Path) -> None:
    for number in range(3):
        assert raise_alert(replace(ALERT, alert_id=f"alert-{number}"), NOW, "a sensor", events, log_file)
    assert [line["alert_id"] for line in lines(log_file)] == ["alert-0", "alert-1", "alert-2"]
    assert len(events.events(kind=KIND)) == 3


def break_folder(log_file: Path) -> None:
    log_file.parent.write_text("a file where the folder should be")


def break_file(log_file: Path) -> None:
    log_file.mkdir(parents=True)


@pytest.mark.parametrize("break_channel", [break_folder, break_file])
def test_an_alert_is_on_record_when_the_channel_cannot_be_written(
    events: EventLog,
    log_file: Path,
    caplog: pytest.LogCaptureFixture,
    break_channel: Callable[[Path], None],
) -> None:
    break_channel(log_file)
    with caplog.at_level(logging.ERROR):
        assert raise_alert(ALERT, NOW, "a sensor", events, log_file) is not None
    assert [event.event_id for event in events.events()] == ["alert-run-1"]
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert str(log_file) in record.getMessage()
    assert '"alert_id": "alert-run-1"' in record.getMessage()
    assert raise_alert(ALERT, NOW, "a sensor", events, log_file) is None


def test_what_cannot_be_stored_is_not_written_either(log_file: Path, tmp_path: Path) -> None:
    """Otherwise the line would be written again at every tick."""
    (tmp_path / "lakehouse").write_text("a file where the folder should be")
    with pytest.raises(OSError, match="lakehouse"):
        raise_alert(ALERT, NOW, "a sensor", EventLog(Lakehouse(tmp_path / "lakehouse")), log_file)
    assert not log_file.exists()
