"""Whether the champion scores for the same reasons as on its holdout: how its contributions share out over the features.

The model has not changed, so what moves is who is scored. A feature may drift and drive no score, or barely move and drive
many; this weighs each by what the model makes of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lead_scoring_assets.evaluation.metrics import CONFIDENCE, Floats
from lead_scoring_assets.monitoring.drift.measure import Severity, Status
from lead_scoring_assets.settings import Watching

IMPORTANCE = "importance"
SAMPLE_LEADS = 1_000
"""Leads of each window whose contributions are computed: they cost a hundred times what a score does."""

_PERMUTATIONS = 999
_TOLD = 3
_SEED = 20_231_103  # any: the same periods have the same answer


@dataclass(frozen=True)
class ImportanceShift:
    """The verdict. `distance`: the share of the importance that moved to other features, from 0 to 1, `low` to `high` its
    95 % interval; `by_chance` the mean distance without any change. All numbers are None where it cannot be said."""

    feature: str
    status: Status
    reason: str
    severity: Severity
    n_reference: int
    n_current: int
    distance: float | None = None
    low: float | None = None
    high: float | None = None
    by_chance: float | None = None
    limit: float | None = None
    p_value: float | None = None
    minimum_effect_p_value: float | None = None


def importance_shares(contributions: Floats) -> Floats:
    """Mean |contribution| of each feature as a share of the sum over all (Lundberg and others 2020); shape (features,).

    `contributions`: log odds, shape (leads, features), without the base.
    """
    shares: Floats = _shares(np.abs(contributions).sum(axis=0)[None, :])[0]
    return shares


def measure_importance(
    reference: Floats,
    current: Floats,
    columns: Sequence[str],
    watching: Watching,
    minimum_rows: int,
    false_alarm_rate: float,
) -> ImportanceShift:
    """How far both windows' shares are apart: total variation, half the sum of |share now - share then|.

    `p_value` of "the same leads came": windows drawn from all leads of both without regard to when they came (Fisher 1935;
    exact for leads that do not depend on each other, so an alarm without cause has a chance of at most
    `false_alarm_rate`). Distances of permuted windows also tell how far chance carries an estimate; by the triangle
    inequality the true distance is within that of the measured one, which gives the interval and the test of "no more
    than `importance_gap` moved", both on the cautious side. `drift` where more than that is established, `warning` where
    it was measured and any change is established.

    Args:
        reference: contributions of the champion's holdout, shape (leads, len(columns)).
        current: those of newer leads.
        columns: the features, for the words.
        watching: `importance_gap` is the size from which on a shift counts.
        minimum_rows: leads that are needed of each window.
        false_alarm_rate: of this one question.
    """
    n, m, limit = len(reference), len(current), watching.importance_gap
    if min(n, m) < minimum_rows:
        reason = f"{minimum_rows:,} leads are needed of both windows; found {n:,} of the holdout and {m:,} newer ones"
        return not_judged("insufficient_data", reason, n, m)
    if not (np.isfinite(reference).all() and np.isfinite(current).all()):
        return not_judged("not_computable", "some contributions are no finite number", n, m)
    strengths = np.abs(np.concatenate([reference, current]))
    then, now = importance_shares(reference), importance_shares(current)
    if not then.any() or not now.any():
        reason = "the champion gives every lead of a window the same score: no feature drives it"
        return not_judged("not_computable", reason, n, m)
    distance = float(np.abs(now - then).sum() / 2)
    chance = _permuted_distances(strengths, n)
    reach = float(np.quantile(chance, CONFIDENCE))
    p_value, beyond = _share_reaching(chance, distance), _share_reaching(chance, distance - limit)
    low, high = max(0.0, distance - reach), min(1.0, distance + reach)
    status: Status = "ok"
    severity: Severity = "LOW"
    if p_value <= false_alarm_rate and distance > limit:
        is_established = beyond <= false_alarm_rate
        status, severity = ("drift", "HIGH") if is_established else ("warning", "MEDIUM")
    most = np.argsort(-np.abs(now - then), kind="stable")[:_TOLD]
    told = ", ".join(f"{columns[place]} {then[place]:.0%} → {now[place]:.0%}" for place in most)
    reason = (
        f"{distance:.1%} of the importance moved [{low:.1%}, {high:.1%}], {chance.mean():.1%} does by chance; limit "
        f"{limit:.0%}, p = {p_value:.2g}, of no more than the limit {beyond:.2g}; most: {told} ({n:,} leads of the holdout, "
        f"{m:,} newer ones)"
    )
    return ImportanceShift(
        IMPORTANCE, status, reason, severity, n, m, distance, low, high, float(chance.mean()), limit, p_value, beyond
    )


def not_judged(status: Status, reason: str, n_reference: int = 0, n_current: int = 0) -> ImportanceShift:
    """What is said where nothing can be measured, so that silence is not taken for an answer."""
    return ImportanceShift(IMPORTANCE, status, reason, "UNKNOWN", n_reference, n_current)


def _permuted_distances(strengths: Floats, n_first: int) -> Floats:
    """Distances of windows of `n_first` leads and of all others, drawn at random; shape (_PERMUTATIONS,)."""
    rng = np.random.default_rng(_SEED)
    total, n = strengths.sum(axis=0), len(strengths)
    sums = np.stack([strengths[rng.permutation(n)[:n_first]].sum(axis=0) for _ in range(_PERMUTATIONS)])
    distances: Floats = np.abs(_shares(sums) - _shares(total - sums)).sum(axis=1) / 2
    return distances


def _share_reaching(chance: Floats, distance: float) -> float:
    """Phipson and Smyth (2010): a permutation's p-value counts what was observed as one of them, so that it is never 0."""
    return float((1 + np.count_nonzero(chance >= distance)) / (1 + len(chance)))


def _shares(sums: Floats) -> Floats:
    whole = sums.sum(axis=1, keepdims=True)
    shares: Floats = np.divide(sums, whole, out=np.zeros_like(sums), where=whole > 0)
    return shares
