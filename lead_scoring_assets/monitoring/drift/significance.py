"""Whether what two windows differ by could be chance: chi-square on pooled bins, the minimum-effect test, and
Benjamini-Hochberg over many of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lead_scoring_assets.monitoring.drift.distances import FloatArray, occupied

SMALLEST_EXPECTED_COUNT = 5.0
"""Cochran's rule: bins with a smaller expected count in either window are pooled before a chi-square test."""


@dataclass(frozen=True)
class ChiSquareTest:
    """Two-sample chi-square on pooled bins; `cramers_v` is its effect size, from 0 to 1."""

    statistic: float
    degrees_of_freedom: int
    p_value: float
    cramers_v: float


def chi_square_two_sample(reference_counts: npt.ArrayLike, current_counts: npt.ArrayLike) -> ChiSquareTest:
    """Pearson's X² = sum (observed - expected)² / expected on a 2 x B table, without Yates' correction.

    Bins with an expected count below 5 in either window are pooled; which ones depends on the sum of both windows only,
    and that keeps the test valid. Cramér's V = sqrt(X² / (n + m)). With fewer than two bins left, X² is 0 and p is 1.
    Source: Pearson (1900); pooling Cochran (1954). Raises ValueError for a window without rows.
    """
    a, b = _pool_small_bins(*occupied(reference_counts, current_counts))
    if len(a) < 2:
        return ChiSquareTest(statistic=0.0, degrees_of_freedom=0, p_value=1.0, cramers_v=0.0)
    from scipy.special import chdtrc

    n, m = a.sum(), b.sum()
    # Equal to the sum over both rows: the two deviations of a bin differ by sign only.
    statistic = float(n * m * np.sum((a / n - b / m) ** 2 / (a + b)))
    degrees_of_freedom = len(a) - 1
    return ChiSquareTest(
        statistic=statistic,
        degrees_of_freedom=degrees_of_freedom,
        p_value=float(chdtrc(degrees_of_freedom, statistic)),
        cramers_v=float(np.sqrt(statistic / (n + m))),
    )


def minimum_effect_p_value(
    test: ChiSquareTest, n_reference: int, n_current: int, *, minimum_effect_psi: float
) -> float:
    """P(X² at least this large) if the true PSI were exactly `minimum_effect_psi`; the test of H0: PSI <= that.

    Write p = r + d/2 and q = r - d/2 per bin. ln(p/q) = d/r + O(d³), so PSI = sum d²/r near no drift, while X² of the
    observed shares is n m / (n + m) sum d²/r. Hence X² is noncentral chi-square with noncentrality
    PSI n m / (n + m): the effect times half the harmonic mean of the window sizes (Patnaik 1949; minimum-effect
    tests: Murphy and Myors 1999). For windows of equal size it errs to the cautious side: |ln x| >= 2 |x - 1|/(x + 1).
    It can err to the other side when a bin that is tiny in a much larger reference grows; that is why a status also
    asks for a debiased PSI above its threshold. Exact to 1e-10, so that 0 means less than that.
    """
    if test.degrees_of_freedom == 0:
        return 1.0
    from scipy.special import chndtr

    noncentrality = minimum_effect_psi * n_reference * n_current / (n_reference + n_current)
    return max(0.0, 1.0 - float(chndtr(test.statistic, test.degrees_of_freedom, noncentrality)))


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values, in the order given: those <= q are discoveries at false discovery rate q.

    Holds for independent and for positively dependent tests. Source: Benjamini and Hochberg (1995).
    """
    p = np.asarray(p_values, dtype=np.float64)
    falling = np.argsort(-p, kind="stable")
    stepped = p[falling] * len(p) / np.arange(len(p), 0, -1)
    adjusted = np.empty_like(p)
    adjusted[falling] = np.minimum(np.minimum.accumulate(stepped), 1.0)
    return [float(each) for each in adjusted]


def _pool_small_bins(a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Pool the bins whose expected count is too small, and with the smallest other bin if that is not enough.

    Only the sums over both windows decide, so the order of the bins and the direction of a shift do not.
    """
    smaller_share = min(a.sum(), b.sum()) / (a.sum() + b.sum())
    is_small = smaller_share * (a + b) < SMALLEST_EXPECTED_COUNT
    if not is_small.any():
        return a, b
    pooled = np.array([a[is_small].sum(), b[is_small].sum()])
    kept = np.stack([a[~is_small], b[~is_small]])
    if smaller_share * pooled.sum() < SMALLEST_EXPECTED_COUNT and kept.size:
        smallest = int(np.argmin(kept.sum(axis=0)))
        pooled = pooled + kept[:, smallest]
        kept = np.delete(kept, smallest, axis=1)
    return np.append(kept[0], pooled[0]), np.append(kept[1], pooled[1])
