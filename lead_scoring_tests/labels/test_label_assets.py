"""The three assets of the room over real tables: labels with a correction, their coverage, and the delay curve."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from lead_scoring_assets import definitions  # first: it silences dagster's notes on the parts used on purpose
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.resources import InstallationResource
from lead_scoring_assets.settings import Home
from lead_scoring_tests.conftest import MakeHome

dg = pytest.importorskip("dagster")
TIMESTAMP = pa.timestamp("us", tz="UTC")
MONTHS = ("2008-05", "2008-06", "2008-07", "2008-08")
N = 400


@pytest.fixture(scope="module")
def house(make_home: MakeHome) -> Installation:
    """400 leads over May and June: a quarter converts after ten days, a quarter is disqualified after two, one is corrected."""
    house = Installation(Home(make_home("label-assets")))
    calendar = house.settings.calendar
    start, day = calendar.start, timedelta(days=1)
    born = [start + timedelta(days=float(at)) for at in np.random.default_rng(0).uniform(0.5, 60.5, N)]

    def key(moment: object) -> str:
        return calendar.containing(moment - timedelta(microseconds=1)).key  # type: ignore[operator]

    leads = [
        {"period": key(at), "lead_id": f"{i}", "created_at": at, "known_at": at, "version": 1}
        for i, at in enumerate(born)
    ]
    said = [(i, "converted" if i % 4 == 0 else "disqualified", 10 if i % 4 == 0 else 2, 1) for i in range(0, N, 2)]
    outcomes = [
        {
            "lead_id": f"{i}",
            "outcome": outcome,
            "outcome_at": born[i] + after * day,
            "known_at": born[i] + after * day,
            "version": version,
            "reason": "no budget" if outcome == "disqualified" else None,
        }
        for i, outcome, after, version in [*said, (0, "disqualified", 20, 2)]
    ]
    written = {
        "raw_leads": pa.Table.from_pylist(
            leads,
            schema=pa.schema(
                [("period", pa.string()), ("lead_id", pa.string()), ("created_at", TIMESTAMP), ("known_at", TIMESTAMP)]
            ).append(pa.field("version", pa.int64())),
        ),
        "raw_outcomes": pa.Table.from_pylist(
            [{"period": key(row["known_at"]), **row} for row in outcomes],
            schema=pa.schema(
                [(name, pa.string()) for name in ("period", "lead_id", "outcome", "reason", "rep", "currency")]
                + [("provenance", pa.string()), ("version", pa.int64()), ("deal_value", pa.float64())]
                + [("outcome_at", TIMESTAMP), ("known_at", TIMESTAMP)]
            ),
        ),
    }
    for table, rows in written.items():
        house.lakehouse.replace_periods(table, MONTHS, rows)
    return house


@pytest.fixture(scope="module")
def materialised(house: Installation) -> "dg.ExecuteInProcessResult":
    resource = InstallationResource(root=str(house.home.root))
    defs = definitions.build_definitions(
        {"installation": resource, "io_manager": definitions.LakehouseIOManager(installation=resource)}
    )
    names = ("ground_truth_labels", "label_coverage", "label_delay")
    with dg.DagsterInstance.ephemeral() as instance:
        return defs.resolve_implicit_global_asset_job_def().execute_in_process(
            asset_selection=[dg.AssetKey(name) for name in names],
            instance=instance,
            tags={
                "dagster/asset_partition_range_start": MONTHS[0],
                "dagster/asset_partition_range_end": MONTHS[-1],
            },
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )


def metadata(result: "dg.ExecuteInProcessResult", asset: str, month: str) -> dict[str, object]:
    told: dict[str, object] = {}
    for event in result.asset_materializations_for_node(asset):
        if event.partition == month:
            told |= {name: value.value for name, value in event.metadata.items()}
    return told


def test_every_lead_gets_its_labels_and_the_corrected_one_two(
    house: Installation, materialised: "dg.ExecuteInProcessResult"
) -> None:
    labels = house.lakehouse.read("ground_truth_labels").to_pylist()
    assert {row["lead_id"] for row in labels} == {f"{i}" for i in range(N)}
    assert [(row["revision"], row["label"]) for row in labels if row["lead_id"] == "0"] == [(1, 1), (2, 0)]
    assert len(labels) == N + 1
    told = [metadata(materialised, "ground_truth_labels", month) for month in MONTHS]
    assert sum(row["newly_labelled"] for row in told) == N  # type: ignore[misc]
    assert sum(row["newly_positive"] for row in told) == N // 4  # type: ignore[misc]
    assert sum(row["corrections"] for row in told) == 1  # type: ignore[misc]
    assert {"no budget"} == {reason for row in told for reason in row["disqualification_reasons"]}  # type: ignore[attr-defined]


def test_a_cohort_reads_its_rate_when_it_is_complete(
    house: Installation, materialised: "dg.ExecuteInProcessResult"
) -> None:
    rows = {(row["cohort"], row["period"]): row for row in house.lakehouse.read("label_coverage").to_pylist()}
    assert rows["2008-05", "2008-05"]["status"] == "not_mature"
    assert rows["2008-05", "2008-05"]["conversion_rate"] is None
    may = rows["2008-05", "2008-07"]
    assert (may["status"], may["not_yet_known"]) == ("complete", 0)
    assert may["low"] < 0.25 < may["high"]
    assert rows["2008-08", "2008-08"]["status"] == "no_leads"
    assert metadata(materialised, "label_coverage", "2008-07")["2008-05"] == f"complete: {may['reason']}"


def test_the_delay_is_the_planted_one(house: Installation, materialised: "dg.ExecuteInProcessResult") -> None:
    told = metadata(materialised, "label_delay", "2008-08")
    assert (told["median days (converted)"], told["median days (not converted)"]) == (10, 2)
    assert str(told["curve"]).startswith("![share of leads known](data:image/svg")
    rows = [row for row in house.lakehouse.read("label_delay", periods=["2008-08"]).to_pylist() if row["day"] == 20]
    assert {row["outcome_group"]: round(row["cumulative_incidence"], 3) for row in rows} == {
        "converted": 0.25,
        "not converted": 0.25,
    }
    early = house.lakehouse.read("label_delay", periods=["2008-05"]).to_pylist()
    assert {row["period"] for row in early} == {"2008-05"}
