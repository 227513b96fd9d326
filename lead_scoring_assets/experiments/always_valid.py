"""Intervals that hold at every look at once, so that who looks every day is fooled no oftener than who looks once.

Under random assignment with share p, each conversion is one of the treatment's with probability π = pλ / (pλ + 1 - p),
where λ is how many times as often the treatment converts: the base rate, which nobody knows, drops out. What is left is
a sequence of coin tosses, for which Robbins's mixture gives an exact answer at any number of conversions, also none:
no normal approximation that a rate of 2 % could break. A conversion is counted when its unit reaches its age, and not
again, so that nothing of what was seen at an earlier look changes.
"""

from dataclasses import dataclass
from math import log

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_BISECTIONS = 60


@dataclass(frozen=True)
class AlwaysValid:
    """How many times as often the treatment converts, its interval, and the p value; valid whenever one stops.

    `ratio` is NaN while a side has no conversion; an end that nothing bounds is 0 or infinite.
    """

    ratio: float
    low: float
    high: float
    p_value: float


def log_evidence(of_treatment: npt.ArrayLike, conversions: npt.ArrayLike, share: float, strength: float) -> Floats:
    """Log of the evidence against `share`: by Ville's inequality it ever exceeds log(1/α) with probability α at most.

    The beta-binomial mixture of Robbins (1970), as Lindon and Malek (2022) use it for conversions and for sample ratios:
    the likelihood under π ~ Beta(strength · share, strength · (1 - share)) over that under `share`.

    Args:
        of_treatment: how many of the conversions (or units) were the treatment's so far.
        conversions: all of them; the same shape.
        share: the share of the treatment where there is no effect.
        strength: how many conversions the mixture is worth; see `strength_for`.
    """
    from scipy.special import betaln, xlog1py, xlogy

    s, m = np.asarray(of_treatment, dtype=np.float64), np.asarray(conversions, dtype=np.float64)
    a, b = strength * share, strength * (1 - share)
    found: Floats = betaln(a + s, b + m - s) - betaln(a, b) - xlogy(s, share) - xlog1py(m - s, -share)
    return found


def strength_for(conversions: float, significance: float) -> float:
    """The strength with which the smallest lift is told after `conversions` (Howard et al. 2021, section 3.5).

    Any strength is valid, if it is chosen before the data are seen.
    """
    from scipy.special import lambertw

    # Of the normal mixture: m·ρ² = -W₋₁(-α²/e) - 1, and 1/ρ² is what the beta mixture calls its strength.
    best = -float(lambertw(-(significance**2) / np.e, -1).real) - 1
    return max(conversions / best, 1.0)


def share_bounds(
    of_treatment: npt.ArrayLike, conversions: npt.ArrayLike, share: float, strength: float, significance: float
) -> tuple[Floats, Floats]:
    """The shares π that the evidence does not refuse: lower and upper ends, in the shape of the counts.

    0 and 1 without any conversion.
    """
    from scipy.special import betaln, xlog1py, xlogy

    s, m = np.asarray(of_treatment, dtype=np.float64), np.asarray(conversions, dtype=np.float64)
    a, b = strength * share, strength * (1 - share)
    limit = betaln(a + s, b + m - s) - betaln(a, b) - log(1 / significance)
    seen = np.divide(s, m, out=np.full_like(s, share), where=m > 0)

    def end(side: float) -> Floats:
        inside, outside = seen.copy(), np.full_like(seen, side)
        for _ in range(_BISECTIONS):
            middle = (inside + outside) / 2
            holds = xlogy(s, middle) + xlog1py(m - s, -middle) >= limit
            inside, outside = np.where(holds, middle, inside), np.where(holds, outside, middle)
        return outside

    return end(0.0), end(1.0)


def lift_sequence(
    of_treatment: int, of_control: int, share: float, strength: float, significance: float
) -> AlwaysValid:
    """Ratio of the conversion rates (treatment to control) with its always-valid interval, from conversions alone.

    Args:
        of_treatment: conversions of the treatment so far, `of_control` of the control.
        share: the probability with which a unit got the treatment.
        strength: chosen when the experiment was planned; see `strength_for`.
        significance: the probability of ever being wrong.
    """
    conversions = of_treatment + of_control
    ends = share_bounds(of_treatment, conversions, share, strength, significance)
    low, high = (_as_ratio(float(end), share) for end in ends)
    ratio = _as_ratio(of_treatment / conversions, share) if of_treatment and of_control else np.nan
    evidence = float(log_evidence(of_treatment, conversions, share, strength))
    return AlwaysValid(ratio, low, high, float(np.exp(min(0.0, -evidence))))


def _as_ratio(share_of_conversions: float, share: float) -> float:
    if share_of_conversions >= 1:
        return np.inf
    return share_of_conversions / (1 - share_of_conversions) * (1 - share) / share
