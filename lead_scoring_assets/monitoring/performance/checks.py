"""Asset checks of performance; what they ask stands in `quality.py`."""

from lead_scoring_assets.checks import contract_check, watch_check
from lead_scoring_assets.monitoring.performance import quality

CHECKS = [
    contract_check("model_performance", quality.labels_cover_cohort),
    watch_check("model_performance", quality.ranks_well_enough),
    watch_check("model_performance", quality.recall_is_enough),
    watch_check("model_performance", quality.conversions_hold),
    watch_check("performance_estimates", quality.estimated_to_rank_well_enough),
    watch_check("estimate_reconciliation", quality.errors_within_their_intervals),
]
