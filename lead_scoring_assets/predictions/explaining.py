"""Why the best leads are scored as they are: exact contributions, held to their sum, in plain words.

Contributions and their words cost about a hundred times what the score itself does (0.45 against 0.005 ms of CPU a lead,
120 trees of depth 4), so they are made for the leads that somebody will look at: as many of a period's best as are worked,
no fewer than a screen shows, and no more than people read.
"""

import math

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from lead_scoring_assets.assessment.reasons import reasons_columns
from lead_scoring_assets.contracts.columns import Registry
from lead_scoring_assets.errors import ScoringError
from lead_scoring_assets.models.scorer import Scorer

Floats = npt.NDArray[np.float64]

TOLERANCE = 1e-5
"""How far contributions and base may be from the log odds of the probability."""
_FEWEST, _MOST = 20, 20_000
_CHUNK_ROWS = 10_000
# Of a probability in 64 bits.
_ROUNDING = 2.0**-52


def explained_leads(leads: int, capacity_share: float) -> int:
    """How many of a period's best leads get reasons."""
    return min(leads, _MOST, max(_FEWEST, math.ceil(capacity_share * leads)))


def worst_gap(contributions: Floats, probabilities: Floats) -> float:
    """How far the sums of `contributions` (rows, features + 1) are from the log odds, at worst; 0 without rows.

    Beside what rounding a probability does to its log odds, which grow without bound near 1. Where it was rounded to 0 or
    1, they are infinite and nothing can be compared.
    """
    inside = (probabilities > 0) & (probabilities < 1)
    p, sums = probabilities[inside], contributions.sum(axis=1)[inside]
    if not len(p):
        return 0.0
    gaps = np.abs(sums - np.log(p / (1 - p))) - _ROUNDING / (1 - p)
    # NaN is the worst of gaps, and no maximum would say so.
    return float(np.max(gaps, initial=0.0)) if np.isfinite(gaps).all() else math.inf


def explain(
    features: pd.DataFrame, probabilities: Floats, scorer: Scorer, registry: Registry, typical: dict[str, float]
) -> pa.Table:
    """The reasons of every row of `features`, in the columns of `reasons_schema`.

    Raises:
        ScoringError: contributions do not add up to the probability.
    """
    # A model may still read a feature that the registry has given up: it counts in the sum and has no words.
    named = [place for place, name in enumerate(scorer.columns) if name in registry.features]
    columns = [scorer.columns[place] for place in named]
    told = []
    for first in range(0, max(len(features), 1), _CHUNK_ROWS):
        some = features.iloc[first : first + _CHUNK_ROWS]
        contributions = scorer.contributions(some)
        gap = worst_gap(contributions, probabilities[first : first + _CHUNK_ROWS])
        if gap > TOLERANCE:
            raise ScoringError(
                f"reasons do not add up: contributions and base are {gap:.2g} away from the log odds of the probability, "
                f"expected at most {TOLERANCE:g}. The model's library may have changed: install the locked environment."
            )
        told.append(reasons_columns(contributions[:, [*named, -1]], some, columns, registry, typical))
    return pa.concat_tables(told)
