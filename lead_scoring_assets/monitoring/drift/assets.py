"""Dagster shell of drift: the period's leads against the champion's training window, measured once and told in three tables."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

import dagster as dg
import pyarrow as pa

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.monitoring.drift.kept_counts import to_rows
from lead_scoring_assets.monitoring.drift.measuring import MeasuredPeriod, measure_periods
from lead_scoring_assets.monitoring.drift.metrics import metric_rows
from lead_scoring_assets.monitoring.drift.presets import acting
from lead_scoring_assets.monitoring.drift.verdict import DEFINITION_VERSION, FeatureDrift
from lead_scoring_assets.monitoring.drift.window import SegmentDrift
from lead_scoring_assets.monitoring.over_time import SHOWN_PERIODS, figures_of, over_time, rows_before
from lead_scoring_assets.monitoring.partitions import MONITORING
from lead_scoring_assets.partitions import PREVIOUS, periods_of
from lead_scoring_assets.periods import Period
from lead_scoring_assets.plots import bar_plot
from lead_scoring_assets.settings import find_home

_TEXTS = ("feature", "kind", "status", "reason", "vanished_categories")
_COUNTS = ("n_reference", "n_current", "n_bins")
_PLACE = [("period", pa.string()), ("as_of", pa.timestamp("us", tz="UTC")), ("model_version", pa.int64())]
_DEFINED = [("reference_id", pa.string()), ("definition_version", pa.int64()), ("window_periods", pa.int64())]
DRIFT_SCHEMA = pa.schema(
    [
        *_PLACE,
        ("reference_period", pa.string()),
        *(
            (f.name, pa.string() if f.name in _TEXTS else pa.int64() if f.name in _COUNTS else pa.float64())
            for f in fields(FeatureDrift)
        ),
        ("calibrated_status", pa.string()),
        *_DEFINED,
    ]
)
METRICS_SCHEMA = pa.schema(
    [
        *_PLACE,
        *((name, pa.string()) for name in ("scope", "segment", "segment_group", "feature", "metric")),
        ("value", pa.float64()),
        ("n_reference", pa.int64()),
        ("n_current", pa.int64()),
        *((name, pa.float64()) for name in ("p_value", "adjusted_p", "effect")),
        ("status", pa.string()),
        ("reason", pa.string()),
        *_DEFINED,
    ]
)
COUNTS_SCHEMA = pa.schema(
    [
        *_PLACE,
        *((name, pa.string()) for name in ("reference_id", "segment", "segment_group", "feature")),
        ("n_rows", pa.int64()),
        ("bins", pa.list_(pa.string())),
        ("bin_rows", pa.list_(pa.int64())),
        ("outside", pa.int64()),
        ("problem", pa.string()),
    ]
)

_SHOWN_SEGMENTS = 10
_OVER_TIME = {
    "PSI": {"mean of the features": "psi", "largest, debiased": "largest_psi"},
    "share of the features that drifted": {"share": "share_drifted"},
}
_WINDOW_PERIODS = find_home().settings.drift.window_periods
_TOLD_OF_EACH = {"group_name": MONITORING["group_name"], "owners": MONITORING["owners"]}


@dg.multi_asset(
    name="drift",
    partitions_def=MONITORING["partitions_def"],
    backfill_policy=MONITORING["backfill_policy"],
    deps=[
        dg.AssetDep(
            "lead_features",
            partition_mapping=dg.TimeWindowPartitionMapping(
                start_offset=1 - _WINDOW_PERIODS, end_offset=0, allow_nonexistent_upstream_partitions=True
            ),
        ),
        dg.AssetDep("promotion_decision", partition_mapping=PREVIOUS),
    ],
    outs={
        "feature_drift": dg.AssetOut(
            description="How far the period's leads are from those the live champion was trained on, and the verdict on "
            "each feature: PSI, KL, JS, KS, chi-square, Wasserstein, each with n.",
            kinds={"scipy", "deltalake"},
            **_TOLD_OF_EACH,
        ),
        "drift_metrics": dg.AssetOut(
            description="The same measurement and that of segments, of what is missing together, and overall: a row a number.",
            kinds={"scipy", "deltalake"},
            **_TOLD_OF_EACH,
        ),
        "feature_counts": dg.AssetOut(
            description="The period's leads by bin of the champion's reference. Counts add: a quarter is a sum.",
            kinds={"duckdb", "deltalake"},
            **_TOLD_OF_EACH,
        ),
    },
)
def drift(
    context: dg.AssetExecutionContext, installation: dg.ResourceParam[Installation]
) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Count the periods' leads in the bins of the champion's reference, and judge each window once."""
    drifts: list[dict[str, Any]] = []
    metrics: list[dict[str, Any]] = []
    counts: list[dict[str, Any]] = []
    told: dict[Period, dict[str, Any]] = {}
    periods = periods_of(context)
    measured = {found.period: found for found in measure_periods(installation, periods)}
    for period in periods:
        if (found := measured.get(period)) is None:
            nothing = {"summary": "no champion yet: nothing to compare with"}
            context.add_asset_metadata(nothing, asset_key="feature_drift", partition_key=period.key)
            continue
        place = {"period": period.key, "as_of": period.end, "model_version": found.champion.version}
        reference_id = found.reference.id if found.reference else None
        defined = {
            "reference_id": reference_id,
            "definition_version": DEFINITION_VERSION,
            "window_periods": installation.settings.drift.window_periods,
        }
        of = {**place, "reference_period": found.champion.period, **defined}
        rows = [{**of, **asdict(drift)} for drift in found.window.features]
        drifts += acting(installation.settings.watching.policy, rows)
        metrics += [{**place, **defined, **row} for row in metric_rows(found.window)]
        if found.reference and found.counted:
            counted = to_rows(found.reference.state, found.counted)
            counts += [{**place, "reference_id": reference_id, **row} for row in counted]
        told[period] = _told(found, installation.settings.drift.psi_drift)
    known = [*rows_before(installation, "drift_metrics", periods[0], SHOWN_PERIODS), *metrics]
    figures = figures_of((row for row in known if row["scope"] == "overall"), "n_current")
    for period, of_period in told.items():
        if picture := over_time(figures, _OVER_TIME, period, "drift by period"):
            of_period["over_time"] = dg.MetadataValue.md(picture)
        context.add_asset_metadata(of_period, asset_key="feature_drift", partition_key=period.key)
    return (
        pa.Table.from_pylist(drifts, schema=DRIFT_SCHEMA),
        pa.Table.from_pylist(metrics, schema=METRICS_SCHEMA),
        pa.Table.from_pylist(counts, schema=COUNTS_SCHEMA),
    )


def _told(found: MeasuredPeriod, psi_drift: float) -> dict[str, Any]:
    """What people want to know of a period beside its table."""
    window, champion, summary = found.window, found.champion, found.window.summary
    psi = {drift.feature: drift.psi for drift in window.features if drift.psi is not None}
    largest = summary.max_psi_debiased
    by_segment = [each for each in window.segments if each.drift.status in ("warning", "drift")]
    return {
        "summary": summary.sentence,
        "severity": summary.severity,
        "features_drifted": summary.n_drifted,
        "largest_debiased_psi": largest if largest is not None else float("nan"),
        "overall_psi": summary.mean_psi if summary.mean_psi is not None else float("nan"),
        "reference": f"training window of champion v{champion.version} ({champion.period})",
        "reference_id": found.reference.id if found.reference else "none",
        **({"missing_together": window.missingness.reason} if window.missingness else {}),
        **({"in_segments": _of_segments(by_segment)} if by_segment else {}),
        **({"psi": dg.MetadataValue.md(bar_plot(psi, "PSI by feature", psi_drift))} if psi else {}),
    }


def _of_segments(found: Sequence[SegmentDrift]) -> dg.MetadataValue:
    strongest = sorted(found, key=lambda each: -(each.drift.psi_debiased or 0.0))[:_SHOWN_SEGMENTS]
    lines = [
        f"- {each.drift.feature} in {each.segment} = {each.group}: {each.drift.status}, "
        f"PSI {each.drift.psi:.2f}, n = {each.drift.n_current:,}"
        for each in strongest
    ]
    return dg.MetadataValue.md("\n".join(lines))
