"""The gate that CI stands on: pure, and over checks that Dagster ran, whose own verdict is too kind."""

from collections.abc import Iterator
from dataclasses import replace

import dagster as dg
import pytest

import lead_scoring_assets.definitions  # noqa: F401  # first, because it quiets dagster's warnings about beta parts
from lead_scoring_assets import jobs
from lead_scoring_assets.checks import contract_check, watch_check
from lead_scoring_assets.contracts.findings import Evaluation, Finding, gate
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.partitions import ONE_RUN, PERIODS
from lead_scoring_assets.periods import Period
from lead_scoring_assets.resources import InstallationResource
from lead_scoring_assets.settings import find_home

pytestmark = [
    pytest.mark.filterwarnings("ignore::dagster.BetaWarning"),
    pytest.mark.filterwarnings("ignore::dagster.PreviewWarning"),
]

GOOD = Evaluation(
    "raw_leads:contract_holds", ("2008-05",), passed=True, is_error=True, sentence="0 of 12 rows break it"
)
BAD = replace(GOOD, passed=False, sentence="3 of 12 rows break it")
BAD_WATCH = Evaluation("raw_leads:few_rejected", ("2008-05",), passed=False, is_error=False, sentence="9 % rejected")


def test_all_is_well() -> None:
    assert gate({GOOD.check}, {"2008-05"}, [GOOD]) == []
    assert gate(set(), set(), []) == []


def test_a_failed_error_stops() -> None:
    assert gate({GOOD.check}, {"2008-05"}, [BAD]) == [
        "check raw_leads:contract_holds failed: 3 of 12 rows break it",
    ]


def test_a_failed_warning_does_not_stop() -> None:
    assert gate({BAD_WATCH.check}, {"2008-05"}, [BAD_WATCH]) == []


def test_an_error_stops_though_nobody_expected_the_check_or_the_period() -> None:
    assert len(gate(set(), set(), [BAD])) == 1


def test_a_failure_stops_though_the_check_passed_later() -> None:
    assert len(gate({GOOD.check}, {"2008-05"}, [BAD, GOOD])) == 1


def test_a_check_that_never_ran_stops() -> None:
    assert gate({GOOD.check, "raw_leads:lead_ids_unique"}, {"2008-05"}, [GOOD]) == [
        "check raw_leads:lead_ids_unique was expected and never ran for 2008-05",
    ]


def test_a_check_that_ran_for_another_period_only_stops() -> None:
    assert gate({GOOD.check}, {"2008-06"}, [GOOD]) == [
        "check raw_leads:contract_holds was expected and never ran for 2008-06",
    ]


def test_a_check_that_ran_over_some_of_the_periods_stops_for_the_others() -> None:
    ran = replace(GOOD, periods=("2008-05", "2008-07"))
    assert gate({GOOD.check}, {"2008-05", "2008-06", "2008-07"}, [ran]) == [
        "check raw_leads:contract_holds was expected and never ran for 2008-06",
    ]


def test_a_check_of_the_same_name_on_another_asset_does_not_count() -> None:
    elsewhere = replace(GOOD, check="raw_outcomes:contract_holds")
    assert gate({GOOD.check}, {"2008-05"}, [elsewhere]) == [
        "check raw_leads:contract_holds was expected and never ran for 2008-05",
    ]


def test_failures_come_first_then_what_is_missing_by_period_and_name() -> None:
    assert gate({"a:one", "b:two"}, {"2008-06", "2008-05"}, [BAD]) == [
        "check raw_leads:contract_holds failed: 3 of 12 rows break it",
        "check a:one was expected and never ran for 2008-05",
        "check b:two was expected and never ran for 2008-05",
        "check a:one was expected and never ran for 2008-06",
        "check b:two was expected and never ran for 2008-06",
    ]


# The same over real runs.

CALENDAR = find_home().settings.calendar
MAY_TO_JULY = [CALENDAR.period(key) for key in ("2008-05", "2008-06", "2008-07")]
MAY, JUNE, JULY = MAY_TO_JULY
BAD_PERIODS: set[str] = set()


def judged(installation: Installation, period: Period) -> Finding:
    """Whether the period is as it should be."""
    is_good = period.key not in BAD_PERIODS
    return Finding(is_good, f"{0 if is_good else 3} of 12 rows break it", {"rows": 12.0})


@pytest.fixture(autouse=True)
def _all_good() -> Iterator[None]:
    BAD_PERIODS.clear()
    yield
    BAD_PERIODS.clear()


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def definitions(*checks: dg.AssetChecksDefinition, leave_out: bool = False) -> dg.Definitions:
    """One asset with its checks, and a job over all of it (`leave_out`: without the checks)."""

    @dg.asset(partitions_def=PERIODS, backfill_policy=ONE_RUN)
    def raw_leads() -> None: ...

    everything = dg.AssetSelection.all()
    selection = everything - dg.AssetSelection.all_asset_checks() if leave_out else everything
    return dg.Definitions(
        assets=[raw_leads],
        asset_checks=checks,
        jobs=[dg.define_asset_job("everything", selection=selection)],
        resources={"installation": InstallationResource()},
        loggers={jobs.PROGRESS_LOGGER: jobs.progress_logger(lambda asset, period: None)},
        executor=dg.in_process_executor,
    )


def stopped(found: dg.Definitions, instance: dg.DagsterInstance, periods: list[Period]) -> list[str]:
    """Reasons of the gate, over every run that it takes to materialise `periods`."""
    reasons = []
    for run in jobs.run_history(found, instance, "everything", periods):
        reasons += gate(jobs.check_names(found), [period.key for period in run.periods], run.evaluations)
    return reasons


def test_checks_run_over_a_stretch_count_for_each_of_its_periods(instance: dg.DagsterInstance) -> None:
    found = definitions(contract_check("raw_leads", judged))
    (run,) = jobs.run_history(found, instance, "everything", MAY_TO_JULY)
    assert run.evaluations == [
        Evaluation(
            "raw_leads:judged",
            ("2008-05", "2008-06", "2008-07"),
            passed=True,
            is_error=True,
            sentence="; ".join(f"{period}: 0 of 12 rows break it" for period in MAY_TO_JULY),
        )
    ]
    assert gate(jobs.check_names(found), ["2008-05", "2008-06", "2008-07"], run.evaluations) == []


def test_a_failed_watch_check_is_seen_and_stops_nothing(instance: dg.DagsterInstance) -> None:
    BAD_PERIODS.add("2008-06")
    found = definitions(watch_check("raw_leads", judged))
    (run,) = jobs.run_history(found, instance, "everything", [MAY, JUNE])
    (evaluation,) = run.evaluations
    assert (evaluation.passed, evaluation.is_error) == (False, False)
    assert evaluation.sentence == "2008-06: 3 of 12 rows break it"  # only what failed is told
    assert run.errors == []
    assert stopped(found, instance, [MAY, JUNE]) == []


def test_a_failed_contract_check_stops_and_names_the_period(instance: dg.DagsterInstance) -> None:
    BAD_PERIODS.add("2008-06")
    reasons = stopped(definitions(contract_check("raw_leads", judged)), instance, MAY_TO_JULY)
    assert reasons == ["check raw_leads:judged failed: 2008-06: 3 of 12 rows break it"]


def test_a_failed_error_stops_though_dagster_calls_the_run_a_success(instance: dg.DagsterInstance) -> None:
    @dg.asset_check(asset="raw_leads", partitions_def=PERIODS)
    def not_blocking(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=False, description="bad", metadata={"periods": list(context.partition_keys)})

    found = definitions(not_blocking)
    (run,) = jobs.run_history(found, instance, "everything", [MAY])
    record = instance.get_run_by_id(run.run_id)
    assert record is not None
    assert record.is_success
    assert gate(jobs.check_names(found), ["2008-05"], run.evaluations) == ["check raw_leads:not_blocking failed: bad"]


def test_a_check_that_no_job_selects_stops_though_the_run_is_a_success(instance: dg.DagsterInstance) -> None:
    found = definitions(contract_check("raw_leads", judged), leave_out=True)
    assert stopped(found, instance, [MAY, JUNE]) == [
        "check raw_leads:judged was expected and never ran for 2008-05",
        "check raw_leads:judged was expected and never ran for 2008-06",
    ]


def test_a_run_of_one_period_does_not_count_for_the_next(instance: dg.DagsterInstance) -> None:
    found = definitions(contract_check("raw_leads", judged))
    (run,) = jobs.run_history(found, instance, "everything", [MAY])
    assert gate(jobs.check_names(found), ["2008-05", "2008-06"], run.evaluations) == [
        "check raw_leads:judged was expected and never ran for 2008-06",
    ]


def test_the_numbers_of_a_single_period_are_metadata(instance: dg.DagsterInstance) -> None:
    BAD_PERIODS.add("2008-06")
    found = definitions(watch_check("raw_leads", judged))
    job = found.resolve_job_def("everything")
    config = {"loggers": {jobs.PROGRESS_LOGGER: {}}}
    result = job.execute_in_process(instance=instance, partition_key="2008-06", run_config=config)
    (evaluation,) = result.get_asset_check_evaluations()
    assert {name: value.value for name, value in evaluation.metadata.items()} == {"periods": ["2008-06"], "rows": 12.0}
    assert evaluation.severity == dg.AssetCheckSeverity.WARN
    (specification,) = watch_check("raw_leads", judged).check_specs
    assert specification.description == "Whether the period is as it should be."
    assert not specification.blocking
    assert next(iter(contract_check("raw_leads", judged).check_specs)).blocking
