"""Dagster shell of the reports that people open."""

from dataclasses import fields

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.models.rows import rows_of
from lead_scoring_assets.monitoring.drift.measure import FeatureDrift, summarise_drift
from lead_scoring_assets.monitoring.partitions import MONITORING
from lead_scoring_assets.monitoring.reports.drift_report import render_drift_report
from lead_scoring_assets.monitoring.rows import trained_on
from lead_scoring_assets.partitions import periods_of
from lead_scoring_assets.promotion.deployments import Deployments

REPORT_SCHEMA = pa.schema(
    [("period", pa.string()), ("file", pa.string()), ("model_version", pa.int64()), ("summary", pa.string())]
)


@dg.asset(**MONITORING, kinds={"evidently"})
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
            trained_on(installation, champion),
            rows_of(lead_features, period),
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
