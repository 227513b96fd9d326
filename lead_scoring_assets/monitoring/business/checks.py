"""Asset checks of the business figures; what they ask stands in `quality.py`."""

from lead_scoring_assets.checks import contract_check, watch_check
from lead_scoring_assets.monitoring.business import quality

CHECKS = [
    contract_check("business_kpis", quality.buckets_add_up),
    watch_check("business_kpis", quality.best_bucket_is_better),
    watch_check("business_kpis", quality.conversions_do_not_fall),
]
