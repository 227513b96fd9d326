"""Dagster shell of the features."""

import dagster as dg
import pyarrow as pa

from lead_scoring_assets.features.plan import build_features
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.partitions import ONE_RUN, PERIODS


@dg.asset(
    partitions_def=PERIODS,
    backfill_policy=ONE_RUN,
    group_name="features",
    owners=["team:data-engineering"],
    kinds={"duckdb", "deltalake"},
)
def lead_features(installation: dg.ResourceParam[Installation], raw_leads: pa.Table) -> pa.Table:
    """What a model may see of each lead, known at the moment the lead was known. Columns come from the registry."""
    return build_features(raw_leads, installation.settings.registry)
