"""How far two windows' bin counts lie apart: PSI, Kullback-Leibler, Jensen-Shannon. Whether that is chance, and what to
make of it, stands elsewhere."""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

SMOOTHING = 0.5
"""Rows added to every occupied bin of both windows before the logarithm (Jeffreys' prior for a multinomial)."""


def population_stability_index(
    reference_counts: npt.ArrayLike, current_counts: npt.ArrayLike, *, smoothing: float = SMOOTHING
) -> float:
    """PSI = sum over bins of (q - p) ln(q / p), with p, q the smoothed shares of reference and current.

    p_i = (a_i + s) / (n + s B), B the bins that are occupied in either window; bins empty in both are left out.
    Symmetric, at least 0, in nats. It is the J-divergence KL(p, q) + KL(q, p) of Jeffreys (1946); the name is that of
    credit scoring (Siddiqi 2006). Raises ValueError for a window without rows.
    """
    p, q = _smoothed_shares(reference_counts, current_counts, smoothing)
    return float(np.sum((q - p) * np.log(q / p)))


def expected_psi_under_no_drift(bins: int, n_reference: int, n_current: int) -> float:
    """E[PSI] = (bins - 1) (1/n + 1/m) when both windows come from one distribution.

    Locally PSI = X² (n + m) / (n m) with X² Pearson's two-sample chi-square (see `minimum_effect_p_value`), and
    E[X²] = bins - 1. Source: Yurdakul and Naranjo (2020), Statistical properties of the population stability index.
    """
    return (bins - 1) * (1 / n_reference + 1 / n_current)


def kullback_leibler_divergence(
    reference_counts: npt.ArrayLike, current_counts: npt.ArrayLike, *, smoothing: float = SMOOTHING
) -> float:
    """KL(current, reference) = sum over bins of q ln(q / p), in nats, on the smoothed shares of the PSI.

    The direction: what it costs to describe the current window by the reference, so that new mass weighs more than mass
    that is gone. Not symmetric, at least 0. Source: Kullback and Leibler (1951). Raises ValueError for a window
    without rows.
    """
    p, q = _smoothed_shares(reference_counts, current_counts, smoothing)
    return float(max(0.0, np.sum(q * np.log(q / p))))


def jensen_shannon_distance(reference_counts: npt.ArrayLike, current_counts: npt.ArrayLike) -> float:
    """sqrt(KL(p, m) / 2 + KL(q, m) / 2), m = (p + q) / 2, logarithms to base 2, no smoothing needed.

    A metric from 0 (equal) to 1 (no common bin): Endres and Schindelin (2003). Raises ValueError for a window
    without rows.
    """
    a, b = occupied(reference_counts, current_counts)
    p, q = a / a.sum(), b / b.sum()
    middle = (p + q) / 2
    divergence = (_relative_entropy_bits(p, middle) + _relative_entropy_bits(q, middle)) / 2
    return float(np.sqrt(np.clip(divergence, 0.0, 1.0)))


def occupied(reference_counts: npt.ArrayLike, current_counts: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Both windows as floats, without the bins that are empty in both. Raises ValueError for a window without rows."""
    a, b = np.asarray(reference_counts, dtype=np.float64), np.asarray(current_counts, dtype=np.float64)
    if a.sum() <= 0 or b.sum() <= 0:
        raise ValueError(f"Both windows need rows: found {a.sum():g} in the reference, {b.sum():g} in the current one.")
    is_occupied = (a + b) > 0
    return a[is_occupied], b[is_occupied]


def _smoothed_shares(
    reference_counts: npt.ArrayLike, current_counts: npt.ArrayLike, smoothing: float
) -> tuple[FloatArray, FloatArray]:
    a, b = occupied(reference_counts, current_counts)
    return (a + smoothing) / (a + smoothing).sum(), (b + smoothing) / (b + smoothing).sum()


def _relative_entropy_bits(p: FloatArray, q: FloatArray) -> float:
    positive = p > 0
    return float(np.sum(p[positive] * np.log2(p[positive] / q[positive])))
