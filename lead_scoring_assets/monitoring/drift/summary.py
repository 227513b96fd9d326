"""All features of one measurement in a few numbers and a sentence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lead_scoring_assets.monitoring.drift.verdict import FeatureDrift, Status, known

Severity = Literal["UNKNOWN", "LOW", "MEDIUM", "HIGH", "CRITICAL"]
"""UNKNOWN where nothing could be judged: LOW would be an all-clear."""

_FROM_THE_WORST: tuple[Status, ...] = ("drift", "warning", "ok", "insufficient_data", "not_computable")
_LEAST_ASSESSED = 0.5


@dataclass(frozen=True)
class DriftSummary:
    """All features of one measurement. Shares are of the features that could be assessed.

    `status` is the worst of the features'; where less than half of them could be assessed it is not `ok`, and the severity not
    LOW. `max_psi_debiased` ranks by the debiased PSI: the plain one would name the feature with the most bins whenever the
    windows are small. `mean_psi` and `mean_psi_debiased` are the means over the assessed features: the overall PSI.
    """

    status: Status
    n_features: int
    n_assessed: int
    n_drifted: int
    n_warned: int
    share_drifted: float
    severity: Severity
    max_psi_debiased: float | None
    max_psi_feature: str | None
    mean_psi: float | None
    mean_psi_debiased: float | None
    sentence: str


def severity_of_share(share: float) -> Severity:
    """Of what was judged, so much drifted: above a half CRITICAL, above a fifth HIGH, above none MEDIUM, else LOW."""
    return "CRITICAL" if share > 0.5 else "HIGH" if share > 0.2 else "MEDIUM" if share > 0 else "LOW"


def summarise_drift(drifts: Sequence[FeatureDrift]) -> DriftSummary:
    """How many of the features that could be assessed drifted, and which the most."""
    assessed = [drift for drift in drifts if drift.psi_debiased is not None]
    n_drifted = sum(drift.status == "drift" for drift in assessed)
    n_warned = sum(drift.status == "warning" for drift in assessed)
    share = n_drifted / len(assessed) if assessed else 0.0
    status: Status = min((drift.status for drift in drifts), key=_FROM_THE_WORST.index, default="not_computable")
    is_too_little = status == "ok" and len(assessed) < _LEAST_ASSESSED * len(drifts)
    if is_too_little:
        status = "insufficient_data"
    severity: Severity = severity_of_share(share) if assessed and not is_too_little else "UNKNOWN"
    top = max(assessed, key=lambda drift: known(drift.psi_debiased), default=None)
    if top is None:
        sentence = f"None of {len(drifts)} features could be assessed; this says nothing about drift."
    else:
        sentence = (
            f"{n_drifted} of {len(assessed)} assessed features drifted and {n_warned} warned ({severity}); "
            f"the largest debiased PSI is {known(top.psi_debiased):.3f} ({top.feature})"
        )
        n_not_assessed = len(drifts) - len(assessed)
        sentence += f"; {n_not_assessed} of {len(drifts)} could not be assessed" if n_not_assessed else ""
        sentence += ", which is too many to say that nothing moved." if is_too_little else "."
    return DriftSummary(
        status=status,
        n_features=len(drifts),
        n_assessed=len(assessed),
        n_drifted=n_drifted,
        n_warned=n_warned,
        share_drifted=share,
        severity=severity,
        max_psi_debiased=top.psi_debiased if top else None,
        max_psi_feature=top.feature if top else None,
        mean_psi=_mean([known(drift.psi) for drift in assessed]),
        mean_psi_debiased=_mean([known(drift.psi_debiased) for drift in assessed]),
        sentence=sentence,
    )


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
