"""What every asset of monitoring has in common, and how far back estimates look."""

from datetime import timedelta
from typing import Any

from lead_scoring_assets.partitions import ONE_RUN, PERIODS, looking_back
from lead_scoring_assets.settings import find_home

MONITORING: dict[str, Any] = {
    "partitions_def": PERIODS,
    "backfill_policy": ONE_RUN,
    "group_name": "monitoring",
    "owners": ["team:machine-learning"],
}

_SETTINGS = find_home().settings
_WINDOW = timedelta(days=_SETTINGS.labels.conversion_window_days)
_REFERENCE = timedelta(days=_SETTINGS.performance.reference_days)
# Leads that are open, and before them the matured ones that the estimate learns from.
ESTIMATING = looking_back(_WINDOW + _REFERENCE)
# The same as it was when leads were open of which the last matures now.
RECONCILING = looking_back(2 * _WINDOW + _REFERENCE)
