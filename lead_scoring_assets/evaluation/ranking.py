"""How well scores rank leads: AUC, average precision, and what the best share holds. Rank, not level: see `probabilities`.

Leads with the same score stand in no order: as a group they enter a curve at once, and at the border of the best k every
one of them counts with the same fraction. So the order of rows changes nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import floor, isqrt
from typing import Self

import numpy as np
import numpy.typing as npt

from lead_scoring_assets.evaluation.bootstrap import Figure, Weighted, total
from lead_scoring_assets.evaluation.metrics import Floats


@dataclass(frozen=True)
class Ranking:
    """Leads from the highest score to the lowest, `starts` being the first lead of each group of equal scores."""

    order: npt.NDArray[np.intp] | None  # None: they came in this order
    starts: npt.NDArray[np.intp] | None  # None: no two scores are equal

    @classmethod
    def of(cls, scores: Floats) -> Self:
        """From scores of shape (n,)."""
        order = np.argsort(-scores, kind="stable")
        falling = scores[order]
        starts = np.flatnonzero(np.concatenate([[True], falling[1:] != falling[:-1]]))
        is_sorted = bool((order == np.arange(len(order))).all())
        return cls(None if is_sorted else order, None if len(starts) == len(scores) else starts)

    def groups(self, weights: Floats) -> Floats:
        """Sums over the leads of equal score, best first: shape (samples, n) becomes (samples, groups)."""
        ranked = weights if self.order is None else weights[:, self.order]
        return ranked if self.starts is None else np.add.reduceat(ranked, self.starts, axis=1)


def area_under_roc(labels: Floats, scores: Floats) -> Weighted:
    """The chance that a converted lead scores higher than another one, ties counting half (Mann and Whitney 1947)."""
    ranking = Ranking.of(scores)

    def figure(weights: Floats) -> Floats:
        converted = ranking.groups(weights * labels)
        others = ranking.groups(weights) - converted
        below = others.sum(axis=1, keepdims=True) - np.cumsum(others, axis=1) + others / 2
        return _ratio((converted * below).sum(axis=1), converted.sum(axis=1) * others.sum(axis=1))

    return figure


def average_precision(labels: Floats, scores: Floats) -> Weighted:
    """Area under the precision-recall curve: Σ (recall − recall before) × precision, without interpolation.

    This is scikit-learn's `average_precision_score`. The trapezoid rule instead would be too favourable (Davis and
    Goadrich 2006). A model that knows nothing reaches the conversion rate.
    """
    ranking = Ranking.of(scores)

    def figure(weights: Floats) -> Floats:
        converted = ranking.groups(weights * labels)
        precision = _ratio(np.cumsum(converted, axis=1), np.cumsum(ranking.groups(weights), axis=1))
        return _ratio(np.where(converted > 0, converted * precision, 0.0).sum(axis=1), converted.sum(axis=1))

    return figure


def by_score(labels: Floats, scores: Floats, *more: Floats) -> tuple[Floats, ...]:
    """The leads from the best score down, ties by the other arrays: the same whatever order the rows came in."""
    order = np.lexsort((*more, labels, -scores))
    return tuple(part[order] for part in (labels, scores, *more))


def leads_at(share: float, n: int) -> int:
    """How many whole leads a share of n is: rounded down, one at least."""
    return max(1, floor(share * n + 1e-9)) if n else 0


def among_best(share: float) -> Figure:
    """Sum of the outcomes of the best `share` of the leads: conversions, or what they were worth."""

    def prepare(outcomes: Floats, scores: Floats) -> Weighted:
        ranking, best = Ranking.of(scores), leads_at(share, len(scores))

        def figure(weights: Floats) -> Floats:
            leads, won = ranking.groups(weights), ranking.groups(weights * outcomes)
            filled = _filled(leads, best)
            sample = np.arange(len(weights))
            # The group in which the last place is given away: its leads share what places it finds.
            last = np.minimum((filled < best).sum(axis=1), filled.shape[1] - 1)
            surplus = np.maximum(filled[sample, last] - best, 0.0)
            unworked = _ratio(surplus, leads[sample, last]) * won[sample, last]
            reached: Floats = np.cumsum(won[:, : filled.shape[1]], axis=1)[sample, last] - unworked
            return reached

        return figure

    return prepare


def precision_at(share: float) -> Figure:
    """Share of the best `share` of the leads that converted."""
    return _divided(share, lambda weights, labels: np.full(len(weights), float(leads_at(share, len(labels)))))


def recall_at(share: float) -> Figure:
    """Share of all conversions that the best `share` of the leads holds; random order reaches `share`.

    Over the share that random order reaches, this is the lift: conversion rate of the best over that of all.
    """
    return _divided(share, total)


def _filled(leads: Floats, best: int) -> Floats:
    """Leads in the first group, the first two, and so on, as far as some sample still has places to give away."""
    width = best + 8 * isqrt(best) + 8  # a resample needs hardly more groups than that
    while True:
        filled = np.cumsum(leads[:, :width], axis=1)
        if width >= leads.shape[1] or filled[:, -1].min() >= best:
            return filled
        width *= 2


def _divided(share: float, by: Callable[[Floats, Floats], Floats]) -> Figure:
    def prepare(labels: Floats, scores: Floats) -> Weighted:
        won = among_best(share)(labels, scores)
        return lambda weights: _ratio(won(weights), by(weights, labels))

    return prepare


def _ratio(above: Floats, below: Floats) -> Floats:
    """NaN instead of a division by zero, and without a warning."""
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
