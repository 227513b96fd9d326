"""The landing sensor: new or changed files ask for their period to be materialised, and so does a period that nobody has
pulled from its source yet. Reading them is the asset's work."""

import hashlib
import json

import dagster as dg

from lead_scoring_assets.contracts.columns import ENTITIES
from lead_scoring_assets.errors import LeadScoringError
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.leads.landing import File, Landing
from lead_scoring_assets.periods import Period, PeriodCalendar
from lead_scoring_assets.settings import find_home

JOB = "arrival"
Remembered = dict[str, list[str | int]]
"""By file: size, modification time, and SHA-256 when it was last read."""
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
    """One run for each period whose files differ from what `arrived_files` says was ingested, or that is to be pulled."""
    cache, fresh = _remembered(context.cursor), Remembered()
    ingested = _ingested(installation)
    requests: dict[str, dg.RunRequest] = {}
    now = installation.clock.now()
    landing = Landing.of(installation.home)
    contents = landing.contents()
    folders = {key: _period(installation.settings.calendar, key) for key in contents.files}
    strangers = [key for key, period in folders.items() if period is None]
    periods = {key: period for key, period in folders.items() if period is not None}
    early = [key for key, period in periods.items() if period.end > now]
    for key in periods:
        found = {file.name: _checksum(landing, file, cache, fresh) for file in contents.files[key]}
        if key in early or found == ingested.get(key, {}):
            continue
        content = hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:16]
        # The content names the cause: the same files are ingested once, changed ones again.
        requests[key] = dg.RunRequest(run_key=f"landed-{key}-{content}", partition_key=key)
    for key in _to_pull(installation):
        if key not in ingested and key not in requests:
            requests[key] = dg.RunRequest(run_key=f"pulled-{key}", partition_key=key)
    if requests:
        return dg.SensorResult(run_requests=[requests[key] for key in sorted(requests)], cursor=json.dumps(fresh))
    told = f"all files of {len(periods) - len(early)} periods are ingested"
    told += f"; {', '.join(early)} is not over yet at {now:%Y-%m-%d}" if early else ""
    told += (
        f"; not read, because they lie outside a period's folder: {', '.join(contents.strays)}"
        if contents.strays
        else ""
    )
    told += (
        f"; not read, because they name no period of this system: folders {', '.join(strangers)}" if strangers else ""
    )
    return dg.SensorResult(skip_reason=told, cursor=json.dumps(fresh))


def _to_pull(installation: Installation) -> list[str]:
    """Periods that are over, where some entity comes from a query; none where all come as files."""
    settings = installation.settings
    last = settings.calendar.last_closed(installation.clock.now())
    if last is None or all(settings.sources.of(entity).sql is None for entity in ENTITIES):
        return []
    return [period.key for period in settings.calendar.through(last)]


def _period(calendar: PeriodCalendar, key: str) -> Period | None:
    """The period that a folder names; None when it names none of the calendar's."""
    try:
        period = calendar.period(key)
    except LeadScoringError:
        return None
    is_inside = calendar.start <= period.start and (calendar.end is None or period.end <= calendar.end)
    return period if is_inside else None


def _remembered(cursor: str | None) -> Remembered:
    """What the last tick knew. What cannot be understood counts as not known: its files are read again."""
    try:
        found = json.loads(cursor or "{}")
    except ValueError:
        return {}
    entries = found.items() if isinstance(found, dict) else ()
    return {name: known for name, known in entries if isinstance(known, list) and len(known) == 3}


def _ingested(installation: Installation) -> dict[str, dict[str, str]]:
    """By period, the checksum of every file that was ingested."""
    if not installation.lakehouse.exists("arrived_files"):
        return {}
    found: dict[str, dict[str, str]] = {}
    for row in installation.lakehouse.read("arrived_files", columns=["period", "source_file", "sha256"]).to_pylist():
        found.setdefault(row["period"], {})[row["source_file"]] = row["sha256"]
    return found


def _checksum(landing: Landing, file: File, cache: Remembered, fresh: Remembered) -> str:
    """SHA-256 of a file; one whose size and modification time are as at the last tick is not read again."""
    known = cache.get(file.name)
    if known is None or known[:2] != [file.size_bytes, file.modified_ns]:
        known = [file.size_bytes, file.modified_ns, landing.checksum(file)]
    fresh[file.name] = known
    return str(known[2])
