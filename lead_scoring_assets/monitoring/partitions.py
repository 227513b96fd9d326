"""What every asset of monitoring has in common."""

from typing import Any

from lead_scoring_assets.partitions import ONE_RUN, PERIODS

MONITORING: dict[str, Any] = {
    "partitions_def": PERIODS,
    "backfill_policy": ONE_RUN,
    "group_name": "monitoring",
    "owners": ["team:machine-learning"],
}
