"""The calendar as a cause: looked at every day, given every so many months of the installation's own clock."""

import dagster as dg

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.retraining.sensors import JOB, evaluate


@dg.schedule(
    cron_schedule="0 3 * * *",
    job_name=JOB,
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Trains again when the last training lies the configured number of months back.",
)
def retrain_on_calendar(installation: dg.ResourceParam[Installation]) -> dg.RunRequest | dg.SkipReason:
    """Every day at 03:00 UTC."""
    return evaluate("calendar", "retrain_on_calendar", installation)
