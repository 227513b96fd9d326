"""What the newest reading has to hold; asked of the table, so that checks cost nothing while no experiment runs."""

from datetime import timedelta
from typing import Any

from lead_scoring_assets.contracts.findings import Finding
from lead_scoring_assets.experiments.records import Experiments
from lead_scoring_assets.experiments.results import TABLE
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lakehouse.query import query

_NEWEST = """
SELECT * FROM results WHERE role = 'validity' ORDER BY as_of DESC, labels_until DESC, exposed DESC LIMIT 1
"""


def sample_ratio_fits(installation: Installation) -> Finding:
    """As many units in each arm as were drawn; otherwise the experiment is blocked and no comparison holds."""
    row = _newest(installation)
    if row is None:
        return Finding(True, "no experiment has been read")
    told = f"{row['experiment_id']}: {row['reason']}"
    return Finding(row["verdict"] != "BLOCKED", told, {"p_value": row["p_value"], "units": float(row["exposed"])})


def enough_leads_counted(installation: Installation) -> Finding:
    """Enough leads have reached their age in both arms for a verdict, once the shortest time and the age have passed."""
    row = _newest(installation)
    if row is None:
        return Finding(True, "no experiment has been read")
    status = Experiments(installation.lakehouse).find(row["experiment_id"])
    days = timedelta(days=status.experiment.minimum_days + status.experiment.age_days)
    is_due = status.started_at is not None and row["labels_until"] >= status.started_at + days
    told = f"{row['experiment_id']}: {row['verdict_reason']}"
    return Finding(bool(row["is_sample_sufficient"]) or not is_due, told, {"units": float(row["exposed"])})


def _newest(installation: Installation) -> dict[str, Any] | None:
    if not installation.lakehouse.exists(TABLE):
        return None
    rows = query(_NEWEST, {"results": installation.lakehouse.scan(TABLE)}).to_pylist()
    return rows[0] if rows else None
