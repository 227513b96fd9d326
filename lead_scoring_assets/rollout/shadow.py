"""What a shadow showed beside the champion: how alike the scores are, how it held up, whether it ranks better or worse.

Alike is no merit: a better model differs, and one that only repeats the champion does not. So likeness is told, and what
speaks against a candidate is failing, slowness, scores unlike those on its holdout, and a worse ranking.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import atanh, isfinite, nan, sqrt, tanh
from typing import Literal

import numpy as np

from lead_scoring_assets.evaluation.bootstrap import Bootstrap, paired_difference
from lead_scoring_assets.evaluation.means import Z, mean_interval
from lead_scoring_assets.evaluation.metrics import Floats, Metric, PairedDifference, auc, auc_difference, share
from lead_scoring_assets.evaluation.ranking import area_under_roc, leads_at
from lead_scoring_assets.monitoring.drift.exact import kolmogorov_smirnov
from lead_scoring_assets.monitoring.drift.prediction import largest_gap_at_least
from lead_scoring_assets.rollout.guards import Answers, Guard, judge_errors, judge_latency, p95_of
from lead_scoring_assets.settings import Performance, RolloutPolicy

Recommendation = Literal["go_on", "wait", "take_back"]

_ERRORS = ("failed", "timeout", "not_finite")
_MANY_LEADS = 20_000
_LEVEL = 0.01  # of the chance that a gap is told which is none


def _nothing() -> Floats:
    return np.empty(0)


@dataclass(frozen=True, eq=False)
class Shadowed:
    """What is compared. Arrays of leads hold one value a lead, of the first request that both scored.

    `requests`: that the champion answered, and the shadow was to score. `outcomes`: how many shadows ended how. `labels`: NaN
    where the lead has not matured or its label is not known. `matured`: leads that have. `offline`: the shadow's scores on its
    own holdout.
    """

    requests: int = 0
    outcomes: Mapping[str, int] = field(default_factory=dict)
    champion: Floats = field(default_factory=_nothing)
    shadow: Floats = field(default_factory=_nothing)
    labels: Floats = field(default_factory=_nothing)
    matured: int = 0
    champion_ms: Floats = field(default_factory=_nothing)
    shadow_ms: Floats = field(default_factory=_nothing)
    offline: Floats = field(default_factory=_nothing)


@dataclass(frozen=True)
class Alike:
    """How alike two models score `n` leads: mean of shadow - champion, correlations, and the share of the best leads that
    are the best of both (Jaccard 1901); the largest gap between their distributions."""

    n: int
    mean_difference: Metric
    mean_absolute_difference: float
    correlation: Metric
    spearman: float
    kendall: float
    jaccard_of_best: float
    largest_gap: float


@dataclass(frozen=True)
class Ranks:
    """How well both rank leads with known labels, and the difference on the same leads."""

    n: int
    positives: int
    label_coverage: float
    champion: Metric
    shadow: Metric
    difference: PairedDifference


@dataclass(frozen=True)
class Analysis:
    """All of it, with the guards and what they come to."""

    coverage: Metric
    alike: Alike
    ranks: Ranks
    champion_answers: Answers
    shadow_answers: Answers
    guards: tuple[Guard, ...]
    remarks: tuple[str, ...]

    @property
    def recommendation(self) -> Recommendation:
        if any(guard.status == "violated" for guard in self.guards):
            return "take_back"
        return "wait" if any(guard.holds for guard in self.guards) else "go_on"

    @property
    def reason(self) -> str:
        return "; ".join([*(f"{guard.name}: {guard.reason}" for guard in self.guards), *self.remarks])


def analyse_shadow(
    shadowed: Shadowed, policy: RolloutPolicy, limits: Performance, bootstrap_samples: int, best_share: float
) -> Analysis:
    """Everything that is known of a shadow now.

    Args:
        shadowed: what both models said.
        policy: what takes a candidate back.
        limits: how many labels, and conversions among them, a ranking is judged by.
        bootstrap_samples: of the difference between both rankings.
        best_share: of the leads, how many are worked: by those it is told who would be called.
    """
    alike = _alike(shadowed, best_share)
    ranks = _ranks(shadowed, bootstrap_samples)
    champion = Answers(len(shadowed.champion_ms), 0, p95_of(shadowed.champion_ms))
    shadow = answers_of_shadow(shadowed)
    scored = shadowed.outcomes.get("scored", 0)
    requests = max(shadowed.requests, sum(shadowed.outcomes.values()))
    guards = (
        judge_errors(shadow, policy),
        judge_latency(shadow, champion, policy),
        judge_offline(shadowed.offline, shadowed.shadow, policy),
        judge_ranking(ranks, limits),
    )
    coverage = share("coverage", scored, requests)
    return Analysis(coverage, alike, ranks, champion, shadow, guards, tuple(_remarks(coverage, alike, policy)))


def answers_of_shadow(shadowed: Shadowed) -> Answers:
    """What the shadow was asked and how it ended; what never reached it, because the queue was full, is not its error."""
    errors = sum(shadowed.outcomes.get(outcome, 0) for outcome in _ERRORS)
    return Answers(shadowed.outcomes.get("scored", 0) + errors, errors, p95_of(shadowed.shadow_ms))


def judge_offline(offline: Floats, online: Floats, policy: RolloutPolicy) -> Guard:
    """Held where the shadow's scores of today's leads are clearly unlike those of its holdout.

    Something may then be different online: a feature that is filled otherwise, or other leads. Somebody should look.
    """
    found = kolmogorov_smirnov(offline, online)
    if found is None or min(len(offline), len(online)) < policy.minimum_requests:
        told = f"{len(online):,} scores online and {len(offline):,} on the holdout, {policy.minimum_requests:,} needed"
        return Guard("scores", "insufficient_data", told)
    low = largest_gap_at_least(found.statistic, len(offline), len(online), _LEVEL)
    told = f"KS distance {found.statistic:.3f} from the holdout (at least {low:.3f}), n = {len(online):,} and {len(offline):,}"
    return Guard("scores", "held" if low > policy.maximum_offline_gap else "ok", told)


def judge_ranking(ranks: Ranks, limits: Performance) -> Guard:
    """Violated where the shadow ranks the labelled leads worse, beyond chance."""
    told = f"{ranks.n:,} labelled leads, {ranks.positives:,} converted"
    least = max(limits.minimum_positives, 2)
    is_little = ranks.n < limits.minimum_rows or min(ranks.positives, ranks.n - ranks.positives) < least
    if is_little or not isfinite(ranks.difference.low):
        return Guard("ranking", "insufficient_data", f"{told}; {limits.minimum_rows:,} and {least:,} are needed")
    difference = ranks.difference
    told = (
        f"AUC {ranks.shadow.value:.3f}, the champion's {ranks.champion.value:.3f}: {difference.value:+.4f} "
        f"[{difference.low:+.4f}, {difference.high:+.4f}], {told}, label coverage {ranks.label_coverage:.0%}"
    )
    return Guard("ranking", "violated" if difference.high < 0 else "ok", told)


def _alike(shadowed: Shadowed, best_share: float) -> Alike:
    champion, shadow = shadowed.champion, shadowed.shadow
    n, apart = len(champion), shadow - champion
    mean = Metric("mean_difference", *mean_interval(apart), n)
    absolute = float(np.abs(apart).mean()) if n else nan
    found = kolmogorov_smirnov(champion, shadow)
    gap = found.statistic if found else nan
    if n < 3 or not np.ptp(champion) or not np.ptp(shadow):
        # A model that gives all leads one score puts them in no order.
        return Alike(n, mean, absolute, Metric("correlation", nan, nan, nan, n), nan, nan, nan, gap)
    from scipy.stats import kendalltau, spearmanr

    ranks = float(spearmanr(champion, shadow).statistic), float(kendalltau(champion, shadow).statistic)
    best = _jaccard(champion, shadow, leads_at(best_share, n))
    return Alike(n, mean, absolute, _correlation(champion, shadow), *ranks, best, gap)


def _correlation(one: Floats, other: Floats) -> Metric:
    """Pearson's, with the interval of Fisher's z (1921)."""
    n, found = len(one), float(np.clip(np.corrcoef(one, other)[0, 1], -1.0, 1.0))
    if n < 4 or abs(found) == 1:
        return Metric("correlation", found, nan, nan, n)
    reach = Z / sqrt(n - 3)
    return Metric("correlation", found, tanh(atanh(found) - reach), tanh(atanh(found) + reach), n)


def _jaccard(one: Floats, other: Floats, best: int) -> float:
    first, second = (set(np.argsort(-scores, kind="stable")[:best].tolist()) for scores in (one, other))
    return len(first & second) / len(first | second)


def _ranks(shadowed: Shadowed, bootstrap_samples: int) -> Ranks:
    known = np.isfinite(shadowed.labels)
    labels, champion, shadow = shadowed.labels[known], shadowed.champion[known], shadowed.shadow[known]
    n, positives = len(labels), int(labels.sum())
    if n > _MANY_LEADS:  # where DeLong's interval is the same, and a thousand times faster
        difference = auc_difference(labels, shadow, champion)
    else:
        difference = paired_difference(
            area_under_roc, labels, shadow, champion, Bootstrap(n, bootstrap_samples, seed=0)
        )
    return Ranks(
        n,
        positives,
        n / shadowed.matured if shadowed.matured else nan,
        auc(labels, champion),
        auc(labels, shadow),
        difference,
    )


def _remarks(coverage: Metric, alike: Alike, policy: RolloutPolicy) -> Sequence[str]:
    told = [f"{coverage.value:.2%} of {coverage.n:,} requests have a shadow score"] if coverage.n else []
    if policy.minimum_correlation is not None and alike.correlation.high < policy.minimum_correlation:
        told.append(
            f"correlation {alike.correlation.value:.3f} is below {policy.minimum_correlation:g}, which holds nothing back"
        )
    return told
