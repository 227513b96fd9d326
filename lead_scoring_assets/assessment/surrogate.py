"""A local linear surrogate of the scorer around one lead, to hold beside the exact contributions.

In the manner of LIME (Ribeiro, Singh and Guestrin 2016, "Why should I trust you?"): leads near the one in question are
made up, scored, and a weighted ridge regression says which of its values hold the score where it is. It is an
approximation, and says how good a one it is (fidelity, additivity); what the model exactly did stands in `explanations`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]

SAMPLES = 1_000
_RIDGE = 1e-3  # of the summed weights: only for features that cannot be told apart
_NO_SPREAD = 1e-12  # squared log odds: rounding
_KERNEL_WIDTH = 0.75  # times the root of the number of features, as in the authors' program


class Scores(Protocol):
    """The part of a scorer that a surrogate needs."""

    @property
    def columns(self) -> list[str]:
        """The features."""

    def probabilities(self, features: pd.DataFrame) -> Floats:
        """Probability of conversion, shape (rows,)."""


@dataclass(frozen=True)
class Surrogate:
    """What each of the lead's values does to its log odds, against values drawn from other leads.

    For an additive model an effect is what the lead's value gives less what other leads' values give on average, and so
    the exact contribution. `fidelity`: weighted R² on the made-up leads. It is below 1 for any model, because the drawn
    values move the score as well. `additivity`: the same once that is taken out, 1 when values do nothing together here;
    where it is low, trust no effect. At 1,000 samples it is known to about 0.1. Both are NaN when there is nothing to
    explain.
    """

    effects: Mapping[str, float]
    intercept: float
    fidelity: float
    additivity: float
    samples: int

    def top(self, k: int) -> list[str]:
        """The `k` features with the largest effects, up or down; equal ones in the scorer's order."""
        return largest(self.effects, k)


def explain_locally(
    scorer: Scores, lead: pd.DataFrame, background: pd.DataFrame, seed: int, samples: int = SAMPLES
) -> Surrogate:
    """Fit the surrogate around the one lead in `lead`.

    Each made-up lead keeps each of the lead's values with a chance of one half; the others are drawn from `background`
    each by itself (training marginals), so that some combinations are such as no lead has: that is LIME's weakness.
    Closeness falls with the number of values that were replaced: exp(-d² / width²), d² their number.

    Args:
        scorer: gives the probabilities.
        lead: a frame of one row.
        background: leads to draw values from, best the training rows.
        seed: of the draws.
        samples: made-up leads, an even number: two draws for each choice of kept values tell what drawing does.

    Raises:
        ValueError: `lead` has not one row, `background` has none, or `samples` is odd.
    """
    columns = scorer.columns
    if len(lead) != 1 or not len(background):
        raise ValueError(f"expected one lead and a background, found {len(lead):,} and {len(background):,} rows")
    if samples < 2 or samples % 2:
        raise ValueError(f"expected an even number of samples, found {samples}")
    draws = np.random.default_rng(seed)
    is_kept = np.repeat(draws.random((samples // 2, len(columns))) < 0.5, 2, axis=0)
    is_kept[:2] = True  # the lead itself
    drawn = draws.integers(0, len(background), (samples, len(columns)))
    made_up = {}
    for place, name in enumerate(columns):
        # Its own value stands after those of the background. As objects: what is missing keeps no column from numbers.
        values = np.append(background[name].to_numpy(dtype=object), lead[name].to_numpy(dtype=object))
        made_up[name] = values[np.where(is_kept[:, place], len(background), drawn[:, place])]
    log_odds = _log_odds(scorer.probabilities(pd.DataFrame(made_up)))
    width = _KERNEL_WIDTH * sqrt(len(columns))
    weights = np.exp(-(~is_kept).sum(axis=1) / width**2)
    intercept, effects = _ridge(is_kept.astype(np.float64), log_odds, weights)
    fidelity, additivity = _explained(log_odds, intercept + is_kept @ effects, weights)
    return Surrogate(dict(zip(columns, effects.tolist(), strict=True)), intercept, fidelity, additivity, samples)


def agreement(surrogate: Surrogate, contributions: Mapping[str, float], k: int = 3) -> float:
    """Share of the `k` features with the largest exact contributions that are among the surrogate's largest `k`.

    Random order reaches `k` over the number of features. NaN for no features.
    """
    exact = largest(contributions, k)
    return len(set(exact) & set(surrogate.top(k))) / len(exact) if exact else np.nan


def largest(effects: Mapping[str, float], k: int) -> list[str]:
    """Names of the `k` largest effects, up or down; equal ones in the given order."""
    return sorted(effects, key=lambda name: -abs(effects[name]))[:k]


def _log_odds(probabilities: Floats) -> Floats:
    """Finite for probabilities that were rounded to 0 or 1."""
    inside = np.clip(probabilities, 1e-9, 1 - 1e-9)
    return np.asarray(np.log(inside / (1 - inside)))


def _ridge(kept: Floats, target: Floats, weights: Floats) -> tuple[float, Floats]:
    """Intercept and coefficients that minimise Σ w (target − prediction)² + ridge · |coefficients|²."""
    centre, level = weights @ kept / weights.sum(), float(weights @ target / weights.sum())
    apart = kept - centre
    left = (apart * weights[:, None]).T @ apart + _RIDGE * weights.sum() * np.eye(kept.shape[1])
    effects = np.linalg.solve(left, (apart * weights[:, None]).T @ (target - level))
    return level - float(centre @ effects), effects


def _explained(target: Floats, predicted: Floats, weights: Floats) -> tuple[float, float]:
    """Weighted R², as it is and without the spread within pairs of rows, which no function of the kept values explains."""
    level = float(weights @ target / weights.sum())
    spread, rest = float(weights @ (target - level) ** 2), float(weights @ (target - predicted) ** 2)
    # Half the squared difference estimates the variance of one draw; a pair holds two of them.
    drawing = float(weights[::2] @ (target[::2] - target[1::2]) ** 2)
    fidelity, additivity = (
        1 - (rest - part) / (spread - part) if spread - part > _NO_SPREAD * len(target) else np.nan
        for part in (0.0, drawing)
    )
    return fidelity, min(1.0, additivity) if np.isfinite(additivity) else np.nan
