"""What Dagster is asked for: one run an episode, or a sentence with the numbers that says why none."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from lead_scoring_assets.definitions import defs
from lead_scoring_assets.resources import InstallationResource
from lead_scoring_assets.retraining.decisions import Cause
from lead_scoring_assets.retraining.schedules import retrain_on_calendar
from lead_scoring_assets.retraining.sensors import JOB, SENSORS

if TYPE_CHECKING:
    from lead_scoring_tests.retraining.conftest import World

# The real one, so that a run of a job or a partition that does not exist would be refused as the daemon refuses it.
REPOSITORY = defs.get_repository_def()
Evaluate = Callable[["World", Cause], dg.RunRequest | str]


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def evaluate(instance: dg.DagsterInstance) -> Evaluate:
    """One tick of the sensor or schedule of a cause: the run request, or the message it skipped with."""

    def tick(world: "World", cause: Cause) -> dg.RunRequest | str:
        resources = {"installation": InstallationResource(root=str(world.home.root))}
        if cause == "calendar":
            with dg.build_schedule_context(
                instance=instance, resources=resources, repository_def=REPOSITORY
            ) as context:
                told = retrain_on_calendar.evaluate_tick(context)
        else:
            sensor = next(sensor for sensor in SENSORS if sensor.name == f"retrain_on_{cause}")
            with dg.build_sensor_context(instance=instance, resources=resources, repository_def=REPOSITORY) as context:
                told = sensor.evaluate_tick(context)
        requests = told.run_requests or []
        assert len(requests) <= 1
        return requests[0] if requests else str(told.skip_message)

    return tick


def test_each_cause_has_one_that_is_on_from_the_start() -> None:
    assert [sensor.name for sensor in SENSORS] == [
        "retrain_on_drift",
        "retrain_on_label_volume",
        "retrain_on_performance",
    ]
    assert {sensor.default_status for sensor in SENSORS} == {dg.DefaultSensorStatus.RUNNING}
    assert {sensor.job_name for sensor in SENSORS} == {JOB, retrain_on_calendar.job_name}
    assert {sensor.minimum_interval_seconds for sensor in SENSORS} == {30}
    assert retrain_on_calendar.default_status == dg.DefaultScheduleStatus.RUNNING
    assert (retrain_on_calendar.cron_schedule, retrain_on_calendar.execution_timezone) == ("0 3 * * *", "UTC")


@pytest.mark.parametrize("cause", ["drift", "label_volume", "performance", "calendar"])
def test_before_the_first_period_closes(world: "World", evaluate: Evaluate, cause: Cause) -> None:
    world.closes("2008-04", is_ingested=False)
    assert evaluate(world, cause) == "no period has closed yet"


def give_cause(world: "World", cause: Cause, period: str) -> None:
    world.closes(period)
    if cause == "drift":
        world.drifts(period, 1)
    if cause == "label_volume":
        world.many_labels(period, 1_500)
    if cause == "performance":
        world.performs(period, 1, 0.5)


@pytest.mark.parametrize("cause", ["drift", "label_volume", "performance", "calendar"])
def test_a_cause_asks_for_one_run_of_its_period(world: "World", evaluate: Evaluate, cause: Cause) -> None:
    world.deploys(1, "2008-06")
    world.decides("2008-06")
    give_cause(world, cause, "2008-09")
    for _ in range(2):
        request = evaluate(world, cause)
        assert isinstance(request, dg.RunRequest)
        assert (request.run_key, request.partition_key) == (f"retraining-{cause}-2008-09", "2008-09")
        assert request.tags["lead_scoring/cause"] == cause
        assert request.tags["lead_scoring/episode"] == f"retraining-{cause}-2008-09"
    assert [event.actor for event in world.installation.events.events()] == [f"retrain_on_{cause}"]


@pytest.mark.parametrize(
    ("cause", "told"),
    [
        ("drift", "largest PSI is 0.07 (age, n = 1,234)"),
        ("label_volume", "12 of 1,500 new labels since the last training at 2008-07-01 (champion v1)"),
        ("performance", "AUC 0.700 [0.680, 0.720], n = 1,200, champion v1: not clearly below the floor 0.60"),
        ("calendar", "last trained at 2008-07-01, due after 3 months; it is 2008-09-01"),
    ],
)
def test_a_skip_says_why_with_numbers(world: "World", evaluate: Evaluate, cause: Cause, told: str) -> None:
    world.deploys(1, "2008-06")
    world.decides("2008-06")
    world.closes("2008-08")
    world.drifts("2008-08", 1, psi=0.07, status="stable")
    world.many_labels("2008-08", 12)
    world.performs("2008-08", 1, 0.70)
    assert told in str(evaluate(world, cause))
    assert world.installation.events.events() == []


def test_four_causes_at_once_ask_for_one_training(world: "World", evaluate: Evaluate) -> None:
    world.deploys(1, "2008-06")
    world.decides("2008-06")
    causes: list[Cause] = ["performance", "drift", "label_volume", "calendar"]
    for cause in causes:
        give_cause(world, cause, "2008-09")
    told = [evaluate(world, cause) for cause in causes]
    assert [isinstance(answer, dg.RunRequest) for answer in told] == [True, False, False, False]
    assert "retraining-performance-2008-09 already asks for a training of 2008-09" in str(told[1])


def test_a_rejected_candidate_does_not_stop_later_trainings(world: "World", evaluate: Evaluate) -> None:
    """The cause stays; each period asks once, until the verdict on it is there."""
    world.deploys(1, "2008-06")
    world.decides("2008-06")
    keys = []
    for period in ("2008-07", "2008-08"):
        give_cause(world, "drift", period)
        request = evaluate(world, "drift")
        assert isinstance(request, dg.RunRequest)
        keys.append(request.run_key)
        world.decides(period, "rejected", 2)
        assert f"{period} has been decided (rejected: reason of {period})" in str(evaluate(world, "drift"))
    assert keys == ["retraining-drift-2008-07", "retraining-drift-2008-08"]


def test_nothing_is_trained_before_the_periods_files_are_in(world: "World", evaluate: Evaluate) -> None:
    world.closes("2008-09", is_ingested=False)
    assert "the files of 2008-09 are not ingested yet" in str(evaluate(world, "calendar"))
    world.ingests("2008-09")
    assert isinstance(evaluate(world, "calendar"), dg.RunRequest)


def test_other_settings_give_another_border(new_world: "Callable[..., World]", evaluate: Evaluate) -> None:
    world = new_world(**{"new_labels: 1500": "new_labels: 3"})
    world.closes("2008-09")
    world.many_labels("2008-09", 2)
    assert "2 of 3 new labels" in str(evaluate(world, "label_volume"))
    world.many_labels("2008-09", 3)
    assert isinstance(evaluate(world, "label_volume"), dg.RunRequest)
