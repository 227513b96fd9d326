"""Points of the curves that people look at: ROC, precision over recall, gains. Drawing them is not done here."""

from dataclasses import dataclass

import numpy as np

from lead_scoring_assets.evaluation.metrics import Floats
from lead_scoring_assets.evaluation.ranking import Ranking


@dataclass(frozen=True)
class Curve:
    """Points from left to right, shape (points,) each; leads with the same score are one step."""

    across: Floats
    up: Floats


def roc(labels: Floats, scores: Floats) -> Curve:
    """Share of the others (across) and of the converted leads (up) above every score; NaN when there are none."""
    converted, others = _counts(labels, scores)
    return Curve(_share(others), _share(converted))


def gains(labels: Floats, scores: Floats) -> Curve:
    """Share of the leads called (across) and of the conversions that these reach (up); random order is the diagonal."""
    converted, others = _counts(labels, scores)
    return Curve(_share(converted + others), _share(converted))


def precision_recall(labels: Floats, scores: Floats) -> Curve:
    """Recall (across) and precision (up) of the leads above every score; it begins with the best group of leads."""
    converted, others = _counts(labels, scores)
    return Curve(_share(converted)[1:], converted[1:] / (converted + others)[1:])


def _counts(labels: Floats, scores: Floats) -> tuple[Floats, Floats]:
    """Converted and other leads at and above each score, beginning with none."""
    ranking = Ranking.of(scores)
    converted = np.concatenate([[0.0], np.cumsum(ranking.groups(labels[None, :])[0])])
    leads = np.concatenate([[0.0], np.cumsum(ranking.groups(np.ones((1, len(labels))))[0])])
    return converted, leads - converted


def _share(counts: Floats) -> Floats:
    return counts / counts[-1] if counts[-1] else np.full_like(counts, np.nan)
