"""Dagster shell of the reports that people open."""

from dataclasses import fields

import dagster as dg
import pandas as pd
import pyarrow as pa

from lead_scoring_assets.files import write_atomically
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.models.rows import rows_of
from lead_scoring_assets.monitoring.business.cohort import matured_leads
from lead_scoring_assets.monitoring.drift.measure import FeatureDrift, summarise_drift
from lead_scoring_assets.monitoring.partitions import MONITORING
from lead_scoring_assets.monitoring.reports.drift_page import drift_page
from lead_scoring_assets.monitoring.reports.evidently_process import DriftPage, render_pages
from lead_scoring_assets.monitoring.reports.manager_facts import gather
from lead_scoring_assets.monitoring.reports.manager_page import manager_page
from lead_scoring_assets.monitoring.reports.manager_words import headline, needs_a_person
from lead_scoring_assets.monitoring.reports.samples import evenly_spaced
from lead_scoring_assets.monitoring.rows import trained_on
from lead_scoring_assets.partitions import MATURING, PREVIOUS, periods_of
from lead_scoring_assets.periods import Period
from lead_scoring_assets.promotion.deployments import Deployment, Deployments

REPORT_SCHEMA = pa.schema(
    [("period", pa.string()), ("file", pa.string()), ("model_version", pa.int64()), ("summary", pa.string())]
)
MANAGER_SCHEMA = pa.schema([("period", pa.string()), ("file", pa.string()), ("headline", pa.string())])
_DRIFT = {f.name for f in fields(FeatureDrift)}


@dg.asset(
    **MONITORING,
    deps=[
        "feature_drift",
        "lead_features",
        dg.AssetDep("lead_scores", partition_mapping=MATURING),
        dg.AssetDep("ground_truth_labels", partition_mapping=MATURING),
        dg.AssetDep("raw_activities", partition_mapping=MATURING),
    ],
    kinds={"evidently"},
)
def drift_report(context: dg.AssetExecutionContext, installation: dg.ResourceParam[Installation]) -> pa.Table:
    """The page people open: our drift figures; for the newest period both samples as well, drawn by Evidently."""
    settings, rows = installation.settings, []
    drawn: list[tuple[Period, Deployment, str, list[FeatureDrift]]] = []
    for period in periods_of(context):
        champion = Deployments(installation.lakehouse).champion_at(period.start)
        if champion is None:
            continue
        found = installation.lakehouse.read("feature_drift", periods=[period.key]).to_pylist()
        drifts = [FeatureDrift(**{name: value for name, value in row.items() if name in _DRIFT}) for row in found]
        file = installation.home.reports / f"drift-{period.key}.html"
        title = f"Drift of the leads of {period.key} against champion v{champion.version}{settings.simulated_mark}"
        write_atomically(file, drift_page(title, settings.simulated_part, drifts).encode())
        summary = summarise_drift(drifts).sentence
        rows.append({"period": period.key, "file": file.name, "model_version": champion.version, "summary": summary})
        _tell(context, installation, period, file.name, {"summary": summary})
        drawn.append((period, champion, title, drifts))
    render_pages([_evidently_page(installation, *page) for page in drawn if _is_drawn(installation, page[0])])
    return pa.Table.from_pylist(rows, schema=REPORT_SCHEMA)


@dg.asset(
    **MONITORING,
    deps=[
        "business_kpis",
        "feature_drift",
        "rejected_rows",
        dg.AssetDep("lead_scores", partition_mapping=MATURING),
        dg.AssetDep("promotion_decision", partition_mapping=PREVIOUS),
    ],
    kinds={"html"},
)
def manager_report(context: dg.AssetExecutionContext, installation: dg.ResourceParam[Installation]) -> pa.Table:
    """One page a period for who leads sales: what came, how it went, what changed, what needs a person."""
    rows = []
    for period in periods_of(context):
        facts = gather(installation, period)
        file = installation.home.reports / f"report-{period.key}.html"
        write_atomically(file, manager_page(facts).encode())
        told = " ".join(headline(facts))
        rows.append({"period": period.key, "file": file.name, "headline": told})
        todo = dg.MetadataValue.md("\n".join(f"- {sentence}" for sentence in needs_a_person(facts)))
        _tell(context, installation, period, file.name, {"headline": told, "needs_a_person": todo})
    return pa.Table.from_pylist(rows, schema=MANAGER_SCHEMA)


def _is_drawn(installation: Installation, period: Period) -> bool:
    """Whether the settings want Evidently's part of this period."""
    wanted = installation.settings.reports.evidently
    if wanted == "newest":
        return period == installation.settings.calendar.last_closed(installation.clock.now())
    return wanted == "all"


def _evidently_page(
    installation: Installation, period: Period, champion: Deployment, title: str, drifts: list[FeatureDrift]
) -> DriftPage:
    """Samples of the champion's training window, of the period's leads, and of those that matured in it."""
    settings, file = installation.settings, installation.home.reports / f"drift-{period.key}.html"
    reference = trained_on(installation, champion)
    current = rows_of(installation.lakehouse.read("lead_features", periods=[period.key]), period)
    cohort = matured_leads(installation, period)
    labelled = pd.DataFrame({"score": cohort.scores, "label": cohort.labels}).dropna()
    return DriftPage(
        target=file,
        title=title,
        drifts=drifts,
        reference=evenly_spaced(reference),
        current=evenly_spaced(current),
        rows=(len(reference), len(current)),
        numeric=settings.registry.numeric_features,
        categorical=settings.registry.category_features,
        psi_warning=settings.drift.psi_warning,
        psi_drift=settings.drift.psi_drift,
        labelled=evenly_spaced(labelled) if len(labelled) else None,
    )


def _tell(
    context: dg.AssetExecutionContext, installation: Installation, period: Period, file: str, told: dict[str, object]
) -> None:
    where = {
        "report": dg.MetadataValue.url(f"{installation.settings.pages.url}/{file}"),
        "file": dg.MetadataValue.path(installation.home.reports / file),
    }
    context.add_asset_metadata({**where, **told}, partition_key=period.key)
