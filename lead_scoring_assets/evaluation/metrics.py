"""How good scores were on leads with known labels: each figure with its interval. Deciding is not done here."""

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

CONFIDENCE = 0.95
_Z = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)


@dataclass(frozen=True)
class Metric:
    """One figure with a 95 % interval; `n` leads went into it. All NaN when it cannot be computed."""

    name: str
    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class PairedDifference:
    """Challenger minus champion on the same rows, with a 95 % interval."""

    value: float
    low: float
    high: float


def evaluate(labels: Floats, scores: Floats) -> list[Metric]:
    """AUC, Brier score, precision among the best tenth, mean score and conversion rate of scored, labelled leads.

    Intervals in closed form, cheap enough for every month and model; `judge` says more, and takes seconds.

    Args:
        labels: 0 or 1, shape (n,).
        scores: probabilities, shape (n,).
    """
    n = len(labels)
    top = max(1, n // 10) if n else 0
    return [
        auc(labels, scores),
        _mean("brier", (scores - labels) ** 2),
        share("precision_at_10_percent", _converted_among_best(labels, scores, top), top),
        _mean("mean_score", scores),
        share("conversion_rate", float(labels.sum()), n),
    ]


def auc(labels: Floats, scores: Floats) -> Metric:
    """Area under the ROC curve (the chance that a converted lead scores higher), interval after DeLong (1988)."""
    converted, others = _placements(labels, scores)
    if len(converted) < 2 or len(others) < 2:
        return Metric("auc", np.nan, np.nan, np.nan, len(labels))
    error = sqrt(converted.var(ddof=1) / len(converted) + others.var(ddof=1) / len(others))
    return _bounded("auc", float(converted.mean()), error, len(labels))


def auc_difference(labels: Floats, challenger: Floats, champion: Floats) -> PairedDifference:
    """AUC of the challenger minus the champion's on the same rows (DeLong, DeLong and Clarke-Pearson 1988).

    Pairing matters: both are right and wrong on the same leads, so the difference is known better than either.
    """
    converted_1, others_1 = _placements(labels, challenger)
    converted_2, others_2 = _placements(labels, champion)
    return _paired([converted_1 - converted_2, others_1 - others_2])


def brier_difference(labels: Floats, challenger: Floats, champion: Floats) -> PairedDifference:
    """Brier score of the challenger minus the champion's on the same rows; normal interval of the paired mean."""
    return _paired([(challenger - labels) ** 2 - (champion - labels) ** 2])


def _converted_among_best(labels: Floats, scores: Floats, top: int) -> float:
    """Conversions expected among the best `top` leads when chance orders equal scores; NaN when a score is none."""
    if not top or not np.isfinite(scores).all():
        return np.nan
    border = np.partition(scores, -top)[-top]
    above, tied = labels[scores > border], labels[scores == border]
    return float(above.sum() + (top - len(above)) * tied.mean())


def _placements(labels: Floats, scores: Floats) -> tuple[Floats, Floats]:
    """For each converted lead the share of others it outranks, for each other lead the share that outranks it.

    Ties count half. Mid-ranks make this n log n (Sun and Xu 2014).
    """
    from scipy.stats import rankdata

    positive = labels == 1
    m, k = int(positive.sum()), int((~positive).sum())
    if not m or not k:
        return np.empty(0), np.empty(0)
    ranks = rankdata(scores)
    converted = (ranks[positive] - rankdata(scores[positive])) / k
    others = 1.0 - (ranks[~positive] - rankdata(scores[~positive])) / m
    return converted, others


def _paired(parts: list[Floats]) -> PairedDifference:
    """The mean of the first part; each part adds its share to the error. All NaN when a part has fewer than 2 rows."""
    if any(len(part) < 2 for part in parts):
        return PairedDifference(np.nan, np.nan, np.nan)
    value, error = float(parts[0].mean()), sqrt(sum(part.var(ddof=1) / len(part) for part in parts))
    return PairedDifference(value, value - _Z * error, value + _Z * error)


def _mean(name: str, values: Floats) -> Metric:
    """Mean of values between 0 and 1, with the normal interval of the central limit theorem."""
    if len(values) < 2:
        return Metric(name, np.nan, np.nan, np.nan, len(values))
    return _bounded(name, float(values.mean()), float(values.std(ddof=1)) / sqrt(len(values)), len(values))


def _bounded(name: str, value: float, error: float, n: int) -> Metric:
    """Normal interval, cut where no such figure can lie (np.clip keeps NaN, min and max would lose it)."""
    low, high = (float(np.clip(value + side * _Z * error, 0.0, 1.0)) for side in (-1, 1))
    return Metric(name, value, low, high, n)


def share(name: str, successes: float, n: float) -> Metric:
    """A share of n with Wilson's interval; both can be expected counts. NaN when there is nothing to share."""
    if not n or not np.isfinite(successes):
        return Metric(name, np.nan, np.nan, np.nan, int(n))
    return Metric(name, successes / n, *wilson(successes / n, n), int(n))


def change(before: Metric, after: Metric) -> Metric:
    """`after` less `before` of independent windows or arms, its interval from theirs, however lopsided: MOVER
    (Zou and Donner 2008).

    Of two Wilson intervals it is Newcombe's (1998, method 10), which keeps its coverage where nearly none or nearly all of
    a window have something, and is never beyond -1 or 1. NaN where either is.
    """
    value = after.value - before.value
    below = sqrt((after.value - after.low) ** 2 + (before.high - before.value) ** 2)
    above = sqrt((after.high - after.value) ** 2 + (before.value - before.low) ** 2)
    return Metric(after.name, value, value - below, value + above, before.n + after.n)


def wilson(observed: float, n: float) -> tuple[float, float]:
    """Wilson's score interval (1927) of a share of n, which keeps its coverage near 0 and 1 and for small n."""
    middle = (observed + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z * sqrt(observed * (1 - observed) / n + _Z**2 / (4 * n**2)) / (1 + _Z**2 / n)
    return max(0.0, middle - half), min(1.0, middle + half)
