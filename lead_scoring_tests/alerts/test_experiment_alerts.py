"""An experiment that ended by what it found is told once, with its verdict and why; what a person stopped is not."""

from pathlib import Path

import dagster as dg
import pytest

import lead_scoring_assets.definitions  # noqa: F401  # first, because it quiets dagster's warnings about beta parts
from lead_scoring_assets.alerts.episodes import RaisedAlert
from lead_scoring_assets.alerts.sensors import alert_on_model_taken_back
from lead_scoring_assets.experiments.records import Action, Experiments, Step
from lead_scoring_assets.resources import InstallationResource
from lead_scoring_tests.alerts.worlds import NOW, World
from lead_scoring_tests.experiments.worlds import plan


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World.make(tmp_path / "a home")


def record(
    world: World, *actions: Action, name: str = "march", reason: str = "because", verdict: str | None = None
) -> None:
    experiment = plan(experiment_id=name)
    for action in actions:
        told = verdict if action in ("concluded", "blocked") else None
        Experiments(world.house.lakehouse).append(Step(experiment, action, NOW, "experiment_results", reason, told))


def tick(world: World) -> list[RaisedAlert]:
    """One tick; every alert there is after it."""
    with dg.build_sensor_context(
        resources={"installation": InstallationResource(root=str(world.home.root))}
    ) as context:
        alert_on_model_taken_back.evaluate_tick(context)
    return [alert for episode in world.episodes() for alert in episode.alerts]


@pytest.mark.parametrize("verdict", ["PROMOTE_TREATMENT", "KEEP_CONTROL", "BLOCKED"])
def test_a_verdict_is_told_once_with_its_reasons_and_opens_nothing(world: World, verdict: str) -> None:
    record(world, "planned", "started")
    assert tick(world) == []
    ends: Action = "blocked" if verdict == "BLOCKED" else "concluded"
    record(world, ends, verdict=verdict, reason="the treatment converts 1.31 times as often [1.05, 1.60]")
    [alert] = tick(world)
    assert (alert.level, alert.subject, alert.is_open) == ("info", "march", False)
    assert f"ended with {verdict}: the treatment converts 1.31 times as often [1.05, 1.60]" in alert.message
    assert "v2 against v1" in alert.message
    assert tick(world) == [alert]
    world.later(days=30)
    record(world, "planned", "started", ends, name="april", verdict=verdict)
    assert [each.subject for each in tick(world)] == ["march", "april"]


def test_whoever_stops_one_knows_it(world: World) -> None:
    record(world, "planned", "started", "stopped")
    assert tick(world) == []


def test_one_that_was_blocked_and_is_put_away_is_not_told_again(world: World) -> None:
    record(world, "planned", "started", "blocked", verdict="BLOCKED")
    told = tick(world)
    record(world, "stopped")
    assert tick(world) == told
    assert len(told) == 1
