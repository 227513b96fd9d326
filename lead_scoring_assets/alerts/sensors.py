"""Sensors that turn what Dagster, monitoring and promotion found into alerts, and end those that are over.

What an alert is stands in `alerts.py`; who is told of it in `delivery/`.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from textwrap import shorten
from typing import Any, TypeVar

import dagster as dg

from lead_scoring_assets.alerts.daily import tell_daily_report
from lead_scoring_assets.alerts.desk import AlertDesk, Ended, at_the_desk
from lead_scoring_assets.alerts.experiments import alerts_on_experiments
from lead_scoring_assets.alerts.failures import (
    CheckResult,
    alert_on_check,
    alert_on_run,
    ended_by_check,
    ended_by_run,
    is_of_the_past,
    run_of,
)
from lead_scoring_assets.alerts.guardrails import alerts_on_guardrails, kept_again
from lead_scoring_assets.alerts.models import alerts_on_models, news_of_deployments, replaced_since
from lead_scoring_assets.alerts.rollouts import alerts_on_rollouts, answered_since
from lead_scoring_assets.alerts.rules import measure
from lead_scoring_assets.errors import RegistryError, StorageError
from lead_scoring_assets.experiments.records import Experiments
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.models.registry import ModelRegistry
from lead_scoring_assets.models.resources import close_failed_runs
from lead_scoring_assets.promotion.deployments import Deployments
from lead_scoring_assets.rollout.records import Rollouts
from lead_scoring_assets.settings import find_home

T = TypeVar("T")
_SHARED: Mapping[str, Any] = {
    "minimum_interval_seconds": find_home().settings.retraining.sensor_interval_seconds,
    "default_status": dg.DefaultSensorStatus.RUNNING,
}
_RUNS_A_TICK = 50
_SIGNS_OF_AN_ERROR = 600
_FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_RANGE_START, _RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
_UNNAMED_JOB = "__ASSET_JOB"


@dg.run_failure_sensor(
    name="alert_on_failed_run",
    description="Raises a critical alert for a failed run, and ends its MLflow run as failed where nothing else could.",
    **_SHARED,
)
def alert_on_failed_run(context: dg.RunFailureSensorContext, installation: dg.ResourceParam[Installation]) -> None:
    """One alert a run. That MLflow is down is told and stops nothing: the alert stands, the next training tries again."""
    run = context.dagster_run
    periods = _periods(run, installation)
    alert = alert_on_run(run.run_id, _work(run), periods, _told_periods(run), _why(context))
    with at_the_desk(installation, "alert_on_failed_run", context.log) as desk:
        desk.raise_(alert)
        # What succeeded before this sensor came round, nobody will look at again.
        failed = context.instance.get_run_record_by_id(run.run_id)
        since = dg.RunsFilter(
            job_name=run.job_name,
            statuses=[dg.DagsterRunStatus.SUCCESS],
            updated_after=failed.update_timestamp if failed else None,
        )
        for later in context.instance.get_run_records(since, limit=_RUNS_A_TICK):
            _end_by_success(later, desk, installation, context.instance)
    try:
        close_failed_runs(ModelRegistry(installation.home), context.instance)
    except (RegistryError, StorageError) as problem:
        context.log.error("MLflow's runs of run %s stay open until the next training begins: %s", run.run_id, problem)


@dg.sensor(
    name="alert_on_failed_check",
    description="Raises an alert for each failed asset check: critical for an error, warning for a warning. Ends those "
    "on checks that pass again, and on runs that succeed.",
    **_SHARED,
)
def alert_on_failed_check(
    context: dg.SensorEvaluationContext, installation: dg.ResourceParam[Installation]
) -> dg.SkipReason:
    """Every evaluation of the runs that ended since the last tick, so that a failure followed by a pass is not missed.

    By run, because Dagster keeps each run's events in an SQLite file of its own, and numbers them in each from 1.
    """
    since = _where_it_ended(context.cursor, "runs_updated_until", datetime.fromisoformat)
    runs = context.instance.get_run_records(
        dg.RunsFilter(statuses=_FINISHED, updated_after=since),
        limit=_RUNS_A_TICK,
        order_by="update_timestamp",
        ascending=True,
    )
    looked_at = 0
    with at_the_desk(installation, "alert_on_failed_check", context.log) as desk:
        for record in runs:
            run = record.dagster_run
            for entry in context.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION):
                if entry.dagster_event is None:
                    continue
                looked_at += 1
                result = _result(entry.dagster_event.asset_check_evaluation_data, run.run_id)
                ended = _not_of_younger_runs(ended_by_check(result, desk.open), record, context.instance)
                desk.end(ended, f"{result.check} passed: {result.sentence}", run.run_id)
                if not result.passed and not is_of_the_past(result):
                    desk.raise_(alert_on_check(result))
            if run.status == dg.DagsterRunStatus.SUCCESS:
                _end_by_success(record, desk, installation, context.instance)
    if runs:
        context.update_cursor(json.dumps({"runs_updated_until": runs[-1].update_timestamp.isoformat()}))
    return _told(f"{looked_at} check results of {len(runs)} runs looked at", desk)


@dg.sensor(
    name="alert_on_model_taken_back",
    description="Raises a critical alert when a damaged model fell back to the one before it, a warning for a rollback and "
    "for a rollout that waits for a person, and tells of every version that goes live and of every experiment's verdict.",
    **_SHARED,
)
def alert_on_model_taken_back(
    context: dg.SensorEvaluationContext, installation: dg.ResourceParam[Installation]
) -> dg.SkipReason:
    """One alert a step. The cursor counts the steps that were seen."""
    steps = Deployments(installation.lakehouse).steps()
    alerts = alerts_on_models(installation.events)
    news = news_of_deployments(steps, _where_it_ended(context.cursor, "steps", int), installation.home.data)
    rollouts = Rollouts(installation.lakehouse).rows()
    verdicts = alerts_on_experiments(Experiments(installation.lakehouse).steps())
    with at_the_desk(installation, "alert_on_model_taken_back", context.log) as desk:
        for alert in [*alerts, *news, *alerts_on_rollouts(rollouts), *verdicts]:
            desk.raise_(alert)
        for alert_id, why in {**replaced_since(steps), **answered_since(rollouts)}.items():
            desk.end([(open_, ()) for open_ in desk.open if open_.alert_id == alert_id], why, "replaced")
    context.update_cursor(json.dumps({"steps": len(steps)}))
    return _told(f"{len(alerts)} models were taken back so far, {len(news)} went live since the last look", desk)


@dg.sensor(
    name="alert_on_measurement",
    description="Raises an alert when what monitoring measured in the newest period exceeds a threshold, and ends it "
    "when a later period is below.",
    **_SHARED,
)
def alert_on_measurement(
    context: dg.SensorEvaluationContext, installation: dg.ResourceParam[Installation]
) -> dg.SkipReason:
    """One alert for each metric, period and level."""
    measured = list(measure(installation))
    violated = alerts_on_guardrails(installation)
    with at_the_desk(installation, "alert_on_measurement", context.log) as desk:
        for alert in violated:
            desk.raise_(alert)
        desk.end(
            kept_again(desk.open, violated), "the guardrail is kept again, or its model is not live any more", "kept"
        )
        for found in measured:
            if found.alert is not None:
                desk.raise_(found.alert)
            else:
                mine = f"alert-{found.rule.metric}-"
                over = [(alert, alert.periods) for alert in desk.open if alert.alert_id.startswith(mine)]
                desk.end(over, found.told, found.period)
    told = [*(alert.message for alert in violated), *(found.told for found in measured)]
    return _told("; ".join(told) or "nothing was measured yet", desk)


@dg.sensor(
    name="report_daily",
    description="Tells once a day what the newest manager's report says and which alerts are open, with the link to it.",
    **_SHARED,
)
def report_daily(context: dg.SensorEvaluationContext, installation: dg.ResourceParam[Installation]) -> dg.SkipReason:
    """One message a day, by the installation's own clock; never at the very first look, when the sensors that raise alerts
    have not looked either: it would call nothing open."""
    if not context.cursor:
        context.update_cursor(json.dumps({"alerts": "looked for"}))
        return dg.SkipReason("alerts are looked for first; the report follows with the next tick")
    with at_the_desk(installation, "report_daily", context.log) as desk:
        return dg.SkipReason(tell_daily_report(installation, desk))


def _end_by_success(
    record: dg.RunRecord, desk: AlertDesk, installation: Installation, instance: dg.DagsterInstance
) -> None:
    run = record.dagster_run
    ended = ended_by_run(_work(run), _periods(run, installation), desk.open)
    desk.end(_not_of_younger_runs(ended, record, instance), f"run {run.run_id} of {_work(run)} succeeded", run.run_id)


def _not_of_younger_runs(ended: Ended, record: dg.RunRecord, instance: dg.DagsterInstance) -> Ended:
    """Without alerts on runs that ended after this one: who lost the cursor looks at old runs again, and they show nothing
    of what failed since."""
    found = [(each, instance.get_run_record_by_id(run_of(each[0]))) for each in ended]
    return [each for each, its in found if its is None or its.update_timestamp <= record.update_timestamp]


def _told(what: str, desk: AlertDesk) -> dg.SkipReason:
    return dg.SkipReason(f"{what}, {desk.raised} alerts raised" + (f", {desk.ended} ended" if desk.ended else ""))


def _where_it_ended(cursor: str | None, name: str, read: Callable[[Any], T]) -> T | None:
    """Where the last tick ended. A cursor that cannot be read is as none: no cause alerts twice."""
    try:
        return read(json.loads(cursor)[name]) if cursor else None
    except (KeyError, TypeError, ValueError):
        return None


def _work(run: dg.DagsterRun) -> str:
    """What a run was to do: its job, or the assets that somebody picked in the UI."""
    if run.job_name == _UNNAMED_JOB and run.asset_selection:
        return ", ".join(sorted(key.to_user_string() for key in run.asset_selection))
    return run.job_name


def _why(context: dg.RunFailureSensorContext) -> str | None:
    """What each failed step says; of a run without one (it was killed, or could not begin) what Dagster says."""
    told = []
    for event in context.get_step_failure_events():
        error = event.step_failure_data.error
        while error is not None and error.cause is not None:
            error = error.cause
        if error is not None:
            said = error.message.strip().removeprefix("lead_scoring_assets.errors.")
            told.append(f"{event.step_key}: {shorten(said, _SIGNS_OF_AN_ERROR, placeholder=' …')}")
    return "; ".join(told) or context.failure_event.message


def _told_periods(run: dg.DagsterRun) -> str:
    if _RANGE_START in run.tags:
        return f"{run.tags[_RANGE_START]} to {run.tags.get(_RANGE_END)}"
    return run.tags.get("dagster/partition", "no period")


def _periods(run: dg.DagsterRun, installation: Installation) -> tuple[str, ...]:
    if _RANGE_START in run.tags:
        calendar = installation.settings.calendar
        first, last = (calendar.period(run.tags[tag]) for tag in (_RANGE_START, _RANGE_END))
        return tuple(period.key for period in calendar.through(last, first))
    return (run.tags["dagster/partition"],) if "dagster/partition" in run.tags else ()


def _result(evaluation: dg.AssetCheckEvaluation, run_id: str) -> CheckResult:
    told: dict[str, Any] = {name: value.value for name, value in evaluation.metadata.items()}
    periods = tuple(told.get("periods", ()))
    failed = () if evaluation.passed else tuple(told.get("failed_periods", periods))
    return CheckResult(
        run_id=run_id,
        check=f"{evaluation.asset_key.to_user_string()}:{evaluation.check_name}",
        passed=evaluation.passed,
        is_error=evaluation.severity == dg.AssetCheckSeverity.ERROR,
        sentence=evaluation.description or "",
        periods=periods,
        failed_periods=failed,
        figures={name: value for name, value in told.items() if isinstance(value, int | float)},
    )
