"""Which files of earlier periods are not ingested as they lie there now."""

import json
from typing import Any

from lead_scoring_assets.errors import LeadScoringError
from lead_scoring_assets.files import write_atomically
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.leads.landing import File, Landing
from lead_scoring_assets.periods import Period, PeriodCalendar

_SHOWN_FILES = 5


def not_ingested_before(installation: Installation, landing: Landing, period: Period) -> list[str]:
    """One sentence for each period before `period` whose landed files differ from what `arrived_files` says; a file that
    was taken away since is none of them. A file of unchanged size and time of change is read once only."""
    lakehouse, calendar = installation.lakehouse, installation.settings.calendar
    earlier = {key: files for key, files in landing.contents().files.items() if _is_before(calendar, key, period)}
    ingested: dict[str, str] = {}
    if earlier and lakehouse.exists("arrived_files"):
        rows = lakehouse.read("arrived_files", periods=earlier, columns=["source_file", "sha256"]).to_pylist()
        ingested = {row["source_file"]: row["sha256"] for row in rows}
    checksums = _Checksums(installation, landing)
    told = []
    for key, files in earlier.items():
        new = [file.name for file in files if file.name not in ingested]
        changed = [file.name for file in files if file.name in ingested and checksums.of(file) != ingested[file.name]]
        told += [
            f"{key}: {_some(names)} {what}"
            for names, what in ((new, "not ingested"), (changed, "changed since"))
            if names
        ]
    checksums.remember()
    return told


def _is_before(calendar: PeriodCalendar, key: str, period: Period) -> bool:
    """Whether a folder names a period of the calendar before `period`; the sensor tells of folders that name none."""
    try:
        return calendar.start <= calendar.period(key).start < period.start
    except LeadScoringError:
        return False


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN_FILES:,} more" if len(names) > _SHOWN_FILES else ""
    return ", ".join(names[:_SHOWN_FILES]) + more


class _Checksums:
    """SHA-256 of landed files, remembered by size and time of change. Losing the memory costs time, nothing else."""

    def __init__(self, installation: Installation, landing: Landing) -> None:
        self._landing = landing
        self._path = installation.home.data / "tmp" / "landed_checksums.json"
        self._known: dict[str, Any] = {}
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
            self._known = found if isinstance(found, dict) else {}
        except (OSError, ValueError):
            pass
        self._used: dict[str, list[str | int]] = {}

    def of(self, file: File) -> str:
        stamp = [file.size_bytes, file.modified_ns]
        known = self._known.get(file.name)
        if isinstance(known, list) and len(known) == 3 and known[:2] == stamp:
            digest = str(known[2])
        else:
            digest = self._landing.checksum(file)
        self._used[file.name] = [*stamp, digest]
        return digest

    def remember(self) -> None:
        if self._used != self._known:
            write_atomically(self._path, json.dumps(self._used).encode())
