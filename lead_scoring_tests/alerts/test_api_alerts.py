"""What the API's log says becomes alerts: slow, failing, and guardrails of the live model; each once, until it is over."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

import lead_scoring_assets.definitions  # noqa: F401  # first, because it quiets dagster's warnings about beta parts
from lead_scoring_assets.alerts.guardrails import alerts_on_guardrails
from lead_scoring_assets.alerts.rules import measure as measure_rules
from lead_scoring_assets.alerts.sensors import alert_on_measurement
from lead_scoring_assets.monitoring.service.measuring import measure
from lead_scoring_assets.monitoring.service.watching import Watched, watch
from lead_scoring_assets.promotion.deployments import Deployment, Deployments
from lead_scoring_assets.resources import InstallationResource
from lead_scoring_tests.alerts.worlds import World as AlertWorld
from lead_scoring_tests.prediction_log.worlds import World, error, score


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World.make(tmp_path / "a home")


def serve(
    world: World, count: int, failed: int = 0, latency_ms: float = 2.0, slow: int = 0, slow_ms: float = 0
) -> None:
    now = world.house.clock.now()
    made: list[dict[str, Any]] = [
        score(n, now, latency_us=int(1_000 * (slow_ms if n < slow else latency_ms)), request_id=f"{now} {n}")
        for n in range(count - failed)
    ]
    made += [error(n, now, status=500, request_id=f"{now} e{n}", latency_us=1_000) for n in range(failed)]
    world.log(*made)
    measure(world.house, world.source)


def found(world: World) -> dict[str, str | None]:
    measured = measure_rules(world.house)
    return {m.rule.metric: m.alert.level if m.alert else None for m in measured}


def tick(world: World) -> str:
    resource = InstallationResource(root=str(world.home.root))
    with dg.build_sensor_context(resources={"installation": resource}) as context:
        return str(alert_on_measurement.evaluate_tick(context).skip_message)


@pytest.mark.parametrize(
    ("failed", "level"),
    [(5, None), (14, None), (40, "warning"), (100, "critical")],  # 1.4 % of 1,000 may be chance
)
def test_failing_requests(world: World, failed: int, level: str | None) -> None:
    serve(world, 1_000, failed)
    assert found(world)["error_rate"] == level


@pytest.mark.parametrize(
    ("latency", "p95", "p99"),
    [(199.0, None, None), (201.0, "warning", None), (500.0, "warning", None), (501.0, "critical", "critical")],
)
def test_slow_answers(world: World, latency: float, p95: str | None, p99: str | None) -> None:
    serve(world, 600, latency_ms=latency)
    assert (found(world)["latency_p95_ms"], found(world)["latency_p99_ms"]) == (p95, p99)


def test_a_slow_tail_is_critical_though_p95_is_quick(world: World) -> None:
    serve(world, 1_000, latency_ms=150.0, slow=20, slow_ms=501.0)
    assert (found(world)["latency_p95_ms"], found(world)["latency_p99_ms"]) == (None, "critical")


def test_twenty_requests_raise_no_alert(world: World) -> None:
    serve(world, 20, failed=20)
    assert found(world) == {}


def test_an_alert_ends_with_a_quiet_hour_and_the_next_one_is_another(world: World) -> None:
    serve(world, 600, failed=300)
    assert tick(world).endswith("1 alerts raised")
    assert tick(world).endswith("0 alerts raised")
    serve(world, 600, failed=300)
    assert tick(world).endswith("0 alerts raised")  # the same hour
    for raised in (1, 0, 0):
        world.later(hours=2)
        serve(world, 20)
        assert tick(world).endswith(f"{raised} alerts raised")  # too few to say that it is over: the day is told, once
    world.later(days=1)
    serve(world, 600)
    assert tick(world).endswith("0 alerts raised, 2 ended")
    world.later(hours=3)
    serve(world, 600, failed=300)
    assert tick(world).endswith("1 alerts raised")


def live(world: World, version: int = 2) -> None:
    step = Deployment(version, world.house.clock.now(), "2009-02", "none", "f", "gate", "a test")
    world.later(minutes=1)
    with Deployments(world.house.lakehouse).one_at_a_time():
        Deployments(world.house.lakehouse).append(step)


def look(world: World) -> Watched:
    watched = watch(world.house, world.source)
    assert isinstance(watched, Watched)
    return watched


def test_a_guardrail_alerts_once_until_it_is_kept(world: World) -> None:
    assert alerts_on_guardrails(world.house) == []
    live(world)
    now = world.house.clock.now()
    world.log(*(score(n, now, model_version=2, latency_us=510_000) for n in range(200)))
    assert look(world).verdict.status == "VIOLATIONS_DETECTED"
    told = alerts_on_guardrails(world.house)
    assert [(alert.subject, alert.level) for alert in told] == [
        ("api:latency_p95", "warning"),
        ("api:latency_p99", "critical"),
    ]
    assert tick(world).endswith("2 alerts raised")
    world.later(minutes=20)
    assert look(world).is_stored
    assert tick(world).endswith("0 alerts raised")
    world.later(minutes=60)
    world.log(*(score(n, world.house.clock.now(), model_version=2, request_id=f"again {n}") for n in range(200)))
    assert look(world).verdict.status == "HEALTHY"
    assert tick(world).endswith("0 alerts raised, 2 ended")
    assert all(not episode.is_open for episode in AlertWorld(world.home).episodes())


def test_a_rollback_that_is_refused_is_a_critical_alert(world: World) -> None:
    live(world)
    now = world.house.clock.now()
    world.log(*(error(n, now, status=500) for n in range(600)))
    assert look(world).action == "refused"
    [alert] = alerts_on_guardrails(world.house)
    assert (alert.level, alert.subject) == ("critical", "api:error_rate")
    assert alert.message.endswith("(refused)")
