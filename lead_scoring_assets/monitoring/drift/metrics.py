"""Drift as one long table: a row a number, with what stands behind it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lead_scoring_assets.monitoring.drift.summary import DriftSummary
from lead_scoring_assets.monitoring.drift.verdict import FeatureDrift
from lead_scoring_assets.monitoring.drift.window import WindowDrift


@dataclass(frozen=True)
class _Metric:
    """Which fields of a verdict tell one metric; the table calls `adjusted_p` what the alarm looks at."""

    name: str
    value: str
    p_value: str | None = None
    adjusted_p: str | None = None
    effect: str | None = None


_METRICS = (
    _Metric("psi", "psi", None, "minimum_effect_p_value", "psi_debiased"),
    _Metric("chi_square", "chi_square", "chi_square_p_value", "adjusted_p_value", "cramers_v"),
    _Metric("js_distance", "js_distance", effect="js_distance"),
    _Metric("kl_divergence", "kl_divergence", effect="kl_divergence"),
    _Metric("null_rate_change_pp", "null_rate_change_pp", effect="null_rate_change_pp"),
)
_OF_NUMBERS = (
    _Metric("ks", "ks_statistic", "ks_p_value", effect="ks_statistic"),
    _Metric("wasserstein_sd", "wasserstein_sd", effect="wasserstein_sd"),
    _Metric("out_of_range_share", "out_of_range_share", effect="out_of_range_share"),
)
_OF_CATEGORIES = (
    _Metric("new_category_share", "new_category_share", effect="new_category_share"),
    _Metric("vanished_category_share", "vanished_category_share", effect="vanished_category_share"),
)
# Of a segment's groups there are many: what says how far and what is missing.
_OF_GROUPS = frozenset({"psi", "null_rate_change_pp"})


def metric_rows(window: WindowDrift) -> Iterator[dict[str, Any]]:
    """Scope `feature`, `segment` (within a group), `missingness` and `overall`. `status` is the verdict on the feature; where
    one metric of it has no value, that metric's own `not_computable` with the reason."""
    for drift in window.features:
        yield from _of_feature(drift, "feature")
    for each in window.segments:
        for row in _of_feature(each.drift, "segment"):
            if row["metric"] in _OF_GROUPS:
                yield {**row, "segment": each.segment, "segment_group": each.group}
    if window.missingness:
        yield from _of_feature(window.missingness, "missingness")
    if window.features:
        yield from _overall(window.features, window.summary)


def _of_feature(drift: FeatureDrift, scope: str) -> Iterator[dict[str, Any]]:
    base = {
        "scope": scope,
        "feature": drift.feature,
        "n_reference": drift.n_reference,
        "n_current": drift.n_current,
        "status": drift.status,
        "reason": drift.reason,
    }
    if drift.psi is None:
        yield {**base, "metric": "psi"}
        return
    for metric in (*_METRICS, *(_OF_NUMBERS if drift.kind == "numeric" else _OF_CATEGORIES)):
        row = {**base, "metric": metric.name}
        for name in ("value", "p_value", "adjusted_p", "effect"):
            field = getattr(metric, name)
            row[name] = getattr(drift, field) if field else None
        if row["value"] is None:
            row["status"], row["reason"] = "not_computable", _why_no_value(drift)
        elif metric.name == "vanished_category_share" and drift.vanished_categories:
            row["reason"] = f"No row any more: {drift.vanished_categories}."
        yield row


def _why_no_value(drift: FeatureDrift) -> str:
    if drift.ks_statistic is None:
        return (
            f"{drift.feature} was not compared row by row: a window holds no finite value, its rows are gone, "
            "or they are more than drift.exact_rows."
        )
    return f"{drift.feature} is constant in the reference, or too large for its spread to be a number."


def _overall(features: list[FeatureDrift], summary: DriftSummary) -> Iterator[dict[str, Any]]:
    """PSI is the mean over the features that were assessed."""
    base = {
        "scope": "overall",
        "n_reference": max(drift.n_reference for drift in features),
        "n_current": max(drift.n_current for drift in features),
        "status": summary.status,
        "reason": summary.sentence,
    }
    if summary.mean_psi is None:
        yield {**base, "metric": "psi"}
        return
    yield {**base, "metric": "psi", "value": summary.mean_psi, "effect": summary.mean_psi_debiased}
    yield {**base, "metric": "largest_psi", "value": summary.max_psi_debiased, "effect": summary.max_psi_debiased}
    yield {**base, "metric": "share_drifted", "value": summary.share_drifted, "effect": summary.share_drifted}
