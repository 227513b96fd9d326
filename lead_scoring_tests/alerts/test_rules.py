"""What monitoring measured becomes alerts, from real tables; what could not be judged neither raises nor ends one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

import lead_scoring_assets.definitions  # noqa: F401  # first, because it quiets dagster's warnings about beta parts
from lead_scoring_assets.alerts.rules import RULES, measure
from lead_scoring_assets.alerts.sensors import alert_on_measurement
from lead_scoring_assets.monitoring.performance.matured import SCHEMA as PERFORMANCE
from lead_scoring_assets.resources import InstallationResource
from lead_scoring_tests.alerts.worlds import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World.make(tmp_path / "a home")


def drift(world: World, period: str, *features: tuple[str, str, float | None], n: int = 1_000) -> None:
    rows = [
        {
            "period": period,
            "feature": feature,
            "status": status,
            "psi": None if psi is None else psi + 0.01,
            "psi_debiased": psi,
            "n_current": n,
        }
        for feature, status, psi in features
    ]
    types = {"psi": pa.float64(), "psi_debiased": pa.float64(), "n_current": pa.int64()}
    schema = pa.schema([(name, types.get(name, pa.string())) for name in rows[0]])
    world.house.lakehouse.replace_periods("feature_drift", [period], pa.Table.from_pylist(rows, schema=schema))


def performance(
    world: World, period: str, rate: float, high: float, promised: float, *, n: int, status: str = "ok"
) -> None:
    shared = {"period": period, "model_version": 3, "n": n, "status": status}
    rows = [
        {**shared, "metric": "conversion_rate", "value": rate, "low": 0.0, "high": high},
        {**shared, "metric": "mean_score", "value": promised, "low": promised, "high": promised},
    ]
    table = pa.Table.from_pylist(rows, schema=PERFORMANCE)
    world.house.lakehouse.replace_periods("model_performance", [period], table)


def found(world: World) -> dict[str, Any]:
    return {m.rule.metric: m.alert.level if m.alert else None for m in measure(world.house)}


def tick(world: World) -> str:
    with dg.build_sensor_context(
        resources={"installation": InstallationResource(root=str(world.home.root))}
    ) as context:
        return str(alert_on_measurement.evaluate_tick(context).skip_message)


def test_without_tables_nothing_is_measured(world: World) -> None:
    assert list(measure(world.house)) == []
    assert tick(world) == "nothing was measured yet, 0 alerts raised"


@pytest.mark.parametrize(
    ("features", "level"),
    [
        ([("age", "drift", 0.51), ("job", "ok", 0.01)], "critical"),
        ([("age", "drift", 0.30)], "warning"),
        ([("age", "warning", 0.15)], "info"),
        ([("age", "ok", 0.45)], None),  # a large PSI that chance explains is none
        ([("age", "insufficient_data", None), ("job", "drift", 0.30)], "warning"),
    ],
)
def test_drift_counts_where_it_is_beyond_chance(world: World, features: Sequence[Any], level: str | None) -> None:
    drift(world, "2008-08", *features)
    assert found(world) == {"data_drift_psi": level}


def test_too_few_leads_say_nothing(world: World) -> None:
    drift(world, "2008-08", ("age", "insufficient_data", None))
    assert found(world) == {}


@pytest.mark.parametrize(
    ("rate", "high", "n", "level"),
    [
        (0.07, 0.079, 1_000, "critical"),
        (0.08, 0.088, 1_000, "warning"),
        (0.05, 0.110, 1_000, None),  # half of what was promised, and chance could have done it
        (0.07, 0.079, 99, None),
    ],
)
def test_fewer_conversions_than_promised(world: World, rate: float, high: float, n: int, level: str | None) -> None:
    performance(world, "2008-08", rate, high, 0.10, n=n)
    assert found(world) == {"conversion_rate_drop": level}


def test_insufficient_labels_say_nothing(world: World) -> None:
    performance(world, "2008-08", 0.0, 0.01, 0.10, n=1_000, status="insufficient_data")
    assert found(world) == {}


def test_an_alert_lasts_until_a_later_period_is_calm(world: World) -> None:
    drift(world, "2008-07", ("age", "drift", 0.30))
    assert tick(world).endswith("1 alerts raised")
    assert tick(world).endswith("0 alerts raised")
    [alert] = world.house.events.events(kind="alert")
    assert alert.event_id == "alert-data_drift_psi-2008-07-warning"
    assert alert.evidence["figures"] == {"data_drift_psi": 0.31, "beyond chance": 0.3, "n": 1000, "limit": 0.2}
    drift(world, "2008-08", ("age", "insufficient_data", None))
    tick(world)
    [episode] = world.episodes()
    assert episode.is_open
    drift(world, "2008-09", ("age", "drift", 0.60))
    tick(world)
    [episode] = world.episodes()
    assert [alert.level for alert in episode.rises] == ["warning", "critical"]
    drift(world, "2008-10", ("age", "ok", 0.01))
    assert tick(world).endswith("0 alerts raised, 2 ended")
    [episode] = world.episodes()
    assert not episode.is_open
    assert tick(world).endswith("0 alerts raised")


def test_a_table_that_lacks_a_column_is_left_alone(world: World) -> None:
    rows = pa.table({"period": ["2008-08"], "status": ["drift"]})
    world.house.lakehouse.replace_periods("prediction_drift", ["2008-08"], rows)
    assert found(world) == {}


def test_the_drift_of_scores_is_held_against_its_own_limit(world: World) -> None:
    rows = pa.table({"period": ["2008-08"], "status": ["drift"], "ks_statistic": [0.12], "n_current": [900]})
    world.house.lakehouse.replace_periods("prediction_drift", ["2008-08"], rows)
    assert found(world) == {"prediction_drift_ks": "warning"}
    assert len({rule.metric for rule in RULES}) == len(RULES)
