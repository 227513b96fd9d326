"""Dagster shell of the ground truth."""

from datetime import timedelta
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.labels import coverage, delay
from lead_scoring_assets.labels.maturity import build_labels, count_too_late
from lead_scoring_assets.labels.reasons import count_reasons
from lead_scoring_assets.partitions import CORRECTABLE, ONE_RUN, PERIODS, periods_of
from lead_scoring_assets.periods import Period
from lead_scoring_assets.plots import curve_plot

_SHARED: dict[str, Any] = {
    "partitions_def": PERIODS,
    "backfill_policy": ONE_RUN,
    "group_name": "labels",
    "owners": ["team:data-engineering"],
}
_RAW_LEADS = dg.AssetDep("raw_leads", partition_mapping=CORRECTABLE)
_LABELS = dg.AssetDep("ground_truth_labels", partition_mapping=CORRECTABLE)


# The raw tables are scanned period by period rather than loaded: a backfill of years must not hold years in memory.
@dg.asset(
    **_SHARED,
    deps=[_RAW_LEADS, dg.AssetDep("raw_outcomes", partition_mapping=CORRECTABLE)],
    kinds={"duckdb", "deltalake"},
)
def ground_truth_labels(context: dg.AssetExecutionContext, installation: dg.ResourceParam[Installation]) -> pa.Table:
    """Labels by the period in which they became known, and their corrections by the period in which those did."""
    settings, lakehouse = installation.settings, installation.lakehouse
    found = []
    for period in periods_of(context):
        labels = build_labels(lakehouse, settings.calendar, period, settings.labels)
        first = pc.equal(labels["revision"], 1)
        is_simulated = pc.any(pc.equal(labels["provenance"], "simulated delay")).as_py()
        context.add_asset_metadata(
            {
                "newly_labelled": pc.sum(first).as_py() or 0,
                "newly_positive": pc.sum(pc.and_(first, pc.equal(labels["label"], 1))).as_py() or 0,
                "corrections": pc.sum(pc.invert(first)).as_py() or 0,
                "taken_back": labels["label"].null_count,
                "outcomes_too_late": count_too_late(lakehouse, period, settings.labels),
                "disqualification_reasons": count_reasons(labels),
                "delays": "simulated" if is_simulated else "as recorded",
            },
            partition_key=period.key,
        )
        found.append(labels)
    return pa.concat_tables(found)


@dg.asset(**_SHARED, deps=[_RAW_LEADS, _LABELS], kinds={"duckdb", "deltalake"})
def label_coverage(context: dg.AssetExecutionContext, installation: dg.ResourceParam[Installation]) -> pa.Table:
    """How much of each creation cohort was labelled at the period's end; its conversion rate once that is everything."""
    settings = installation.settings
    rows: list[dict[str, object]] = []
    for period in periods_of(context):
        cohorts = _changing(installation, period)
        measured = coverage.measure_coverage(
            cohorts, *_scan(installation, cohorts), period, settings.periods.cadence, settings.labels
        )
        rows += measured
        context.add_asset_metadata(
            {str(row["cohort"]): f"{row['status']}: {row['reason']}" for row in measured}, partition_key=period.key
        )
    return pa.Table.from_pylist(rows, schema=coverage.SCHEMA)


@dg.asset(**_SHARED, deps=[_RAW_LEADS, _LABELS], kinds={"duckdb", "deltalake"})
def label_delay(context: dg.AssetExecutionContext, installation: dg.ResourceParam[Installation]) -> pa.Table:
    """Days until an outcome is known, for conversions and for the others; leads that still wait count as waiting."""
    rule = installation.settings.labels
    horizon = rule.conversion_window_days + rule.corrections_days
    rows: list[dict[str, object]] = []
    for period in periods_of(context):
        cohorts = _changing(installation, period)
        fates = delay.observe(*_scan(installation, cohorts), cohorts[0].start, period.end, horizon)
        rows += delay.delay_rows(fates, period.key, period.end)
        told: dict[str, Any] = {}
        curves: dict[str, tuple[delay.Floats, delay.Floats, delay.Floats]] = {}
        for group in delay.GROUPS:
            status, reason = delay.judge_group(fates, group)
            told[group] = f"{status}: {reason}"
            if status == "ok":
                curve = delay.cumulative_incidence(fates, group)
                told[f"median days ({group})"] = curve.median_day
                curves[group] = (curve.incidence, curve.low, curve.high)
        if curves:
            told["curve"] = dg.MetadataValue.md(curve_plot(curves, "share of leads known", "days since creation"))
        context.add_asset_metadata(told, partition_key=period.key)
    return pa.Table.from_pylist(rows, schema=delay.SCHEMA)


def _changing(installation: Installation, period: Period) -> list[Period]:
    """The periods of creation whose labels can still have changed in `period`, itself included."""
    settings = installation.settings
    span = timedelta(days=settings.labels.conversion_window_days + settings.labels.corrections_days)
    since = max(period.start - span, settings.calendar.start)
    return settings.calendar.through(period, settings.calendar.containing(since))


def _scan(installation: Installation, periods: list[Period]) -> tuple[Any, Any]:
    """Leads and labels that became known in `periods`: all of the leads created in them, known by the last one's end."""
    keys = [period.key for period in periods]
    lakehouse = installation.lakehouse
    return lakehouse.scan("raw_leads", periods=keys), lakehouse.scan("ground_truth_labels", periods=keys)
