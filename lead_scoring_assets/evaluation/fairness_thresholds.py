"""What a threshold for each group would change: a report for people who weigh it. No score or worklist reads it, and
treating groups by different thresholds may itself be unlawful where the product is used."""

from dataclasses import dataclass
from math import sqrt

import numpy as np
import pandas as pd

from lead_scoring_assets.evaluation.fairness_groups import selected_share
from lead_scoring_assets.evaluation.means import Z
from lead_scoring_assets.evaluation.metrics import Floats, Metric, PairedDifference, share


@dataclass(frozen=True)
class GroupThreshold:
    """The lowest score that would be selected in a group, and its selection rate with one threshold for all and so."""

    group: str
    n: int
    threshold: float
    rate_now: float
    rate_then: float


@dataclass(frozen=True)
class ThresholdReport:
    """Precision among selected matured leads now and then; `cost` is then minus now, on the same leads."""

    groups: list[GroupThreshold]
    precision_now: Metric
    precision_then: Metric
    cost: PairedDifference


def per_group_thresholds(groups: pd.Series, labels: Floats, scores: Floats, capacity_share: float) -> ThresholdReport:
    """Thresholds with which the same share of every group would be selected, and what that costs in precision.

    Args:
        groups: of `groups_of`; small ones get a threshold as well, known no better than their size allows.
        labels: 1 converted, 0 not, NaN not yet known; shape (n,).
        scores: probabilities, shape (n,).
        capacity_share: of all leads, and then of each group; a group's share is rounded down, one lead at least.
    """
    now, then = selected_share(scores, capacity_share), np.zeros(len(scores))
    told = []
    for group in groups.cat.categories:
        members = (groups == group).to_numpy()
        then[members] = selected_share(scores[members], capacity_share)
        threshold = float(scores[members][then[members] > 0].min())
        rates = (float(chosen[members].mean()) for chosen in (now, then))
        told.append(GroupThreshold(str(group), int(members.sum()), threshold, *rates))
    known = ~np.isnan(labels)
    label = labels[known]
    return ThresholdReport(
        groups=told,
        precision_now=_precision("precision_now", label, now[known]),
        precision_then=_precision("precision_then", label, then[known]),
        cost=_cost(label, now[known], then[known]),
    )


def _precision(name: str, labels: Floats, chosen: Floats) -> Metric:
    """Of leads that are selected in parts (ties at the border), n is the nearest whole number."""
    n = round(float(chosen.sum()))
    return share(name, n * float(chosen @ labels / chosen.sum()) if n else 0.0, n)


def _cost(labels: Floats, now: Floats, then: Floats) -> PairedDifference:
    """Difference of two ratios on the same leads, with the interval of its linearisation (delta method)."""
    if not now.any() or not then.any():
        return PairedDifference(np.nan, np.nan, np.nan)
    before, after = (float(chosen @ labels / chosen.sum()) for chosen in (now, then))
    influence = then * (labels - after) / then.mean() - now * (labels - before) / now.mean()
    half = Z * float(influence.std(ddof=1)) / sqrt(len(labels)) if len(labels) > 1 else np.nan
    return PairedDifference(after - before, after - before - half, after - before + half)
