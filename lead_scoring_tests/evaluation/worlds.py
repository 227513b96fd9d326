"""Worlds whose truth is known, for the tests of evaluation."""

import math

import numpy as np
from hypothesis import strategies as st

Arrays = tuple[np.ndarray, np.ndarray]

# A few distinct scores, so that ties are common; both labels occur.
labelled_scores = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 10).map(lambda k: k / 10)), min_size=2, max_size=40
).filter(lambda rows: 0 < sum(label for label, _ in rows) < len(rows))


def arrays(rows: list[tuple[int, float]]) -> Arrays:
    labels, scores = np.array(rows, dtype=np.float64).T
    return labels, scores


def binormal(rng: np.random.Generator, n: int, rate: float = 0.12, shift: float = 0.9) -> Arrays:
    """Normal scores, those of converted leads higher by `shift`: the true AUC is Φ(shift / √2)."""
    labels = (rng.random(n) < rate).astype(np.float64)
    return labels, rng.normal(size=n) + shift * labels


def calibrated(rng: np.random.Generator, n: int, shift: float = 0.0) -> Arrays:
    """Leads that convert with their score as the chance; with `shift`, scores whose log odds are too high by it."""
    log_odds = rng.normal(-2.2, 0.9, n)
    labels = (rng.random(n) < 1 / (1 + np.exp(-log_odds))).astype(np.float64)
    return labels, 1 / (1 + np.exp(-log_odds - shift))


def two_noisy_models(rng: np.random.Generator, n: int, noise: tuple[float, float]) -> tuple[np.ndarray, ...]:
    """Labels and two models that see the same truth, each through noise of its own strength."""
    log_odds = rng.normal(-1.5, 1.0, n)
    labels = (rng.random(n) < 1 / (1 + np.exp(-log_odds))).astype(np.float64)
    return labels, *(1 / (1 + np.exp(-log_odds - rng.normal(0, strength, n))) for strength in noise)


def tolerance(worlds: int, share: float = 0.95) -> float:
    """Three and a half standard errors of a simulated share."""
    return 3.5 * math.sqrt(share * (1 - share) / worlds)
