"""Asset checks of the API's figures; what they ask stands in `quality.py`."""

from lead_scoring_assets.checks import log_check
from lead_scoring_assets.monitoring.service import quality

CHECKS = [
    log_check("service_health", quality.figures_fit_together, is_error=True),
    log_check("service_health", quality.service_is_fast),
    log_check("service_health", quality.service_is_reliable),
]
