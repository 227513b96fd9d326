"""May this candidate go live? A pure decision with its reason and every number, for the yes and for the no.

Two questions after the floors, each on the same holdout rows: how does it compare with the champion, and with the best
so far (`best_so_far.py`)? The second keeps small losses, each tolerated, from adding up.
"""

import math
from dataclasses import dataclass
from typing import Literal

from lead_scoring_assets.evaluation.bootstrap import Bootstrap, paired_difference
from lead_scoring_assets.evaluation.metrics import Floats, Metric, PairedDifference, brier_difference
from lead_scoring_assets.evaluation.ranking import area_under_roc
from lead_scoring_assets.settings import Gate

Mode = Literal["improve", "refresh"]
Verdict = Literal["promoted", "awaiting_approval", "rejected", "superseded", "no_candidate"]

_CHANCE = 0.5
# Where the probabilities are clearly better, a ranking may be known this much less exactly. With it a holdout of 1,500
# leads is enough; 97.5 % of the candidates that lose more than this many margins are still refused.
_MARGINS_FOR_BETTER_PROBABILITIES = 2


@dataclass(frozen=True)
class Comparison:
    """Candidate minus another version on the same `n` holdout rows."""

    version: int
    n: int
    auc: PairedDifference
    brier: PairedDifference


@dataclass(frozen=True)
class Evidence:
    """What the gate looks at. `champion` and `best`: None while there is none; the same object where they are one.

    `untraceable`: why no commit holds exactly the code that trained the candidate; None where one does.
    """

    auc: Metric
    brier: Metric
    precision: Metric
    champion: Comparison | None
    best: Comparison | None
    untraceable: str | None = None


@dataclass(frozen=True)
class Decision:
    """The verdict and, in one sentence with numbers, why."""

    verdict: Verdict
    reason: str


def compare(version: int, labels: Floats, candidate: Floats, other: Floats, bootstrap: Bootstrap) -> Comparison:
    """Both models on the same rows, arrays of shape (rows,): AUC by paired bootstrap, Brier score by its paired mean."""
    return Comparison(
        version,
        len(labels),
        paired_difference(area_under_roc, labels, candidate, other, bootstrap),
        brier_difference(labels, candidate, other),
    )


def decide_promotion(evidence: Evidence, gate: Gate, mode: Mode) -> Decision:
    """Floors and code, then the champion, then the best so far; who passes goes live, or waits for a person or a rollout.

    improve: AUC at least `improvement` higher, and its interval not below zero.
    refresh: AUC not worse by more than `refresh_margin` (its interval lies above that), or probabilities clearly better
    (Brier score) and AUC not worse by more than twice the margin.
    Both: probabilities not clearly worse, and no loss beyond the same margin against the best so far.
    """
    failed = _below_the_floors(evidence, gate)
    own = (
        f"AUC {_with_interval(evidence.auc)}, Brier {evidence.brier.value:.4f}, precision of the best 10 % "
        f"{_with_interval(evidence.precision)}, n = {evidence.auc.n:,}"
    )
    if failed:
        return Decision("rejected", f"{'; '.join(failed)} ({own})")
    passed: Verdict = "promoted" if gate.approval == "automatic" else "awaiting_approval"
    if evidence.champion is None:
        return Decision(passed, f"there is no champion and the floors hold ({own})")
    champion = evidence.champion
    against = f"against champion v{champion.version} on the same {champion.n:,} rows: {_told(champion)}"
    if refusal := _refused_by_champion(champion, gate, mode):
        return Decision("rejected", f"{refusal} {against}")
    best = evidence.best
    if best is not None and best.version != champion.version:
        margin, reference = _margin(champion, gate, mode), f"against the best so far v{best.version}: {_told(best)}"
        if not best.auc.low >= -margin:
            return Decision("rejected", f"{_not_shown_as_good(best, margin)} {reference}; {against}")
        against += f"; {reference}"
    return Decision(passed, f"{_praise(champion, gate, mode)} {against}")


def _below_the_floors(evidence: Evidence, gate: Gate) -> list[str]:
    auc, brier, precision = evidence.auc, evidence.brier, evidence.precision
    # "Not at least", rather than "less": a figure that could not be computed (NaN) promotes nothing.
    ranks = (
        [(False, f"insufficient data: the AUC of {auc.n:,} leads needs two of either outcome")]
        if math.isnan(auc.value)
        else [
            (auc.value >= gate.minimum_auc, f"AUC {auc.value:.3f} is below the floor {gate.minimum_auc:.3f}"),
            (auc.low > _CHANCE, f"AUC {_with_interval(auc)} cannot be told from chance"),
        ]
    )
    judged = (
        *ranks,
        (brier.value <= gate.maximum_brier, f"Brier {brier.value:.4f} is above {gate.maximum_brier:.4f}"),
        (
            precision.value >= gate.minimum_precision_at_10_percent,
            f"precision of the best 10 % {precision.value:.3f} is below {gate.minimum_precision_at_10_percent:.3f}",
        ),
    )
    failed = [sentence for holds, sentence in judged if not holds]
    if evidence.untraceable is not None and gate.traceable == "required":
        failed.append(f"{evidence.untraceable}: commit and train again, or set `gate.traceable: recorded`")
    return failed


def _refused_by_champion(champion: Comparison, gate: Gate, mode: Mode) -> str | None:
    auc, brier = champion.auc, champion.brier
    if not brier.low <= 0:
        return "its probabilities are clearly worse"
    if mode == "improve":
        if not auc.value >= gate.improvement:
            return f"does not rank better by the {gate.improvement:.3f} that mode improve asks for"
        if not auc.low >= 0:
            needed = _rows_needed(champion, 0.0)
            return f"insufficient evidence of a better ranking: n = {champion.n:,}, would need about {needed:,}"
        return None
    margin = _margin(champion, gate, mode)
    return None if auc.low >= -margin else _not_shown_as_good(champion, margin)


def _margin(champion: Comparison, gate: Gate, mode: Mode) -> float:
    """How much worse the ranking may be at the far end of its interval."""
    is_clearly_better = champion.brier.high < 0
    margins = _MARGINS_FOR_BETTER_PROBABILITIES if mode == "refresh" and is_clearly_better else 1
    return margins * gate.refresh_margin


def _not_shown_as_good(other: Comparison, margin: float) -> str:
    if not other.auc.value > -margin:
        return f"ranks worse than the {margin:.3f} that is allowed"
    needed = _rows_needed(other, margin)
    return (
        f"insufficient evidence that it ranks no more than {margin:.3f} worse: n = {other.n:,}, would need about "
        f"{needed:,}"
    )


def _rows_needed(other: Comparison, margin: float) -> int:
    """Rows with which the same difference would be enough: an interval narrows with the root of their number."""
    half, room = other.auc.value - other.auc.low, other.auc.value + margin
    return int(-(-(other.n * (half / room) ** 2) // 100) * 100)


def _praise(champion: Comparison, gate: Gate, mode: Mode) -> str:
    if mode == "improve":
        return "better"
    if champion.auc.low >= -gate.refresh_margin:
        return f"not worse by more than {gate.refresh_margin:.3f}"
    return f"probabilities clearly better, ranking not worse by more than {_margin(champion, gate, mode):.3f}"


def _told(other: Comparison) -> str:
    return f"AUC {_signed(other.auc)}, Brier {_signed(other.brier)}"


def _signed(difference: PairedDifference) -> str:
    if math.isnan(difference.value):
        return "unknown"
    return f"{difference.value:+.4f} [{difference.low:+.4f}, {difference.high:+.4f}]"


def _with_interval(metric: Metric) -> str:
    return "unknown" if math.isnan(metric.value) else f"{metric.value:.3f} [{metric.low:.3f}, {metric.high:.3f}]"
