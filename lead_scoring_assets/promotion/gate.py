"""May this candidate replace the champion? A pure decision with its reason, for the yes and for the no."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from lead_scoring_assets.evaluation.metrics import Metric, PairedDifference, auc_difference, brier_difference
from lead_scoring_assets.settings import Gate

Verdict = Literal["promoted", "rejected", "no_candidate"]


@dataclass(frozen=True)
class Comparison:
    """Candidate minus champion on the same holdout rows."""

    champion_version: int
    auc: PairedDifference
    brier: PairedDifference


@dataclass(frozen=True)
class Decision:
    """The verdict and, in one sentence with numbers, why."""

    verdict: Verdict
    reason: str


def compare(
    champion_version: int,
    labels: npt.NDArray[np.float64],
    candidate: npt.NDArray[np.float64],
    champion: npt.NDArray[np.float64],
) -> Comparison:
    """Both models on the same rows; arrays of shape (rows,)."""
    return Comparison(
        champion_version, auc_difference(labels, candidate, champion), brier_difference(labels, candidate, champion)
    )


def decide_promotion(auc: Metric, brier: Metric, comparison: Comparison | None, gate: Gate) -> Decision:
    """Floors first, then "not worse than the champion on the same rows", in ranking (AUC) and in honesty (Brier)."""
    failed = [
        sentence
        for fails, sentence in (
            (not auc.value >= gate.minimum_auc, f"AUC {auc.value:.3f} is below the floor {gate.minimum_auc:.3f}"),
            (not brier.value <= gate.maximum_brier, f"Brier {brier.value:.4f} is above {gate.maximum_brier:.4f}"),
        )
        if fails
    ]
    own = f"AUC {auc.value:.3f} [{auc.low:.3f}, {auc.high:.3f}], Brier {brier.value:.4f}, n = {auc.n:,}"
    if failed:
        return Decision("rejected", f"{'; '.join(failed)} ({own})")
    if comparison is None:
        return Decision("promoted", f"there is no champion and the floors hold ({own})")
    told = (
        f"against champion v{comparison.champion_version} on the same {auc.n:,} rows: AUC {_signed(comparison.auc)}, "
        f"Brier {_signed(comparison.brier)}"
    )
    # "Not at least", rather than "less": a difference that could not be computed (NaN) promotes nothing.
    if not comparison.auc.value >= -gate.auc_tolerance:
        return Decision("rejected", f"ranks worse than allowed ({gate.auc_tolerance:.3f}) {told}")
    if not comparison.brier.value <= gate.brier_tolerance:
        return Decision("rejected", f"its probabilities are worse than allowed ({gate.brier_tolerance:.4f}) {told}")
    return Decision("promoted", f"not worse {told}")


def _signed(difference: PairedDifference) -> str:
    return f"{difference.value:+.4f} [{difference.low:+.4f}, {difference.high:+.4f}]"
