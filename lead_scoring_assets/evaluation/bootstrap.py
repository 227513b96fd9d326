"""Intervals by resampling leads with replacement (Efron 1979), for one figure or for two models on the same leads.

What a figure is stands in `ranking`, `probabilities` and `revenue`; nothing here knows one of them.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from lead_scoring_assets.evaluation.metrics import CONFIDENCE, Floats, Metric, PairedDifference, wilson

Weighted = Callable[[Floats], Floats]
"""A figure over fixed leads: how often each lead counts, shape (samples, n), gives one value each, shape (samples,)."""

Figure = Callable[[Floats, Floats], Weighted]
"""Outcomes and scores of leads, shape (n,) each, give the figure over them: what can be sorted once is sorted there."""

_CELLS = 500_000  # of one chunk of weights: 4 MB, and a figure works with a handful of such arrays
_TAIL = (1 - CONFIDENCE) / 2


@dataclass(frozen=True)
class Bootstrap:
    """Resamples of n leads, the same ones at every pass: this is what pairs two models on the same leads."""

    n: int
    samples: int
    seed: int

    def chunks(self) -> Iterator[Floats]:
        """How often each lead was drawn, in arrays of shape (some samples, n) that add up to `samples` rows."""
        draws = np.random.default_rng(self.seed)
        size = max(1, _CELLS // max(1, self.n))
        for first in range(0, self.samples, size):
            rows = min(size, self.samples - first)
            drawn = draws.integers(0, self.n, size=(rows, self.n))
            drawn += np.arange(0, rows * self.n, self.n)[:, None]
            yield np.bincount(drawn.ravel(), minlength=rows * self.n).reshape(rows, self.n).astype(np.float64)


def total(weights: Floats, values: Floats) -> Floats:
    """The weighted sum of one value per lead, shape (samples,)."""
    # Not `@`: how BLAS splits a sum among threads, and so its last digit, depends on the machine.
    summed: Floats = np.einsum("ij,j->i", weights, values)
    return summed


def observed(figure: Weighted, n: int) -> float:
    """The figure with every lead counted once; NaN when there is no lead."""
    return float(figure(np.ones((1, n)))[0]) if n else np.nan


def replicates(figures: Mapping[str, Weighted], bootstrap: Bootstrap) -> dict[str, Floats]:
    """Every figure on every resample, shape (samples,) each; all figures see the same resamples."""
    if not bootstrap.n:
        return {name: np.full(bootstrap.samples, np.nan) for name in figures}
    parts: dict[str, list[Floats]] = {name: [] for name in figures}
    for weights in bootstrap.chunks():
        for name, figure in figures.items():
            parts[name].append(figure(weights))
    return {name: np.concatenate(part) for name, part in parts.items()}


@dataclass(frozen=True)
class Share:
    """A figure that is a share of `of` leads, such as the precision of the best 50: between 0 and 1, in coarse steps."""

    figure: Weighted
    of: float


def intervals(figures: Mapping[str, Weighted | Share], bootstrap: Bootstrap) -> list[Metric]:
    """Every figure with its interval, in the given order; all on the same resamples.

    Percentile intervals; of a share, Wilson's interval with as many leads as the bootstrap's variance is worth (after
    Korn and Graubard 1998). Percentiles of a share of few leads are too narrow on the side of 0 or 1, and have no width
    at all where nobody converted.
    """
    shares = {name: figure if isinstance(figure, Share) else None for name, figure in figures.items()}
    plain = {name: figure.figure if isinstance(figure, Share) else figure for name, figure in figures.items()}
    drawn = replicates(plain, bootstrap)
    return [_interval(name, plain[name], shares[name], drawn[name], bootstrap.n) for name in figures]


def _interval(name: str, figure: Weighted, share: Share | None, drawn: Floats, n: int) -> Metric:
    counted = n if share is None else int(share.of)
    value, (low, high) = observed(figure, n), percentiles(drawn)
    if not np.isfinite(value) or not np.isfinite(low):
        return Metric(name, np.nan, np.nan, np.nan, counted)
    if share is not None:
        spread, variance = value * (1 - value), float(np.nanvar(drawn))
        low, high = wilson(value, spread / variance if spread > 0 and variance > 0 else share.of)
    return Metric(name, value, low, high, counted)


def paired_difference(
    figure: Figure, labels: Floats, challenger: Floats, champion: Floats, bootstrap: Bootstrap
) -> PairedDifference:
    """The figure of the challenger minus the champion's, both on the same leads of the same resamples.

    The interval is the percentile interval of the difference; its `low` is a one-sided bound at 97.5 %. The order of
    the leads changes nothing: they are drawn in an order of their own.

    Args:
        figure: such as `ranking.area_under_roc`.
        labels: outcomes of the leads, shape (n,).
        challenger: its scores, shape (n,).
        champion: its scores, shape (n,).
        bootstrap: over n leads.
    """
    nothing = PairedDifference(np.nan, np.nan, np.nan)
    if not bootstrap.n or not all(np.isfinite(part).all() for part in (labels, challenger, champion)):
        return nothing
    order = np.lexsort((champion, challenger, labels))
    one, two = (figure(labels[order], scores[order]) for scores in (challenger, champion))

    def difference(weights: Floats) -> Floats:
        return one(weights) - two(weights)

    low, high = percentiles(replicates({"difference": difference}, bootstrap)["difference"])
    return PairedDifference(observed(difference, bootstrap.n), low, high) if np.isfinite(low) else nothing


def percentiles(drawn: Floats) -> tuple[float, float]:
    """The middle 95 % of the replicates; NaN when a twentieth or more of the resamples could not give the figure.

    A resample without any converted lead has no AUC: with three converted leads, one resample in twenty has none.
    """
    defined = drawn[np.isfinite(drawn)]
    if len(defined) <= CONFIDENCE * len(drawn):
        return np.nan, np.nan
    # Of B replicates the k-th leaves k / (B + 1) below it; numpy's own rule leaves too little with a few hundred.
    low, high = np.quantile(defined, (_TAIL, 1 - _TAIL), method="weibull")
    return float(low), float(high)
