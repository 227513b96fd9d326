"""A small installation whose files land over three periods, and bringing them in as a process of its own would."""

from pathlib import Path

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lakehouse.content_hash import content_hash
from lead_scoring_assets.leads.ingestion import BroughtIn, bring_in
from lead_scoring_assets.settings import Home

KEYS = ("2024-05", "2024-06", "2024-07")
SETTINGS = """
name: test
periods: {start: 2024-05-01}
columns:
  age: {kind: integer, role: feature, minimum: 15, maximum: 110, why: w}
activities: {types: [visit, call]}
"""


def make(root: Path) -> Path:
    """A home in which every kind of statement occurs: new, repeated, corrected, contradicting, bad, early and late."""
    root.mkdir(parents=True)
    (root / "lead_scoring.yaml").write_text(SETTINGS)
    for n, key in enumerate(KEYS):
        new = [f"{key}-{i},{key}-0{1 + i % 9}T08:00:00+04:00,{key}-1{i % 9},{20 + i}" for i in range(40)]
        old = (
            []
            if not n
            else [f"{KEYS[n - 1]}-{i},{KEYS[n - 1]}-0{1 + i % 9}T04:00Z,,{20 + i + i % 3}" for i in range(20)]
        )
        bad = [f"{key}-bad,{key}-05,{key}-06,9", f"{key}-1,{key}-02T09:00,{key}-12,21"]
        land(root, "leads", key, "a.csv", "lead_id,created_at,known_at,age", [*new, *old, *bad, *new[:5]])
        calls = [f"{key}-{i},{key}-{i % 45},{key}-1{i % 9},{('visit', 'call', 'fax')[i % 29 % 3]}" for i in range(60)]
        names = "activity_id,lead_id,occurred_at,activity_type"
        land(root, "activities", key, "a.csv", names, calls)
        land(root, "activities", key, "b.csv", names, [call.replace(",call", ",visit") for call in calls[:20]])
        ends = [
            f"{KEYS[(n + i % 2) % 3]}-{i},{('lost', 'converted')[i % 2]},{key}-15,{key}-2{i % 4}" for i in range(20)
        ]
        ends += [f"{KEYS[n - 1]}-{i},converted,{KEYS[n - 1]}-15,{key}-05" for i in range(0, 8, 2)] if n else []
        ends += [f"{key}-30,converted,{key}-15,{key}-21", f"{key}-30,lost,{key}-15,{key}-21"]
        land(root, "outcomes", key, "a.csv", "lead_id,outcome,outcome_at,known_at", ends)
    return root


def land(root: Path, entity: str, key: str, name: str, header: str, rows: list[str]) -> Path:
    path = root / "data" / "landing" / entity / key / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *rows, ""]))
    return path


def open_home(root: Path) -> Installation:
    return Installation(Home(root))


def bring(root: Path, *keys: str) -> list[BroughtIn]:
    """Bring in some periods (none named: all three), in the order given."""
    installation = open_home(root)
    return [bring_in(installation, installation.settings.calendar.period(key)) for key in keys or KEYS]


def run(root: str) -> None:
    """What a process of its own does."""
    bring(Path(root))


def contents(root: Path) -> dict[str, str]:
    """Content of every table, by name."""
    lakehouse = open_home(root).lakehouse
    return {name: content_hash(lakehouse.read(name)) for name in lakehouse.names()}
