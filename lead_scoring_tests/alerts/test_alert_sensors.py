"""Failed checks and runs of a real Dagster instance, on the storage that an installation uses, become alerts."""

import os
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import mlflow
import pytest

import lead_scoring_assets.definitions  # noqa: F401  # first, because it quiets dagster's warnings about beta parts
from lead_scoring_assets.alerts.episodes import episodes_of
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
    assert site.tick()[0] == "2 check results of 2 runs looked at, 1 alerts raised, 1 ended"
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


def test_a_cursor_that_is_lost_ends_no_alert_by_a_run_before_it(home: Home, sharded: dg.DagsterInstance) -> None:
    sharded.wipe()
    site = Site(home, sharded)
    site.materialize(error(passed=True))
    site.materialize(error())
    site.tick()
    site.tick()
    assert over(site) == []
    site.materialize(error(passed=True))
    site.tick()
    assert over(site) == ["raw_leads:contract_holds"]


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


def over(site: Site) -> list[str]:
    """The checks and jobs whose episodes are over."""
    found = episodes_of(Installation(site.home).events.events())
    return [episode.subject for episode in found if not episode.is_open]


def with_periods(failed: list[str], periods: list[str], severity: dg.AssetCheckSeverity) -> dg.AssetChecksDefinition:
    """A check as the house builds them, with the periods that it judged."""

    @dg.asset_check(asset=raw_leads, name="judged")
    def found() -> dg.AssetCheckResult:
        metadata = {"periods": periods, "failed_periods": failed}
        return dg.AssetCheckResult(passed=not failed, severity=severity, description="as told", metadata=metadata)

    return found


@pytest.mark.parametrize(
    ("severity", "passes", "is_over"),
    [
        (dg.AssetCheckSeverity.ERROR, [["2008-07"], ["2008-06"]], True),
        (dg.AssetCheckSeverity.WARN, [["2008-06"]], False),
    ],
)
def test_a_check_that_passes_again_ends_its_alert(
    home: Home, sharded: dg.DagsterInstance, severity: dg.AssetCheckSeverity, passes: list[list[str]], is_over: bool
) -> None:
    sharded.wipe()
    site = Site(home, sharded)
    site.materialize(with_periods(["2008-06", "2008-07"], ["2008-05", "2008-06", "2008-07"], severity))
    cursor = site.tick()[1]
    assert site.alerts()[0].evidence["periods"] == ["2008-06", "2008-07"]
    for periods in passes:
        site.materialize(with_periods([], periods, severity))
    site.tick(cursor)
    assert over(site) == (["raw_leads:judged"] if is_over else [])


@pytest.mark.parametrize(("severity", "alerts"), [(dg.AssetCheckSeverity.ERROR, 1), (dg.AssetCheckSeverity.WARN, 0)])
def test_bad_months_before_a_calm_one_alert_only_where_a_contract_is_broken(
    home: Home, sharded: dg.DagsterInstance, severity: dg.AssetCheckSeverity, alerts: int
) -> None:
    """As when years of history are made at once: their drift is over, their broken rows are still there."""
    sharded.wipe()
    site = Site(home, sharded)
    site.materialize(with_periods(["2008-06", "2008-07"], ["2008-06", "2008-07", "2008-08"], severity))
    site.tick()
    assert len(site.alerts()) == alerts


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


@dg.op
def nothing() -> None:
    """Works."""


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
    assert (alert.subject, alert.actor, alert.evidence["level"]) == ("retraining", "alert_on_failed_run", "critical")
    assert alert.reason.startswith(f"run {run_id} of retraining {told} failed: ")
    assert "break_down: ValueError: disk is full" in alert.reason


def test_with_mlflow_gone_the_alert_stands_and_it_is_said(home: Home, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    settings = home.root / SETTINGS_FILE
    settings.write_text(settings.read_text().replace("tracking_uri: null ", f"tracking_uri: {address} "))
    with dg.DagsterInstance.ephemeral() as instance:
        result = fail(instance, {})
        watch(Home(home.root), instance, result)
    (alert,) = Installation(home).events.events(kind="alert")
    assert result.run_id in alert.reason
    told = capfd.readouterr().err
    assert f"MLflow's runs of run {result.run_id} stay open until the next training begins: the model registry" in told
    assert "Connection refused" in told


@dg.job(name="retraining")
def retraining_that_works() -> None:
    nothing()


@pytest.mark.parametrize("is_seen_first", ["the failure", "the success"])
@pytest.mark.parametrize(("period", "is_over"), [("2008-08", True), ("2008-07", False)])
def test_a_run_that_succeeds_ends_the_alert_on_the_one_that_failed(
    registry: ModelRegistry, mlflow_store: Path, is_seen_first: str, period: str, is_over: bool
) -> None:
    """Whichever sensor comes round first."""
    with dg.DagsterInstance.ephemeral() as instance:
        site = Site(Home(mlflow_store), instance)
        failed = fail(instance, {"dagster/partition": "2008-08"})
        if is_seen_first == "the failure":
            watch(site.home, instance, failed)
        retraining_that_works.execute_in_process(instance=instance, tags={"dagster/partition": period})
        site.tick()
        if is_seen_first == "the success":
            watch(site.home, instance, failed)
        assert over(site) == (["retraining"] if is_over else [])


def test_assets_that_somebody_picked_are_named_and_a_range_is_all_its_periods(
    registry: ModelRegistry, mlflow_store: Path
) -> None:
    tags = {"dagster/asset_partition_range_start": "2008-06", "dagster/asset_partition_range_end": "2008-08"}
    with dg.DagsterInstance.ephemeral() as instance:
        result = fail(instance, tags)
        picked = result.dagster_run._replace(
            job_name="__ASSET_JOB", asset_selection=frozenset({dg.AssetKey("raw_leads")})
        )
        with dg.build_run_status_sensor_context(
            sensor_name="alert_on_failed_run",
            dagster_instance=instance,
            dagster_run=picked,
            dagster_event=result.get_run_failure_event(),
            resources={"installation": InstallationResource(root=str(mlflow_store))},
        ).for_run_failure() as context:
            alert_on_failed_run(context)
    (alert,) = Installation(Home(mlflow_store)).events.events(kind="alert")
    assert (alert.subject, alert.evidence["periods"]) == ("raw_leads", ["2008-06", "2008-07", "2008-08"])


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
