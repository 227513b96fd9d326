"""How far apart the rates of several groups lie, with an interval that allows for having looked for the farthest.

The largest of many differences is above zero even where nothing differs, and so is every resample of it: its percentile
interval lies above the truth, and its near bound gives false alarms. Instead all pairs of groups are bounded at the same
time, with the bootstrap of the largest studentised difference (Romano and Wolf 2005; Tukey's range test without its
equal variances).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lead_scoring_assets.evaluation.means import Z
from lead_scoring_assets.evaluation.metrics import CONFIDENCE, Floats


@dataclass(frozen=True)
class Counts:
    """Hits among cases, for some rates and groups: shape (rates, groups), or (samples, rates, groups) for resamples."""

    hits: Floats
    cases: Floats

    @property
    def rates(self) -> Floats:
        """NaN where there is no case."""
        return np.divide(self.hits, self.cases, out=np.full_like(self.hits, np.nan), where=self.cases > 0)

    @property
    def smoothed(self) -> Floats:
        """Half a hit and half a miss added, so that neither 0 nor 1 comes out."""
        return (self.hits + 0.5) / (self.cases + 1)


def draw_counts(cells: npt.NDArray[np.int64], samples: int, seed: int) -> npt.NDArray[np.int64]:
    """Resamples of leads, as counts: leads of the same cell are alike, so drawing rows is drawing a multinomial.

    Args:
        cells: how many leads are in each cell, any shape.
        samples: resamples to draw.
        seed: same seed, same resamples.

    Returns:
        Counts of shape (samples, *cells.shape).
    """
    n = int(cells.sum())
    drawn = np.random.default_rng(seed).multinomial(n, cells.ravel() / max(1, n), size=samples)
    return np.asarray(drawn.reshape(samples, *cells.shape))


def largest_difference(counts: Counts, drawn: Counts) -> tuple[float, float, float]:
    """Largest difference of a rate between two groups, over all given rates, with its 95 % interval."""
    rates, errors = counts.rates, np.sqrt(counts.smoothed * (1 - counts.smoothed) / counts.cases)
    resampled = np.where(drawn.cases > 0, drawn.rates, rates)
    value = float((rates.max(axis=-1) - rates.min(axis=-1)).max())
    low, high = _farthest(rates, errors, resampled)
    return value, min(value, low), min(1.0, high)


def smallest_ratio(counts: Counts, drawn: Counts) -> tuple[float, float, float]:
    """Smallest rate of a group over the largest one's, with its 95 % interval, from differences of logarithms.

    All NaN when no group has a hit.
    """
    if not counts.hits.any():
        return np.nan, np.nan, np.nan
    rates, smoothed = counts.rates, counts.smoothed
    value = float((rates.min(axis=-1) / rates.max(axis=-1)).min())
    errors = np.sqrt((1 - smoothed) / (smoothed * (counts.cases + 1)))  # delta method
    low, high = _farthest(np.log(smoothed), errors, np.log(drawn.smoothed))
    return value, min(value, float(np.exp(-high))), max(value, float(np.exp(-low)))


def _farthest(estimates: Floats, errors: Floats, drawn: Floats) -> tuple[float, float]:
    """Bounds of the largest difference between two groups: the farthest that some pair must, and can, be apart.

    Args:
        estimates: shape (rates, groups).
        errors: their standard errors, same shape.
        drawn: the estimates on resamples, shape (samples, rates, groups).
    """
    deviations = drawn - estimates
    largest = np.zeros(len(drawn))
    for group in range(estimates.shape[-1] - 1):  # one group against those after it: memory stays small
        apart = np.abs(deviations[..., group + 1 :] - deviations[..., group, None])
        error = np.hypot(errors[..., group + 1 :], errors[..., group, None])
        np.maximum(largest, (apart / error).max(axis=(-2, -1)), out=largest)
    # Not less than for one pair: where nobody is selected in any resample, nothing differs.
    multiple = max(Z, float(np.quantile(largest, CONFIDENCE)))
    difference = np.abs(estimates[:, :, None] - estimates[:, None, :])
    half = multiple * np.hypot(errors[:, :, None], errors[:, None, :])
    half[:, np.arange(half.shape[1]), np.arange(half.shape[1])] = 0.0  # a group does not differ from itself
    return max(0.0, float((difference - half).max())), float((difference + half).max())
