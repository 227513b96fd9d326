"""The assets as Dagster materialises them: once is as good as twice, and a named model leaves the evidence alone."""

from collections.abc import Sequence

import numpy as np
import pyarrow.compute as pc
import pytest

from lead_scoring_assets import definitions  # first: it silences dagster's notes on the parts used on purpose
from lead_scoring_assets.lakehouse.content_hash import content_hash
from lead_scoring_assets.promotion.deployments import Deployments
from lead_scoring_assets.resources import InstallationResource
from lead_scoring_tests.predictions.conftest import LEADS, World

dg = pytest.importorskip("dagster")
JUNE, JULY, AUGUST = "2008-06", "2008-07", "2008-08"


def materialise(world: World, asset: str, periods: Sequence[str], **config: str) -> "dg.ExecuteInProcessResult":
    resource = InstallationResource(root=str(world.home.root))
    defs = definitions.build_definitions(
        {"installation": resource, "io_manager": definitions.LakehouseIOManager(installation=resource)}
    )
    key = dg.AssetKey(asset)
    with dg.DagsterInstance.ephemeral() as instance:
        return defs.resolve_implicit_global_asset_job_def().execute_in_process(
            asset_selection=[key],
            instance=instance,
            raise_on_error=False,
            tags={
                "dagster/asset_partition_range_start": periods[0],
                "dagster/asset_partition_range_end": periods[-1],
            },
            run_config={"ops": {asset: {"config": config}}} if config else None,
        )


def hashes(world: World, table: str) -> dict[str, str]:
    scan = world.house.lakehouse.scan
    return {month: content_hash(scan(table, periods=[month])) for month in (JUNE, JULY, AUGUST)}


def test_a_retry_a_backfill_and_another_order_give_the_same_rows_once(own_world: World) -> None:
    done = materialise(own_world, "lead_scores", ["2008-05", JUNE, JULY, AUGUST])
    assert done.success
    assert {evaluation.passed for evaluation in done.get_asset_check_evaluations()} == {True}
    assert len(done.get_asset_check_evaluations()) == 6
    first = hashes(own_world, "lead_scores")
    for again in ([AUGUST], [JUNE, JULY]):
        assert materialise(own_world, "lead_scores", again).success
        assert hashes(own_world, "lead_scores") == first
    scores = own_world.house.lakehouse.read("lead_scores")
    keys = scores.group_by(["period", "lead_id"]).aggregate([])
    assert keys.num_rows == scores.num_rows == 3 * LEADS + 3


def test_a_named_model_scores_beside_the_live_one(own_world: World) -> None:
    assert materialise(own_world, "lead_scores", [JUNE, JULY, AUGUST]).success
    live = hashes(own_world, "lead_scores")
    for model in ("1", "production", "v1"):
        assert materialise(own_world, "rescored_leads", [JUNE, JULY], model=model).success
    assert hashes(own_world, "lead_scores") == live
    rows = own_world.house.lakehouse.read("rescored_leads")
    found = rows.group_by(["period", "model_version"]).aggregate([("lead_id", "count_distinct"), ("lead_id", "count")])
    assert sorted(tuple(row.values()) for row in found.to_pylist()) == [
        (month, version, LEADS, LEADS) for month in (JUNE, JULY) for version in (1, 2)
    ]
    v1 = rows.filter(pc.and_(pc.equal(rows["model_version"], 1), pc.equal(rows["period"], JUNE)))
    then = own_world.house.lakehouse.read("lead_scores", periods=[JUNE]).select(v1.column_names)
    assert content_hash(v1) == content_hash(then)


def test_no_model_of_that_name_fails_and_leaves_everything(own_world: World) -> None:
    done = materialise(own_world, "rescored_leads", [JUNE], model="77")
    assert not done.success
    [failure] = done.get_step_failure_events()
    assert "there is no model '77'" in str(failure.step_failure_data.error)
    assert not own_world.house.lakehouse.exists("rescored_leads")


def test_a_champion_that_gives_no_number_stops_the_period(own_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from lead_scoring_assets.models.scorer import Scorer

    assert materialise(own_world, "lead_scores", [JUNE]).success
    before = content_hash(own_world.house.lakehouse.scan("lead_scores"))
    right = Scorer.batch_probabilities
    # The golden rows, by which a damaged model would be found, do not come in batches.
    monkeypatch.setattr(Scorer, "batch_probabilities", lambda self, batch: right(self, batch) + np.inf)
    done = materialise(own_world, "lead_scores", [JUNE])
    assert not done.success
    assert "what is no probability" in str(done.get_step_failure_events()[0].step_failure_data.error)
    assert content_hash(own_world.house.lakehouse.scan("lead_scores")) == before


def test_a_damaged_champion_does_not_stop_scoring(own_world: World) -> None:
    """The version before it goes live, scores, and stays what scored when the period is made again."""
    (own_world.home.data / "m-2" / "model.ubj").write_bytes(b"")
    assert materialise(own_world, "lead_scores", [AUGUST]).success
    rows = own_world.house.lakehouse.read("lead_scores")
    assert set(rows["model_version"].to_pylist()) == {1}
    before = content_hash(rows)
    assert materialise(own_world, "lead_scores", [AUGUST]).success
    assert content_hash(own_world.house.lakehouse.read("lead_scores")) == before
    assert [step.action for step in Deployments(own_world.house.lakehouse).history()][2:] == ["fell_back"]


def test_named_scores_are_not_made_unless_they_are_asked_for() -> None:
    defs = definitions.build_definitions()
    by_job = {
        name: {key.to_user_string() for key in defs.resolve_job_def(name).asset_layer.selected_asset_keys}
        for name in ("everything", "arrival", "rescoring")
    }
    assert [name for name, assets in by_job.items() if "rescored_leads" in assets] == ["rescoring"]
    assert by_job["rescoring"] == {"rescored_leads"}
    assert {"lead_scores", "lead_features"} <= by_job["everything"] & by_job["arrival"]
