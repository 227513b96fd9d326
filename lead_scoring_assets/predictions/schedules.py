"""The nightly schedule: what is over and has no scores yet is scored before people come to work.

`leads_landed` asks for a period once for each state of its files. A run that failed at night, because a source or the disk
was not there, is asked for again here.
"""

import dagster as dg

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.settings import find_home

JOB = "arrival"
_PERIODS_A_NIGHT = 12


@dg.schedule(
    cron_schedule="0 2 * * *",
    job_name=JOB,
    execution_timezone=find_home().settings.sources.time_zone,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Ingests and scores every period that is over and has no scores yet.",
)
def score_nightly(
    context: dg.ScheduleEvaluationContext, installation: dg.ResourceParam[Installation]
) -> list[dg.RunRequest] | dg.SkipReason:
    """Every day at 02:00 of the installation's time zone; the earliest periods first, because later ones build on them."""
    calendar = installation.settings.calendar
    last = calendar.last_closed(installation.clock.now())
    if last is None:
        return dg.SkipReason("no period is over yet")
    over = [period.key for period in calendar.through(last)]
    scored = context.instance.get_materialized_partitions(dg.AssetKey("lead_scores"))
    missing = [key for key in over if key not in scored]
    if not missing:
        return dg.SkipReason(f"all {len(over)} periods that are over, up to {last.key}, have their scores")
    night = context.scheduled_execution_time.date().isoformat()
    return [dg.RunRequest(run_key=f"nightly-{key}-{night}", partition_key=key) for key in missing[:_PERIODS_A_NIGHT]]
