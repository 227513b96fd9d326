"""The decision as an asset over real models and tables, and the jobs of what people do, as the UI starts them."""

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from lead_scoring_assets import definitions  # first: it silences dagster's notes on the parts used on purpose
from lead_scoring_assets.evaluation.metrics import evaluate
from lead_scoring_assets.events.log import Event
from lead_scoring_assets.models.bundle import load_scorer
from lead_scoring_assets.models.registry import ModelRegistry
from lead_scoring_assets.models.training_set import HOLDOUT
from lead_scoring_assets.promotion.deployments import Deployments
from lead_scoring_assets.promotion.people import REQUESTED_BY_TAG
from lead_scoring_assets.promotion.records import SCHEMA
from lead_scoring_assets.resources import InstallationResource
from lead_scoring_tests.promotion.worlds import CLEAN, COMMIT, NOW, PERIODS, World, leads

dg = pytest.importorskip("dagster")
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def definitions_of(world: World) -> "dg.Definitions":
    resource = InstallationResource(root=str(world.root))
    return definitions.build_definitions(
        {"installation": resource, "io_manager": definitions.LakehouseIOManager(installation=resource)}
    )


def decide(world: World, *periods: str, by: str | None = None) -> None:
    tags = {"dagster/asset_partition_range_start": periods[0], "dagster/asset_partition_range_end": periods[-1]}
    with dg.DagsterInstance.ephemeral() as instance:
        definitions_of(world).resolve_implicit_global_asset_job_def().execute_in_process(
            asset_selection=[dg.AssetKey("promotion_decision")],
            instance=instance,
            tags=tags | ({REQUESTED_BY_TAG: by} if by else {}),
            run_config=QUIET,
        )


def run_job(world: World, name: str, config: dict[str, object] | None = None) -> bool:
    op = {"promote": "promote_version", "approve": "approve_version", "reject": "reject_version"}.get(name)
    ops = {"ops": {op: {"config": config}}} if op else {}
    with dg.DagsterInstance.ephemeral() as instance:
        done = definitions_of(world).resolve_job_def(name)
        return bool(done.execute_in_process(instance=instance, raise_on_error=False, run_config=QUIET | ops).success)


def rows(world: World, *periods: str) -> list[dict[str, object]]:
    found = world.house.lakehouse.read("promotion_decision", periods=periods or None)
    assert found.schema == SCHEMA
    told: list[dict[str, object]] = sorted(found.to_pylist(), key=lambda row: row["period"])
    return told


@pytest.fixture
def judged(world: World) -> World:
    """Versions 1 to 4 are candidates of four months, judged on the same 2,000 rows; in the fifth none was trained."""
    (world.root / "data" / "clock.json").write_text(json.dumps({"now": NOW.isoformat()}))
    lakehouse = world.house.lakehouse
    trained, evaluated, sets = [], [], []
    sample = leads(2_000, seed=99).assign(split=HOLDOUT)
    for number, period in enumerate(PERIODS[:5], start=1):
        version = world.version(number)
        if number == 5:
            trained.append({"period": period, "refusal": "3 of 800 rows"})
            continue
        model = {"version": number, "run_id": "r", "bundle": version.bundle, "fingerprint": version.fingerprint}
        trained.append({"period": period, **model, "refusal": None})
        scorer = load_scorer(world.house.home.data / version.bundle, version.fingerprint)
        metrics = evaluate(sample["label"].to_numpy(dtype=np.float64), scorer.probabilities(sample))
        for m in metrics:
            figures = {"value": m.value, "low": m.low, "high": m.high, "n": m.n}
            evaluated.append({"period": period, "version": number, "metric": m.name, **figures})
        sets.append(pa.Table.from_pandas(sample.assign(period=period), preserve_index=False))
    schema = pa.schema([("period", pa.string()), ("version", pa.int64())])
    for name in ("run_id", "bundle", "fingerprint", "refusal"):
        schema = schema.append(pa.field(name, pa.string()))
    written: Sequence[tuple[str, pa.Table]] = (
        ("trained_model", pa.Table.from_pylist(trained, schema=schema)),
        ("model_evaluation", pa.Table.from_pylist(evaluated)),
        ("training_set", pa.concat_tables(sets)),
    )
    for name, table in written:
        lakehouse.replace_periods(name, PERIODS[:5], table)
    return world


def test_the_first_goes_live_the_same_model_again_does_not_and_nothing_is_hidden(judged: World) -> None:
    decide(judged, PERIODS[0], PERIODS[4])
    found = rows(judged)
    assert [row["period"] for row in found] == list(PERIODS[:5])
    first, last = found[0], found[4]
    assert (first["verdict"], first["champion_version"], first["mode"]) == ("promoted", None, "refresh")
    assert (last["verdict"], last["reason"]) == ("no_candidate", "no model was trained: 3 of 800 rows")
    history = Deployments(judged.house.lakehouse).history()
    assert [d.version for d in history] == [r["candidate_version"] for r in found if r["verdict"] == "promoted"]
    for row in found[1:4]:
        assert row["holdout_rows"] == 2_000
        assert all(row[name] is not None for name in SCHEMA.names), row
        assert row["champion_version"] in {d.version for d in history}
    assert ModelRegistry(judged.house.home).production_version() == judged.live()


def test_deciding_again_gives_the_same_rows_and_undoes_no_rollback(judged: World) -> None:
    decide(judged, PERIODS[0], PERIODS[4])
    before, steps = rows(judged), Deployments(judged.house.lakehouse).steps()
    live = [d.version for d in steps]
    assert len(live) > 1
    assert run_job(judged, "rollback")
    assert judged.live() == live[-2]
    for periods in ((PERIODS[0], PERIODS[4]), (PERIODS[live[-1] - 1],)):
        decide(judged, *periods)
        assert rows(judged) == before
        assert judged.live() == live[-2]
    assert len(Deployments(judged.house.lakehouse).steps()) == len(steps) + 1


def test_drift_makes_the_comparison_a_refresh(judged: World) -> None:
    judged.set_gate("mode: refresh ", "mode: improve ")
    cause = {"period": PERIODS[2]}
    judged.house.events.record(Event("e", "retraining_episode_opened", "drift", NOW, "a sensor", "PSI 0.3", cause))
    decide(judged, PERIODS[0], PERIODS[3])
    found = rows(judged)
    assert [row["mode"] for row in found] == ["improve", "improve", "refresh", "improve"]
    assert [row["trigger"] for row in found] == ["history", "history", "drift", "history"]
    assert found[2]["trigger_reason"] == "drift: PSI 0.3"
    assert found[1]["verdict"] == "rejected"
    assert "that mode improve asks for" in str(found[1]["reason"])


def test_approval_by_hand_is_asked_of_another_person(judged: World) -> None:
    judged.set_gate("approval: automatic", "approval: manual   ")
    decide(judged, PERIODS[0], by="mona")
    assert rows(judged)[0]["verdict"] == "awaiting_approval"
    assert judged.live() is None
    assert not run_job(judged, "approve", {"version": 1, "by": "mona"})
    assert run_job(judged, "approve", {"version": 1, "by": "omar"})
    assert judged.live() == 1
    decide(judged, PERIODS[0], by="mona")
    assert (len(Deployments(judged.house.lakehouse).steps()), judged.live()) == (2, 1)


def test_code_that_no_commit_holds_does_not_go_live_where_it_is_required(judged: World) -> None:
    judged.set_gate("traceable: recorded", "traceable: required")
    judged.record_code(1, replace(CLEAN, git_dirty=True, git_changed_files=3))
    judged.record_code(2, CLEAN)
    decide(judged, PERIODS[0], PERIODS[1])
    first, second = rows(judged)
    assert (first["verdict"], second["verdict"], judged.live()) == ("rejected", "promoted", 2)
    assert str(first["reason"]).startswith(f"it was trained by commit {COMMIT[:12]} with changes in 3 files")
    judged.set_gate("traceable: required", "traceable: recorded")
    assert not run_job(judged, "promote", {"version": 1, "by": "mona"})
    assert run_job(judged, "promote", {"version": 1, "by": "mona", "reason": "as it was"})
    assert judged.live() == 1


def test_a_candidate_that_comes_too_late_is_told_as_superseded(judged: World) -> None:
    decide(judged, PERIODS[1])
    assert judged.live() == 2
    decide(judged, PERIODS[0])
    assert rows(judged, PERIODS[0])[0]["verdict"] == "superseded"
    assert judged.live() == 2


def test_a_damaged_champion_does_not_stop_the_next_decision(judged: World) -> None:
    judged.promote(1, 2)
    judged.damage(2)
    decide(judged, PERIODS[2])
    [row] = rows(judged, PERIODS[2])
    assert row["champion_version"] == 1
    assert "fell_back" in [d.action for d in Deployments(judged.house.lakehouse).steps()]


def test_a_person_promotes_and_rejects_in_the_ui(judged: World) -> None:
    judged.promote(1)
    assert not run_job(judged, "promote", {"version": 3, "by": "mona"})  # without a reason
    assert run_job(judged, "promote", {"version": 3, "by": "mona", "reason": "it knows the new branch"})
    assert run_job(judged, "reject", {"version": 4, "by": "mona"})
    registry = ModelRegistry(judged.house.home)
    assert registry.production_version() == judged.live() == 3
    assert registry.archived_versions() == {1, 4}
