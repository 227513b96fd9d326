"""Whether outcomes follow from what is known of a lead as they did on the champion's holdout: P(y | x), not P(x).

The champion's score stands for what was learned of x. Where groups of leads move away from their scores otherwise than on
the holdout, what makes a lead convert has changed; where all move alike, only the rate has. A lead group that merely
became more frequent changes nothing here, as long as the model is right about it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from lead_scoring_assets.evaluation.means import Z
from lead_scoring_assets.evaluation.metrics import CONFIDENCE, Floats
from lead_scoring_assets.models.calibration import fit_calibrator, fit_log_odds
from lead_scoring_assets.monitoring.drift.groups import Cells, Grouping, group_numbers
from lead_scoring_assets.monitoring.drift.outcomes import (
    OutcomeDrift,
    Outcomes,
    Question,
    asked_of_an_estimate,
    not_judged,
    verdicts,
    why_not_judged,
)
from lead_scoring_assets.monitoring.drift.significance import SMALLEST_EXPECTED_COUNT
from lead_scoring_assets.settings import Performance, Watching

RATE, SCORE = "rate", "score"
_SCORE_GROUPS = 5


def measure_concept(
    reference: Outcomes,
    current: Outcomes,
    groupings: Mapping[str, Grouping],
    watching: Watching,
    needed: Performance,
    false_discovery_rate: float,
) -> list[OutcomeDrift]:
    """One verdict for the rate, one for groups of scores (has the slope changed?), one for the groups of each feature.

    `rate`: by how much the log odds of all leads moved between the windows, each corrected by its scores. The others:
    the standard deviation over groups of how far their log odds moved, beside the rate and less what chance makes of it.
    When nothing changed, the chance of any verdict but `ok` is at most `false_discovery_rate` over all of them together,
    whatever happened to P(x), if the model is right. Where it is wrong, leads that it is wrong about can become more
    frequent and look like a change of the rate.

    Args:
        reference: the champion's holdout, scored by itself.
        current: newer matured leads, scored by the champion.
        groupings: by feature; the same bins for both windows.
        watching: `log_odds_gap` is the size from which on a change counts.
        needed: rows, and leads of either outcome, of both windows.
        false_discovery_rate: over all questions together.
    """
    asked = (RATE, SCORE, *groupings)
    if refused := why_not_judged(reference, needed):
        status, reason = refused
        return not_judged(asked, current, len(reference.labels), status, f"the champion's holdout: {reason}")
    if refused := why_not_judged(current, needed):
        return not_judged(asked, current, len(reference.labels), *refused)
    # A model that was too sure on its holdout already would understate how far groups stray by chance.
    slope = fit_calibrator(reference.log_odds, reference.labels).slope
    then, now = _at_its_own_rate(reference, slope), _at_its_own_rate(current, slope)
    by_score = group_numbers(reference.scores, current.scores, _SCORE_GROUPS)
    questions, silent = [_rate(then, now, watching.log_odds_gap)], []
    for feature, grouping in {SCORE: by_score, **groupings}.items():
        question = _apart(feature, grouping, then, now, watching.log_odds_gap)
        if question is None:
            silent.append(feature)
        else:
            questions.append(question)
    reason = "fewer than two groups have 5 expected leads of either outcome in both windows"
    return [
        *verdicts(questions, current, len(reference.labels), false_discovery_rate),
        *not_judged(silent, current, len(reference.labels), "insufficient_data", reason),
    ]


@dataclass(frozen=True)
class _Window:
    """A window whose scores were moved to its own rate: what came of each lead, its chance, and by how much they moved."""

    labels: Floats
    chances: Floats
    shift: float

    @property
    def information(self) -> Floats:
        return self.chances * (1 - self.chances)


def _at_its_own_rate(window: Outcomes, slope: float) -> _Window:
    """Log odds × slope, moved until as many conversions are expected as came (calibration in the large)."""
    from scipy.special import expit

    odds = slope * window.log_odds
    shift = float(fit_log_odds(np.ones((len(odds), 1)), window.labels, odds)[0])
    return _Window(window.labels, expit(odds + shift), shift)


def _rate(then: _Window, now: _Window, limit: float) -> Question:
    error = sqrt(1 / float(then.information.sum()) + 1 / float(now.information.sum()))
    moved = now.shift - then.shift
    told = (
        f"conversions against scores moved by {moved:+.2f} log odds [{moved - Z * error:+.2f}, {moved + Z * error:+.2f}] "
        "since the holdout"
    )
    return asked_of_an_estimate(RATE, moved, error, limit, told)


def _apart(feature: str, grouping: Grouping, then: _Window, now: _Window, limit: float) -> Question | None:
    """Whether groups moved apart from each other; None with fewer than two groups to compare.

    Of each group and window (observed - expected) / information is how far its log odds lie from the scores: the one-step
    estimate of Peto (Yusuf, Peto et al. 1985), with variance 1 / information. Differences between the windows vary around
    their weighted mean by Q = sum w (d - mean)², chi-square without change (Cochran 1954), noncentral with
    noncentrality sum w (true d - mean)² otherwise, w the inverse variance of a difference.
    """
    from scipy.stats import chi2, ncx2

    pooled = _pool(grouping, then, now)
    if pooled is None:
        return None
    names, sums = pooled
    (came_then, due_then, weight_then), (came_now, due_now, weight_now) = sums
    moved = (came_now - due_now) / weight_now - (came_then - due_then) / weight_then
    weight = 1 / (1 / weight_then + 1 / weight_now)
    total = float(weight.sum())
    apart = moved - float((weight * moved).sum()) / total
    statistic, freedom = float((weight * apart**2).sum()), len(names) - 1
    low, high = (sqrt(value / total) for value in _noncentrality_interval(statistic, freedom))
    effect = sqrt(max(statistic - freedom, 0.0) / total)
    most = int(np.argmax(weight * apart**2))
    return Question(
        feature=feature,
        effect=effect,
        low=low,
        high=high,
        limit=limit,
        p_value=float(chi2.sf(statistic, freedom)),
        minimum_effect_p_value=float(ncx2.sf(statistic, freedom, limit**2 * total)),
        told=f"{len(names)} groups by {feature} moved apart by {effect:.2f} log odds [{low:.2f}, {high:.2f}] since the "
        f"holdout, most {names[most]} ({apart[most]:+.2f})",
    )


Sums = tuple[Floats, Floats, Floats]
"""Conversions that came, that were expected, and the information of each group."""


def _pool(grouping: Grouping, then: _Window, now: _Window) -> tuple[list[str], tuple[Sums, Sums]] | None:
    """Sums by group; groups with too few expected leads are one, and the smallest other joins it if that is too few.

    As Cochran (1954) asks; and only what was expected decides, never what came, or chance would choose the groups.
    """
    size = len(grouping.names)
    sums = (_sums(then, grouping.then, size), _sums(now, grouping.now, size))
    leads = [np.bincount(cells, minlength=size) for cells in (grouping.then, grouping.now)]
    scarcest = np.minimum.reduce(
        [found for n, (_, due, _) in zip(leads, sums, strict=True) for found in (due, n - due)]
    )
    occupied = (leads[0] + leads[1]) > 0
    own = occupied & (scarcest >= SMALLEST_EXPECTED_COUNT)
    rest = occupied & ~own
    members = [[int(index)] for index in np.flatnonzero(own)]
    if rest.any():
        together = [int(index) for index in np.flatnonzero(rest)]
        if scarcest[together].sum() < SMALLEST_EXPECTED_COUNT and members:
            smallest = min(range(len(members)), key=lambda index: scarcest[members[index][0]])
            together += members.pop(smallest)
        members.append(together)
    if len(members) < 2:
        return None
    names = [grouping.names[group[0]] if len(group) == 1 else "the rest" for group in members]
    return names, (_added(sums[0], members), _added(sums[1], members))


def _sums(window: _Window, cells: Cells, size: int) -> Sums:
    def total(values: Floats) -> Floats:
        return np.bincount(cells, weights=values, minlength=size).astype(np.float64)

    return total(window.labels), total(window.chances), total(window.information)


def _added(sums: Sums, members: Sequence[Sequence[int]]) -> Sums:
    came, due, information = (np.array([values[list(group)].sum() for group in members]) for values in sums)
    return came, due, information


def _noncentrality_interval(statistic: float, freedom: int) -> tuple[float, float]:
    """95 % interval of the noncentrality: those under which a statistic as observed is not unusual (Steiger 2004)."""
    from scipy.optimize import brentq
    from scipy.stats import ncx2

    tail = (1 - CONFIDENCE) / 2
    highest = 2 * statistic + 60.0 + 10 * freedom

    def found(chance: float) -> float:
        if ncx2.cdf(statistic, freedom, 0.0) <= chance:
            return 0.0
        return float(brentq(lambda size: ncx2.cdf(statistic, freedom, size) - chance, 0.0, highest))

    return found(1 - tail), found(tail)
