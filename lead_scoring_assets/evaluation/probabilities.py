"""How far scores can be taken at their word as probabilities: Brier score, log loss, calibration. Ranking is not asked."""

from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

from lead_scoring_assets.evaluation.bootstrap import Weighted, percentiles, total
from lead_scoring_assets.evaluation.means import Z
from lead_scoring_assets.evaluation.metrics import Floats, Metric

BINS = 10
_CLIP = 1e-15  # a score of exactly 0 for a lead that converts would make the log loss of all infinite
_HALVINGS = 30


def mean_of(values: Floats) -> Weighted:
    """The mean of one value per lead, shape (n,)."""
    return lambda weights: total(weights, values) / weights.sum(axis=1)


def brier(labels: Floats, scores: Floats) -> Weighted:
    """Mean of (score − label)² (Brier 1950); 0 is perfect, always saying the rate r gives r(1 − r)."""
    return mean_of((scores - labels) ** 2)


def log_loss(labels: Floats, scores: Floats) -> Weighted:
    """Mean of −ln of the probability that was given to what happened; scores are cut at 1e-15 and 1 − 1e-15."""
    said = np.clip(scores, _CLIP, 1 - _CLIP)
    return mean_of(-np.where(labels == 1, np.log(said), np.log1p(-said)))


@dataclass(frozen=True)
class Calibration:
    """Leads in bins of about equally many, by score; arrays of shape (bins,), lowest scores first.

    `mean_score`: what was promised, `rate`: what converted, both means over the leads of a bin. The mean score, not the
    bin's edge: a bin's edge lies below its leads, and a perfectly calibrated model would look wrong.
    """

    n: npt.NDArray[np.int64]
    mean_score: Floats
    rate: Floats
    chance: Floats
    """The standard error of `rate − mean_score`: as the scores have it or as the leads had it, whichever is more."""

    @property
    def error(self) -> float:
        """Expected calibration error: Σ n |rate − mean score| / Σ n (Naeini, Cooper and Hauskrecht 2015)."""
        return float((np.abs(self.rate - self.mean_score) * self.n).sum() / self.n.sum())


def calibration(labels: Floats, scores: Floats, bins: int = BINS) -> Calibration:
    """What was promised against what came, for n > 0 leads. Equal scores lie in one bin, so bins can differ in size."""
    of_lead = _bins(scores, bins)
    counts = np.bincount(of_lead)

    def mean(values: Floats) -> Floats:
        return np.bincount(of_lead, weights=values) / counts

    promised, came = mean(scores), mean(labels)
    # A bin in which nobody converted yet is not known without error, which only the scores' own variance says.
    variance = np.maximum(mean(scores * (1 - scores)), mean((labels - scores) ** 2) - (came - promised) ** 2)
    return Calibration(counts, promised, came, np.sqrt(variance / counts))


def calibration_errors(labels: Floats, scores: Floats, samples: int, seed: int) -> list[Metric]:
    """`ece`, the expected calibration error, and `ece_if_calibrated`, what chance alone makes of it.

    A gap of either sign adds to the error, so chance adds too: with few leads even a perfect model has one. Hence
    `ece_if_calibrated`: mean and middle 95 % of the error when each lead converts with exactly its score as the chance.
    Resampling the leads would add chance a second time, so the interval of `ece` is not a bootstrap: it holds those true
    errors under which an error as observed is not unusual, and begins at 0 when chance could explain it all.

    Args:
        labels: 0 or 1, shape (n,).
        scores: probabilities, shape (n,).
        samples: how often chance is played.
        seed: of chance.
    """
    n = len(labels)
    if n < 2 or not (np.isfinite(labels).all() and np.isfinite(scores).all()):
        return [Metric(name, np.nan, np.nan, np.nan, n) for name in ("ece", "ece_if_calibrated")]
    found = calibration(labels, scores)
    draws = np.random.default_rng(seed)
    low, high = _bounds(found, draws.standard_normal((samples, len(found.n))))
    by_chance = _by_chance(found, scores, samples, draws)
    return [
        Metric("ece", found.error, low, high, n),
        Metric("ece_if_calibrated", float(by_chance.mean()), *percentiles(by_chance), n),
    ]


def _bins(scores: Floats, bins: int) -> npt.NDArray[np.int64]:
    """The bin of each lead by its rank, equal scores by their middle rank; numbered from 0 without gaps."""
    from scipy.stats import rankdata

    raw = np.floor((rankdata(scores) - 0.5) / len(scores) * bins).astype(np.int64)
    return np.unique(raw, return_inverse=True)[1]


def _by_chance(found: Calibration, scores: Floats, samples: int, draws: np.random.Generator) -> Floats:
    """The error of `samples` worlds in which the scores are right, shape (samples,)."""
    of_lead = _bins(scores, BINS)
    order = np.argsort(of_lead, kind="stable")
    starts = np.searchsorted(of_lead[order], np.arange(len(found.n)))
    errors = []
    for _ in range(samples):
        converted = np.add.reduceat((draws.random(len(scores)) < scores[order]).astype(np.float64), starts)
        errors.append(np.abs(converted - found.n * found.mean_score).sum() / len(scores))
    return np.array(errors)


def _bounds(found: Calibration, noise: Floats) -> tuple[float, float]:
    """Interval of the true error; noise is standard normal, shape (samples, bins).

    From above the observed error itself serves: chance makes it larger on average and never spreads it more than it
    spreads the sum of the gaps. From below that would mistake chance for a gap, so gaps of the observed shape are made
    smaller until an error as large as observed would be unusual.
    """
    gaps, weight = found.rate - found.mean_score, found.n / found.n.sum()
    blurred = noise * found.chance
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        size = (low + high) / 2
        is_unusual = percentiles(total(np.abs(size * gaps + blurred), weight))[1] < found.error
        low, high = (size, high) if is_unusual else (low, size)
    spread = sqrt(float(((weight * found.chance) ** 2).sum()))
    return low * found.error, min(1.0, found.error + Z * spread)
