"""Asset checks of the prediction log; what they ask stands in `quality.py`."""

from lead_scoring_assets.checks import log_check
from lead_scoring_assets.prediction_log import quality

CHECKS = [
    log_check("ingested_segments", quality.every_line_once, is_error=True),
    log_check("shadow_scores", quality.every_shadowed_lead_once),
    log_check("rejected_records", quality.no_line_damaged),
    log_check("fallback_leads", quality.fallback_leads_are_scored),
]
