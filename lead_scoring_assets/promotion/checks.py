"""Asset checks of promotion; what they ask stands in `quality.py`."""

from lead_scoring_assets.checks import contract_check
from lead_scoring_assets.promotion import quality

CHECKS = [
    contract_check("promotion_decision", quality.champion_loads),
    contract_check("promotion_decision", quality.decision_recorded),
    contract_check("promotion_decision", quality.one_production),
]
