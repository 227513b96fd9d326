"""Asset checks of the features; what they ask stands in `quality.py`."""

from lead_scoring_assets.checks import contract_check, watch_check
from lead_scoring_assets.features import quality

CHECKS = [
    contract_check("lead_features", quality.every_lead_has_features),
    contract_check("lead_features", quality.no_forbidden_columns),
    watch_check("lead_features", quality.no_empty_features),
]
