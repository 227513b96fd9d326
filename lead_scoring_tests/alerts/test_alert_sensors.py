"""Failed checks and runs of a real Dagster instance, on the storage that an installation uses, become alerts."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import mlflow
import pytest

import lead_scoring_assets.definitions  # noqa: F401  # first, because it quiets dagster's warnings about beta parts
from lead_scoring_assets.alerts.sensors import alert_on_failed_check, alert_on_failed_run
from lead_scoring_assets.clock import ReplayClock
from lead_scoring_assets.events.log import Event
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.models.registry import ModelRegistry
from lead_scoring_assets.resources import InstallationResource
from lead_scoring_assets.settings import SETTINGS_FILE, Home

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")
ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2008, 9, 1, tzinfo=UTC)


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["2008-07", "2008-08"]))
def raw_leads() -> None:
    """Something to check."""


def check(
    name: str, severity: dg.AssetCheckSeverity, *, passed: bool, blocking: bool = False
) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=raw_leads, name=name, blocking=blocking)
    def found() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=passed, severity=severity, description=f"{name} of 12 rows")

    return found


def warn(passed: bool = False, name: str = "few_rejected") -> dg.AssetChecksDefinition:
    return check(name, dg.AssetCheckSeverity.WARN, passed=passed)


def error(passed: bool = False) -> dg.AssetChecksDefinition:
    return check("contract_holds", dg.AssetCheckSeverity.ERROR, passed=passed)


@dataclass(frozen=True)
class Site:
    """A home, and the Dagster instance whose runs are watched."""

    home: Home
    instance: dg.DagsterInstance

    def materialize(self, *checks: dg.AssetChecksDefinition) -> str:
        result = dg.materialize(
            [raw_leads, *checks], instance=self.instance, partition_key="2008-08", raise_on_error=False
        )
        return str(result.run_id)

    def tick(self, cursor: str | None = None) -> tuple[str, str | None]:
        """What the check sensor says, and the cursor that it leaves."""
        with dg.build_sensor_context(
            instance=self.instance,
            resources={"installation": InstallationResource(root=str(self.home.root))},
            cursor=cursor,
        ) as context:
            told = alert_on_failed_check.evaluate_tick(context)
        assert not told.run_requests
        return str(told.skip_message), told.cursor

    def alerts(self) -> list[Event]:
        return Installation(self.home).events.events(kind="alert")

    def levels(self) -> dict[str, str]:
        return {alert.subject: alert.evidence["level"] for alert in self.alerts()}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    root = tmp_path / "a home"
    root.mkdir()
    shutil.copy(ROOT / SETTINGS_FILE, root)
    home = Home(root)
    ReplayClock(home.clock_file).move_to(NOW)
    return home


@pytest.fixture(scope="module")
def sharded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """SQLite as in dagster.yaml: each run's events in a file of its own, numbered from 1 in each."""
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("dagster"))) as instance:
        yield instance


@pytest.fixture(params=["sqlite files", "in memory"])
def site(request: pytest.FixtureRequest, home: Home, sharded: dg.DagsterInstance) -> Iterator[Site]:
    if request.param == "sqlite files":
        sharded.wipe()
        yield Site(home, sharded)
    else:
        with dg.DagsterInstance.ephemeral() as instance:
            yield Site(home, instance)


def test_without_runs_there_is_nothing_to_tell(site: Site) -> None:
    assert site.tick() == ("0 check results of 0 runs looked at, 0 alerts raised", None)


def test_an_error_is_critical_and_a_warning_a_warning(site: Site) -> None:
    run_id = site.materialize(warn(), error(), warn(passed=True, name="calm"))
    told, cursor = site.tick()
    assert told == "3 check results of 1 runs looked at, 2 alerts raised"
    assert cursor is not None
    assert site.levels() == {"raw_leads:few_rejected": "warning", "raw_leads:contract_holds": "critical"}
    alert = next(alert for alert in site.alerts() if alert.subject == "raw_leads:contract_holds")
    assert alert.event_id == f"alert-check-{run_id}-raw_leads:contract_holds"
    assert alert.reason == "raw_leads:contract_holds failed: contract_holds of 12 rows"
    assert (alert.actor, alert.happened_at) == ("alert_on_failed_check", NOW)
    assert len((site.home.data / "logs" / "alerts.jsonl").read_text().splitlines()) == 2


def test_checks_that_pass_raise_nothing(site: Site) -> None:
    site.materialize(warn(passed=True), error(passed=True))
    assert site.tick()[0] == "2 check results of 1 runs looked at, 0 alerts raised"
    assert site.alerts() == []


def test_the_second_tick_looks_at_nothing_twice(site: Site) -> None:
    site.materialize(warn())
    _, cursor = site.tick()
    assert site.tick(cursor) == ("0 check results of 0 runs looked at, 0 alerts raised", cursor)
    assert len(site.alerts()) == 1


def test_later_runs_are_looked_at_after_the_cursor(site: Site) -> None:
    """Their events begin at 1 again; a cursor on the events' own numbers would miss them, or refuse to work."""
    site.materialize(warn(), error(), warn(passed=True, name="calm"))
    _, cursor = site.tick()
    site.materialize(warn())
    told, later = site.tick(cursor)
    assert told == "1 check results of 1 runs looked at, 1 alerts raised"
    assert later != cursor
    assert len(site.alerts()) == 3


def test_a_failure_followed_by_a_pass_is_not_missed(site: Site) -> None:
    site.materialize(error())
    site.materialize(error(passed=True))
    assert site.tick()[0] == "2 check results of 2 runs looked at, 1 alerts raised"
    assert site.levels() == {"raw_leads:contract_holds": "critical"}


def test_a_check_that_fails_in_each_run_alerts_for_each(site: Site) -> None:
    cursor = None
    for _ in range(2):
        site.materialize(error())
        cursor = site.tick(cursor)[1]
    assert len(site.alerts()) == 2


def test_a_failed_blocking_check_that_failed_its_run_is_found(site: Site) -> None:
    site.materialize(check("contract_holds", dg.AssetCheckSeverity.ERROR, passed=False, blocking=True))
    assert site.levels() == {}
    site.tick()
    assert site.levels() == {"raw_leads:contract_holds": "critical"}


def test_a_cursor_that_cannot_be_read_alerts_nobody_twice(home: Home, sharded: dg.DagsterInstance) -> None:
    sharded.wipe()
    site = Site(home, sharded)
    site.materialize(warn())
    site.tick()
    for cursor in ("", "{", "[]", "null", "17", "{}", '{"after": 12}', '{"runs_updated_until": 12}'):
        assert site.tick(cursor)[0] == "1 check results of 1 runs looked at, 0 alerts raised"
    assert len(site.alerts()) == 1


@pytest.mark.parametrize("runs_a_tick", [1, 2])
def test_many_runs_are_looked_at_in_several_ticks(
    home: Home, sharded: dg.DagsterInstance, runs_a_tick: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sharded.wipe()
    monkeypatch.setattr("lead_scoring_assets.alerts.sensors._RUNS_A_TICK", runs_a_tick)
    site = Site(home, sharded)
    run_ids = [site.materialize(warn()) for _ in range(3)]
    cursor = None
    for _ in range(3):
        cursor = site.tick(cursor)[1]
    found = {alert.event_id for alert in site.alerts()}
    assert found == {f"alert-check-{run_id}-raw_leads:few_rejected" for run_id in run_ids}


# Failed runs.


@pytest.fixture(scope="module")
def mlflow_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty store, made once, because creating its tables takes seconds. MLflow writes into the environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_RUN_ID"):
            patch.delenv(name, raising=False)
        root = tmp_path_factory.mktemp("store") / "home"
        root.mkdir()
        shutil.copy(ROOT / SETTINGS_FILE, root)
        ModelRegistry(Home(root)).prepare()
        yield root
        mlflow.set_tracking_uri("")


@pytest.fixture
def registry(mlflow_store: Path, monkeypatch: pytest.MonkeyPatch) -> ModelRegistry:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    home = Home(mlflow_store)
    shutil.rmtree(home.lakehouse, ignore_errors=True)
    if not home.clock_file.exists():
        ReplayClock(home.clock_file).move_to(NOW)
    return ModelRegistry(home)


@dg.op
def break_down() -> None:
    raise ValueError("disk is full")


@dg.job
def retraining() -> None:
    break_down()


def fail(instance: dg.DagsterInstance, tags: dict[str, str]) -> dg.ExecuteInProcessResult:
    result = retraining.execute_in_process(instance=instance, raise_on_error=False, tags=tags)
    assert not result.success
    return result


def watch(home: Home, instance: dg.DagsterInstance, result: dg.ExecuteInProcessResult) -> None:
    """The sensor sees the failed run, twice."""
    for _ in range(2):
        with dg.build_run_status_sensor_context(
            sensor_name="alert_on_failed_run",
            dagster_instance=instance,
            dagster_run=result.dagster_run,
            dagster_event=result.get_run_failure_event(),
            resources={"installation": InstallationResource(root=str(home.root))},
        ).for_run_failure() as context:
            alert_on_failed_run(context)


@pytest.mark.parametrize(
    ("tags", "told"),
    [
        ({"dagster/partition": "2008-08"}, "(2008-08)"),
        (
            {"dagster/asset_partition_range_start": "2008-06", "dagster/asset_partition_range_end": "2008-08"},
            "(2008-06 to 2008-08)",
        ),
        ({}, "(no period)"),
    ],
)
def test_a_failed_run_is_one_critical_alert(
    registry: ModelRegistry, mlflow_store: Path, tags: dict[str, str], told: str
) -> None:
    home = Home(mlflow_store)
    with dg.DagsterInstance.ephemeral() as instance:
        result = fail(instance, tags)
        watch(home, instance, result)
    run_id = result.run_id
    (alert,) = Installation(home).events.events(kind="alert")
    assert alert.event_id == f"alert-run-{run_id}"
    assert (alert.subject, alert.actor, alert.evidence) == ("retraining", "alert_on_failed_run", {"level": "critical"})
    assert alert.reason.startswith(f"run {run_id} of retraining {told} failed: ")
    assert "break_down" in alert.reason


def test_mlflow_runs_of_a_failed_run_are_failed(registry: ModelRegistry, mlflow_store: Path) -> None:
    client = registry.client
    experiment = client.get_experiment_by_name(registry.name).experiment_id
    with dg.DagsterInstance.ephemeral() as instance:
        result = fail(instance, {"dagster/partition": "2008-08"})
        left_open = client.create_run(experiment, tags={"dagster_run_id": result.run_id}).info.run_id
        finished = client.create_run(experiment, tags={"dagster_run_id": result.run_id}).info.run_id
        client.set_terminated(finished, status="FINISHED")
        of_another = client.create_run(experiment, tags={"dagster_run_id": "another"}).info.run_id
        untagged = client.create_run(experiment).info.run_id
        watch(Home(mlflow_store), instance, result)
    found = {
        name: client.get_run(run).info.status
        for name, run in {
            "open": left_open,
            "finished": finished,
            "of another": of_another,
            "untagged": untagged,
        }.items()
    }
    assert found == {"open": "FAILED", "finished": "FINISHED", "of another": "RUNNING", "untagged": "RUNNING"}
    assert "MLFLOW_TRACKING_URI" not in os.environ
