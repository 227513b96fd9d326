"""The MLflow run of a training tells the truth: finished when it finished, failed when it failed, champion untouched."""

import dataclasses
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from lead_scoring_assets import definitions  # first: it silences dagster's notes on the parts used on purpose
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.models.provenance import gather
from lead_scoring_assets.models.record import RECORD, read_record
from lead_scoring_assets.models.registry import ModelRegistry
from lead_scoring_assets.models.training_set import HOLDOUT, TRAIN
from lead_scoring_assets.resources import InstallationResource
from lead_scoring_assets.settings import Home
from lead_scoring_tests.conftest import MakeHome

dg = pytest.importorskip("dagster")
PERIOD = "2009-06"


def home_with_training_set(make_home: MakeHome, name: str) -> Installation:
    """1,200 made-up leads, in which age decides a little."""
    house = Installation(Home(make_home(name)))
    draw = np.random.default_rng(6)
    n = 1_200
    registry = house.settings.registry
    age = draw.integers(18, 90, n).astype(float)
    rows = {
        "period": [PERIOD] * n,
        "split": [HOLDOUT if i >= 900 else TRAIN for i in range(n)],
        "lead_id": [f"made-up-{i:05}" for i in range(n)],
        "created_at": pd.date_range("2009-01-01", periods=n, freq="h", tz="UTC").astype("datetime64[us, UTC]"),
        "label": (draw.random(n) < age / 200).astype("int8"),
        **{name: draw.integers(0, 9, n).astype(float) for name in registry.numeric_features},
        **{name: draw.choice(registry.features[name].categories, n) for name in registry.category_features},
        "age": age,
    }
    house.lakehouse.replace_periods(
        "training_set", [PERIOD], pa.Table.from_pandas(pd.DataFrame(rows), preserve_index=False)
    )
    return house


def train(house: Installation, instance: "dg.DagsterInstance | None" = None) -> "dg.ExecuteInProcessResult":
    resource = InstallationResource(root=str(house.home.root))
    defs = definitions.build_definitions(
        {"installation": resource, "io_manager": definitions.LakehouseIOManager(installation=resource)}
    )
    job = defs.resolve_implicit_global_asset_job_def()
    with nullcontext(instance) if instance else dg.DagsterInstance.ephemeral() as instance:
        return job.execute_in_process(
            asset_selection=[dg.AssetKey("trained_model")],
            partition_key=PERIOD,
            instance=instance,
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )


def runs(house: Installation, dagster_run_id: str) -> dict[str, str]:
    registry = ModelRegistry(house.home)
    experiment = registry.client.get_experiment_by_name(registry.name)
    assert experiment is not None
    found = registry.client.search_runs(
        [experiment.experiment_id], filter_string=f"tags.dagster_run_id = '{dagster_run_id}'"
    )
    return {run.info.run_name or "": run.info.status for run in found}


def test_a_training_that_finished_is_finished_and_once_again_gives_the_same_version(make_home: MakeHome) -> None:
    house = home_with_training_set(make_home, "trained")
    first, second = train(house), train(house)
    assert first.success
    assert set(runs(house, first.run_id).values()) == {"FINISHED"}
    assert f"train {PERIOD}" in runs(house, first.run_id)
    rows = [r.output_for_node("trained_model").to_pylist()[0] for r in (first, second)]
    assert rows[0]["version"] == rows[1]["version"] == 1
    assert rows[0]["fingerprint"] == rows[1]["fingerprint"]


def test_code_that_is_committed_later_and_makes_the_same_bytes_makes_the_version_traceable(
    make_home: MakeHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = home_with_training_set(make_home, "committed-later")
    clean = dataclasses.replace(gather(house.settings), git_commit="c" * 40, git_dirty=False, git_changed_files=0)
    dirty = dataclasses.replace(clean, git_commit="d" * 40, git_dirty=True, git_changed_files=3)
    seen = []
    for code in (dirty, dirty, clean, dirty):  # once a commit holds it, it stays so
        monkeypatch.setattr("lead_scoring_assets.models.record.gather", lambda *_, code=code: code)
        [row] = train(house).output_for_node("trained_model").to_pylist()
        told = read_record((house.home.data / row["bundle"]).with_name(RECORD))
        tags = ModelRegistry(house.home).client.get_model_version(house.settings.name, "1").tags
        seen.append((row["version"], told.fingerprint == row["fingerprint"], told.provenance, tags["git_commit"]))
    assert seen == [(1, True, code, code.git_commit) for code in (dirty, dirty, clean, clean)]


def test_a_training_that_failed_is_failed_in_mlflow_too_and_registers_nothing(make_home: MakeHome) -> None:
    house = home_with_training_set(make_home, "failed")
    settings = Path(house.home.root) / "lead_scoring.yaml"
    settings.write_text(settings.read_text().replace("max_depth: 4", "max_depth: -4"))
    result = train(house)
    assert not result.success
    [failure] = [e for e in result.get_step_failure_events() if e.step_key == "trained_model"]
    assert "training failed" in str(failure.step_failure_data.error)
    told = runs(house, result.run_id)
    assert len(told) == 2
    assert set(told.values()) == {"FAILED"}
    registry = ModelRegistry(house.home)
    assert registry.client.search_model_versions(f"name = '{registry.name}'") == []
    assert registry.production_version() is None


@dg.op
def break_down() -> None:
    raise ValueError("killed")


@dg.job
def broken() -> None:
    break_down()


def test_too_few_leads_are_refused_in_words_and_the_run_goes_on(make_home: MakeHome) -> None:
    house = home_with_training_set(make_home, "refused")
    settings = Path(house.home.root) / "lead_scoring.yaml"
    settings.write_text(settings.read_text().replace("minimum_rows: 800", "minimum_rows: 901"))
    registry = ModelRegistry(house.home)
    registry.prepare()
    experiment = registry.client.get_experiment_by_name(registry.name)
    assert experiment is not None
    with dg.DagsterInstance.ephemeral() as instance:
        died = broken.execute_in_process(instance=instance, raise_on_error=False)
        registry.client.create_run(experiment.experiment_id, run_name="left", tags={"dagster_run_id": died.run_id})
        result = train(house, instance)
    assert result.success
    # What MLflow could not be told when that run failed is put right now.
    assert runs(house, died.run_id) == {"left": "FAILED"}
    assert set(runs(house, result.run_id).values()) == {"FINISHED"}
    [row] = result.output_for_node("trained_model").to_pylist()
    assert row["version"] is None
    assert row["refusal"] == "insufficient data: 900 of 901 training leads"
