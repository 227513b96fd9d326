"""Models that go live or are taken back become one alert each, however often the sensor looks."""

import json
from pathlib import Path

import dagster as dg
import pytest

import lead_scoring_assets.definitions  # noqa: F401  # first, because it quiets dagster's warnings about beta parts
from lead_scoring_assets.alerts.kinds import KIND as ALERT
from lead_scoring_assets.alerts.sensors import alert_on_model_taken_back
from lead_scoring_assets.events.log import Event
from lead_scoring_assets.models.provenance import Provenance
from lead_scoring_assets.models.record import RECORD, TrainingRecord
from lead_scoring_assets.promotion.deployments import Deployment, Deployments
from lead_scoring_assets.promotion.following import record_events
from lead_scoring_assets.promotion.lifecycle import Action
from lead_scoring_assets.resources import InstallationResource
from lead_scoring_tests.alerts.receivers import http_receiver
from lead_scoring_tests.alerts.worlds import NOW, World


def step(version: int, action: Action, champion: int | None = None) -> Deployment:
    told = f"why {version}"
    return Deployment(version, NOW, "2008-08", "bundle", "f", "mona", told, action, champion_version=champion)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World.make(tmp_path / "a home")


def trained_by(commit: str) -> TrainingRecord:
    where = Provenance(commit, "main", False, "", "", "3.11", "Linux", {}, "")
    return TrainingRecord(
        period="2008-08",
        snapshot="",
        content_hash="",
        inputs={},
        recipe="",
        calibrator="",
        calibration=None,
        encoder="",
        settings="",
        provenance=where,
        fingerprint="f",
        files={},
        metrics={},
        trigger="drift",
        trigger_reason="",
    )


def take(world: World, *steps: Deployment) -> None:
    """Record steps as promotion does: in its table, then as events."""
    deployments = Deployments(world.house.lakehouse)
    for each in steps:
        with deployments.one_at_a_time():
            deployments.append(each)
    record_events(world.house.events, deployments.steps())


def tick(world: World, cursor: str | None = None) -> tuple[str, str | None]:
    with dg.build_sensor_context(
        resources={"installation": InstallationResource(root=str(world.home.root))}, cursor=cursor
    ) as context:
        told = alert_on_model_taken_back.evaluate_tick(context)
    return str(told.skip_message), told.cursor


def alerts(world: World, topic: str) -> list[Event]:
    return [event for event in world.house.events.events(kind=ALERT) if event.evidence["topic"] == topic]


def test_a_fallback_is_critical_a_rollback_a_warning_and_the_rest_is_no_problem(world: World) -> None:
    steps = [step(1, "promoted"), step(2, "approved", 1), step(3, "promoted_by_hand", 2), step(4, "rejected", 3)]
    record_events(world.house.events, [*steps, step(2, "rolled_back", 3), step(1, "fell_back", 2)])
    for raised in (2, 0, 0):
        told = "2 models were taken back so far, 0 went live since the last look"
        assert tick(world)[0] == f"{told}, {raised} alerts raised"
    found = {event.evidence["level"]: event.reason for event in alerts(world, "problem")}
    assert found == {
        "warning": "v2 is live in place of v3: why 2",
        "critical": "v1 is live in place of v2: why 1",
    }
    lines = (world.home.data / "logs" / "alerts.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["level"] for line in lines] == ["warning", "critical"]


def test_each_version_that_goes_live_is_told_once_and_history_is_not(world: World) -> None:
    take(world, step(1, "promoted"), step(2, "promoted"))
    cursor = tick(world)[1]
    assert [event.subject for event in alerts(world, "deployment")] == ["v2"]
    take(world, step(3, "proposed"), step(3, "approved"), step(4, "promoted_by_hand"), step(5, "proposed"))
    for _ in range(2):
        cursor = tick(world, cursor)[1]
    assert [event.subject for event in alerts(world, "deployment")] == ["v2", "v3", "v4"]
    for broken in ("", "{", "[]", '{"steps": "all"}'):
        tick(world, broken)
    assert len(alerts(world, "deployment")) == 3


def test_a_model_that_was_taken_back_is_missed_until_another_goes_live(world: World) -> None:
    take(world, step(1, "promoted"), step(2, "promoted"), step(1, "fell_back"))
    tick(world)
    assert [episode.subject for episode in world.episodes() if episode.is_open] == ["v1"]
    take(world, step(3, "promoted"))
    assert tick(world)[0].endswith(", 1 ended")
    assert [episode for episode in world.episodes() if episode.is_open] == []
    assert "ended" not in tick(world)[0]


def test_a_promotion_is_exactly_one_message_to_its_room_with_version_and_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit is that of the training's own record, which lies beside the model."""
    with http_receiver() as receiver:
        monkeypatch.setenv("SLACK", receiver.url)
        channels = {
            "alerts": {"kind": "slack", "secret": "SLACK"},
            "deployments": {"kind": "slack", "secret": "SLACK", "room": "#ml-deployments"},
        }
        routes = {"warning": ["alerts"], "critical": ["alerts"], "deployment": ["deployments"]}
        world = World.make(tmp_path / "a home", {"channels": channels, "routes": routes})
        take(world, step(7, "promoted"))
        (world.home.data / RECORD).write_bytes(trained_by("4f1d0c9").to_bytes())
        cursor = None
        for _ in range(3):
            cursor = tick(world, cursor)[1]
            world.deliver()
            world.later(hours=1)
        [post] = receiver.posts
    assert post.json["channel"] == "#ml-deployments"
    [attachment] = post.json["attachments"]
    fields = {each["title"]: each["value"] for each in attachment["fields"]}
    assert (fields["version"], fields["git sha"]) == ("7", "4f1d0c9")
    assert (
        "v7, trained at the end of 2008-08 by commit 4f1d0c9, is live since 2008-09-01 00:00 UTC" in attachment["text"]
    )
    assert attachment["color"] == "#36a64f"
