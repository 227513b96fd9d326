"""A rollout that a guard ended, or that waits for a person, is one alert, and over once somebody has acted."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

import lead_scoring_assets.definitions  # noqa: F401  # first, because it quiets dagster's warnings about beta parts
from lead_scoring_assets.alerts.rollouts import alerts_on_rollouts, answered_since
from lead_scoring_assets.alerts.sensors import alert_on_model_taken_back
from lead_scoring_assets.resources import InstallationResource
from lead_scoring_assets.rollout.records import Action, Rollouts
from lead_scoring_assets.rollout.states import Rollout, State
from lead_scoring_tests.alerts.worlds import NOW, World

Told = tuple[Action, State, str]


def rows(*told: Told) -> list[dict[str, Any]]:
    return [
        {
            "sequence": number, "action": action, "state": state, "reason": reason, "version": 8, "share_bp": 5_000,
            "rollout_id": "rollout-1-v8", "actor": "mona",
        }
        for number, (action, state, reason) in enumerate(told)
    ]  # fmt: skip


BEGUN: Told = ("started", "shadow", "it is better")
WAITS: Told = ("moved", "waiting_for_approval", "waits for approval of 100 %")
FAILED: Told = ("moved", "rolled_back", "errors: 5 %")


@pytest.mark.parametrize(
    ("told", "messages"),
    [
        ([BEGUN], []),
        ([BEGUN, WAITS], ["v8 waits for approval of 100 %"]),
        ([BEGUN, FAILED], ["v8 gets no leads any more: errors: 5 %"]),
        ([BEGUN, ("aborted", "rolled_back", "not now")], []),
        ([BEGUN, ("moved", "watching", "takes over"), FAILED], []),  # the model in its place is an alert itself
        ([BEGUN, WAITS, ("approved", "waiting_for_approval", "looked")], ["v8 waits for approval of 100 %"]),
    ],
)
def test_what_is_an_alert(told: list[Told], messages: list[str]) -> None:
    found = alerts_on_rollouts(rows(*told))
    assert [alert.message for alert in found] == messages
    assert {alert.level for alert in found} <= {"warning"}


def test_an_alert_is_over_when_somebody_has_acted() -> None:
    assert answered_since(rows(BEGUN, WAITS)) == {}
    answered = answered_since(rows(BEGUN, WAITS, ("approved", "waiting_for_approval", "looked")))
    assert answered == {"alert-rollout-1": "v8 approved by mona: looked"}
    assert "alert-rollout-1" in answered_since(rows(BEGUN, FAILED, BEGUN))


def test_the_sensor_tells_once_and_ends_it(tmp_path: Path) -> None:
    world = World.make(tmp_path / "a home")
    rollouts = Rollouts(world.house.lakehouse)

    def record(action: Action, state: State) -> None:
        rollout = Rollout("rollout-1-v8", 8, 7, state, 3, 5_000, NOW, NOW, "mona")
        rollouts.append(rollout, action, NOW, "mona", "because")

    def tick() -> str:
        with dg.build_sensor_context(
            resources={"installation": InstallationResource(root=str(world.home.root))}
        ) as context:
            return str(alert_on_model_taken_back.evaluate_tick(context).skip_message)

    record("started", "shadow")
    record("moved", "waiting_for_approval")
    assert tick().endswith("1 alerts raised")
    assert tick().endswith("0 alerts raised")
    assert [episode.subject for episode in world.episodes() if episode.is_open] == ["rollout-1-v8"]
    record("approved", "waiting_for_approval")
    assert tick().endswith(", 1 ended")
    assert [episode for episode in world.episodes() if episode.is_open] == []
