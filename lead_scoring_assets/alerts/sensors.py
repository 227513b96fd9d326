"""Sensors that turn failed runs and failed checks into alerts. What an alert is stands in `alerts.py`."""

import json

import dagster as dg

from lead_scoring_assets.alerts.alerts import Alert, raise_alert
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.models.registry import ModelRegistry
from lead_scoring_assets.settings import find_home

_INTERVAL_SECONDS = find_home().settings.retraining.sensor_interval_seconds
_EVENTS_A_TICK = 500


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
    """Every evaluation since the last tick, so that a failure followed by a pass is not missed."""
    after = json.loads(context.cursor)["after"] if context.cursor else None
    records = context.instance.get_event_records(
        dg.EventRecordsFilter(event_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION, after_cursor=after),
        limit=_EVENTS_A_TICK,
        ascending=True,
    )
    raised = 0
    for record in records:
        event = record.event_log_entry.dagster_event
        evaluation = event.asset_check_evaluation_data if event is not None else None
        if evaluation is None or evaluation.passed:
            continue
        check = f"{evaluation.asset_key.to_user_string()}:{evaluation.check_name}"
        alert = Alert(
            alert_id=f"alert-check-{record.event_log_entry.run_id}-{check}",
            level="critical" if evaluation.severity == dg.AssetCheckSeverity.ERROR else "warning",
            subject=check,
            message=f"{check} failed: {evaluation.description}",
        )
        raised += _raise(alert, "alert_on_failed_check", installation, context.log)
    if records:
        context.update_cursor(json.dumps({"after": records[-1].storage_id}))
    return dg.SkipReason(f"{len(records)} check results looked at, {raised} alerts raised")


def _raise(alert: Alert, actor: str, installation: Installation, log: dg.DagsterLogManager) -> bool:
    is_new = raise_alert(
        alert, installation.clock.now(), actor, installation.events, installation.home.data / "logs" / "alerts.jsonl"
    )
    if is_new:
        log.warning(f"[{alert.level}] {alert.message}")
    return is_new
