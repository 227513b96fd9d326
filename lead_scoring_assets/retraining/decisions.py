"""Is there cause to train again? Pure decisions with their reason and numbers, for the yes and for the no."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from lead_scoring_assets.periods import months_before
from lead_scoring_assets.settings import Performance

Cause = Literal["drift", "label_volume", "performance", "calendar"]
Row = Mapping[str, Any]


@dataclass(frozen=True)
class RetrainingDecision:
    """Whether `cause` is given at the end of `period`, and why or why not."""

    cause: Cause
    period: str
    retrain: bool
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


def decide_on_drift(period: str, rows: Sequence[Row], champion_version: int | None) -> RetrainingDecision:
    """Cause is given when at least one feature drifted from the live champion's training window.

    `rows` are the period's rows of `feature_drift`; only their status decides, which already weighs n and effect.
    """

    def no(reason: str) -> RetrainingDecision:
        return RetrainingDecision("drift", period, False, reason)

    if champion_version is None:
        return no("there is no champion to drift away from")
    if not rows:
        return no(f"drift of {period} has not been measured")
    measured_against = {int(row["model_version"]) for row in rows}
    if measured_against != {champion_version}:
        versions = ", ".join(f"v{version}" for version in sorted(measured_against))
        return no(
            f"drift of {period} was measured against {versions}, and champion v{champion_version} has replaced it"
        )
    drifted = sorted((row for row in rows if row["status"] == "drift"), key=lambda row: -row["psi_debiased"])
    judged = [row for row in rows if row["psi"] is not None]
    if not judged:
        return no(f"insufficient data: none of {len(rows)} features of {period} could be judged ({rows[0]['reason']})")
    if not drifted:
        top = max(judged, key=lambda row: row["psi_debiased"])
        return no(
            f"0 of {len(judged)} features of {period} drifted from champion v{champion_version}'s training window; the "
            f"largest PSI is {top['psi_debiased']:.2f} ({top['feature']}, n = {top['n_current']:,})"
        )
    psi = {row["feature"]: round(float(row["psi_debiased"]), 4) for row in drifted}
    told = ", ".join(f"{name} (PSI {value:.2f})" for name, value in psi.items())
    return RetrainingDecision(
        "drift",
        period,
        True,
        f"{len(drifted)} of {len(judged)} features of {period} drifted from champion v{champion_version}'s training "
        f"window: {told}; n = {drifted[0]['n_current']:,}",
        {"psi": psi, "champion_version": champion_version},
    )


def decide_on_label_volume(
    period: str, new_labels: int, needed: int, since: datetime | None, champion_version: int | None
) -> RetrainingDecision:
    """Cause is given when at least `needed` labels became known since a model was last trained and judged."""
    who = f"champion v{champion_version}" if champion_version is not None else "no champion yet"
    when = f"since the last training at {since:%Y-%m-%d}" if since else "so far, and no model was trained yet"
    return RetrainingDecision(
        "label_volume",
        period,
        new_labels >= needed,
        f"{new_labels:,} of {needed:,} new labels {when} ({who})",
        {"new_labels": new_labels, "needed": needed},
    )


def decide_on_performance(
    period: str, rows: Sequence[Row], champion_version: int | None, promised_auc: float | None, limits: Performance
) -> RetrainingDecision:
    """Cause is given when the live champion's matured AUC is clearly below the floor, or clearly below its promise.

    Clearly: the whole 95 % interval. `rows` are the period's rows of `model_performance`; `promised_auc` is the
    champion's on the holdout it was admitted with.
    """

    def no(reason: str) -> RetrainingDecision:
        return RetrainingDecision("performance", period, False, reason)

    if champion_version is None:
        return no("there is no champion whose performance could fall")
    auc = next((r for r in rows if r["metric"] == "auc" and r["model_version"] == champion_version), None)
    if auc is None:
        return no(f"no lead scored by champion v{champion_version} matured in {period}")
    if auc["status"] != "ok":
        return no(f"insufficient data on champion v{champion_version} in {period}: {auc['reason']}")
    told = (
        f"AUC {auc['value']:.3f} [{auc['low']:.3f}, {auc['high']:.3f}], n = {auc['n']:,}, champion v{champion_version}"
    )
    evidence = {name: auc[name] for name in ("value", "low", "high", "n")} | {"promised_auc": promised_auc}
    if auc["high"] < limits.minimum_auc:
        reason = f"{told}: clearly below the floor {limits.minimum_auc:.2f}"
        return RetrainingDecision("performance", period, True, reason, evidence)
    above = f"{told}: not clearly below the floor {limits.minimum_auc:.2f}"
    if not promised_auc:
        return no(f"{above}; its holdout's AUC is not on record, so that a drop cannot be judged")
    allowed = limits.maximum_relative_auc_drop
    # Rounded, because 1 - 0.72 / 0.80 is a trifle more than 0.10.
    drop = round(1 - auc["value"] / promised_auc, 9)
    if drop > allowed and auc["high"] < promised_auc:
        reason = f"{told}: {drop:.1%} below its holdout's {promised_auc:.3f}, more than {allowed:.0%} allowed"
        return RetrainingDecision("performance", period, True, reason, evidence)
    return no(f"{above}, nor clearly fallen by more than {allowed:.0%} from its holdout's {promised_auc:.3f}")


def decide_on_calendar(period: str, now: datetime, last_trained_at: datetime | None, months: int) -> RetrainingDecision:
    """Cause is given when the last training and judgement lies `months` months back, or never happened."""
    if last_trained_at is None:
        reason = f"no model was trained yet, due after {months} months at the latest; it is {now:%Y-%m-%d}"
        return RetrainingDecision("calendar", period, True, reason)
    due = last_trained_at <= months_before(now, months)
    reason = f"last trained at {last_trained_at:%Y-%m-%d}, due after {months} months; it is {now:%Y-%m-%d}"
    return RetrainingDecision("calendar", period, due, reason)
