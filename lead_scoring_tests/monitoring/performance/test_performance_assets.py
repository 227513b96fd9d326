"""The three assets over real tables: eight months of a simulated world, another model from September on."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from lead_scoring_assets import definitions  # first: it silences dagster's notes on the parts used on purpose
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.resources import InstallationResource
from lead_scoring_assets.settings import Home
from lead_scoring_tests.conftest import MakeHome
from lead_scoring_tests.monitoring.performance.worlds import HASTY

dg = pytest.importorskip("dagster")
TIMESTAMP = pa.timestamp("us", tz="UTC")
MONTHS = [f"2008-{month:02}" for month in range(5, 13)]
ASSETS = ("model_performance", "performance_estimates", "estimate_reconciliation")
N = 8_000


@pytest.fixture(scope="module")
def house(make_home: MakeHome) -> Installation:
    house = Installation(Home(make_home("performance-assets")))
    calendar, rng = house.settings.calendar, np.random.default_rng(5)
    end = calendar.period(MONTHS[-1]).end
    born = [calendar.start + (end - calendar.start) * share for share in np.sort(rng.uniform(0.0001, 0.9999, N))]
    probability, labels, known_days = HASTY.draw(rng, N)
    known = [at + timedelta(days=float(days)) for at, days in zip(born, known_days, strict=True)]

    def keys(moments: Sequence[datetime]) -> pa.Array:
        return pa.array([calendar.containing(at - timedelta(microseconds=1)).key for at in moments], pa.string())

    ids = pa.array([f"{i:05}" for i in range(N)])
    scores = {"period": keys(born), "lead_id": ids, "created_at": pa.array(born, TIMESTAMP)}
    scores |= {"scored_at": pa.array(born, TIMESTAMP), "probability": pa.array(probability)}
    version = [1 if at < calendar.period("2008-09").start else 2 for at in born]
    house.lakehouse.replace_periods("lead_scores", MONTHS, pa.table({**scores, "model_version": pa.array(version)}))
    outcomes = {"period": keys(known), "lead_id": ids, "label": pa.array(labels.astype(np.int8))}
    told = pa.table({**outcomes, "label_known_at": pa.array(known, TIMESTAMP)})
    is_told = pa.array([at <= end for at in known])
    house.lakehouse.replace_periods("ground_truth_labels", MONTHS, told.filter(is_told))
    return house


def materialise(house: Installation, first: str, last: str) -> "dg.ExecuteInProcessResult":
    resource = InstallationResource(root=str(house.home.root))
    parts = {"installation": resource, "io_manager": definitions.LakehouseIOManager(installation=resource)}
    with dg.DagsterInstance.ephemeral() as instance:
        return (
            definitions.build_definitions(parts)
            .resolve_implicit_global_asset_job_def()
            .execute_in_process(
                asset_selection=[dg.AssetKey(name) for name in ASSETS],
                instance=instance,
                tags={"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last},
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )
        )


@pytest.fixture(scope="module")
def materialised(house: Installation) -> "dg.ExecuteInProcessResult":
    return materialise(house, MONTHS[0], MONTHS[-1])


def metadata(result: "dg.ExecuteInProcessResult", asset: str, month: str) -> dict[str, Any]:
    events = result.asset_materializations_for_node(asset)
    return {name: value.value for event in events if event.partition == month for name, value in event.metadata.items()}


def rows_of(house: Installation, table: str, **wanted: object) -> list[dict[str, Any]]:
    rows = house.lakehouse.read(table).to_pylist()
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def test_open_leads_have_estimates_that_hold_the_truth(
    house: Installation, materialised: "dg.ExecuteInProcessResult"
) -> None:
    rows = rows_of(house, "performance_estimates", metric="conversion_rate", status="ok")
    assert {row["period"] for row in rows} >= set(MONTHS[2:])
    assert all(row["low"] <= 0.1244 <= row["high"] for row in rows if row["n"] > 500)
    for row in rows:
        plain = row["known_conversions"] / row["n"]
        assert row["low"] > plain
        assert row["label_coverage"] < 0.6
    first = rows_of(house, "performance_estimates", period=MONTHS[0])
    assert {row["status"] for row in first} == {"insufficient_data"}


def test_the_model_that_went_has_estimates_of_its_own_leads_only(
    house: Installation, materialised: "dg.ExecuteInProcessResult"
) -> None:
    september = rows_of(house, "performance_estimates", period="2008-09", metric="auc", estimator="cbpe")
    assert {row["model_version"] for row in september} == {2}
    august = rows_of(house, "performance_estimates", period="2008-08", metric="auc", estimator="cbpe")
    assert {row["model_version"] for row in august} == {1}


def test_every_estimate_is_reconciled_when_its_leads_have_matured(
    house: Installation, materialised: "dg.ExecuteInProcessResult"
) -> None:
    said = {
        (r["period"], r["model_version"], r["estimator"], r["metric"]): r
        for r in rows_of(house, "performance_estimates")
    }
    done = rows_of(house, "estimate_reconciliation")
    ok = {key for key, row in said.items() if row["status"] == "ok" and key[0] <= "2008-11"}
    assert {(r["estimated_in"], r["model_version"], r["estimator"], r["metric"]) for r in done} == ok
    for row in done:
        key = (row["estimated_in"], row["model_version"], row["estimator"], row["metric"])
        assert row["estimate"] == said[key]["value"]
        assert row["estimated_as_of"] + timedelta(days=30) <= row["as_of"]
        assert (row["status"], row["label_coverage"]) == ("ok", 1.0)
    # Nothing has changed: as many are covered as 95 % of some seventy, which are no independent ones, can be.
    assert np.mean([row["is_covered"] for row in done]) > 0.8


def test_people_see_estimates_errors_and_the_record(
    house: Installation, materialised: "dg.ExecuteInProcessResult"
) -> None:
    estimated = metadata(materialised, "performance_estimates", "2008-11")
    assert 0.08 < estimated["delay_corrected conversion_rate"] < 0.17
    assert 0.6 < estimated["cbpe auc"] < 0.75
    told = metadata(materialised, "estimate_reconciliation", "2008-12")
    assert abs(told["cbpe auc error"]) < 0.1
    assert "cbpe auc: mean error" in told["record"]
    assert told["auc errors"].startswith("![errors of auc](data:image/svg")
    assert "no estimate has been reconciled" in metadata(materialised, "estimate_reconciliation", "2008-05")["record"]
    worked = metadata(materialised, "model_performance", "2008-11")
    assert {"recall_at_20_percent", "f1_at_20_percent", "ece", "calibration"} <= set(worked)
    assert not any("tenth" in name for name in worked)


def test_matured_leads_are_told_as_before_and_at_capacity(
    house: Installation, materialised: "dg.ExecuteInProcessResult"
) -> None:
    rows = {r["metric"]: r for r in rows_of(house, "model_performance", period="2008-11")}
    assert {"auc", "brier", "mean_score", "conversion_rate", "precision_at_10_percent"} <= set(rows)
    assert len([name for name in rows if name.startswith("rate_in_tenth_")]) == 10
    assert rows["recall_at_20_percent"]["low"] < 0.391 < rows["recall_at_20_percent"]["high"]


def test_the_same_periods_again_give_the_same_rows(
    house: Installation, materialised: "dg.ExecuteInProcessResult"
) -> None:
    """Also when one is made alone, not with the others."""
    before = [house.lakehouse.read(name).to_pylist() for name in ASSETS]
    materialise(house, "2008-10", "2008-10")
    assert [house.lakehouse.read(name).to_pylist() for name in ASSETS] == before
