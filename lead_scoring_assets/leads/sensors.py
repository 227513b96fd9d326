"""The landing sensor: new or changed files ask for their period to be materialised. Reading them is the asset's work."""

import hashlib
import json
from pathlib import Path

import dagster as dg

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.leads.landing import ENTITIES, landed_files, landed_periods, stray_files
from lead_scoring_assets.settings import find_home

JOB = "arrival"
_INTERVAL_SECONDS = find_home().settings.retraining.sensor_interval_seconds


@dg.sensor(
    job_name=JOB,
    description="Ingests, scores and watches a period when its files land, or change.",
    minimum_interval_seconds=_INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def leads_landed(
    context: dg.SensorEvaluationContext, installation: dg.ResourceParam[Installation]
) -> dg.SensorResult | dg.SkipReason:
    """One run for each period whose files differ from what `arrived_files` says was ingested."""
    cache: dict[str, list[str | int]] = json.loads(context.cursor) if context.cursor else {}
    fresh: dict[str, list[str | int]] = {}
    ingested = _ingested(installation)
    requests = []
    calendar = installation.settings.calendar
    now = installation.clock.now()
    periods = landed_periods(installation.home.landing)
    early = [key for key in periods if calendar.period(key).end > now]
    for key in periods:
        found = {name: _checksum(path, name, cache, fresh) for name, path in _files(installation.home.landing, key)}
        if key in early or found == ingested.get(key, {}):
            continue
        content = hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:16]
        # The content names the cause: the same files are ingested once, changed ones again.
        requests.append(dg.RunRequest(run_key=f"landed-{key}-{content}", partition_key=key))
    strays = stray_files(installation.home.landing)
    if requests:
        return dg.SensorResult(run_requests=requests, cursor=json.dumps(fresh))
    told = f"all files of {len(periods) - len(early)} periods are ingested"
    told += f"; {', '.join(early)} is not over yet at {now:%Y-%m-%d}" if early else ""
    told += f"; not read, because they lie outside a period's folder: {', '.join(strays)}" if strays else ""
    return dg.SensorResult(skip_reason=told, cursor=json.dumps(fresh))


def _files(landing: Path, period: str) -> list[tuple[str, Path]]:
    return [(f"{entity}/{period}/{p.name}", p) for entity in ENTITIES for p in landed_files(landing, entity, period)]


def _ingested(installation: Installation) -> dict[str, dict[str, str]]:
    """By period, the checksum of every file that was ingested."""
    if not installation.lakehouse.exists("arrived_files"):
        return {}
    found: dict[str, dict[str, str]] = {}
    for row in installation.lakehouse.read("arrived_files", columns=["period", "source_file", "sha256"]).to_pylist():
        found.setdefault(row["period"], {})[row["source_file"]] = row["sha256"]
    return found


def _checksum(path: Path, name: str, cache: dict[str, list[str | int]], fresh: dict[str, list[str | int]]) -> str:
    """SHA-256 of a file; one whose size and modification time are as at the last tick is not read again."""
    stat = path.stat()
    known = cache.get(name)
    if known is None or known[:2] != [stat.st_size, stat.st_mtime_ns]:
        known = [stat.st_size, stat.st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest()]
    fresh[name] = known
    return str(known[2])
