"""Dagster shell of drift: the period's leads against the champion's training window."""

from dataclasses import asdict, fields

import dagster as dg
import pyarrow as pa

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.models.rows import rows_of
from lead_scoring_assets.monitoring.drift.measure import FeatureDrift, measure_drift, summarise_drift
from lead_scoring_assets.monitoring.drift.reference import build_reference
from lead_scoring_assets.monitoring.partitions import MONITORING
from lead_scoring_assets.monitoring.rows import trained_on
from lead_scoring_assets.partitions import PREVIOUS, periods_of
from lead_scoring_assets.plots import bar_plot
from lead_scoring_assets.promotion.deployments import Deployments

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


@dg.asset(
    **MONITORING, deps=[dg.AssetDep("promotion_decision", partition_mapping=PREVIOUS)], kinds={"scipy", "deltalake"}
)
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
            trained_on(installation, champion), registry.numeric_features, registry.category_features
        )
        drifts = measure_drift(reference, rows_of(lead_features, period), **settings.drift.model_dump())
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
