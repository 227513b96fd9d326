"""Asset checks of drift; what they ask stands in `quality.py`."""

from lead_scoring_assets.checks import contract_check, watch_check
from lead_scoring_assets.monitoring.drift import quality

CHECKS = [
    contract_check("feature_drift", quality.every_feature_judged),
    contract_check("feature_counts", quality.every_row_counted),
    watch_check("feature_drift", quality.no_feature_drifted),
]
