"""Whether conversions rise or fall over matured cohorts, and by how much."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import expm1, isfinite, nan, sqrt

import numpy as np

from lead_scoring_assets.evaluation.metrics import CONFIDENCE

MINIMUM_PERIODS = 4
_STEPS = 50


@dataclass(frozen=True)
class Trend:
    """Change of the odds of conversion from one period to the next, as a share, with its interval; NaN: too little.

    `first`, `last`: the fitted rates at both ends. `dispersion`: how much more the rates vary than chance makes them.
    """

    change: float
    low: float
    high: float
    first: float
    last: float
    dispersion: float

    @property
    def words(self) -> str:
        """rising or falling where the whole interval says so, else no clear trend."""
        return "falling" if self.high < 0 else "rising" if self.low > 0 else "no clear trend"


def conversion_trend(cohorts: Sequence[tuple[float, int]]) -> Trend:
    """Slope of a logistic regression of conversion on the number of the period; cohorts are (conversions, leads) in order.

    Cohorts weigh as many leads as they have. Their rates vary by more than chance (seasons, campaigns), so the variance
    is Pearson's X² / (k - 2) times the binomial one, never less (quasi-likelihood, Wedderburn 1974; McCullagh and Nelder
    1989, section 4.5), and the interval is Student's with k - 2 degrees of freedom. It is the test of Cochran (1954) and
    Armitage (1955) for a trend, with an interval.
    """
    from scipy.special import expit
    from scipy.stats import t as student

    nothing = Trend(nan, nan, nan, nan, nan, nan)
    converted, leads = np.array([c for c in cohorts if c[1] > 0], dtype=np.float64).reshape(-1, 2).T
    periods = len(leads)
    if periods < MINIMUM_PERIODS or not 0 < converted.sum() < leads.sum():
        return nothing
    place = np.arange(periods) - (periods - 1) / 2
    rate = converted.sum() / leads.sum()
    beta = np.array([np.log(rate / (1 - rate)), 0.0])
    design = np.column_stack([np.ones(periods), place])
    for _ in range(_STEPS):
        fitted = expit(design @ beta)
        weights = leads * fitted * (1 - fitted)
        step = np.linalg.pinv(design.T @ (design * weights[:, None])) @ (design.T @ (converted - leads * fitted))
        beta = beta + step
        if np.abs(step).max() < 1e-10:
            break
    fitted = expit(design @ beta)
    variance = leads * fitted * (1 - fitted)
    covariance = np.linalg.pinv(design.T @ (design * variance[:, None]))
    dispersion = max(1.0, float(((converted - leads * fitted) ** 2 / variance).sum() / (periods - 2)))
    reach = float(student.ppf(0.5 + CONFIDENCE / 2, periods - 2)) * sqrt(dispersion * covariance[1, 1])
    slope = float(beta[1])
    if not isfinite(slope) or not isfinite(reach) or reach > 700:  # exp has an end
        return nothing
    return Trend(
        expm1(slope), expm1(slope - reach), expm1(slope + reach), float(fitted[0]), float(fitted[-1]), dispersion
    )
