"""What working the best leads was worth, against working as many in random order."""

import numpy as np

from lead_scoring_assets.evaluation.bootstrap import Figure, Weighted, total
from lead_scoring_assets.evaluation.metrics import Floats
from lead_scoring_assets.evaluation.ranking import among_best, leads_at


def realised_values(labels: Floats, values: Floats | None, value_per_conversion: float) -> Floats:
    """What each lead brought, shape (n,): 0 without a conversion, else its value, or the given one where none is known."""
    if values is None:
        return labels * value_per_conversion
    return np.where(labels == 1, np.where(np.isfinite(values), values, value_per_conversion), 0.0)


def gain_over_random(share: float) -> Figure:
    """What the best `share` of the leads brought, less what as many leads in random order are expected to bring."""

    def prepare(realised: Floats, scores: Floats) -> Weighted:
        best = among_best(share)(realised, scores)
        worked = leads_at(share, len(scores)) / max(1, len(scores))
        return lambda weights: best(weights) - total(weights, realised) * worked

    return prepare
