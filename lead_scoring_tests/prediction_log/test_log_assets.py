"""The log through Dagster: the sensor asks once for what is new, the job takes it in, the checks judge it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

from lead_scoring_assets.definitions import build_definitions
from lead_scoring_assets.lakehouse.io_manager import LakehouseIOManager
from lead_scoring_assets.prediction_log import fallback_leads, quality
from lead_scoring_assets.prediction_log.ingestion import ingest
from lead_scoring_assets.prediction_log.sensors import new_served_predictions
from lead_scoring_assets.prediction_log.tables import INGESTED, PREDICTIONS, REJECTED
from lead_scoring_assets.resources import InstallationResource
from lead_scoring_tests.prediction_log.worlds import NOW, World, error, feedback, score, shadow


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World.make(tmp_path / "a home")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def tick(world: World, instance: dg.DagsterInstance) -> Any:
    resource = InstallationResource(root=str(world.home.root))
    with dg.build_sensor_context(instance=instance, resources={"installation": resource}) as context:
        found = new_served_predictions.evaluate_tick(context)
    return found.run_requests[0] if found.run_requests else found.skip_message


def run(world: World, instance: dg.DagsterInstance, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
    resource = InstallationResource(root=str(world.home.root))
    definitions = build_definitions({"installation": resource, "io_manager": LakehouseIOManager(installation=resource)})
    job = definitions.resolve_job_def("served_log")
    return job.execute_in_process(instance=instance, tags=dict(request.tags), raise_on_error=False)


def test_where_nothing_was_logged_nothing_is_asked_for(world: World, instance: dg.DagsterInstance) -> None:
    assert tick(world, instance) == "no API has logged anything here"
    assert not world.home.lakehouse.exists()


def test_what_is_new_is_taken_in_by_one_run_and_measured(world: World, instance: dg.DagsterInstance) -> None:
    world.log(score(1), score(2, source="fallback", model_version=None), error(1), shadow(1), feedback(1))
    request = tick(world, instance)
    assert tick(world, instance).run_key == request.run_key
    done = run(world, instance, request)
    assert done.success
    made = {event.asset_key.to_user_string() for event in done.get_asset_materialization_events() if event.asset_key}
    assert made == {
        "served_predictions",
        "served_errors",
        "shadow_scores",
        "served_feedback",
        "rejected_records",
        "ingested_segments",
        "fallback_leads",
        "service_health",
    }
    assert {each.check_name for each in done.get_asset_check_evaluations()} >= {"every_line_once"}
    assert all(each.passed for each in done.get_asset_check_evaluations())
    assert len(world.rows("service_health")) == 8
    told = tick(world, instance)
    assert told.startswith("all of 1 segments is taken in, the last of it at 2009-03-10 12:00:00")


def test_an_hour_of_quiet_is_measured_once(world: World, instance: dg.DagsterInstance) -> None:
    world.log(score(1))
    run(world, instance, tick(world, instance))
    world.later(minutes=61)
    request = tick(world, instance)
    run(world, instance, request)
    hours = [row for row in world.rows("service_health") if (row["window"], row["endpoint"]) == ("hour", "all")]
    assert [row["rps"] for row in sorted(hours, key=lambda row: row["evaluation"])] == [1 / 3_600, 0.0]
    assert "an hour and more without a line, since 2009-03-10 12:00: measured already" in tick(world, instance)


def test_a_run_that_fails_is_asked_for_again_and_not_for_ever(world: World, instance: dg.DagsterInstance) -> None:
    world.log(score(1))
    (world.home.lakehouse / PREDICTIONS).mkdir(parents=True)
    (world.home.lakehouse / PREDICTIONS / "_delta_log").write_text("in the way")
    keys = set()
    for _ in range(3):
        request = tick(world, instance)
        keys.add(request.run_key)
        assert not run(world, instance, request).success
    assert len(keys) == 3
    assert "3 runs failed on it" in tick(world, instance)
    (world.home.lakehouse / PREDICTIONS / "_delta_log").unlink()
    world.log(score(2))
    assert run(world, instance, tick(world, instance)).success
    assert len(world.rows(PREDICTIONS)) == 2


# Checks


def test_the_checks_pass_on_what_was_taken_in_and_on_nothing(world: World) -> None:
    judges = (
        quality.every_line_once,
        quality.every_shadowed_lead_once,
        quality.no_line_damaged,
        quality.fallback_leads_are_scored,
    )
    assert all(judge(world.house).passed for judge in judges)
    world.log(score(1), feedback(1), feedback(1), error(1))
    ingest(world.house, world.source)
    assert quality.every_line_once(world.house).sentence == "all 4 lines are rows, rejected or duplicates"
    assert all(judge(world.house).passed for judge in judges)


def test_a_lead_that_the_shadow_lost_or_recorded_twice_is_found(world: World) -> None:
    world.log(*(score(n, shadow_version=4) for n in range(6)))
    [segment] = world.source.ends()
    starts = [line.start for line in world.source.lines(segment, 0, world.source.ends()[segment])]

    def recorded(*places: int) -> tuple[bool, list[object]]:
        world.log(*(shadow(n, of_segment=segment, of_byte=starts[n]) for n in places), worker="shadow")
        ingest(world.house, world.source)
        found = quality.every_shadowed_lead_once(world.house)
        return found.passed, [found.numbers[name] for name in ("leads", "lost", "doubled", "waiting")]

    assert recorded(0, 1) == (True, [6, 0, 0, 4])  # it has come so far
    assert recorded(4) == (False, [6, 2, 0, 1])
    assert recorded(2, 3) == (True, [6, 0, 0, 1])
    assert recorded(1, 5) == (False, [6, 0, 1, 0])
    world.later(days=2)
    assert quality.every_shadowed_lead_once(world.house).numbers["leads"] == 0


def test_a_row_that_is_gone_or_there_twice_is_found(world: World) -> None:
    world.log(score(1), score(2))
    ingest(world.house, world.source)
    rows = world.house.lakehouse.read(PREDICTIONS)
    for wrong in (rows.slice(0, 1), pa.concat_tables([rows, rows.slice(0, 1)])):
        world.house.lakehouse.replace_periods(PREDICTIONS, ["2009-03"], wrong)
        found = quality.every_line_once(world.house)
        assert not found.passed
        assert f"served_predictions has {wrong.num_rows} rows, 2 were written" in found.sentence


def test_a_gap_in_a_segment_is_found(world: World) -> None:
    world.log(score(1))
    ingest(world.house, world.source)
    rows = world.house.lakehouse.read(INGESTED)
    begin = rows.column_names.index("from_byte")
    world.house.lakehouse.append(INGESTED, rows.set_column(begin, "from_byte", pa.array([10_000], pa.int64())))
    found = quality.every_line_once(world.house)
    assert "1 parts do not begin where the one before ended" in found.sentence


def test_a_damaged_line_is_told_with_its_place(world: World) -> None:
    world.log(b"half\n")
    ingest(world.house, world.source)
    found = quality.no_line_damaged(world.house)
    assert not found.passed
    assert "1 lines were rejected; the first: w0-" in found.sentence
    assert len(world.rows(REJECTED)) == 1


# Who was answered without a model


def scored(world: World, period: str, *leads: str) -> None:
    rows = pa.table(
        {
            "period": [period] * len(leads),
            "lead_id": list(leads),
            "model_version": pa.array([4] * len(leads), pa.int64()),
            "probability": [0.7] * len(leads),
        },
        schema=pa.schema(
            [
                ("period", pa.string()),
                ("lead_id", pa.string()),
                ("model_version", pa.int64()),
                ("probability", pa.float64()),
            ]
        ),
    )
    world.house.lakehouse.replace_periods("lead_scores", [period], rows)


def statuses(world: World) -> dict[str, str]:
    fallback_leads.write(world.house)
    return {row["lead_id"]: row["status"] for row in world.rows(fallback_leads.TABLE)}


def fallback(number: int, **more: Any) -> dict[str, Any]:
    return score(number, source="fallback", model_version=None, **more)


def test_where_a_model_answered_everyone_there_is_no_table(world: World) -> None:
    assert fallback_leads.write(world.house) is None
    world.log(score(1))
    ingest(world.house, world.source)
    assert fallback_leads.write(world.house) is None
    assert not world.house.lakehouse.exists(fallback_leads.TABLE)


def test_a_lead_waits_until_a_model_has_scored_it(world: World) -> None:
    later = world.later(minutes=5)
    world.log(*(fallback(n) for n in range(5)), score(1, at=later, score=0.9), score(2, at=NOW.replace(hour=1)))
    ingest(world.house, world.source)
    assert statuses(world) == {
        "lead 0": "waiting",
        "lead 1": "answered_by_model",
        "lead 2": "waiting",
        "lead 3": "waiting",
        "lead 4": "waiting",
    }
    scored(world, "2009-02", "lead 4", "lead 9")
    scored(world, "2009-03")
    assert fallback_leads.write(world.house) is not None
    assert statuses(world)["lead 4"] == "scored_before"
    found = quality.fallback_leads_are_scored(world.house)
    assert found.passed  # the period is not scored yet: only the one before is
    scored(world, "2009-03", "lead 0", "lead 2")
    assert statuses(world) == {
        "lead 0": "rescored",
        "lead 1": "answered_by_model",
        "lead 2": "rescored",
        "lead 3": "waiting",
        "lead 4": "scored_before",
    }
    assert fallback_leads.write(world.house) is None
    row = next(row for row in world.rows(fallback_leads.TABLE) if row["lead_id"] == "lead 0")
    assert (row["scored_in"], row["model_version"], row["probability"], row["fallback_score"]) == (
        "2009-03",
        4,
        0.7,
        0.25,
    )
    found = quality.fallback_leads_are_scored(world.house)
    assert not found.passed
    assert "1 of them although their period was scored, such as lead 3" in found.sentence


def test_whom_a_batch_scores_in_the_quiet_waits_no_longer(world: World, instance: dg.DagsterInstance) -> None:
    world.log(fallback(1))
    run(world, instance, tick(world, instance))
    world.later(minutes=61)
    run(world, instance, tick(world, instance))
    assert "measured already" in tick(world, instance)
    scored(world, "2009-03", "lead 1")
    run(world, instance, tick(world, instance))
    assert [row["status"] for row in world.rows(fallback_leads.TABLE)] == ["rescored"]
    assert "measured already" in tick(world, instance)


def test_an_answer_by_rule_after_a_score_waits_again(world: World) -> None:
    world.log(fallback(1))
    ingest(world.house, world.source)
    scored(world, "2009-03", "lead 1")
    assert statuses(world) == {"lead 1": "rescored"}
    again = world.later(days=40)
    world.log(fallback(1, at=again))
    ingest(world.house, world.source)
    assert statuses(world) == {"lead 1": "scored_before"}
    assert [row["period"] for row in world.rows(fallback_leads.TABLE)] == ["2009-04"]
