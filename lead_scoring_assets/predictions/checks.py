"""Asset checks of the scores; what they ask stands in `quality.py`."""

from lead_scoring_assets.checks import contract_check, watch_check
from lead_scoring_assets.predictions import quality

CHECKS = [
    contract_check("lead_scores", quality.every_lead_scored_once),
    contract_check("lead_scores", quality.scores_are_probabilities),
    contract_check("lead_scores", quality.priorities_are_a_queue),
    contract_check("lead_scores", quality.reasons_hold),
    contract_check("lead_scores", quality.changes_add_up),
    watch_check("lead_scores", quality.scores_differ),
]
