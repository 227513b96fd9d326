"""`lead-scoring alerts` and `acknowledge`: what they list is what is on record, and what they refuse is said."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from lead_scoring_assets.alerts.delivery.outbox import deliveries
from lead_scoring_assets.cli import main
from lead_scoring_tests.alerts.worlds import World


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Three alerts: a lasting critical, a warning that is over, and news."""
    world = World.make(tmp_path / "a home")
    monkeypatch.setenv("LEAD_SCORING_HOME", str(world.home.root))
    monkeypatch.setenv("DAGSTER_HOME", str(world.home.root))
    monkeypatch.chdir(world.home.root)
    world.raise_("alert-run-1", "critical", "retraining", message="[bold]größer[/] than the disk")
    world.later(minutes=1)
    world.raise_("alert-check-1", "warning", "raw_leads:few_rejected")
    world.end("alert-check-1")
    world.raise_("alert-deployment-0", "info", "v1", topic="deployment", evidence={"version": 1})
    return world


def verb(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


def listed(*words: str) -> list[dict[str, Any]]:
    done = verb("alerts", "--json", *words)
    assert done.exit_code == 0, done.output
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_the_list_is_what_is_on_record(world: World) -> None:
    events = world.house.events.events(kind="alert")
    found = listed()
    assert [(row["alert_id"], row["subject"], row["message"]) for row in found] == [
        (event.event_id, event.subject, event.reason) for event in events
    ]
    assert [row["state"] for row in found] == ["open", "resolved", "news"]
    assert found[2]["figures"] == {"version": 1}


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("--level", "critical"), ["alert-run-1"]),
        (("--open",), ["alert-run-1"]),
        (("--over",), ["alert-check-1", "alert-deployment-0"]),
        (("--episode", "alert-check-1"), ["alert-check-1"]),
        (("--acknowledged",), []),
        (("--level", "warning", "--open"), []),
    ],
)
def test_filters(world: World, words: tuple[str, ...], names: list[str]) -> None:
    assert [row["alert_id"] for row in listed(*words)] == names


def test_people_see_lines_and_no_markup_of_others(world: World) -> None:
    told = verb("alerts").stdout
    assert "2008-09-01 00:00  critical, open  alert-run-1\n" in told
    assert "[bold]größer[/] than the disk" in told
    assert "    over since 2008-09-01 00:01: it succeeded\n" in told
    assert "no such alert" in verb("alerts", "--level", "info", "--open").output


def test_an_acknowledgement_is_kept_with_who_and_why(world: World) -> None:
    done = verb("acknowledge", "alert-run", "--by", "Mona Haddad", "--reason", "clearing the disk")
    assert done.exit_code == 0, done.output
    assert "alert-run-1 is acknowledged by Mona Haddad: clearing the disk" in done.stdout
    [row] = listed("--acknowledged")
    assert row["acknowledged"] == {
        "at": "2008-09-01T00:01:00+00:00",
        "by": "Mona Haddad",
        "reason": "clearing the disk",
    }
    assert row["state"] == "open"
    verb("acknowledge", "alert-run-1", "--by", "Omar", "--reason", "took over from Mona")
    [event, second] = world.house.events.events(kind="alert_acknowledged")
    assert {event.actor, second.actor} == {"Mona Haddad", "Omar"}


def test_an_open_alert_can_be_named_by_what_it_is_about(world: World) -> None:
    world.raise_("alert-run-7", "warning", "model_fairness:groups_are_chosen_alike")
    assert verb("acknowledge", "model_fairness:groups_are_chosen_alike", "--reason", "looked into").exit_code == 0
    assert [row["alert_id"] for row in listed("--acknowledged")] == ["alert-run-7"]
    assert verb("acknowledge", "raw_leads:few_rejected", "--reason", "over by now").exit_code == 2


def test_long_messages_are_cut_and_told_whole_where_they_are_asked_for(world: World) -> None:
    world.raise_("alert-run-8", "warning", "many", message="word " * 300 + "THE END")
    told = verb("alerts").stdout
    assert "… (--episode alert-run-8)" in told
    assert "THE END" not in told
    assert verb("alerts", "--episode", "alert-run-8").stdout.rstrip().endswith("THE END")


def test_a_person_can_end_an_alert(world: World) -> None:
    assert verb("acknowledge", "alert-run-1", "--reason", "the job is gone", "--over").exit_code == 0
    assert listed("--open") == []
    assert deliveries(world.house) == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("alert-run-1",), "expected both, found an empty one"),
        (("alert-run-1", "--reason", "  "), "expected both, found an empty one"),
        (("alert-nothing", "--reason", "x"), "found none"),
        (("alert-", "--reason", "x"), "found 3 that begin so"),
        (("", "--reason", "x"), "found none"),
        (("alert-check-1", "--reason", "x"), "is over, expected an open alert"),
        (("alert-deployment-0", "--reason", "x"), "is over, expected an open alert"),
    ],
)
def test_what_cannot_be_acknowledged_is_said(world: World, words: tuple[str, ...], told: str) -> None:
    before = world.house.events.events()
    done = verb("acknowledge", *words)
    assert done.exit_code == 2
    assert told in done.output
    assert "Traceback" not in done.output
    assert world.house.events.events() == before


def test_daily_reports_are_listed_when_they_are_asked_for(world: World) -> None:
    before = listed()
    world.raise_("alert-daily-report-2008-09-01", "info", "daily report", topic="report", message="one\ntwo")
    assert listed() == before
    more = [row["alert_id"] for row in listed("--reports") if row not in before]
    assert more == ["alert-daily-report-2008-09-01"]
    assert "\n    one\n    two\n" in verb("alerts", "--episode", "alert-daily-report-2008-09-01").stdout
