"""Dagster shell of the business figures: what scored leads brought, once all of their outcomes are known."""

from typing import Any

import dagster as dg
import pyarrow as pa

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.monitoring.business import kpis
from lead_scoring_assets.monitoring.business.cohort import matured_leads
from lead_scoring_assets.monitoring.partitions import MONITORING
from lead_scoring_assets.partitions import MATURING, periods_of
from lead_scoring_assets.plots import interval_plot, periods_plot

_SOURCES = ("lead_scores", "ground_truth_labels", "raw_activities")


# The sources are scanned rather than loaded: of activities only the first contact of each lead of a cohort is needed.
@dg.asset(
    **MONITORING,
    deps=[dg.AssetDep(table, partition_mapping=MATURING) for table in _SOURCES],
    kinds={"duckdb", "deltalake"},
)
def business_kpis(context: dg.AssetExecutionContext, installation: dg.ResourceParam[Installation]) -> pa.Table:
    """Conversions, revenue, lift, waiting times, funnel and trend of the leads whose window closed in this period."""
    periods = periods_of(context)
    rows = kpis.rows_before(installation, periods[0])
    made: list[dict[str, Any]] = []
    for period in periods:
        history = kpis.counted_before(rows, period.key)
        measured = kpis.measure(matured_leads(installation, period), history, period, installation.settings)
        rows, made = [*rows, *measured], [*made, *measured]
        context.add_asset_metadata(_told(measured, rows), partition_key=period.key)
    return pa.Table.from_pylist(made, schema=kpis.SCHEMA)


def _told(measured: list[dict[str, Any]], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Overall figures as numbers, those that there are not with their reason, the buckets and the months as pictures."""
    overall = {row["kpi"]: row for row in measured if row["bucket"] == kpis.ALL}
    told: dict[str, Any] = {
        name: row["value"] if row["status"] == "ok" else f"{row['status']}: {row['reason']}"
        for name, row in overall.items()
    }
    told |= {
        f"{name} means": row["reason"] for name, row in overall.items() if name in kpis.SENTENCES and row["reason"]
    }
    rates = {
        row["bucket"]: (row["value"], row["low"], row["high"])
        for row in measured
        if row["kpi"] == "conversion_rate" and row["value"] is not None
    }
    if rates:
        told["buckets"] = dg.MetadataValue.md(interval_plot(rates, "conversion rate of matured leads", "converted"))
    keys, lines = kpis.rates_by_period(rows)
    if len(keys) > 1:
        told["months"] = dg.MetadataValue.md(periods_plot({"share of matured leads": lines}, keys, "conversions"))
    return told
