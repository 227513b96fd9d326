"""Dagster shell of monitoring: drift against the champion's training window, its report, and matured performance."""

from dataclasses import asdict, fields
from datetime import timedelta
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.labels.maturity import matured_cohort
from lead_scoring_assets.models.training_set import TRAIN
from lead_scoring_assets.monitoring.drift import FeatureDrift, measure_drift, summarise_drift
from lead_scoring_assets.monitoring.performance import SCHEMA as PERFORMANCE_SCHEMA
from lead_scoring_assets.monitoring.performance import cohorts, measure
from lead_scoring_assets.monitoring.reference import build_reference
from lead_scoring_assets.monitoring.report import render_drift_report
from lead_scoring_assets.partitions import MATURING, ONE_RUN, PERIODS, PREVIOUS, periods_of
from lead_scoring_assets.plots import bar_plot
from lead_scoring_assets.promotion.deployments import Deployment, Deployments

_SHARED: dict[str, Any] = {
    "partitions_def": PERIODS,
    "backfill_policy": ONE_RUN,
    "group_name": "monitoring",
    "owners": ["team:machine-learning"],
}

_TEXTS = ("feature", "kind", "status", "reason")
_COUNTS = ("n_reference", "n_current", "n_bins")
DRIFT_SCHEMA = pa.schema(
    [("period", pa.string()), ("as_of", pa.timestamp("us", tz="UTC")), ("model_version", pa.int64())]
    + [("reference_period", pa.string())]
    + [
        (f.name, pa.string() if f.name in _TEXTS else pa.int64() if f.name in _COUNTS else pa.float64())
        for f in fields(FeatureDrift)
    ]
)
REPORT_SCHEMA = pa.schema(
    [("period", pa.string()), ("file", pa.string()), ("model_version", pa.int64()), ("summary", pa.string())]
)


@dg.asset(**_SHARED, deps=[dg.AssetDep("promotion_decision", partition_mapping=PREVIOUS)], kinds={"scipy", "deltalake"})
def feature_drift(
    context: dg.AssetExecutionContext, installation: dg.ResourceParam[Installation], lead_features: pa.Table
) -> pa.Table:
    """How far the period's leads are from those the live champion was trained on: PSI, JS, KS, chi-square, each with n."""
    settings = installation.settings
    rows: list[dict[str, object]] = []
    for period in periods_of(context):
        champion = Deployments(installation.lakehouse).champion_at(period.start)
        if champion is None:
            context.add_asset_metadata(
                {"summary": "no champion yet: nothing to compare with"}, partition_key=period.key
            )
            continue
        registry = settings.registry
        reference = build_reference(
            _trained_on(installation, champion), registry.numeric_features, registry.category_features
        )
        drifts = measure_drift(reference, _of(lead_features, period.key), **settings.drift.model_dump())
        place = {"period": period.key, "as_of": period.end, "model_version": champion.version}
        rows += [{**place, "reference_period": champion.period, **asdict(drift)} for drift in drifts]
        summary = summarise_drift(drifts)
        psi = {drift.feature: drift.psi for drift in drifts if drift.psi is not None}
        context.add_asset_metadata(
            {
                "summary": summary.sentence,
                "severity": summary.severity,
                "features_drifted": summary.n_drifted,
                "largest_debiased_psi": summary.max_psi_debiased
                if summary.max_psi_debiased is not None
                else float("nan"),
                "reference": f"training window of champion v{champion.version} ({champion.period})",
                **(
                    {"psi": dg.MetadataValue.md(bar_plot(psi, "PSI by feature", settings.drift.psi_drift))}
                    if psi
                    else {}
                ),
            },
            partition_key=period.key,
        )
    return pa.Table.from_pylist(rows, schema=DRIFT_SCHEMA)


@dg.asset(**_SHARED, kinds={"evidently"})
def drift_report(
    context: dg.AssetExecutionContext,
    installation: dg.ResourceParam[Installation],
    feature_drift: pa.Table,
    lead_features: pa.Table,
) -> pa.Table:
    """The page people open: our drift figures and both samples side by side, rendered by Evidently."""
    rows = []
    for period in periods_of(context):
        found = feature_drift.filter(pc.equal(feature_drift["period"], period.key)).to_pylist()
        champion = Deployments(installation.lakehouse).champion_at(period.start)
        if champion is None:
            continue
        names = {f.name for f in fields(FeatureDrift)}
        drifts = [FeatureDrift(**{name: value for name, value in row.items() if name in names}) for row in found]
        file = installation.home.reports / f"drift-{period.key}.html"
        registry = installation.settings.registry
        render_drift_report(
            file,
            f"Drift of the leads of {period.key} against champion v{champion.version}"
            f"{installation.settings.simulated_mark}",
            drifts,
            _trained_on(installation, champion),
            _of(lead_features, period.key),
            registry.numeric_features,
            registry.category_features,
            psi_warning=installation.settings.drift.psi_warning,
            psi_drift=installation.settings.drift.psi_drift,
        )
        summary = summarise_drift(drifts).sentence
        rows.append({"period": period.key, "file": file.name, "model_version": champion.version, "summary": summary})
        context.add_asset_metadata(
            {
                "report": dg.MetadataValue.url(f"{installation.settings.pages.url}/{file.name}"),
                "file": dg.MetadataValue.path(file),
                "summary": summary,
            },
            partition_key=period.key,
        )
    return pa.Table.from_pylist(rows, schema=REPORT_SCHEMA)


@dg.asset(
    **_SHARED,
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
    return pa.Table.from_pylist(rows, schema=PERFORMANCE_SCHEMA)


def _trained_on(installation: Installation, champion: Deployment) -> pd.DataFrame:
    """The leads the champion learned from: what drift is measured against."""
    rows = installation.lakehouse.read("training_set", periods=[champion.period])
    frame: pd.DataFrame = rows.filter(pc.equal(rows["split"], TRAIN)).to_pandas()
    return frame


def _of(table: pa.Table, period: str) -> pd.DataFrame:
    frame: pd.DataFrame = table.filter(pc.equal(table["period"], period)).to_pandas()
    return frame
