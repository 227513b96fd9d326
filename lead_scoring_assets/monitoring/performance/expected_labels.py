"""Figures of leads whose labels are expected rather than known, with intervals; and how far off they turned out to be.

An expected label is a number for each lead whose mean, over leads of the same score, is their chance of conversion. Where
every label is known it is the label, and each figure here is the plain one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lead_scoring_assets.evaluation.bootstrap import Bootstrap, percentiles
from lead_scoring_assets.evaluation.bootstrap import total as total_of
from lead_scoring_assets.evaluation.judge import named
from lead_scoring_assets.evaluation.metrics import Floats, Metric
from lead_scoring_assets.evaluation.ranking import among_best, area_under_roc, leads_at
from lead_scoring_assets.monitoring.performance.open_leads import OpenLeads

RESAMPLES = 400
_TENTH = 0.1


class Estimator(Protocol):
    """Expected labels of fixed leads, and what they could as well have been."""

    def expected(self) -> Floats:
        """Expected labels, shape (n,)."""

    def redrawn(self, weights: Floats, draws: np.random.Generator) -> Floats:
        """The same, learned again from resampled matured leads, when each open lead counts `weights` (samples, n) times."""


def names(capacity: float) -> list[str]:
    """Of all figures, in order. `calibration_gap` is the conversion rate less the mean score."""
    rest = ("brier", named("precision", _TENTH), named("recall", capacity))
    return ["conversion_rate", "calibration_gap", "auc", *rest]


def estimates(leads: OpenLeads, estimator: Estimator, capacity: float, seed: int) -> list[Metric]:
    """Every figure with its 95 % interval: open and matured leads are both drawn again (percentile bootstrap)."""
    observed = _figures(estimator.expected()[None, :], leads.scores, np.ones((1, leads.n)), capacity)
    drawn: dict[str, list[Floats]] = {name: [] for name in observed}
    for weights, expected in _resamples(leads, estimator, seed):
        for name, values in _figures(expected, leads.scores, weights, capacity).items():
            drawn[name].append(values)
    return [_metric(name, observed[name], drawn[name], leads.n) for name in observed]


@dataclass(frozen=True)
class Reckoning:
    """One figure when the labels are known: what it turned out to be, and estimate less truth, each with its interval."""

    truth: Metric
    error: Metric


def reckon(leads: OpenLeads, estimator: Estimator, capacity: float, seed: int) -> list[Reckoning]:
    """The estimates against `leads.truth`, on the same resamples: what both share is no error, so the interval is narrow.

    An interval of the error without 0 in it is the sign that the estimator's assumption did not hold.
    """
    ones = np.ones((1, leads.n))
    truth = _figures(leads.truth[None, :], leads.scores, ones, capacity)
    said = _figures(estimator.expected()[None, :], leads.scores, ones, capacity)
    truths: dict[str, list[Floats]] = {name: [] for name in truth}
    errors: dict[str, list[Floats]] = {name: [] for name in truth}
    for weights, expected in _resamples(leads, estimator, seed):
        came = _figures(np.broadcast_to(leads.truth, weights.shape), leads.scores, weights, capacity)
        for name, values in _figures(expected, leads.scores, weights, capacity).items():
            truths[name].append(came[name])
            errors[name].append(values - came[name])
    return [
        Reckoning(
            _metric(name, truth[name], truths[name], leads.n),
            _metric(name, said[name] - truth[name], errors[name], leads.n),
        )
        for name in truth
    ]


def _resamples(leads: OpenLeads, estimator: Estimator, seed: int) -> Iterator[tuple[Floats, Floats]]:
    draws = np.random.default_rng([seed, 1])  # not the open leads' own stream
    for weights in Bootstrap(leads.n, RESAMPLES, seed).chunks():
        yield weights, estimator.redrawn(weights, draws)


def _figures(expected: Floats, scores: Floats, weights: Floats, capacity: float) -> dict[str, Floats]:
    """Each figure on each sample, shape (samples,); `expected` and `weights` are of shape (samples, n)."""
    n = len(scores)
    total = weights.sum(axis=1)
    conversions = (weights * expected).sum(axis=1)
    rate, mean_score = conversions / total, total_of(weights, scores) / total
    # (score - label)², as it is on average for a label that is 1 with the expected chance.
    squares = (weights * (scores**2 + expected * (1 - 2 * scores))).sum(axis=1) / total
    reached = {best: among_best(best)(expected, scores)(weights) for best in {_TENTH, capacity}}
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = np.where(conversions > 0, reached[capacity] / conversions, np.nan)
    auc = area_under_roc(expected, scores)(weights)
    precision = reached[_TENTH] / leads_at(_TENTH, n)
    # Weighted conversions can add up to more than there are leads, or less than none: no share is outside [0, 1].
    shares = [np.clip(share, 0.0, 1.0) for share in (auc, squares, precision, recall)]
    return dict(zip(names(capacity), [rate, rate - mean_score, *shares], strict=True))


def _metric(name: str, observed: Floats, drawn: list[Floats], n: int) -> Metric:
    low, high = percentiles(np.concatenate(drawn))
    return Metric(name, float(observed[0]), low, high, n)
