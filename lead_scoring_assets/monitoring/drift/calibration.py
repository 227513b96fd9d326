"""Whether the champion still keeps its promise: as many conversions as its scores say, and scores neither too sure nor
too timid. Asked of the newest leads whose labels are complete, none of which the model has seen."""

from math import sqrt

import numpy as np

from lead_scoring_assets.evaluation.means import Z
from lead_scoring_assets.evaluation.metrics import share
from lead_scoring_assets.models.calibration import fit_log_odds
from lead_scoring_assets.monitoring.drift.outcomes import (
    OutcomeDrift,
    Outcomes,
    Question,
    asked_of_an_estimate,
    not_judged,
    verdicts,
    why_not_judged,
)
from lead_scoring_assets.settings import Performance, Watching

LEVEL, SLOPE = "level", "slope"
QUESTIONS = (LEVEL, SLOPE)

_LEAST_PROMISE = 1e-6  # a model that promises nothing to anybody is measured against one in a million


def measure_calibration(
    cohort: Outcomes, watching: Watching, needed: Performance, false_discovery_rate: float
) -> list[OutcomeDrift]:
    """Level and slope of what came against what was promised (Cox 1958; calibration in the large, weak calibration).

    `level`: conversions over promised ones, less 1. `slope`: of the log odds; 1 as promised, below 1 too sure, 0 no
    use. Each with its 95 % interval; the limits are `promise_gap` and `slope_gap`. A perfect model gets a verdict other
    than `ok` with a chance of at most `false_discovery_rate`.

    Args:
        cohort: matured leads with the champion's scores.
        watching: from which gap on it counts.
        needed: rows, and leads of either outcome.
        false_discovery_rate: of both questions together.
    """
    if refused := why_not_judged(cohort, needed):
        return not_judged(QUESTIONS, cohort, None, *refused)
    questions = [_level(cohort, watching.promise_gap)]
    slope = _slope(cohort, watching.slope_gap)
    if slope is not None:
        return verdicts([*questions, slope], cohort, None, false_discovery_rate)
    reason = "the scores do not vary enough to say whether they are too sure"
    return [
        *verdicts(questions, cohort, None, false_discovery_rate),
        *not_judged([SLOPE], cohort, None, "not_computable", reason),
    ]


def _level(cohort: Outcomes, limit: float) -> Question:
    """A binomial test with the mean score for everybody: a sum of unequal chances strays less (Hoeffding 1956)."""
    from scipy.stats import binom

    n, came, promised = len(cohort.labels), cohort.positives, float(cohort.scores.mean())
    rate = share("conversion_rate", float(came), n)

    def more(chance: float) -> float:
        return float(binom.sf(came - 1, n, min(chance, 1.0)))

    def fewer(chance: float) -> float:
        return float(binom.cdf(came, n, max(chance, 0.0)))

    effect, low, high = (value / max(promised, _LEAST_PROMISE) - 1 for value in (rate.value, rate.low, rate.high))
    return Question(
        feature=LEVEL,
        effect=effect,
        low=low,
        high=high,
        limit=limit,
        p_value=min(1.0, 2 * min(more(promised), fewer(promised))),
        minimum_effect_p_value=min(more(promised * (1 + limit)), fewer(promised * (1 - limit))),
        told=f"{rate.value:.1%} converted [{rate.low:.1%}, {rate.high:.1%}], {promised:.1%} were promised: {effect:+.0%}",
    )


def _slope(cohort: Outcomes, limit: float) -> Question | None:
    """Maximum likelihood, its error from Fisher's information; None where the scores have no spread."""
    from scipy.special import expit

    odds = cohort.log_odds
    spread = float(odds.std())
    if spread < 1e-9:
        return None
    design = np.column_stack([(odds - odds.mean()) / spread, np.ones(len(odds))])
    weights = fit_log_odds(design, cohort.labels, np.zeros(len(odds)))
    chance = expit(design @ weights)
    information = design.T @ (design * (chance * (1 - chance))[:, None])
    if np.linalg.cond(information) > 1e12:
        return None
    slope, error = float(weights[0]) / spread, sqrt(float(np.linalg.inv(information)[0, 0])) / spread
    told = f"slope {slope:.2f} [{slope - Z * error:.2f}, {slope + Z * error:.2f}], 1 was promised"
    return asked_of_an_estimate(SLOPE, slope - 1, error, limit, told)
