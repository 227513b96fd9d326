"""What the tables of a home say: one content hash a table, by which two homes, or a home before and after, are compared."""

from collections.abc import Collection
from pathlib import Path

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lakehouse.content_hash import content_hash
from lead_scoring_assets.settings import Home

# What names a run or a version rather than what was decided.
_PASSING = {
    "run_id",
    "bundle",
    "actor",
    "version",
    "candidate_version",
    "champion_version",
    "best_version",
    "model_version",
}


def contents(home: Path, without: Collection[str] = ()) -> dict[str, str]:
    """Content of every table but those in `without`."""
    lakehouse = Installation(Home(home)).lakehouse
    found = {}
    for name in lakehouse.names():
        if name not in without:
            rows = lakehouse.read(name)
            found[name] = content_hash(rows.drop_columns([c for c in rows.column_names if c in _PASSING]))
    return found
