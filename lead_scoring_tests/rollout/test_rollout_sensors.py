"""What Dagster is told: a sentence with numbers at each tick, one look an interval, one comparison for new shadow scores."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import dagster as dg
import pytest

from lead_scoring_assets.definitions import defs
from lead_scoring_assets.rollout import conducting, sensors
from lead_scoring_assets.rollout.comparison import TABLE
from lead_scoring_tests.rollout.homes import DAY, RolloutHome
from lead_scoring_tests.rollout.ways import to_half, to_the_top

REPOSITORY = defs.get_repository_def()
MINUTE = timedelta(minutes=1)
Tick = Callable[..., Any]


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def tick(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> Tick:
    """One tick in `home`, the cursor being kept from tick to tick."""
    cursors: dict[str, str | None] = {}
    monkeypatch.setattr(sensors, "follow_later", lambda installation: None)

    def evaluate(home: RolloutHome, sensor: dg.SensorDefinition = sensors.advance_rollouts) -> Any:
        with dg.build_sensor_context(
            instance=instance,
            resources={"installation": home.house},
            repository_def=REPOSITORY,
            cursor=cursors.get(sensor.name),
        ) as context:
            told = sensor.evaluate_tick(context)
        cursors[sensor.name] = told.cursor
        return told.run_requests[0] if told.run_requests else told.skip_message

    return evaluate


def test_without_an_api_the_sensors_say_so(home: RolloutHome, tick: Tick) -> None:
    assert tick(home) == "no rollout is running, and gate.approval is automatic: a person starts one"
    assert tick(home, sensors.compare_shadow) == "no shadow has scored leads that are still to be compared"
    assert not home.house.lakehouse.exists("rollouts")


def test_it_looks_once_an_interval_and_says_what_it_waits_for(home: RolloutHome, tick: Tick) -> None:
    home.propose(2)
    conducting.start(home.house, 2, "mona", "it is better")
    told = tick(home)
    assert told.startswith("v2 is in the shadow (rollout-1-v2): until 2009-01-15 00:00; errors: ")
    assert "0 of 200 answers of the candidate" in told
    home.now += 59 * MINUTE
    assert tick(home) == "v2 is in the shadow (rollout-1-v2); the next look is at 2009-01-01 01:00"
    home.now += MINUTE
    assert "until 2009-01-15" in tick(home)


def test_a_planted_fault_is_answered_at_the_next_look(quick: RolloutHome, tick: Tick) -> None:
    to_half(quick)
    tick(quick)
    quick.answers(600, quick.rollout, errors=60, first=30_000)
    quick.now += MINUTE
    assert "the next look is at" in tick(quick)
    quick.now += 59 * MINUTE
    assert "v2 is rolled back (rollout-1-v2): errors: " in tick(quick)
    assert quick.traffic() == (1, None, "champion_only", 0)


def test_where_the_clock_stands_a_look_is_repeated_once_more_has_been_taken_in(quick: RolloutHome, tick: Tick) -> None:
    """A replay's clock jumps when a month lands: the first look comes before that month's log and outcomes are taken in."""
    to_half(quick)
    quick.now += timedelta(minutes=60)
    assert "is a canary at 50 %" in tick(quick)
    assert "the next look is at" in tick(quick)
    quick.answers(600, quick.rollout, errors=60, first=30_000)
    assert "v2 is rolled back (rollout-1-v2): errors: " in tick(quick)


def test_what_happens_to_the_champion_ends_it_without_waiting_for_the_next_look(home: RolloutHome, tick: Tick) -> None:
    home.propose(2)
    conducting.start(home.house, 2, "mona", "it is better")
    tick(home)
    home.now += MINUTE
    assert "the next look is at" in tick(home)
    home.deployments().append(home.step(3, "promoted", effective_at=home.now))
    told = tick(home)
    assert told.startswith("v2 is rolled back (rollout-1-v2): v3 is live, and it was compared with v1")
    assert "no rollout is running" in tick(home)


def test_an_approval_is_not_kept_waiting_for_the_next_look(home: RolloutHome, tick: Tick) -> None:
    home.propose(2)
    conducting.start(home.house, 2, "mona", "it is better", is_fast=True)
    tick(home)
    home.now += MINUTE
    assert "the next look is at" in tick(home)
    conducting.approve(home.house, "omar", "looked")
    assert "the next look is at" not in tick(home)
    assert "the next look is at" in tick(home)


def test_a_new_champion_is_looked_at_four_times_as_often(quick: RolloutHome, tick: Tick) -> None:
    to_the_top(quick)
    assert "v2 is live and watched at 100 %" in tick(quick)
    quick.now += 14 * MINUTE
    assert "the next look is at" in tick(quick)
    quick.answers(300, quick.rollout, errors=30, first=40_000)
    quick.now += MINUTE
    assert "rolled back" in tick(quick)
    assert quick.live() == 1


def test_a_cursor_that_cannot_be_read_is_as_none(home: RolloutHome, instance: dg.DagsterInstance) -> None:
    home.propose(2)
    conducting.start(home.house, 2, "mona", "it is better")
    home.shadows(2, 5)
    resources = {"installation": home.house}
    for sensor in (sensors.advance_rollouts, sensors.compare_shadow):
        with dg.build_sensor_context(instance, "torn{", repository_def=REPOSITORY, resources=resources) as context:
            told = sensor.evaluate_tick(context)
            assert told.run_requests or "v2 is in the shadow" in str(told.skip_message)


def as_it_lies(home: RolloutHome, *tables: str) -> str:
    """The name of a comparison of the tables as they are."""
    return "-".join(f"{table}-{home.house.lakehouse.version(table)}" for table in tables)


def test_a_shadow_is_compared_when_there_is_more_of_it_once_a_day(home: RolloutHome, tick: Tick) -> None:
    home.propose(2)
    home.shadows(2, 5)
    first = tick(home, sensors.compare_shadow)
    assert (first.run_key, first.job_name) == (as_it_lies(home, "shadow_scores"), None)
    assert tick(home, sensors.compare_shadow) == f"nothing has come since the comparison of {first.run_key}"
    home.now += timedelta(hours=1)
    home.shadows(2, 5)
    assert tick(home, sensors.compare_shadow) == "the shadow was compared at 2009-01-01 00:00; once a day is enough"
    home.now += DAY
    assert tick(home, sensors.compare_shadow).run_key == as_it_lies(home, "shadow_scores") != first.run_key


def test_labels_ask_for_a_comparison_until_all_leads_have_matured(
    home: RolloutHome, tick: Tick, instance: dg.DagsterInstance
) -> None:
    home.shadows(2, 5)
    home.labels(home.now, [("somebody", 0)])
    assert tick(home, sensors.compare_shadow).run_key == as_it_lies(home, "shadow_scores", "ground_truth_labels")
    materialize(home, instance)
    home.now += 40 * DAY
    home.labels(home.now, [("somebody else", 0)])
    assert tick(home, sensors.compare_shadow).run_key == as_it_lies(home, "shadow_scores", "ground_truth_labels")
    materialize(home, instance)
    assert tick(home, sensors.compare_shadow) == "no shadow has scored leads that are still to be compared"


# The asset.


def materialize(home: RolloutHome, instance: dg.DagsterInstance) -> dict[str, Any]:
    job = defs.resolve_job_def(sensors.SHADOW_JOB)
    result = job.execute_in_process(instance=instance, resources={"installation": home.house})
    assert result.success
    [event] = result.asset_materializations_for_node("shadow_comparison")
    return {name: value.value for name, value in event.metadata.items()}


def test_without_shadow_scores_there_is_no_table(home: RolloutHome, instance: dg.DagsterInstance) -> None:
    assert materialize(home, instance) == {"status": "no shadow has scored a lead yet"}
    assert not home.house.lakehouse.exists(TABLE)


def test_a_comparison_is_a_row_and_made_again_it_is_the_same_one(
    home: RolloutHome, instance: dg.DagsterInstance
) -> None:
    home.propose(2)
    home.shadows(2, 300)
    told = materialize(home, instance)
    assert (told["n"], told["coverage"], told["shadow_version"]) == (300, 1.0, 2)
    assert told["correlation"] == pytest.approx(1)
    assert told["recommendation"] == "go_on"
    assert "scores: 300 scores online and 0 on the holdout" in told["reason"]
    assert told["scores of shadow v2"].startswith("![scores of shadow v2](data:image/")
    materialize(home, instance)
    home.now += timedelta(hours=1)
    materialize(home, instance)
    [row] = home.house.lakehouse.read(TABLE).to_pylist()
    assert row["as_of"] == home.now - timedelta(hours=1)
    home.shadows(2, 10)
    assert materialize(home, instance)["n"] == 310
    assert home.house.lakehouse.read(TABLE).num_rows == 2


def test_a_second_time_in_the_shadow_is_compared_without_the_first(
    home: RolloutHome, instance: dg.DagsterInstance
) -> None:
    home.propose(2)
    conducting.start(home.house, 2, "mona", "it is better")
    home.shadows(2, 300, outcome="failed", shadow_score=None, shadow_latency_us=None)
    conducting.abort(home.house, "mona", "it fails")
    home.now += DAY
    conducting.start(home.house, 2, "mona", "it was mended")
    home.shadows(2, 250)
    assert materialize(home, instance)["n"] == 250
    conducting.abort(home.house, "mona", "not now")
    home.now += DAY
    told = materialize(home, instance)
    assert (told["n"], told["failed"], told["recommendation"]) == (250, 0, "go_on")


def test_the_ranking_appears_once_labels_have_matured(home: RolloutHome, instance: dg.DagsterInstance) -> None:
    home.shadows(2, 300)
    leads = home.house.lakehouse.read("shadow_scores")["lead_id"].to_pylist()
    assert "auc_shadow" not in materialize(home, instance)
    home.now += 32 * DAY
    home.labels(home.now, [(lead, int(i % 5 == 0)) for i, lead in enumerate(leads)])
    told = materialize(home, instance)
    assert (told["labelled"], told["positives"], told["label_coverage"]) == (300, 60, 1.0)
    assert told["auc_difference"] == 0
    assert "2009-02-02" in told["labels_as_of"]


@pytest.mark.parametrize("job", ["start_rollout", "look_at_rollout", "abort_rollout"])
def test_the_launchpads_jobs_do_the_same(home: RolloutHome, instance: dg.DagsterInstance, job: str) -> None:
    home.propose(2)
    told: dict[str, dict[str, Any]] = {
        "start_rollout": {"start_a_rollout": {"config": {"version": 2, "by": "mona", "reason": "it is better"}}},
        "abort_rollout": {"abort_a_rollout": {"config": {"by": "mona", "reason": "not now"}}},
    }
    if job != "start_rollout":
        conducting.start(home.house, 2, "mona", "it is better")
    run = defs.resolve_job_def(job).execute_in_process(
        instance=instance, resources={"installation": home.house}, run_config={"ops": told.get(job, {})}
    )
    assert run.success
    assert home.rollout.state == ("rolled_back" if job == "abort_rollout" else "shadow")
