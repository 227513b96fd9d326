"""Asset checks of monitoring; what they ask stands in `quality.py`."""

from lead_scoring_assets.checks import contract_check, watch_check
from lead_scoring_assets.monitoring import quality

CHECKS = [
    contract_check("feature_drift", quality.every_feature_judged),
    watch_check("feature_drift", quality.no_feature_drifted),
    contract_check("drift_report", quality.report_written),
    contract_check("model_performance", quality.labels_cover_cohort),
    watch_check("model_performance", quality.ranks_well_enough),
]
