"""Sensors that turn failed runs, failed checks and models taken back into alerts. What an alert is stands in `alerts.py`."""

import json
import logging
from datetime import datetime

import dagster as dg

from lead_scoring_assets.alerts.alerts import Alert, raise_alert
from lead_scoring_assets.alerts.models import alerts_on_models
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.models.registry import ModelRegistry
from lead_scoring_assets.settings import find_home

_INTERVAL_SECONDS = find_home().settings.retraining.sensor_interval_seconds
_RUNS_A_TICK = 50
_FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_RANGE_START, _RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


@dg.run_failure_sensor(
    name="alert_on_failed_run",
    description="Raises a critical alert for a failed run, and ends its MLflow run as failed where nothing else could.",
    minimum_interval_seconds=_INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def alert_on_failed_run(context: dg.RunFailureSensorContext, installation: dg.ResourceParam[Installation]) -> None:
    """One alert a run."""
    run = context.dagster_run
    period = run.tags.get("dagster/partition", "no period")
    if _RANGE_START in run.tags:
        period = f"{run.tags[_RANGE_START]} to {run.tags.get(_RANGE_END)}"
    alert = Alert(
        alert_id=f"alert-run-{run.run_id}",
        level="critical",
        subject=run.job_name,
        message=f"run {run.run_id} of {run.job_name} ({period}) failed: {context.failure_event.message}",
    )
    _raise(alert, "alert_on_failed_run", installation, context.log)
    ModelRegistry(installation.home).close_failed_runs(run.run_id)


@dg.sensor(
    name="alert_on_failed_check",
    description="Raises an alert for each failed asset check: critical for an error, warning for a warning.",
    minimum_interval_seconds=_INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def alert_on_failed_check(
    context: dg.SensorEvaluationContext, installation: dg.ResourceParam[Installation]
) -> dg.SkipReason:
    """Every evaluation of the runs that ended since the last tick, so that a failure followed by a pass is not missed.

    By run, because Dagster keeps each run's events in an SQLite file of its own, and numbers them in each from 1.
    """
    runs = context.instance.get_run_records(
        dg.RunsFilter(statuses=_FINISHED, updated_after=_looked_until(context.cursor)),
        limit=_RUNS_A_TICK,
        order_by="update_timestamp",
        ascending=True,
    )
    looked_at = raised = 0
    for run in runs:
        run_id = run.dagster_run.run_id
        for entry in context.instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION):
            if entry.dagster_event is None:
                continue
            looked_at += 1
            evaluation = entry.dagster_event.asset_check_evaluation_data
            if not evaluation.passed:
                raised += _raise(_of(evaluation, run_id), "alert_on_failed_check", installation, context.log)
    if runs:
        context.update_cursor(json.dumps({"runs_updated_until": runs[-1].update_timestamp.isoformat()}))
    return dg.SkipReason(f"{looked_at} check results of {len(runs)} runs looked at, {raised} alerts raised")


@dg.sensor(
    name="alert_on_model_taken_back",
    description="Raises a critical alert when a damaged model fell back to the one before it, a warning for a rollback.",
    minimum_interval_seconds=_INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def alert_on_model_taken_back(
    context: dg.SensorEvaluationContext, installation: dg.ResourceParam[Installation]
) -> dg.SkipReason:
    """One alert a step."""
    alerts = alerts_on_models(installation.events)
    raised = sum(_raise(alert, "alert_on_model_taken_back", installation, context.log) for alert in alerts)
    return dg.SkipReason(f"{len(alerts)} models were taken back so far, {raised} alerts raised")


def _looked_until(cursor: str | None) -> datetime | None:
    """Where the last tick ended. A cursor that cannot be read is as none: no cause alerts twice."""
    try:
        return datetime.fromisoformat(json.loads(cursor)["runs_updated_until"]) if cursor else None
    except (KeyError, TypeError, ValueError):
        return None


def _of(evaluation: dg.AssetCheckEvaluation, run_id: str) -> Alert:
    check = f"{evaluation.asset_key.to_user_string()}:{evaluation.check_name}"
    return Alert(
        alert_id=f"alert-check-{run_id}-{check}",
        level="critical" if evaluation.severity == dg.AssetCheckSeverity.ERROR else "warning",
        subject=check,
        message=f"{check} failed: {evaluation.description}",
    )


def _raise(alert: Alert, actor: str, installation: Installation, log: logging.Logger) -> bool:
    is_new = raise_alert(
        alert, installation.clock.now(), actor, installation.events, installation.home.data / "logs" / "alerts.jsonl"
    )
    if is_new:
        log.warning("[%s] %s", alert.level, alert.message)
    return is_new
