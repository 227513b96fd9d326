"""Dagster shell of the ground truth."""

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.labels.maturity import labels_known_in
from lead_scoring_assets.partitions import MATURING, ONE_RUN, PERIODS, periods_of


@dg.asset(
    partitions_def=PERIODS,
    backfill_policy=ONE_RUN,
    ins={
        "raw_leads": dg.AssetIn(
            partition_mapping=MATURING, metadata={"columns": ["lead_id", "created_at", "known_at"]}
        ),
        "raw_outcomes": dg.AssetIn(partition_mapping=MATURING),
    },
    group_name="labels",
    owners=["team:data-engineering"],
    kinds={"duckdb", "deltalake"},
)
def ground_truth_labels(
    context: dg.AssetExecutionContext,
    installation: dg.ResourceParam[Installation],
    raw_leads: pa.Table,
    raw_outcomes: pa.Table,
) -> pa.Table:
    """Labels by the period in which they became known. A lead without an outcome has no label before its window closes."""
    window_days = installation.settings.labels.conversion_window_days
    found = []
    for period in periods_of(context):
        labels = labels_known_in(period, raw_leads, raw_outcomes, window_days)
        positives = pc.sum(labels["label"]).as_py() or 0
        context.add_asset_metadata(
            {
                "positives": positives,
                "conversion_rate": positives / labels.num_rows if labels.num_rows else float("nan"),
                "delays": "simulated" if "simulated delay" in labels["provenance"].to_pylist() else "as recorded",
            },
            partition_key=period.key,
        )
        found.append(labels)
    return pa.concat_tables(found)
