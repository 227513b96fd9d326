"""Asset checks of the assessment; what they ask stands in `quality.py`."""

from lead_scoring_assets.assessment import quality
from lead_scoring_assets.checks import watch_check

CHECKS = [
    watch_check("model_evaluation", quality.ranks_better_than_chance),
    watch_check("model_fairness", quality.groups_are_chosen_alike),
]
