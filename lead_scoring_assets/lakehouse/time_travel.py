"""Which version of a table stood at a moment, told by the times that its commits carry. Reads the log, never the rows."""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lead_scoring_assets.errors import LakehouseError

_COMMIT = re.compile(r"\d{20}\.json")


@dataclass(frozen=True)
class Moment:
    """When one version of a table came to be (UTC, in milliseconds)."""

    version: int
    at: datetime


def moments(folder: Path) -> list[Moment]:
    """Every version in the log of the table in `folder`, in order.

    The time stands in the commit itself, so that a copied table answers as the first did (times of files do not). A
    version is never older than the one that it was built on: where a writer's clock went back, it counts as made with
    the version before.

    Raises:
        LakehouseError: a commit does not tell its time.
    """
    found: list[Moment] = []
    for commit in sorted(path for path in (folder / "_delta_log").iterdir() if _COMMIT.fullmatch(path.name)):
        at = _told(commit)
        found.append(Moment(int(commit.stem), max(at, found[-1].at) if found else at))
    return found


def version_as_of(folder: Path, moment: datetime) -> int:
    """The newest version of the table in `folder` that was made at `moment` or before.

    Two commits of the same millisecond: the later version. A writer takes a commit's time just before it commits, so
    the answer for a moment is final once no writer of before that moment is still at work.

    Raises:
        LakehouseError: `moment` has no time zone, or lies before the first commit.
    """
    moment = in_utc(moment)
    known = moments(folder)
    if not known or moment < known[0].at:
        first = f"version {known[0].version} of {known[0].at.isoformat()}" if known else "none"
        raise LakehouseError(
            f"{folder.name} was not there as of {moment.isoformat()}: its first commit is {first}. "
            "Ask for that time or a later one."
        )
    return max(commit.version for commit in known if commit.at <= moment)


def in_utc(moment: datetime) -> datetime:
    """`moment` in UTC.

    Raises:
        LakehouseError: it has no time zone.
    """
    if moment.tzinfo is None:
        raise LakehouseError(
            f"{moment.isoformat()} has no time zone: write it with one, such as {moment.isoformat()}+00:00"
        )
    return moment.astimezone(UTC)


def _told(commit: Path) -> datetime:
    with commit.open(encoding="utf-8") as lines:
        for line in lines:
            if '"commitInfo"' not in line:
                continue
            info = json.loads(line).get("commitInfo", {})
            # Writers that promise times in order write them under a name of its own.
            milliseconds = info.get("inCommitTimestamp", info.get("timestamp"))
            if isinstance(milliseconds, int):
                return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    raise LakehouseError(
        f"{commit} does not tell when it was made (expected commitInfo with a timestamp, which Delta leaves optional): "
        "ask for this table by version"
    )
