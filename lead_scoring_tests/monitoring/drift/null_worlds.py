"""Worlds of twelve features as counts, so that a million rows cost no more than two hundred. What they hold is exact, not an
approximation: quantile bins of a reference of n continuous values have shares from a Dirichlet distribution."""

import numpy as np
from scipy.special import ndtr, ndtri

from lead_scoring_assets.monitoring.drift.binning import categorical_counts, categorical_reference
from lead_scoring_assets.monitoring.drift.counts import Counts
from lead_scoring_assets.monitoring.drift.distances import FloatArray
from lead_scoring_assets.monitoring.drift.reference_state import ReferenceColumn, ReferenceState
from lead_scoring_assets.monitoring.drift.verdict import FeatureDrift, Limits, measure_counts

BINS = 10
N_NUMBERS = 8
CATEGORIES: dict[str, FloatArray] = {
    "three levels": np.array([0.7, 0.25, 0.05]),
    "twelve levels": np.arange(1, 13) / 78,
    "fifty levels": np.full(50, 0.02),
    "two hundred levels": np.full(200, 0.005),
}


def measure_world(
    rng: np.random.Generator, n: int, *, wobble_sd: float = 0.0, shift: float = 0.0
) -> list[FeatureDrift]:
    """A reference and a window of `n` rows each, judged as twelve features.

    `wobble_sd`: every number's mean, and every level's log odds, moves by normal chance of this standard deviation (in the
    number's own): weeks differ, and it means nothing. `shift`: the first number moves by so many standard deviations.
    """
    columns: list[ReferenceColumn] = []
    bins: dict[str, tuple[int, ...]] = {}
    for place in range(N_NUMBERS):
        moved = rng.normal(0, wobble_sd) + (shift if place == 0 else 0.0)
        before = np.full(BINS, n // BINS)
        # The mass between order statistics n/10, 2n/10, …; behind the last there is always one gap more.
        shares = rng.dirichlet([*before[:-1], before[-1] + 1])
        edges = ndtri(np.cumsum(shares)[:-1])
        now = rng.multinomial(n, np.diff([0.0, *ndtr(edges - moved), 1.0]))
        labels = tuple(f"bin {number}" for number in range(BINS))
        name = f"number {place}"
        columns.append(
            ReferenceColumn(name, "numeric", n, (*labels, "not finite", "missing"), (*before.tolist(), 0, 0))
        )
        bins[name] = (*now.tolist(), 0, 0)
    for name, shares in CATEGORIES.items():
        tilted = shares * np.exp(rng.normal(0, wobble_sd, len(shares)))
        before, now = rng.multinomial(n, shares), rng.multinomial(n, tilted / tilted.sum())
        column = categorical_reference(name, _named(before))
        columns.append(column)
        bins[name] = tuple(categorical_counts(column, _named(now)).tolist())
    state = ReferenceState(n_rows=n, bins=BINS, columns=tuple(columns))
    outside = {column.name: 0 for column in columns if column.kind == "numeric"}
    return measure_counts(state, Counts(n, bins, outside), Limits())


def alarmed(drift: FeatureDrift) -> bool:
    """The calibrated alarm, whatever the size of the effect: a status asks for more."""
    p_values = (drift.adjusted_p_value, drift.minimum_effect_p_value)
    return all(p is not None and p <= Limits().false_discovery_rate for p in p_values)


def _named(counts: np.ndarray) -> dict[str | None, int]:
    return {f"level {level}": int(count) for level, count in enumerate(counts) if count}
