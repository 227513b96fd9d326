"""Dagster shell of performance: on leads whose labels have matured, estimated on those still open, and both compared."""

from datetime import timedelta
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.labels.maturity import matured_cohort
from lead_scoring_assets.monitoring.over_time import SHOWN_PERIODS, figures_of, over_time, rows_before
from lead_scoring_assets.monitoring.partitions import ESTIMATING, MONITORING, RECONCILING
from lead_scoring_assets.monitoring.performance import estimates, reconciliation
from lead_scoring_assets.monitoring.performance.matured import SCHEMA, cohorts, measure
from lead_scoring_assets.monitoring.performance.open_leads import matured_leads, open_leads
from lead_scoring_assets.monitoring.performance.worked import figures_at_work
from lead_scoring_assets.partitions import MATURING, periods_of
from lead_scoring_assets.periods import Period
from lead_scoring_assets.plots import calibration_plot, periods_plot

_SCORES = {"columns": ["period", "lead_id", "created_at", "scored_at", "model_version", "probability"]}
_LABELS = {"columns": ["lead_id", "label", "label_known_at"]}
_OVER_TIME = {
    "AUC": {"with its interval": "auc"},
    "conversions and promises": {"mean score": "mean_score", "converted": "conversion_rate"},
    "Brier score": {"with its interval": "brier"},
}


@dg.asset(
    **MONITORING,
    ins={
        "lead_scores": dg.AssetIn(partition_mapping=MATURING, metadata=_SCORES),
        "ground_truth_labels": dg.AssetIn(partition_mapping=MATURING, metadata=_LABELS),
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
    periods = periods_of(context)
    before = rows_before(installation, "model_performance", periods[0], SHOWN_PERIODS)
    for period in periods:
        created = matured_cohort(period, timedelta(days=settings.labels.conversion_window_days))
        told: dict[str, Any] = {"cohort": f"created {created[0]:%Y-%m-%d} to before {created[1]:%Y-%m-%d}"}
        for cohort in cohorts(lead_scores, ground_truth_labels, *created, period.end):
            more = figures_at_work(cohort.labels, cohort.scores, settings.evaluation, settings.training.seed)
            measured = measure(cohort, settings.performance, period.key, period.end, more)
            rows += measured
            told["status"] = f"v{cohort.model_version}: {measured[0]['status']} ({measured[0]['reason']})"
            if measured[0]["status"] == "ok":
                told |= {str(m["metric"]): m["value"] for m in measured if "tenth" not in str(m["metric"])}
                picture = calibration_plot(cohort.labels, cohort.scores, f"v{cohort.model_version}, matured leads")
                told["calibration"] = dg.MetadataValue.md(picture)
        if drawn := over_time(figures_of([*before, *rows], "n"), _OVER_TIME, period, "matured leads by period"):
            told["over_time"] = dg.MetadataValue.md(drawn)
        context.add_asset_metadata(told, partition_key=period.key)
    return pa.Table.from_pylist(rows, schema=SCHEMA)


@dg.asset(
    **MONITORING,
    ins={
        "lead_scores": dg.AssetIn(partition_mapping=ESTIMATING, metadata=_SCORES),
        "ground_truth_labels": dg.AssetIn(partition_mapping=ESTIMATING, metadata=_LABELS),
    },
    kinds={"scipy", "deltalake"},
)
def performance_estimates(
    context: dg.AssetExecutionContext,
    installation: dg.ResourceParam[Installation],
    lead_scores: pa.Table,
    ground_truth_labels: pa.Table,
) -> pa.Table:
    """How the scores of leads that are still open will turn out: estimated, with the assumption that this rests on."""
    settings = installation.settings
    window, reference = settings.labels.conversion_window_days, settings.performance.reference_days
    rows: list[dict[str, object]] = []
    for period in periods_of(context):
        open_now = open_leads(lead_scores, ground_truth_labels, period.end, window)
        matured = matured_leads(lead_scores, ground_truth_labels, period.end, window, reference)
        estimated = estimates.estimate_rows(period, open_now, matured, settings)
        rows += estimated
        context.add_asset_metadata(_told(estimated), partition_key=period.key)
    return pa.Table.from_pylist(rows, schema=estimates.SCHEMA)


@dg.asset(
    **MONITORING,
    ins={
        "lead_scores": dg.AssetIn(partition_mapping=RECONCILING, metadata=_SCORES),
        "ground_truth_labels": dg.AssetIn(partition_mapping=RECONCILING, metadata=_LABELS),
        "performance_estimates": dg.AssetIn(partition_mapping=MATURING),
    },
    kinds={"scipy", "deltalake"},
)
def estimate_reconciliation(
    context: dg.AssetExecutionContext,
    installation: dg.ResourceParam[Installation],
    lead_scores: pa.Table,
    ground_truth_labels: pa.Table,
    performance_estimates: pa.Table,
) -> pa.Table:
    """What was estimated against what came, once the last of the leads that were open has matured."""
    settings = installation.settings
    window, reference = settings.labels.conversion_window_days, settings.performance.reference_days
    periods = periods_of(context)
    before = rows_before(installation, reconciliation.RECONCILIATION, periods[0])
    rows: list[dict[str, object]] = []
    for period in periods:
        for past in reconciliation.matured_estimates(settings.calendar, period, window):
            said = performance_estimates.filter(pc.equal(performance_estimates["period"], past.key)).to_pylist()
            then_open = open_leads(lead_scores, ground_truth_labels, past.end, window, later=period.end)
            matured = matured_leads(lead_scores, ground_truth_labels, past.end, window, reference)
            rows += reconciliation.reconcile(period, said, then_open, matured, settings)
        context.add_asset_metadata(_record_told([*before, *rows], period), partition_key=period.key)
    return pa.Table.from_pylist(rows, schema=reconciliation.SCHEMA)


def _told(rows: list[dict[str, object]]) -> dict[str, Any]:
    """Estimates of the model version with most leads as numbers, and what each rests on."""
    if not rows:
        return {"status": "no scored lead is open"}
    most = max(int(str(row["n"])) for row in rows)
    mine = [row for row in rows if row["n"] == most]
    told: dict[str, Any] = {str(row["estimator"]): f"{row['status']}: {row['reason']}" for row in mine}
    told |= {f"{row['estimator']} {row['metric']}": row["value"] for row in mine if row["status"] == "ok"}
    return told | {"leads": most, "label_coverage": mine[0]["label_coverage"]}


def _record_told(rows: list[dict[str, Any]], period: Period) -> dict[str, Any]:
    """Errors of this period as numbers, the record so far in sentences and as a picture."""
    told: dict[str, Any] = {
        f"{row['estimator']} {row['metric']} error": row["error"]
        for row in rows
        if row["period"] == period.key and row["status"] == "ok"
    }
    if not (records := reconciliation.track_record(rows)):
        return told | {"record": "no estimate has been reconciled yet"}
    told["record"] = dg.MetadataValue.md("\n".join(f"- {record.sentence}" for record in records))
    told |= {f"{r.estimator} {r.metric} covered so far": r.covered.value for r in records}
    for metric in ("conversion_rate", "auc"):
        keys, errors = reconciliation.errors_by_period(rows, metric)
        if keys:
            panels = {f"{metric}: estimate less truth": {"no error": [0.0] * len(keys), **errors}}
            told[f"{metric} errors"] = dg.MetadataValue.md(periods_plot(panels, keys, f"errors of {metric}"))
    return told
