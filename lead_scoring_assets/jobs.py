"""The jobs, by what they are for, and running one in this process, period by period."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import dagster as dg

from lead_scoring_assets.contracts.findings import Evaluation
from lead_scoring_assets.periods import Period

TRAINING_ASSETS = ("training_set", "trained_model", "model_evaluation", "promotion_decision")
_PID_TAG = "lead_scoring/pid"

_training = dg.AssetSelection.assets(*TRAINING_ASSETS)

JOBS = [
    dg.define_asset_job(
        "everything", selection=dg.AssetSelection.all(), description="Every asset of a period: ingestion to decision."
    ),
    dg.define_asset_job(
        "arrival",
        selection=dg.AssetSelection.all() - _training,
        description="What a period's files set off: ingest, features, labels, scores, drift, performance.",
    ),
    dg.define_asset_job(
        "retraining",
        selection=_training,
        description="Train a candidate as of a period's end, judge it, and decide.",
    ),
]


@dataclass(frozen=True)
class PeriodRun:
    """How one period went. `errors` are the failures of its steps, one sentence each."""

    period: Period
    run_id: str
    evaluations: list[Evaluation] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def run_periods(
    definitions: dg.Definitions, instance: dg.DagsterInstance, job_name: str, periods: Sequence[Period]
) -> Iterator[PeriodRun]:
    """Run a job for one period after the other, as history did; stop after the first period that fails.

    One process for all: starting one for each step costs more than the steps.
    """
    job = definitions.resolve_job_def(job_name)
    for period in periods:
        result = job.execute_in_process(
            partition_key=period.key,
            instance=instance,
            raise_on_error=False,
            # Problems are told below in one sentence each; the whole story is in the UI.
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            tags={_PID_TAG: str(os.getpid())},
        )
        errors = [
            f"{event.step_key}: {_root_cause(event.step_failure_data)}" for event in result.get_step_failure_events()
        ]
        evaluations = [
            Evaluation(
                check=f"{e.asset_key.to_user_string()}:{e.check_name}",
                period=period.key,
                passed=e.passed,
                is_error=e.severity == dg.AssetCheckSeverity.ERROR,
                sentence=e.description or "",
            )
            for e in result.get_asset_check_evaluations()
        ]
        yield PeriodRun(period, result.run_id, evaluations, errors)
        if errors or not result.success:
            return


def check_names(definitions: dg.Definitions) -> set[str]:
    """Every asset check there is, as `asset:check`: what a run of everything is expected to evaluate."""
    keys = definitions.resolve_asset_graph().asset_check_keys
    return {f"{key.asset_key.to_user_string()}:{key.name}" for key in keys}


def finished_periods(definitions: dg.Definitions, instance: dg.DagsterInstance, job_name: str) -> set[str]:
    """Keys of the periods for which every asset of the job has been materialised."""
    keys = definitions.resolve_job_def(job_name).asset_layer.selected_asset_keys
    done = [set(instance.get_materialized_partitions(key)) for key in keys]
    return set.intersection(*done) if done else set()


def close_abandoned_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark as failed what an earlier process of this machine was running when it was killed; the run ids."""
    started = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
    abandoned = [run for run in started if _PID_TAG in run.tags and not _is_alive(int(run.tags[_PID_TAG]))]
    for run in abandoned:
        instance.report_run_failed(run, message="The process that ran it was killed.")
    return [run.run_id for run in abandoned]


def _root_cause(failure: object) -> str:
    error = getattr(failure, "error", None)
    while error is not None and error.cause is not None:
        error = error.cause
    return error.message.strip() if error is not None else "failed without an error message"


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
