"""The thin adapter: asks for a reading while an experiment runs. Each tick says why, in words with numbers."""

import dagster as dg

from lead_scoring_assets.experiments.jobs import JOB
from lead_scoring_assets.experiments.looking import next_reading
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.settings import find_home


@dg.sensor(
    job_name=JOB,
    description="Reads the running experiment once a day, and when new labels were made; its verdict ends it.",
    minimum_interval_seconds=find_home().settings.retraining.sensor_interval_seconds,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def advance_experiments(installation: dg.ResourceParam[Installation]) -> dg.RunRequest | dg.SkipReason:
    """At most one run for a day and a version of the labels: they are the run key."""
    name, why = next_reading(installation)
    return dg.SkipReason(why) if name is None else dg.RunRequest(run_key=name)
