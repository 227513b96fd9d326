"""Asset checks of watching; what they ask stands in `quality.py`."""

from lead_scoring_assets.checks import contract_check, watch_check
from lead_scoring_assets.monitoring.drift.watching import quality

CHECKS = [
    contract_check("drift_policies", quality.everything_watched),
    contract_check("data_health", quality.health_complete),
    watch_check("prediction_drift", quality.scores_as_on_the_holdout),
    watch_check("calibration_drift", quality.promise_kept),
    watch_check("concept_drift", quality.outcomes_follow_scores),
    watch_check("importance_drift", quality.scored_for_the_same_reasons),
    watch_check("data_health", quality.arrivals_as_usual),
]
