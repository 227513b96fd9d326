"""What calibration and concept drift have in common: matured leads with the champion's scores, and how a verdict is made
of an effect, what chance makes of it, and the size from which on it counts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lead_scoring_assets.evaluation.means import Z
from lead_scoring_assets.evaluation.metrics import Floats
from lead_scoring_assets.monitoring.drift.measure import Severity, Status
from lead_scoring_assets.monitoring.drift.significance import benjamini_hochberg
from lead_scoring_assets.settings import Performance

LEAST_LABEL_COVERAGE = 0.95
"""The labels that are known first are not those that come last: with fewer, a cohort has not matured."""

_SUREST = 1e-6  # a score of 0 or 1 has no log odds: it is taken for this, or for 1 less it


@dataclass(frozen=True)
class Outcomes:
    """Leads whose label is known, with the probability that one model gives each; shapes (n,).

    `labels` are 0 or 1. `leads` counts the cohort: those without a label are missing from the arrays.
    """

    labels: Floats
    scores: Floats
    leads: int

    @property
    def positives(self) -> int:
        return int(self.labels.sum())

    @property
    def label_coverage(self) -> float:
        return len(self.labels) / self.leads if self.leads else 0.0

    @property
    def log_odds(self) -> Floats:
        said = np.clip(self.scores, _SUREST, 1 - _SUREST)
        odds: Floats = np.log(said / (1 - said))
        return odds


@dataclass(frozen=True)
class Question:
    """One question: how large the effect is (95 % interval), how surely it is any, and how surely it is beyond its limit."""

    feature: str
    effect: float
    low: float
    high: float
    limit: float
    p_value: float
    minimum_effect_p_value: float
    told: str


def asked_of_an_estimate(feature: str, effect: float, error: float, limit: float, told: str) -> Question:
    """The question of an estimate that is normal around the truth with this standard error."""
    from scipy.stats import norm

    return Question(
        feature=feature,
        effect=effect,
        low=effect - Z * error,
        high=effect + Z * error,
        limit=limit,
        p_value=float(2 * norm.sf(abs(effect) / error)),
        minimum_effect_p_value=float(norm.sf((abs(effect) - limit) / error)),
        told=told,
    )


@dataclass(frozen=True)
class OutcomeDrift:
    """The verdict on one question. Numbers are None where the status is `insufficient_data` or `not_computable`.

    `adjusted_p_value` of "nothing changed", `minimum_effect_p_value` of "not by more than `limit`": both
    Benjamini-Hochberg over the questions that were asked together.
    """

    feature: str
    status: Status
    reason: str
    severity: Severity
    n_reference: int | None
    n_current: int
    positives: int
    label_coverage: float
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    limit: float | None = None
    p_value: float | None = None
    adjusted_p_value: float | None = None
    minimum_effect_p_value: float | None = None


def why_not_judged(cohort: Outcomes, needed: Performance) -> tuple[Status, str] | None:
    """Why nothing can be said by these leads; None where there are enough, and of either outcome."""
    n, positives = len(cohort.labels), cohort.positives
    told = f"{n:,} labelled leads, {positives:,} converted, label coverage {cohort.label_coverage:.0%}"
    if not np.isfinite(cohort.scores).all() or ((cohort.scores < 0) | (cohort.scores > 1)).any():
        return "not_computable", f"some scores are no probability ({told})"
    least = max(needed.minimum_positives, 2)
    if n < needed.minimum_rows or min(positives, n - positives) < least:
        return "insufficient_data", f"{told}; {needed.minimum_rows:,} are needed, and {least:,} of either outcome"
    if cohort.label_coverage < LEAST_LABEL_COVERAGE:
        return "insufficient_data", f"{told}; at least {LEAST_LABEL_COVERAGE:.0%} must be known"
    return None


def verdicts(
    questions: Sequence[Question], current: Outcomes, n_reference: int | None, false_discovery_rate: float
) -> list[OutcomeDrift]:
    """`drift` where the effect is clearly beyond its limit, `warning` where it is beyond and clearly there at all.

    When nothing changed, the chance of any verdict but `ok` is at most `false_discovery_rate` over all questions together
    (Benjamini and Hochberg 1995).
    """
    plain = benjamini_hochberg([question.p_value for question in questions])
    beyond = benjamini_hochberg([question.minimum_effect_p_value for question in questions])
    found = []
    for question, p, p_effect in zip(questions, plain, beyond, strict=True):
        is_there = p <= false_discovery_rate
        status: Status = "ok"
        severity: Severity = "LOW"
        if is_there and p_effect <= false_discovery_rate:
            status, severity = "drift", "HIGH"
        elif is_there and abs(question.effect) > question.limit:
            status, severity = "warning", "MEDIUM"
        told = f"{question.told}; limit {question.limit:.2f}, adjusted p = {p:.2g}, of no more than the limit {p_effect:.2g}"
        found.append(
            OutcomeDrift(
                feature=question.feature,
                status=status,
                reason=f"{told} ({len(current.labels):,} leads, {current.positives:,} converted)",
                severity=severity,
                n_reference=n_reference,
                n_current=len(current.labels),
                positives=current.positives,
                label_coverage=current.label_coverage,
                effect=question.effect,
                low=question.low,
                high=question.high,
                limit=question.limit,
                p_value=question.p_value,
                adjusted_p_value=p,
                minimum_effect_p_value=p_effect,
            )
        )
    return found


def not_judged(
    features: Sequence[str], current: Outcomes, n_reference: int | None, status: Status, reason: str
) -> list[OutcomeDrift]:
    """A row for each question that could not be answered, so that silence is not taken for an answer."""
    return [
        OutcomeDrift(
            feature,
            status,
            reason,
            "UNKNOWN",
            n_reference,
            len(current.labels),
            current.positives,
            current.label_coverage,
        )
        for feature in features
    ]
