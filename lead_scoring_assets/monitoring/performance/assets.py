"""Dagster shell of performance: how the scores turned out, on leads whose labels have matured."""

from datetime import timedelta

import dagster as dg
import pyarrow as pa

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.labels.maturity import matured_cohort
from lead_scoring_assets.monitoring.partitions import MONITORING
from lead_scoring_assets.monitoring.performance.matured import SCHEMA, cohorts, measure
from lead_scoring_assets.partitions import MATURING, periods_of


@dg.asset(
    **MONITORING,
    ins={
        "lead_scores": dg.AssetIn(partition_mapping=MATURING),
        "ground_truth_labels": dg.AssetIn(
            partition_mapping=MATURING, metadata={"columns": ["lead_id", "label", "label_known_at"]}
        ),
    },
    kinds={"scipy", "deltalake"},
)
def model_performance(
    context: dg.AssetExecutionContext,
    installation: dg.ResourceParam[Installation],
    lead_scores: pa.Table,
    ground_truth_labels: pa.Table,
) -> pa.Table:
    """How the scores turned out, on the leads whose conversion window closed in this period. Never on younger ones."""
    settings = installation.settings
    rows: list[dict[str, object]] = []
    for period in periods_of(context):
        created = matured_cohort(period, timedelta(days=settings.labels.conversion_window_days))
        told: dict[str, float | str] = {"cohort": f"created {created[0]:%Y-%m-%d} to before {created[1]:%Y-%m-%d}"}
        for cohort in cohorts(lead_scores, ground_truth_labels, *created, period.end):
            measured = measure(cohort, settings.performance, period.key, period.end)
            rows += measured
            told["status"] = f"v{cohort.model_version}: {measured[0]['status']} ({measured[0]['reason']})"
            told |= {str(m["metric"]): float(str(m["value"])) for m in measured if m["status"] == "ok"}
        context.add_asset_metadata(told, partition_key=period.key)
    return pa.Table.from_pylist(rows, schema=SCHEMA)
