"""Asset checks of the models; what they ask stands in `quality.py`."""

from lead_scoring_assets.checks import contract_check
from lead_scoring_assets.models import quality

CHECKS = [
    contract_check("training_set", quality.nothing_leaks),
    contract_check("trained_model", quality.model_or_reason),
]
