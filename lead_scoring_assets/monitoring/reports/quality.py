"""Judgements on reports: what is listed is there."""

from lead_scoring_assets.contracts.findings import Finding
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.periods import Period


def report_written(installation: Installation, period: Period) -> Finding:
    """The page of every report that is listed exists and is not empty."""
    return _written(installation, "drift_report", period)


def manager_report_written(installation: Installation, period: Period) -> Finding:
    """The manager's page exists and is not empty."""
    return _written(installation, "manager_report", period)


def _written(installation: Installation, table: str, period: Period) -> Finding:
    rows = installation.lakehouse.read(table, periods=[period.key], columns=["file"]).to_pylist()
    missing = [row["file"] for row in rows if not _has_content(installation, row["file"])]
    return Finding(not missing, f"missing or empty: {missing}" if missing else f"{len(rows)} report(s)")


def _has_content(installation: Installation, file: str) -> bool:
    page = installation.home.reports / file
    return page.is_file() and page.stat().st_size > 0
