"""The sensor that has the prediction log taken in. Reading and writing it is the assets' work."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta

import dagster as dg

from lead_scoring_assets.errors import PredictionLogError
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.prediction_log import fallback_leads
from lead_scoring_assets.prediction_log.ingestion import pending_bytes
from lead_scoring_assets.prediction_log.sources import open_source
from lead_scoring_assets.prediction_log.tables import INGESTED
from lead_scoring_assets.settings import find_home

JOB = "served_log"
_CAUSE_TAG = "lead_scoring/served"
_ATTEMPTS = 3
_QUIET = timedelta(hours=1)
_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dataclass(frozen=True)
class _Cause:
    """Why a run is asked for, in words, and what names it."""

    told: str
    name: str


@dg.sensor(
    job_name=JOB,
    description="Takes in what the API has logged, and measures its health.",
    minimum_interval_seconds=find_home().settings.serving.log.ingest_every_seconds,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def new_served_predictions(
    context: dg.SensorEvaluationContext, installation: dg.ResourceParam[Installation]
) -> dg.RunRequest | dg.SkipReason:
    """One run for what is new, named by its segments and bytes; in the quiet one an hour after the last, to measure it, and one
    when a batch may have scored who was answered without a model."""
    try:
        cause = _cause(installation)
    except PredictionLogError as problem:
        return dg.SkipReason(str(problem))
    if isinstance(cause, dg.SkipReason):
        return cause
    digest = hashlib.sha256(cause.name.encode()).hexdigest()[:16]
    runs = context.instance.get_runs(dg.RunsFilter(tags={_CAUSE_TAG: digest}))
    if any(run.status in _UNFINISHED for run in runs):
        return dg.SkipReason(f"{cause.told}: a run is at work on it")
    if any(run.status == dg.DagsterRunStatus.SUCCESS for run in runs):
        return dg.SkipReason(f"{cause.told}: measured already")
    if len(runs) >= _ATTEMPTS:
        return dg.SkipReason(
            f"{cause.told}: {len(runs)} runs failed on it, so nobody is asked until more is logged. Mend what the last one "
            f"says, and start the job {JOB} by hand."
        )
    # Dagster remembers a run key for ever: what failed is asked for under another.
    return dg.RunRequest(run_key=f"served-{digest}-{len(runs)}", tags={_CAUSE_TAG: digest})


def _cause(installation: Installation) -> _Cause | dg.SkipReason:
    source = open_source(installation)
    pending = pending_bytes(installation, source)
    if pending:
        count = sum(end - since for since, end in pending.values())
        return _Cause(f"{count:,} new bytes in {len(pending)} segments", json.dumps(sorted(pending.items())))
    last = _last_ingested(installation)
    if last is None:
        return dg.SkipReason("no API has logged anything here")
    if installation.clock.now() - last >= _QUIET:
        told = f"an hour and more without a line, since {last:%Y-%m-%d %H:%M}"
        return _Cause(told, f"{last.isoformat()} {_scored_in_the_quiet(installation)}")
    return dg.SkipReason(
        f"all of {len(source.ends())} segments is taken in, the last of it at {last:%Y-%m-%d %H:%M:%S}"
    )


def _scored_in_the_quiet(installation: Installation) -> int | None:
    """The version of the batches' scores, in which leads may stand that were answered without a model; None: none were."""
    lakehouse = installation.lakehouse
    if not (lakehouse.exists(fallback_leads.TABLE) and lakehouse.exists(fallback_leads.SCORES)):
        return None
    return lakehouse.version(fallback_leads.SCORES)


def _last_ingested(installation: Installation) -> datetime | None:
    if not installation.lakehouse.exists(INGESTED):
        return None
    found = query(
        f"SELECT max(ingested_at) AS last FROM {INGESTED}",  # noqa: S608  # our own name
        {INGESTED: installation.lakehouse.scan(INGESTED)},
    )
    last: datetime = found["last"][0].as_py()
    return last
