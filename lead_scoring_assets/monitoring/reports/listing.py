"""Which manager's reports there are, and where their pages lie."""

from dataclasses import dataclass
from pathlib import Path

from lead_scoring_assets.errors import LeadScoringError
from lead_scoring_assets.installation import Installation

TABLE = "manager_report"


@dataclass(frozen=True)
class ManagerReport:
    """One period's page, and what it says in a few sentences."""

    period: str
    headline: str
    page: Path


def find_report(installation: Installation, period: str | None) -> ManagerReport:
    """The report of a period (None: the newest).

    Raises:
        LeadScoringError: there is none, or its page has been deleted.
    """
    wanted = None if period is None else [installation.settings.calendar.period(period).key]
    lakehouse = installation.lakehouse
    rows = lakehouse.read(TABLE, periods=wanted).to_pylist() if lakehouse.exists(TABLE) else []
    row = max(rows, key=lambda row: str(row["period"]), default=None)
    page = installation.home.reports / row["file"] if row else None
    if row is None or page is None or not page.is_file():
        raise LeadScoringError(
            f"there is no report of {period or 'any period'}: expected one in {installation.home.reports}. Materialise the "
            "asset manager_report of that period (`lead-scoring materialize`, or Materialize in the UI)."
        )
    return ManagerReport(row["period"], row["headline"], page)
