"""The jobs, by what they are for, and running one in this process over a stretch of history."""

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from lead_scoring_assets.contracts.findings import Evaluation
from lead_scoring_assets.kept_open import sqlite_files_kept_open
from lead_scoring_assets.periods import Period
from lead_scoring_assets.promotion.people import REQUESTED_BY_TAG, person

TRAINING_ASSETS = (
    "training_set",
    "trained_model",
    "model_evaluation",
    "segment_evaluation",
    "model_fairness",
    "model_explanation",
    "promotion_decision",
)
PERIODS_A_RUN = 13
"""A year of months and the one that has just closed."""
PROGRESS_LOGGER = "progress"
_CHECK_FAILED = "DagsterAssetCheckFailedError"
_PID_TAG = "lead_scoring/pid"
_RANGE_START, _RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"

_training = dg.AssetSelection.assets(*TRAINING_ASSETS)
# What is only made when somebody, or a sensor of its own, asks for it by name.
_asked_for = dg.AssetSelection.assets("rescored_leads", "shadow_comparison", "experiment_results")
# What grows as the API is used: a sensor of its own takes it in, and it has no periods.
_served = dg.AssetSelection.groups("serving")
_CHECKED_WITHOUT_PERIODS = (
    "ingested_segments",
    "rejected_records",
    "fallback_leads",
    "service_health",
    "experiment_results",
)

JOBS = [
    dg.define_asset_job(
        "everything",
        selection=dg.AssetSelection.all() - _asked_for - _served,
        description="Every asset of a period: ingestion to decision.",
    ),
    dg.define_asset_job(
        "arrival",
        selection=dg.AssetSelection.all() - _training - _asked_for - _served,
        description="What a period's files set off: ingest, features, labels, scores, drift, performance.",
    ),
    dg.define_asset_job(
        "retraining",
        selection=_training,
        description="Train a candidate as of a period's end, judge it, and decide.",
    ),
    dg.define_asset_job(
        "rescoring",
        selection=dg.AssetSelection.assets("rescored_leads"),
        description="Score periods with a named model (config: model), beside what the live one said.",
    ),
    dg.define_asset_job(
        "checks",
        selection=dg.AssetSelection.all_asset_checks() - dg.AssetSelection.checks_for_assets(*_CHECKED_WITHOUT_PERIODS),
        description="Every asset check of periods, on the tables as they lie there; nothing is materialised.",
    ),
    dg.define_asset_job(
        "served_log",
        selection=_served,
        description="Take in what the API has logged, and measure how it does.",
    ),
]

Progress = Callable[[str, str], None]
"""Called with what was done and for which period."""


@dataclass(frozen=True)
class StretchRun:
    """How one run over a stretch of periods went. `errors` are the failures of its steps, one sentence each; a blocking
    check that failed is among the evaluations instead."""

    periods: list[Period]
    run_id: str
    succeeded: bool
    evaluations: list[Evaluation] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def run_history(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    job_name: str,
    periods: Sequence[Period],
    tags: Mapping[str, str] | None = None,
) -> Iterator[StretchRun]:
    """Run a job over `periods` in stretches of up to 13. `definitions` need a progress logger; `tags`: of the runs.

    One process, and one run for a stretch: Dagster's bookkeeping of a run (some 230 events, each a commit) costs more
    than the work of one small period. A stretch of assets that fails is played again period by period, so that the
    good periods get through and the bad one is named; there it stops, because later periods build on it. Checks build
    on nothing and name their periods themselves: all stretches are run.
    """
    has_assets = bool(definitions.resolve_job_def(job_name).asset_layer.selected_asset_keys)
    with sqlite_files_kept_open():
        for stretch in _stretches(periods):
            run = _run(definitions, instance, job_name, stretch, tags or {})
            if run.succeeded or not has_assets or len(stretch) == 1:
                yield run
            else:
                for period in stretch:
                    run = _run(definitions, instance, job_name, [period], tags or {})
                    yield run
                    if not run.succeeded:
                        break
            if has_assets and not run.succeeded:
                return


def open_instance() -> dg.DagsterInstance:
    """Dagster's own records of this home, where runs and materialisations are kept; a context manager."""
    return dg.DagsterInstance.get()


def progress_logger(tell: Progress) -> dg.LoggerDefinition:
    """A Dagster logger that tells nothing but what was materialised or checked."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            event = getattr(record, "dagster_event", None)
            if not isinstance(event, dg.DagsterEvent):
                return
            if event.is_step_materialization and event.asset_key is not None:
                tell(event.asset_key.to_user_string(), str(event.partition))
            elif event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
                tell(event.asset_check_evaluation_data.check_name, "checked")

    @dg.logger
    def logger(_: dg.InitLoggerContext) -> logging.Logger:
        told = logging.Logger("progress")
        told.addHandler(Handler())
        return told

    return logger


def progress_total(definitions: dg.Definitions, job_name: str, periods: Sequence[Period]) -> int:
    """How many things a progress logger will be told of: assets for each period, checks for each stretch."""
    assets = definitions.resolve_job_def(job_name).asset_layer.selected_asset_keys
    return len(assets) * len(periods) + len(check_names(definitions)) * len(list(_stretches(periods)))


def check_names(definitions: dg.Definitions) -> set[str]:
    """Every asset check of periods, as `asset:check`: what a run of everything is expected to evaluate."""
    graph = definitions.resolve_asset_graph()
    keys = [key for key in graph.asset_check_keys if graph.get(key).partitions_def is not None]
    return {f"{key.asset_key.to_user_string()}:{key.name}" for key in keys}


def finished_periods(definitions: dg.Definitions, instance: dg.DagsterInstance, job_name: str) -> set[str]:
    """Keys of the periods for which every asset of the job has been materialised."""
    keys = definitions.resolve_job_def(job_name).asset_layer.selected_asset_keys
    done = [set(instance.get_materialized_partitions(key)) for key in keys]
    return set.intersection(*done) if done else set()


def close_abandoned_runs(instance: dg.DagsterInstance, *, no_daemon: bool = False) -> list[str]:
    """Mark as failed what an earlier process of this machine was running when it was killed; the run ids.

    `no_daemon`: the caller knows that no daemon works in this home, so that runs which one had launched are over too.
    Dagster's own monitoring does not find out: their code server is gone, and with it whoever could be asked.
    """
    unfinished = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
    runs = instance.get_runs(dg.RunsFilter(statuses=unfinished))
    abandoned = [run for run in runs if (not _is_alive(int(run.tags[_PID_TAG])) if _PID_TAG in run.tags else no_daemon)]
    for run in abandoned:
        instance.report_run_failed(run, message="The process that ran it was killed.")
    return [run.run_id for run in abandoned]


def _stretches(periods: Sequence[Period]) -> Iterator[list[Period]]:
    """Cut where periods are not neighbours, and after every 13."""
    stretch: list[Period] = []
    for period in periods:
        if stretch and (stretch[-1].end != period.start or len(stretch) == PERIODS_A_RUN):
            yield stretch
            stretch = []
        stretch.append(period)
    if stretch:
        yield stretch


def _run(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    job_name: str,
    stretch: Sequence[Period],
    more_tags: Mapping[str, str],
) -> StretchRun:
    job = definitions.resolve_job_def(job_name)
    tags = {_PID_TAG: str(os.getpid()), REQUESTED_BY_TAG: person(), **more_tags}
    options: dict[str, Any] = {}
    if len(stretch) == 1 and job.asset_layer.selected_asset_keys:
        options = {"partition_key": stretch[0].key}
    else:
        tags |= {_RANGE_START: stretch[0].key, _RANGE_END: stretch[-1].key}
    result = job.execute_in_process(
        instance=instance,
        raise_on_error=False,
        tags=tags,
        # Without a word here Dagster logs every event to the terminal; the UI has them all.
        run_config={"loggers": {PROGRESS_LOGGER: {}}},
        **options,
    )
    failures = {event.step_key: _root_cause(event.step_failure_data) for event in result.get_step_failure_events()}
    errors = [f"{step}: {cause}" for step, cause in failures.items() if _CHECK_FAILED not in cause]
    if not result.success and not failures:
        errors = [f"run {result.run_id} could not begin: {_why_not_begun(result.all_events)}"]
    evaluations = [
        Evaluation(
            check=f"{e.asset_key.to_user_string()}:{e.check_name}",
            periods=tuple(str(key) for key in e.metadata["periods"].value),  # type: ignore[union-attr]
            passed=e.passed,
            is_error=e.severity == dg.AssetCheckSeverity.ERROR,
            sentence=e.description or "",
        )
        for e in result.get_asset_check_evaluations()
    ]
    return StretchRun(list(stretch), result.run_id, result.success, evaluations, errors)


def _why_not_begun(events: Sequence[dg.DagsterEvent]) -> str:
    """What a resource said that could not be opened: no step has failed then, because none was begun."""
    told = [event.job_failure_data for event in events if event.event_type == dg.DagsterEventType.RUN_FAILURE]
    return _root_cause(told[0] if told else None)


def _root_cause(failure: object) -> str:
    """What our code said, without Dagster's wrapping around it; not what a library below had said to our code."""
    error = getattr(failure, "error", None)
    if error is None:
        return "failed without an error message; the UI shows why"
    told: str = (error.cause or error).message.strip()
    return told.split(": ", 1)[1] if told.startswith("lead_scoring_assets.errors.") else told


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
