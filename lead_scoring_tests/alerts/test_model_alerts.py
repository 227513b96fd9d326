"""A model that was taken back becomes one alert, however often the sensor looks."""

import json
from datetime import UTC, datetime

import dagster as dg

import lead_scoring_assets.definitions  # noqa: F401  # first, because it quiets dagster's warnings about beta parts
from lead_scoring_assets.alerts.alerts import KIND as ALERT
from lead_scoring_assets.alerts.sensors import alert_on_model_taken_back
from lead_scoring_assets.clock import ReplayClock
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lakehouse.tables import Lakehouse
from lead_scoring_assets.promotion.deployments import Deployment
from lead_scoring_assets.promotion.following import record_events
from lead_scoring_assets.promotion.lifecycle import Action
from lead_scoring_assets.resources import InstallationResource
from lead_scoring_assets.settings import Home
from lead_scoring_tests.conftest import MakeHome

NOW = datetime(2008, 9, 1, tzinfo=UTC)


def step(version: int, action: Action, champion: int | None) -> Deployment:
    told = f"why {version}"
    return Deployment(version, NOW, "2008-08", "bundle", "f", "mona", told, action, champion_version=champion)


def test_a_fallback_is_critical_a_rollback_a_warning_and_the_rest_is_no_alert(make_home: MakeHome) -> None:
    home = Home(make_home("model-alerts"))
    Lakehouse(home.lakehouse)
    ReplayClock(home.clock_file).move_to(NOW)
    house = Installation(home)
    steps = [step(1, "promoted", None), step(2, "approved", 1), step(3, "promoted_by_hand", 2), step(4, "rejected", 3)]
    record_events(house.events, [*steps, step(2, "rolled_back", 3), step(1, "fell_back", 2)])
    for raised in (2, 0, 0):
        with dg.build_sensor_context(resources={"installation": InstallationResource(root=str(home.root))}) as context:
            told = alert_on_model_taken_back.evaluate_tick(context)
        assert told.skip_message == f"2 models were taken back so far, {raised} alerts raised"
    found = {event.evidence["level"]: event.reason for event in house.events.events(kind=ALERT)}
    assert found == {
        "warning": "v2 is live in place of v3: why 2",
        "critical": "v1 is live in place of v2: why 1",
    }
    lines = (home.data / "logs" / "alerts.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["level"] for line in lines] == ["warning", "critical"]
