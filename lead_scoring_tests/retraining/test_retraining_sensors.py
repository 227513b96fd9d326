"""What Dagster is asked for: one run an episode, or a sentence with the numbers that says why none."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from lead_scoring_assets.definitions import defs
from lead_scoring_assets.events.log import TABLE
from lead_scoring_assets.promotion.people import REQUESTED_BY_TAG
from lead_scoring_assets.resources import InstallationResource
from lead_scoring_assets.retraining.by_hand import request_retraining
from lead_scoring_assets.retraining.causes import Cause
from lead_scoring_assets.retraining.episodes import EPISODE_TAG
from lead_scoring_assets.retraining.records import DECLINED
from lead_scoring_assets.retraining.sensors import JOB, DagsterRuns, retrain_on_cause

if TYPE_CHECKING:
    from lead_scoring_tests.retraining.conftest import World

# The real one, so that a run of a job or a partition that does not exist would be refused as the daemon refuses it.
REPOSITORY = defs.get_repository_def()
Status = dg.DagsterRunStatus
Evaluate = Callable[..., dg.RunRequest | str]
DRIFT = "retraining-drift-2008-08"
# Another process's sensor: it decides as soon as the file `go` is there, says what it asks for, and does not end by itself.
TICK = """
import sys, time
from pathlib import Path
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.files import one_at_a_time
from lead_scoring_assets.retraining.episodes import answer
from lead_scoring_assets.settings import Home

class NothingLaunched:
    def at_work(self): return None
    def state_of(self, episode_id): return "none"

home = Home(Path(sys.argv[1]))
Installation(home).lakehouse  # ready
print("ready", flush=True)
while not Path(sys.argv[2]).exists(): time.sleep(0.001)
if sys.argv[3] == "decide":
    print(answer(Installation(home), NothingLaunched(), "another process").episode_id, flush=True)
    time.sleep(600)
with one_at_a_time(home.lock("retraining")):
    print("locked", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def evaluate(instance: dg.DagsterInstance) -> Evaluate:
    """One tick of the sensor: the run request, or the message it skipped with."""

    def tick(world: "World", cursor: str | None = None) -> dg.RunRequest | str:
        resources = {"installation": InstallationResource(root=str(world.home.root))}
        with dg.build_sensor_context(
            instance=instance, resources=resources, repository_def=REPOSITORY, cursor=cursor
        ) as context:
            told = retrain_on_cause.evaluate_tick(context)
        requests = told.run_requests or []
        assert len(requests) <= 1
        return requests[0] if requests else str(told.skip_message)

    return tick


@pytest.fixture
def august(world: "World") -> "World":
    """Champion v1 of June; August has closed, and nothing asks."""
    world.deploys(1, "2008-06")
    world.decides("2008-06")
    world.closes("2008-08")
    return world


@pytest.fixture
def drifting(august: "World") -> "World":
    august.drifts("2008-08", 1, psi=0.31)
    return august


def launch(
    instance: dg.DagsterInstance, request: dg.RunRequest | None, status: Status, job: str = JOB
) -> dg.DagsterRun:
    """As the daemon would; the run is not carried out."""
    tags = dict(request.tags) if request else {}
    return instance.create_run_for_job(REPOSITORY.get_job(job), tags=tags, status=status)


def asked(told: dg.RunRequest | str) -> dg.RunRequest:
    assert isinstance(told, dg.RunRequest), told
    return told


def test_it_is_on_from_the_start() -> None:
    assert retrain_on_cause.default_status == dg.DefaultSensorStatus.RUNNING
    assert (retrain_on_cause.job_name, retrain_on_cause.minimum_interval_seconds) == (JOB, 30)


def test_before_the_first_period_closes(world: "World", evaluate: Evaluate) -> None:
    world.closes("2008-04", is_ingested=False)
    assert evaluate(world) == "no period has closed yet"


def give_cause(world: "World", cause: Cause, period: str) -> None:
    world.closes(period)
    if cause in ("concept_drift", "prediction_drift"):
        world.drifts(period, 1, table=cause)
    if cause == "drift":
        world.drifts(period, 1)
    if cause == "label_volume":
        world.many_labels(period, 1_500)
    if cause == "performance":
        world.performs(period, 1, 0.5)
    if cause == "by_hand":
        request_retraining(world.installation, "Mona", "a new product")


@pytest.mark.parametrize(
    "cause",
    ["drift", "concept_drift", "prediction_drift", "label_volume", "performance", "calendar", "by_hand"],
)
def test_a_cause_asks_for_one_run_of_its_period(
    world: "World", evaluate: Evaluate, instance: dg.DagsterInstance, cause: Cause
) -> None:
    period = "2008-09" if cause == "calendar" else "2008-08"
    world.deploys(1, "2008-06")
    world.decides("2008-06")
    give_cause(world, cause, period)
    for cursor in (None, "not a cursor"):
        request = asked(evaluate(world, cursor))
        assert (request.run_key, request.partition_key) == (f"retraining-{cause}-{period}", period)
        assert request.tags["lead_scoring/cause"] == cause
        assert request.tags.get(REQUESTED_BY_TAG) == ("Mona" if cause == "by_hand" else None)
    launch(instance, request, Status.STARTED)
    assert evaluate(world) == f"a training of {period} is under way (retraining-{cause}-{period})"


@pytest.mark.parametrize(
    "told",
    [
        "drift: 0 of 1 features of 2008-08 drifted from champion v1's training window; the largest PSI is 0.07",
        "label volume: 12 of 1,500 new labels since the last training at 2008-07-01 (champion v1)",
        "performance: AUC 0.700 [0.680, 0.720], n = 1,200, champion v1: not clearly below the floor 0.60",
        "calendar: last trained at 2008-07-01, due after 3 months; it is 2008-09-01",
    ],
)
def test_a_skip_says_why_with_numbers(august: "World", evaluate: Evaluate, told: str) -> None:
    august.drifts("2008-08", 1, psi=0.07, status="stable")
    august.many_labels("2008-08", 12)
    august.performs("2008-08", 1, 0.70)
    assert told in str(evaluate(august))
    assert [event.kind for event in august.installation.events.events()] == [DECLINED]


def test_all_causes_at_once_ask_for_one_training(world: "World", evaluate: Evaluate) -> None:
    world.deploys(1, "2008-06")
    world.decides("2008-06")
    causes: list[Cause] = ["performance", "calendar", "drift", "label_volume"]
    for cause in causes:
        give_cause(world, cause, "2008-09")
    assert asked(evaluate(world)).run_key == "retraining-drift-2008-09"
    assert {event.subject for event in world.installation.events.events()} == set(causes)


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (Status.NOT_STARTED, None),  # the daemon died over it: asked for again, it launches that one
        (Status.STARTING, "is under way"),
        (Status.STARTED, "is under way"),
        (Status.CANCELING, "is under way"),
        (Status.CANCELED, "the training of 2008-08 failed: re-execute its run"),
        (Status.FAILURE, "the training of 2008-08 failed: re-execute its run"),
        (Status.SUCCESS, "the training of 2008-08 ended without a decision"),
    ],
)
def test_every_state_of_its_run(
    drifting: "World", evaluate: Evaluate, instance: dg.DagsterInstance, status: Status, told: str | None
) -> None:
    launch(instance, asked(evaluate(drifting)), status)
    after = evaluate(drifting)
    if told is None:
        assert asked(after).run_key == DRIFT
    else:
        assert told in str(after)


def test_of_several_runs_the_newest_counts(instance: dg.DagsterInstance) -> None:
    """A failed one that a person has executed again."""
    request = dg.RunRequest(tags={EPISODE_TAG: DRIFT})
    runs = DagsterRuns(instance)
    assert runs.state_of(DRIFT) == "none"
    launch(instance, request, Status.FAILURE)
    assert runs.state_of(DRIFT) == "failed"
    launch(instance, request, Status.STARTED)
    assert (runs.state_of(DRIFT), runs.state_of("another")) == ("running", "none")


@pytest.mark.parametrize(("job", "waits"), [("arrival", True), ("everything", True), ("rollback", False)])
def test_what_makes_the_facts_is_waited_for(
    drifting: "World", evaluate: Evaluate, instance: dg.DagsterInstance, job: str, waits: bool
) -> None:
    run = launch(instance, None, Status.STARTED, job)
    told = evaluate(drifting)
    assert (told == f"run {run.run_id} of {job} is at work: what it makes is waited for") is waits
    assert isinstance(told, dg.RunRequest) is not waits


def test_a_decided_episode_lets_the_next_one_come(
    drifting: "World", evaluate: Evaluate, instance: dg.DagsterInstance
) -> None:
    launch(instance, asked(evaluate(drifting)), Status.SUCCESS)
    drifting.decides("2008-08", "promoted", 2)
    drifting.deploys(2, "2008-08")
    assert "measured against v1, and champion v2 has replaced it" in str(evaluate(drifting))
    drifting.closes("2008-09")
    drifting.drifts("2008-09", 2)
    assert asked(evaluate(drifting)).run_key == "retraining-drift-2008-09"


@pytest.mark.parametrize(
    ("period", "told"),
    [
        (
            "2008-08",
            "2008-08 has been decided (rejected: reason of 2008-08); cooldown: the last training was judged at",
        ),
        ("2008-09", None),
    ],
)
def test_cooldown_and_back_off_hold_and_end(world: "World", evaluate: Evaluate, period: str, told: str | None) -> None:
    world.deploys(1, "2008-06")
    world.decides("2008-08", "rejected", 2)
    give_cause(world, "performance", period)
    answered = evaluate(world)
    assert told is None or told in str(answered)
    assert isinstance(answered, str) is (told is not None)


def test_other_settings_give_another_border(new_world: "Callable[..., World]", evaluate: Evaluate) -> None:
    world = new_world(**{"new_labels: 1500": "new_labels: 3"})
    world.deploys(1, "2008-06")
    world.decides("2008-06")
    world.closes("2008-08")
    world.many_labels("2008-08", 2)
    assert "2 of 3 new labels" in str(evaluate(world))
    world.many_labels("2008-08", 3)
    assert asked(evaluate(world)).run_key == "retraining-label_volume-2008-08"


def test_causes_that_are_left_out_of_the_settings_do_not_ask(
    new_world: "Callable[..., World]", evaluate: Evaluate
) -> None:
    world = new_world(**{"causes: [drift, concept_drift,": "causes: [concept_drift,"})
    world.deploys(1, "2008-06")
    world.decides("2008-06")
    give_cause(world, "drift", "2008-08")
    assert "drift: 1 of 1" not in str(evaluate(world))


@pytest.fixture
def spawn(drifting: "World", tmp_path: Path) -> Iterator[Callable[[str], "subprocess.Popen[str]"]]:
    """Other processes, ready to decide; they are killed at the end."""
    started: list[subprocess.Popen[str]] = []

    def start(what: str) -> "subprocess.Popen[str]":
        words: list[Any] = [sys.executable, "-c", TICK, drifting.home.root, tmp_path / "go", what]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert line(process) == "ready"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_sensors_of_several_processes_in_one_instant_open_one_episode(
    drifting: "World", tmp_path: Path, spawn: Callable[[str], "subprocess.Popen[str]"]
) -> None:
    processes = [spawn("decide") for _ in range(3)]
    (tmp_path / "go").touch()
    assert [line(process) for process in processes] == [DRIFT] * 3
    # As written, not as read: reading would hide a second row under the same id.
    written = drifting.installation.lakehouse.read(TABLE)["event_id"].to_pylist()
    assert written == [DRIFT]


def test_killed_between_recording_and_launching_it_is_asked_for_again(
    drifting: "World", tmp_path: Path, evaluate: Evaluate, spawn: Callable[[str], "subprocess.Popen[str]"]
) -> None:
    (tmp_path / "go").touch()
    process = spawn("decide")
    assert line(process) == DRIFT
    process.send_signal(signal.SIGKILL)
    process.wait()
    drifting.drifts("2008-08", 1, psi=0.02, status="stable")  # and its cause is gone
    assert asked(evaluate(drifting)).run_key == DRIFT


def test_who_is_killed_while_deciding_keeps_nobody_waiting(
    drifting: "World", tmp_path: Path, evaluate: Evaluate, spawn: Callable[[str], "subprocess.Popen[str]"]
) -> None:
    (tmp_path / "go").touch()
    process = spawn("hold the lock")
    assert line(process) == "locked"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert asked(evaluate(drifting)).run_key == DRIFT
