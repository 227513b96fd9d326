"""Whether the live model's scores are still spread as they were on leads that it had not seen: distances, mean, ties.

The reference is the champion's holdout, scored by itself. Its training rows would not do: a model is surer of leads that
it has learned. Still, it was chosen by its holdout among a few, so that this reference flatters it a little.
"""

from dataclasses import dataclass, replace
from math import exp, log, sqrt
from statistics import NormalDist

import numpy as np
import pandas as pd

from lead_scoring_assets.evaluation.means import Z
from lead_scoring_assets.evaluation.metrics import Floats
from lead_scoring_assets.monitoring.drift.measure import FeatureDrift, Severity, Status, measure_drift
from lead_scoring_assets.monitoring.drift.reference import build_reference
from lead_scoring_assets.settings import Drift, Watching

SCORE = "probability"
SAME_SCORE = 1e-4
"""Scores that lie no further apart are the same to whoever calls by them."""

_TESTS = 3  # bins, largest gap, mean: each gets a third of the false alarms
_CORRELATED_BINS = 20


@dataclass(frozen=True)
class ScoreDrift:
    """What was measured of one period's scores, and the verdict. A number is None where it could not be computed.

    Attributes
    ----------
    n_reference, n_current : scores that are probabilities.
    ks_low : the true largest gap is at least this, at the level of the alarm.
    mean_shift_percent, mean_shift_low, mean_shift_high : of the mean score, with its 95 % interval.
    largest_tie_share : the largest share of current scores within `SAME_SCORE` of each other.
    bin_correlation : of the counts in 20 equal bins that both windows share; shown, because a document asks for it. It
        cannot see a shift that both windows' counts follow, and no alarm looks at it.
    """

    status: Status
    reason: str
    severity: Severity
    n_reference: int
    n_current: int
    feature: str = SCORE
    kind: str = "score"
    psi: float | None = None
    psi_debiased: float | None = None
    psi_expected_without_drift: float | None = None
    kl_divergence: float | None = None
    js_distance: float | None = None
    ks_statistic: float | None = None
    ks_p_value: float | None = None
    ks_low: float | None = None
    adjusted_p_value: float | None = None
    minimum_effect_p_value: float | None = None
    mean_reference: float | None = None
    mean_current: float | None = None
    mean_shift_percent: float | None = None
    mean_shift_low: float | None = None
    mean_shift_high: float | None = None
    sd_reference: float | None = None
    sd_current: float | None = None
    largest_tie_share: float | None = None
    bin_correlation: float | None = None


def measure_scores(reference: Floats, current: Floats, drift: Drift, watching: Watching) -> ScoreDrift:
    """Judge a period's scores against the champion's own on its holdout.

    CRITICAL at once, however few leads (8 suffice): nearly all scores are the same, which the holdout's were not.
    Otherwise three questions, each with a third of `false_discovery_rate`, so that the chance of any alarm without drift
    is at most that: does the PSI say `drift` or `warning` (`measure_drift`); is the largest gap between the two
    distribution functions clearly above its limits; has the mean clearly moved by more than its limit (a warning).

    Args:
        reference: the champion's scores of leads that it had not seen, shape (m,).
        current: the period's scores, shape (n,). What is no probability is left out, and told.
        drift: rows that are needed, levels, and the limits of the PSI.
        watching: the limits of the largest gap, the mean and ties.
    """
    then, now = _probabilities(reference), _probabilities(current)
    strangers = len(current) - len(now)
    told = f"; {strangers:,} scores are no probability and were left out" if strangers else ""
    level = drift.false_discovery_rate / _TESTS
    share = largest_tie_share(now)
    if _is_constant(then, now, watching.constant_score_share, drift.false_discovery_rate):
        reason = f"{share:.1%} of {len(now):,} leads have the same score: nobody can be called before others by it"
        return _described(then, now, "drift", reason + told, "CRITICAL")
    needed = max(drift.minimum_rows, 2)
    if not len(then):
        return _described(then, now, "not_computable", "the reference holds no score" + told, "UNKNOWN")
    if min(len(then), len(now)) < needed:
        reason = f"{needed:,} scores are needed in both windows; found {len(then):,} then and {len(now):,} now"
        return _described(then, now, "insufficient_data", reason + told, "UNKNOWN")
    measured = _by_bins(then, now, drift, level)
    described = _described(then, now, measured.status, measured.reason.rstrip(".") + told, "UNKNOWN", measured)
    return _with_verdict(described, _mean_shift(then, now, NormalDist().inv_cdf(1 - level / 2)), level, watching)


def largest_tie_share(scores: Floats) -> float:
    """The largest share of scores that lie within `SAME_SCORE` of each other; 0 for no score."""
    if not len(scores):
        return 0.0
    ordered = np.sort(scores)
    reached = np.searchsorted(ordered, ordered + SAME_SCORE, side="right")
    return float((reached - np.arange(len(ordered))).max() / len(ordered))


def largest_gap_at_least(statistic: float, n_reference: int, n_current: int, level: float) -> float:
    """Lower bound of the true largest gap between two distribution functions, for any distributions and any n.

    Each empirical function strays from its own by more than sqrt(ln(4 / level) / 2n) with a chance of at most level / 2
    (Dvoretzky, Kiefer and Wolfowitz 1956 with the constant of Massart 1990).
    """
    stray = sqrt(log(4 / level) / 2)
    return max(0.0, statistic - stray / sqrt(n_reference) - stray / sqrt(n_current))


def _probabilities(scores: Floats) -> Floats:
    found = np.asarray(scores, dtype=np.float64)
    # "Inside", rather than "not outside": NaN is neither.
    return found[(found >= 0) & (found <= 1)]


def _is_constant(then: Floats, now: Floats, limit: float, level: float) -> bool:
    """More than `limit` of the scores are one, and that is no chance given how many were one on the holdout.

    With p the largest share of any score then, at least one half, the chance that some score has k > n/2 of n is at most
    P(Binomial(n, p) >= k) / p: a sum over the scores v of P(Binomial(n, p_v) >= k), whose shares add up to 1.
    """
    if len(now) < 2 or largest_tie_share(now) <= limit:
        return False
    from scipy.stats import binom

    ties = round(largest_tie_share(now) * len(now))
    usual = max(0.5, (largest_tie_share(then) * len(then) + 1) / (len(then) + 1) if len(then) else 0.0)
    return bool(binom.sf(ties - 1, len(now), usual) / usual <= level)


def _by_bins(then: Floats, now: Floats, drift: Drift, level: float) -> FeatureDrift:
    state = build_reference(pd.DataFrame({SCORE: then}), [SCORE], [])
    [measured] = measure_drift(
        state,
        pd.DataFrame({SCORE: now}),
        minimum_rows=drift.minimum_rows,
        false_discovery_rate=level,
        minimum_effect_psi=drift.minimum_effect_psi,
        psi_warning=drift.psi_warning,
        psi_drift=drift.psi_drift,
    )
    return measured


def _described(
    then: Floats, now: Floats, status: Status, reason: str, severity: Severity, measured: FeatureDrift | None = None
) -> ScoreDrift:
    """Everything that needs no verdict."""
    shared = {
        name: getattr(measured, name)
        for name in (
            *("psi", "psi_debiased", "psi_expected_without_drift", "kl_divergence", "js_distance"),
            *("ks_statistic", "ks_p_value", "adjusted_p_value", "minimum_effect_p_value"),
        )
        if measured is not None
    }
    shift = _mean_shift(then, now, Z) if len(then) > 1 and len(now) > 1 else None
    return ScoreDrift(
        status=status,
        reason=reason,
        severity=severity,
        n_reference=len(then),
        n_current=len(now),
        **shared,
        mean_reference=float(then.mean()) if len(then) else None,
        mean_current=float(now.mean()) if len(now) else None,
        mean_shift_percent=shift[0] if shift else None,
        mean_shift_low=shift[1] if shift else None,
        mean_shift_high=shift[2] if shift else None,
        sd_reference=float(then.std(ddof=1)) if len(then) > 1 else None,
        sd_current=float(now.std(ddof=1)) if len(now) > 1 else None,
        largest_tie_share=largest_tie_share(now) if len(now) else None,
        bin_correlation=_bin_correlation(then, now),
    )


def _mean_shift(then: Floats, now: Floats, z: float) -> tuple[float, float, float] | None:
    """Change of the mean in percent with its interval, normal on the log of the ratio (delta method); None for a mean of 0."""
    before, after = float(then.mean()), float(now.mean())
    if before <= 0 or after <= 0:
        return None
    error = sqrt(float(then.var(ddof=1)) / len(then) / before**2 + float(now.var(ddof=1)) / len(now) / after**2)
    ratio = after / before
    return tuple(100 * (ratio * exp(reach) - 1) for reach in (0.0, -z * error, z * error))  # type: ignore[return-value]


def _bin_correlation(then: Floats, now: Floats) -> float | None:
    if not len(then) or not len(now):
        return None
    both = np.concatenate([then, now])
    limits = (float(both.min()), float(both.max()))
    first, second = (np.histogram(scores, _CORRELATED_BINS, limits)[0].astype(np.float64) for scores in (then, now))
    # Scores that lie in one bin only, or in all alike, correlate with nothing.
    return float(np.corrcoef(first, second)[0, 1]) if first.std() and second.std() else None


def _with_verdict(
    found: ScoreDrift, shift: tuple[float, float, float] | None, level: float, watching: Watching
) -> ScoreDrift:
    """The bins' verdict, raised by the largest gap and by the mean. `shift` has its interval at the level of the alarm."""
    status, told = found.status, [found.reason]
    gap = found.ks_statistic or 0.0
    low = largest_gap_at_least(gap, found.n_reference, found.n_current, level)
    if low > watching.score_ks_warning:
        is_drift = low > watching.score_ks_drift
        limit = watching.score_ks_drift if is_drift else watching.score_ks_warning
        status = "drift" if is_drift or status == "drift" else "warning"
        told.append(f"the largest gap of the distribution functions is {gap:.2f}, at least {low:.2f}, limit {limit:g}")
    limit = 100 * watching.score_mean_shift
    if shift is not None and (shift[1] > limit or shift[2] < -limit):
        status = "warning" if status == "ok" else status
        told.append(
            f"the mean score moved by {shift[0]:+.0f} % [{shift[1]:+.0f} %, {shift[2]:+.0f} %], limit {limit:.0f} %"
        )
    severities: dict[Status, Severity] = {"drift": "HIGH", "warning": "MEDIUM", "ok": "LOW"}
    severity = severities.get(status, "UNKNOWN")
    return replace(found, status=status, reason="; ".join(told), severity=severity, ks_low=low)
