"""The mean of some values with its 95 % interval."""

from math import sqrt
from statistics import NormalDist

import numpy as np

from lead_scoring_assets.evaluation.metrics import CONFIDENCE, Floats

Z = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)
"""How many standard errors a normal interval reaches to each side."""


def mean_interval(values: Floats) -> tuple[float, float, float]:
    """Mean, low and high by the central limit theorem; the interval is NaN for one value, and all is NaN for none."""
    if len(values) < 2:
        return (float(values[0]) if len(values) else np.nan), np.nan, np.nan
    mean, half = float(values.mean()), Z * float(values.std(ddof=1)) / sqrt(len(values))
    return mean, mean - half, mean + half
