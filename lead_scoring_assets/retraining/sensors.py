"""The thin adapter: ask for the answer, carry it out. One sensor over all causes, so that they cannot race each other; each
tick says why, in words with numbers."""

import dagster as dg

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.retraining.episodes import EPISODE_TAG, RunState, answer
from lead_scoring_assets.settings import find_home

JOB = "retraining"
# Runs that train, or make what a decision looks at; the last is what "Materialize" in the UI starts.
_MAKE_FACTS = frozenset({JOB, "arrival", "everything", "__ASSET_JOB"})
# Not NOT_STARTED: a run that a daemon made and died over is launched when it is asked for again.
_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_INTERVAL_SECONDS = find_home().settings.retraining.sensor_interval_seconds


class DagsterRuns:
    """What Dagster's own records of this home say of its runs."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance

    def at_work(self) -> str | None:
        runs = self._instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED))
        run = next((run for run in runs if run.job_name in _MAKE_FACTS), None)
        return f"run {run.run_id} of {run.job_name} is at work" if run else None

    def state_of(self, episode_id: str) -> RunState:
        # The newest: a failed run may have been executed again, with the same tags.
        for run in self._instance.get_runs(dg.RunsFilter(tags={EPISODE_TAG: episode_id})):
            if run.status != dg.DagsterRunStatus.NOT_STARTED:
                ended: RunState = "succeeded" if run.status == dg.DagsterRunStatus.SUCCESS else "failed"
                return "running" if run.status in _UNFINISHED else ended
        return "none"


@dg.sensor(
    job_name=JOB,
    description="Trains again when there is cause: drift, poor performance, new labels, the calendar, or a person's request.",
    minimum_interval_seconds=_INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def retrain_on_cause(
    context: dg.SensorEvaluationContext, installation: dg.ResourceParam[Installation]
) -> dg.RunRequest | dg.SkipReason:
    """At most one run an episode: its id is the run key."""
    answered = answer(installation, DagsterRuns(context.instance), "retrain_on_cause")
    if answered.episode_id is None:
        return dg.SkipReason(answered.reason)
    return dg.RunRequest(run_key=answered.episode_id, partition_key=answered.period, tags=dict(answered.tags))
