"""What takes a candidate back, or holds it: errors, latency, conversions, scores unlike its own. Pure judgements.

Every limit has to be passed beyond chance: 1 error in 20 answers is not 5 %.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, isnan, sqrt
from typing import Literal

import numpy as np

from lead_scoring_assets.evaluation.means import Z
from lead_scoring_assets.evaluation.metrics import Floats, Metric, share
from lead_scoring_assets.monitoring.performance.conversion_drop import relative_drop
from lead_scoring_assets.settings import RolloutPolicy

_P95 = 0.95
_UNTIMED = Metric("p95_ms", np.nan, np.nan, np.nan, 0)


@dataclass(frozen=True)
class Guard:
    """One judgement in words. `violated` takes the candidate back, `held` and `insufficient_data` keep it where it is."""

    name: str
    status: Literal["ok", "violated", "held", "insufficient_data"]
    reason: str

    @property
    def holds(self) -> bool:
        """Whether nothing goes further because of it; conversions and rankings are known late, and not waited for."""
        return self.status == "held" or (self.status == "insufficient_data" and self.name in ("errors", "latency"))


@dataclass(frozen=True)
class Answers:
    """How one model answered: how often, how often not by itself, and the 95th percentile of its milliseconds."""

    n: int = 0
    errors: int = 0
    p95: Metric = _UNTIMED


NO_ANSWERS = Answers()


@dataclass(frozen=True)
class Stratum:
    """Matured leads that were answered while the candidate had one share, and how many of them converted."""

    converted: int
    n: int
    converted_control: int
    n_control: int


def p95_of(milliseconds: Floats) -> Metric:
    """The 95th percentile as NumPy defines it, between order statistics that hold for any distribution.

    The ranks are those of the binomial distribution of how many values lie below it (David and Nagaraja 2003, section 7.1).
    """
    from scipy.stats import binom

    n = len(milliseconds)
    if not n:
        return _UNTIMED
    low, high = (int(rank) for rank in binom.ppf([(1 - _P95) / 2, (1 + _P95) / 2], n, _P95))
    ordered = np.sort(milliseconds)
    # Rank 0 is below all of them, and from rank n on nothing bounds it from above.
    ends = ordered[low - 1] if low else -np.inf, ordered[high] if high < n else np.inf
    return Metric("p95_ms", float(np.quantile(ordered, _P95)), float(ends[0]), float(ends[1]), n)


def judge_errors(candidate: Answers, policy: RolloutPolicy) -> Guard:
    """Violated where the lower bound of the candidate's error rate (Wilson 1927) is above the limit."""
    rate = share("error_rate", candidate.errors, candidate.n)
    if candidate.n < policy.minimum_requests:
        told = f"{candidate.n:,} of {policy.minimum_requests:,} answers of the candidate, {candidate.errors:,} errors"
        return Guard("errors", "insufficient_data", told)
    told = (
        f"{rate.value:.2%} errors [{rate.low:.2%}, {rate.high:.2%}] of {candidate.n:,}, limit "
        f"{policy.maximum_error_rate:.2%}"
    )
    return Guard("errors", "violated" if rate.low > policy.maximum_error_rate else "ok", told)


def judge_latency(candidate: Answers, control: Answers, policy: RolloutPolicy) -> Guard:
    """Violated where the candidate's 95th percentile is above both limits, at the cautious ends of both intervals."""
    fewest = min(candidate.p95.n, control.p95.n)
    if fewest < policy.minimum_requests:
        told = f"{fewest:,} of {policy.minimum_requests:,} timed answers of each model"
        return Guard("latency", "insufficient_data", told)
    limit = max(policy.maximum_latency_ratio * control.p95.high, policy.maximum_latency_ms)
    told = (
        f"P95 {candidate.p95.value:.1f} ms [{candidate.p95.low:.1f}, {candidate.p95.high:.1f}], the champion's "
        f"{control.p95.value:.1f} ms, n = {candidate.p95.n:,} and {control.p95.n:,}"
    )
    return Guard("latency", "violated" if candidate.p95.low > limit else "ok", told)


def judge_conversions(strata: Sequence[Stratum], policy: RolloutPolicy, told_as_of: str) -> Guard:
    """Violated where the lower bound of the relative drop in conversions is above the limit. Only of matured leads."""
    candidate, control = sum(stratum.n for stratum in strata), sum(stratum.n_control for stratum in strata)
    counted = f"{candidate:,} matured leads of the candidate and {control:,} of the champion {told_as_of}"
    drop = conversion_drop(strata)
    if min(candidate, control) < policy.minimum_matured_leads or isnan(drop.value):
        nobody = "; nobody converted" if control and isnan(drop.value) else ""
        told = f"{counted}, {policy.minimum_matured_leads:,} of each are needed{nobody}"
        return Guard("conversions", "insufficient_data", told)
    told = f"conversions {-drop.value:+.1%} [{-drop.high:+.1%}, {-drop.low:+.1%}], {counted}"
    return Guard("conversions", "violated" if drop.low > policy.maximum_conversion_drop else "ok", told)


def conversion_drop(strata: Sequence[Stratum]) -> Metric:
    """1 - the ratio of the conversion rates, each share's leads compared among themselves.

    The ratio of Mantel and Haenszel with the variance of Greenland and Robins (1985): when a candidate gets more leads in
    a good week, that alone must not look like its merit. Where one side has no conversion at all, the pooled ratio with
    half a conversion more on either side.
    """
    table = np.array(
        [(s.converted, s.n, s.converted_control, s.n_control) for s in strata if s.n and s.n_control], dtype=np.float64
    ).reshape(-1, 4)
    a, n1, c, n0 = table.T
    both = n1 + n0
    above, below = float((a * n0 / both).sum()), float((c * n1 / both).sum())
    if not above or not below:
        total = table.sum(axis=0)
        return relative_drop((float(total[0]), int(total[1])), (float(total[2]), int(total[3])))
    variance = float(((a + c) * n1 * n0 / both**2 - a * c / both).sum()) / (above * below)
    ratio, reach = above / below, exp(Z * sqrt(variance))
    # Rounded, because 1 - 0.1125 / 0.125 is a trifle more than 0.10.
    return Metric("conversion_drop", round(1 - ratio, 9), 1 - ratio * reach, 1 - ratio / reach, int(n1.sum()))
