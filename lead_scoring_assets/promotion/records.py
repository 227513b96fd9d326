"""The rows of `promotion_decision`: every number that the gate used, beside the verdict. Nothing is decided here."""

from collections.abc import Mapping

import pyarrow as pa

from lead_scoring_assets.evaluation.metrics import Metric, PairedDifference
from lead_scoring_assets.models.trigger import HISTORY
from lead_scoring_assets.periods import Period
from lead_scoring_assets.promotion.gate import Comparison, Decision, Evidence
from lead_scoring_assets.promotion.trigger import Trigger
from lead_scoring_assets.settings import Gate

_METRICS = ("auc", "brier", "precision_at_10_percent")
_DIFFERENCES = ("auc_difference", "brier_difference", "best_auc_difference", "best_brier_difference")
_LIMITS = ("minimum_auc", "minimum_precision_at_10_percent", "maximum_brier", "improvement", "refresh_margin")

SCHEMA = pa.schema(
    [("period", pa.string()), ("decided_at", pa.timestamp("us", tz="UTC")), ("candidate_version", pa.int64())]
    + [("champion_version", pa.int64()), ("best_version", pa.int64())]
    + [(name, pa.string()) for name in ("verdict", "reason", "mode", "trigger", "trigger_reason")]
    + [("holdout_rows", pa.int64())]
    + [(f"{name}{edge}", pa.float64()) for name in (*_METRICS, *_DIFFERENCES) for edge in ("", "_low", "_high")]
    + [(name, pa.float64()) for name in _LIMITS]
)


def decision_row(
    period: Period,
    candidate_version: int | None,
    evidence: Evidence | None,
    decision: Decision,
    trigger: Trigger,
    gate: Gate,
) -> dict[str, object]:
    """One row in `SCHEMA`; figures that there is no evidence for are NULL."""
    champion, best = (evidence.champion, evidence.best) if evidence else (None, None)
    return {
        "period": period.key,
        "decided_at": period.end,
        "candidate_version": candidate_version,
        "champion_version": champion.version if champion else None,
        "best_version": best.version if best else None,
        "verdict": decision.verdict,
        "reason": decision.reason,
        "mode": trigger.mode,
        "trigger": ", ".join(trigger.causes) or HISTORY,
        "trigger_reason": trigger.reason,
        "holdout_rows": evidence.auc.n if evidence else None,
        **_figures(evidence),
        **_differences(champion, ""),
        **_differences(best, "best_"),
        **{name: getattr(gate, name) for name in _LIMITS},
    }


def _figures(evidence: Evidence | None) -> Mapping[str, float]:
    if evidence is None:
        return {}
    found = zip(_METRICS, (evidence.auc, evidence.brier, evidence.precision), strict=True)
    return {f"{name}{edge}": value for name, figure in found for edge, value in _edges(figure)}


def _differences(other: Comparison | None, prefix: str) -> Mapping[str, float]:
    if other is None:
        return {}
    found = (("auc", other.auc), ("brier", other.brier))
    return {f"{prefix}{name}_difference{edge}": value for name, pair in found for edge, value in _edges(pair)}


def _edges(figure: Metric | PairedDifference) -> tuple[tuple[str, float], ...]:
    return (("", figure.value), ("_low", figure.low), ("_high", figure.high))
