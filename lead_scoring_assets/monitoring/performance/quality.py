"""Judgements on performance: labels are complete, scores rank and reach enough, conversions hold, estimates keep their word."""

from collections.abc import Sequence
from datetime import timedelta
from statistics import NormalDist
from typing import Any

from lead_scoring_assets.contracts.findings import Finding
from lead_scoring_assets.evaluation.means import Z
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.monitoring.performance.conversion_drop import pooled, relative_drop
from lead_scoring_assets.monitoring.performance.estimates import ESTIMATES
from lead_scoring_assets.monitoring.performance.reconciliation import RECONCILIATION
from lead_scoring_assets.monitoring.performance.worked import recall_worked
from lead_scoring_assets.periods import Period

_TABLE = "model_performance"
_JUDGED = ("conversion_rate", "auc")
_FALSE_ALARMS = 0.05


def labels_cover_cohort(installation: Installation, period: Period) -> Finding:
    """The matured cohort's labels are complete: performance is not computed on the outcomes that came first."""
    rows = installation.lakehouse.read(_TABLE, periods=[period.key]).to_pylist()
    low = [row for row in rows if row["label_coverage"] < 1]
    if low:
        return Finding(
            False, f"v{low[0]['model_version']}: only {low[0]['label_coverage']:.1%} of scored leads are labelled"
        )
    # Other metrics count the leads that they are about.
    n = next((row["n"] for row in rows if row["metric"] == "auc"), 0)
    return Finding(True, f"{n:,} scored leads, all labelled" if rows else "no scored lead matured")


def ranks_well_enough(installation: Installation, period: Period) -> Finding:
    """The live scores' AUC is not clearly below the floor (its whole interval)."""
    rows = installation.lakehouse.read(_TABLE, periods=[period.key]).to_pylist()
    judged = [row for row in rows if row["metric"] == "auc"]
    return _above(judged, "AUC", installation.settings.performance.minimum_auc, "no scored lead matured")


def recall_is_enough(installation: Installation, period: Period) -> Finding:
    """The recall of who works from the operating threshold (else to the capacity) is not clearly below its floor."""
    settings = installation.settings
    floor, (metric, figure) = settings.performance.minimum_recall, recall_worked(settings.evaluation)
    if floor is None:
        return Finding(True, "not judged: settings hold no performance.minimum_recall")
    rows = installation.lakehouse.read(_TABLE, periods=[period.key]).to_pylist()
    judged = [row for row in rows if row["metric"] == metric]
    none = f"{figure} has not been measured: materialise model_performance again" if rows else "no scored lead matured"
    return _above(judged, figure, floor, none)


def conversions_hold(installation: Installation, period: Period) -> Finding:
    """The matured leads' conversion rate has not clearly fallen by more than allowed below that of the cohorts before."""
    limits, calendar = installation.settings.performance, installation.settings.calendar
    since = calendar.containing(max(period.start - timedelta(days=limits.reference_days), calendar.start))
    earlier = [past.key for past in calendar.through(period, since) if past.key != period.key]
    read = installation.lakehouse.read
    now, before = (pooled(read(_TABLE, periods=keys).to_pylist()) for keys in ([period.key], earlier))
    told = f"{now[0]:,.0f} of {now[1]:,} converted, before {before[0]:,.0f} of {before[1]:,}"
    # As many as are expected now, not as many as came: that nobody converts any more is no lack of data.
    expected = now[1] * before[0] / max(before[1], 1)
    if min(expected, before[0]) < limits.minimum_positives or min(now[1], before[1]) < limits.minimum_rows:
        return Finding(True, f"insufficient data: {told}")
    drop = relative_drop(now, before)
    is_fallen = drop.value > limits.maximum_conversion_drop and drop.low > 0
    return Finding(
        not is_fallen,
        f"{told}: the rate moved by {-drop.value:+.1%} [{-drop.high:+.1%}, {-drop.low:+.1%}] "
        f"(limit {-limits.maximum_conversion_drop:.0%})",
        {"conversion_drop": drop.value},
    )


def estimated_to_rank_well_enough(installation: Installation, period: Period) -> Finding:
    """The AUC that is estimated for open leads is not clearly below the floor: earlier than labels can tell, and less sure."""
    rows = installation.lakehouse.read(ESTIMATES, periods=[period.key]).to_pylist()
    judged = [row for row in rows if row["metric"] == "auc"]
    return _above(judged, "estimated AUC", installation.settings.performance.minimum_auc, "no scored lead is open")


def errors_within_their_intervals(installation: Installation, period: Period) -> Finding:
    """What was estimated came, as far as chance allows: else delays changed (delay_corrected), or concepts drifted (cbpe).

    95 % intervals, made wider for as many errors as are judged at once (Bonferroni), so that without any change one period
    in twenty at most is told of.
    """
    rows = installation.lakehouse.read(RECONCILIATION, periods=[period.key]).to_pylist()
    judged = [row for row in rows if row["status"] == "ok" and row["metric"] in _JUDGED]
    if not judged:
        return Finding(True, "no estimate could be reconciled")
    wider = NormalDist().inv_cdf(1 - _FALSE_ALARMS / (2 * len(judged))) / Z
    broken = [row for row in judged if not _is_chance(row, wider)]
    told = "; ".join(
        f"v{row['model_version']} {row['estimator']} {row['metric']} of {row['estimated_in']}: estimated "
        f"{row['estimate']:.3f}, came {row['truth']:.3f}, error {row['error']:+.3f} [{row['error_low']:+.3f}, "
        f"{row['error_high']:+.3f}]"
        for row in (broken or judged)
    )
    return Finding(not broken, told, {"reconciled": len(judged), "broken": len(broken)})


def _is_chance(row: dict[str, Any], wider: float) -> bool:
    low = row["error"] - wider * (row["error"] - row["error_low"])
    high = row["error"] + wider * (row["error_high"] - row["error"])
    return bool(low <= 0 <= high)


def _above(judged: Sequence[dict[str, Any]], figure: str, floor: float, none: str) -> Finding:
    """Fails where a figure's whole interval is below the floor."""
    bad = [row for row in judged if row["status"] == "ok" and row["high"] < floor]
    told = "; ".join(
        f"{_who(r)}: {figure} {r['value']:.3f} [{r['low']:.3f}, {r['high']:.3f}], n = {r['n']:,}"
        if r["status"] == "ok"
        else f"{_who(r)}: insufficient data ({r['reason']})"
        for r in (bad or judged)
    )
    return Finding(not bad, f"{told or none} (floor {floor:.2f})")


def _who(row: dict[str, Any]) -> str:
    return f"v{row['model_version']} {row['estimator']}" if "estimator" in row else f"v{row['model_version']}"
