"""Asset checks of reports; what they ask stands in `quality.py`."""

from lead_scoring_assets.checks import contract_check
from lead_scoring_assets.monitoring.reports import quality

CHECKS = [
    contract_check("drift_report", quality.report_written),
    contract_check("manager_report", quality.manager_report_written),
]
