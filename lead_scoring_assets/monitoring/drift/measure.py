"""How far current data has moved from a reference window: distances, a calibrated alarm, a verdict with its reason.
Bins and how values fall into them live in `reference.py`; what to do about drift is decided elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from lead_scoring_assets.monitoring.drift.reference import (
    ColumnKind,
    FloatArray,
    ReferenceColumn,
    ReferenceState,
    bin_counts,
    single_column,
    split_numbers,
)

__all__ = [
    "ChiSquareTest",
    "DriftSummary",
    "FeatureDrift",
    "KolmogorovSmirnovTest",
    "benjamini_hochberg",
    "bin_counts",
    "chi_square_two_sample",
    "expected_psi_under_no_drift",
    "jensen_shannon_distance",
    "kolmogorov_smirnov",
    "measure_drift",
    "minimum_effect_p_value",
    "population_stability_index",
    "summarise_drift",
]

Status = Literal["ok", "warning", "drift", "insufficient_data", "not_computable"]
Severity = Literal["LOW", "MEDIUM", "HIGH", "CRITICAL"]

SMOOTHING = 0.5
"""Rows added to every occupied bin of both windows before the logarithm (Jeffreys' prior for a multinomial)."""

SMALLEST_EXPECTED_COUNT = 5.0
"""Cochran's rule: bins with a smaller expected count in either window are pooled before a chi-square test."""


@dataclass(frozen=True)
class ChiSquareTest:
    """Two-sample chi-square on pooled bins; `cramers_v` is its effect size, from 0 to 1."""

    statistic: float
    degrees_of_freedom: int
    p_value: float
    cramers_v: float


@dataclass(frozen=True)
class KolmogorovSmirnovTest:
    """Largest vertical gap between two empirical distribution functions, and its two-sided p-value."""

    statistic: float
    p_value: float


@dataclass(frozen=True)
class FeatureDrift:
    """What was measured for one feature, and the verdict.

    Every number is None where the status is `insufficient_data` or `not_computable`, so that nobody compares a
    placeholder with a threshold.

    Attributes
    ----------
    n_reference, n_current : rows, missing values included.
    n_bins : bins that hold a row in at least one window.
    smoothing : rows added per bin before the PSI.
    psi, psi_debiased : PSI as measured; minus its expectation under no drift (around 0 then, so at times negative).
    js_distance : Jensen-Shannon distance, base 2, from 0 to 1.
    ks_statistic, ks_p_value : numeric features with finite values in both windows; for people, not part of the alarm.
    adjusted_p_value : of "nothing moved", Benjamini-Hochberg over the features.
    minimum_effect_p_value : of "PSI is at most the minimum effect", Benjamini-Hochberg over the features.
    null_rate_change_pp : share missing now minus then, percentage points.
    new_category_share : share of current rows in a category the reference never held (None for numeric features).
    out_of_range_share : share of finite current values outside the reference's min..max (None for categories).
    """

    feature: str
    kind: ColumnKind
    n_reference: int
    n_current: int
    status: Status
    reason: str
    n_bins: int | None = None
    smoothing: float | None = None
    psi: float | None = None
    psi_debiased: float | None = None
    psi_expected_without_drift: float | None = None
    js_distance: float | None = None
    ks_statistic: float | None = None
    ks_p_value: float | None = None
    chi_square: float | None = None
    chi_square_p_value: float | None = None
    cramers_v: float | None = None
    adjusted_p_value: float | None = None
    minimum_effect_p_value: float | None = None
    null_rate_change_pp: float | None = None
    new_category_share: float | None = None
    out_of_range_share: float | None = None


@dataclass(frozen=True)
class DriftSummary:
    """All features of one measurement. Shares are of the features that could be assessed.

    `max_psi_debiased` ranks by the debiased PSI: the plain one would name the feature with the most bins whenever the
    windows are small.
    """

    n_features: int
    n_assessed: int
    n_drifted: int
    n_warned: int
    share_drifted: float
    severity: Severity
    max_psi_debiased: float | None
    max_psi_feature: str | None
    sentence: str


def population_stability_index(
    reference_counts: npt.ArrayLike, current_counts: npt.ArrayLike, *, smoothing: float = SMOOTHING
) -> float:
    """PSI = sum over bins of (q - p) ln(q / p), with p, q the smoothed shares of reference and current.

    p_i = (a_i + s) / (n + s B), B the bins that are occupied in either window; bins empty in both are left out.
    Symmetric, at least 0, in nats. It is the J-divergence KL(p, q) + KL(q, p) of Jeffreys (1946); the name is that of
    credit scoring (Siddiqi 2006). Raises ValueError for a window without rows.
    """
    a, b = _occupied(reference_counts, current_counts)
    p = (a + smoothing) / (a + smoothing).sum()
    q = (b + smoothing) / (b + smoothing).sum()
    return float(np.sum((q - p) * np.log(q / p)))


def expected_psi_under_no_drift(bins: int, n_reference: int, n_current: int) -> float:
    """E[PSI] = (bins - 1) (1/n + 1/m) when both windows come from one distribution.

    Locally PSI = X² (n + m) / (n m) with X² Pearson's two-sample chi-square (see `minimum_effect_p_value`), and
    E[X²] = bins - 1. Source: Yurdakul and Naranjo (2020), Statistical properties of the population stability index.
    """
    return (bins - 1) * (1 / n_reference + 1 / n_current)


def jensen_shannon_distance(reference_counts: npt.ArrayLike, current_counts: npt.ArrayLike) -> float:
    """sqrt(KL(p, m) / 2 + KL(q, m) / 2), m = (p + q) / 2, logarithms to base 2, no smoothing needed.

    A metric from 0 (equal) to 1 (no common bin): Endres and Schindelin (2003). Raises ValueError for a window
    without rows.
    """
    a, b = _occupied(reference_counts, current_counts)
    p, q = a / a.sum(), b / b.sum()
    middle = (p + q) / 2
    divergence = (_relative_entropy_bits(p, middle) + _relative_entropy_bits(q, middle)) / 2
    return float(np.sqrt(np.clip(divergence, 0.0, 1.0)))


def kolmogorov_smirnov(reference: FloatArray, current: FloatArray) -> KolmogorovSmirnovTest | None:
    """D = sup |F_reference - F_current| over all finite values (no bins), two-sided p-value; None if a side is empty.

    The statistic is exact. The p-value is asymptotic (Hodges 1958), within 0.03 of the exact one from 200 rows on: the
    exact one takes n m steps and at times overflows. With tied values it is too large, never too small.
    """
    if not len(reference) or not len(current):
        return None
    from scipy.stats import ks_2samp

    result = ks_2samp(reference, current, method="asymp")
    return KolmogorovSmirnovTest(statistic=float(result.statistic), p_value=float(result.pvalue))


def chi_square_two_sample(reference_counts: npt.ArrayLike, current_counts: npt.ArrayLike) -> ChiSquareTest:
    """Pearson's X² = sum (observed - expected)² / expected on a 2 x B table, without Yates' correction.

    Bins with an expected count below 5 in either window are pooled; which ones depends on the sum of both windows only,
    and that keeps the test valid. Cramér's V = sqrt(X² / (n + m)). With fewer than two bins left, X² is 0 and p is 1.
    Source: Pearson (1900); pooling Cochran (1954). Raises ValueError for a window without rows.
    """
    a, b = _pool_small_bins(*_occupied(reference_counts, current_counts))
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
    asks for a debiased PSI above its threshold.
    """
    if test.degrees_of_freedom == 0:
        return 1.0
    from scipy.stats import ncx2

    noncentrality = minimum_effect_psi * n_reference * n_current / (n_reference + n_current)
    return float(ncx2.sf(test.statistic, test.degrees_of_freedom, noncentrality))


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values, in the order given: those <= q are discoveries at false discovery rate q.

    Holds for independent and for positively dependent tests. Source: Benjamini and Hochberg (1995).
    """
    if not p_values:
        return []
    from scipy.stats import false_discovery_control

    return [float(p) for p in false_discovery_control(p_values, method="bh")]


def measure_drift(
    reference: ReferenceState,
    current: pd.DataFrame,
    *,
    minimum_rows: int = 200,
    false_discovery_rate: float = 0.01,
    minimum_effect_psi: float = 0.02,
    psi_warning: float = 0.10,
    psi_drift: float = 0.25,
) -> list[FeatureDrift]:
    """One verdict per reference column, in the reference's order. A bad column never stops the rest.

    The alarm fires where both "nothing moved" and "PSI is at most `minimum_effect_psi`" are rejected at
    `false_discovery_rate` over all features.
    Status `drift` needs the alarm and a debiased PSI of at least `psi_drift`, `warning` the alarm and `psi_warning`.

    Parameters
    ----------
    current : the window to judge; columns the reference does not know are ignored.
    minimum_rows : fewer rows in either window give `insufficient_data`.
    """
    measured: list[FeatureDrift] = []
    for column in reference.columns:
        values = single_column(current, column.name)
        unusable = _why_unusable(column, current, minimum_rows)
        measured.append(unusable or _measure(column, values, minimum_effect_psi))

    # The raw p-values become adjusted ones once all features are known.
    assessed = [index for index, drift in enumerate(measured) if drift.psi is not None]
    plain = benjamini_hochberg([_known(measured[index].chi_square_p_value) for index in assessed])
    minimum_effect = benjamini_hochberg([_known(measured[index].minimum_effect_p_value) for index in assessed])
    for index, p_plain, p_effect in zip(assessed, plain, minimum_effect, strict=True):
        adjusted = replace(measured[index], adjusted_p_value=p_plain, minimum_effect_p_value=p_effect)
        measured[index] = _with_verdict(adjusted, false_discovery_rate, minimum_effect_psi, psi_warning, psi_drift)
    return measured


def summarise_drift(drifts: Sequence[FeatureDrift]) -> DriftSummary:
    """Severity by the share of assessed features that drifted: > 0.5 CRITICAL, > 0.2 HIGH, > 0 MEDIUM, else LOW."""
    assessed = [drift for drift in drifts if drift.psi_debiased is not None]
    n_drifted = sum(drift.status == "drift" for drift in assessed)
    n_warned = sum(drift.status == "warning" for drift in assessed)
    share = n_drifted / len(assessed) if assessed else 0.0
    severity: Severity = "CRITICAL" if share > 0.5 else "HIGH" if share > 0.2 else "MEDIUM" if share > 0 else "LOW"
    top = max(assessed, key=lambda drift: _known(drift.psi_debiased), default=None)
    if top is None:
        sentence = f"None of {len(drifts)} features could be assessed; this says nothing about drift."
    else:
        sentence = (
            f"{n_drifted} of {len(assessed)} assessed features drifted and {n_warned} warned ({severity}); "
            f"the largest debiased PSI is {_known(top.psi_debiased):.3f} ({top.feature})"
        )
        n_not_assessed = len(drifts) - len(assessed)
        sentence += f"; {n_not_assessed} of {len(drifts)} could not be assessed." if n_not_assessed else "."
    return DriftSummary(
        n_features=len(drifts),
        n_assessed=len(assessed),
        n_drifted=n_drifted,
        n_warned=n_warned,
        share_drifted=share,
        severity=severity,
        max_psi_debiased=top.psi_debiased if top else None,
        max_psi_feature=top.feature if top else None,
        sentence=sentence,
    )


def _why_unusable(column: ReferenceColumn, current: pd.DataFrame, minimum_rows: int) -> FeatureDrift | None:
    n_found = int(np.count_nonzero(current.columns == column.name))
    smallest = min(column.n_rows, len(current))
    status: Status = "not_computable"
    if column.n_usable == 0:
        reason = f"The reference holds no usable value of {column.name} in {column.n_rows} rows."
    elif n_found != 1:
        found = "is missing from" if n_found == 0 else f"appears {n_found} times in"
        reason = f"{column.name} {found} the current data."
    elif smallest < max(minimum_rows, 1):
        status = "insufficient_data"
        reason = (
            f"{max(minimum_rows, 1)} rows are needed in both windows; "
            f"found {column.n_rows} in the reference and {len(current)} in the current data."
        )
    else:
        return None
    return FeatureDrift(
        feature=column.name,
        kind=column.kind,
        n_reference=column.n_rows,
        n_current=len(current),
        status=status,
        reason=reason,
    )


def _measure(column: ReferenceColumn, values: "pd.Series[Any]", minimum_effect_psi: float) -> FeatureDrift:
    """All numbers of one feature; p-values still raw, verdict still open."""
    n, m = column.n_rows, len(values)
    before = np.asarray(column.bin_counts)
    raw = bin_counts(column, values)
    now = _fold_expected_newcomers(column, raw)
    n_bins = int(np.count_nonzero(before + now))
    psi = population_stability_index(before, now)
    expected = expected_psi_under_no_drift(n_bins, n, m)
    chi_square = chi_square_two_sample(before, now)
    drift = FeatureDrift(
        feature=column.name,
        kind=column.kind,
        n_reference=n,
        n_current=m,
        status="ok",
        reason="",
        n_bins=n_bins,
        smoothing=SMOOTHING,
        psi=psi,
        psi_debiased=psi - expected,
        psi_expected_without_drift=expected,
        js_distance=jensen_shannon_distance(before, now),
        chi_square=chi_square.statistic,
        chi_square_p_value=chi_square.p_value,
        cramers_v=chi_square.cramers_v,
        minimum_effect_p_value=minimum_effect_p_value(chi_square, n, m, minimum_effect_psi=minimum_effect_psi),
        null_rate_change_pp=100 * (int(raw[-1]) / m - column.n_missing / n),
    )
    if column.kind == "categorical":
        return replace(drift, new_category_share=int(raw[-2]) / m)
    finite, _, _ = split_numbers(values)
    smallest, largest = column.distinct_values[0], column.distinct_values[-1]
    ks = kolmogorov_smirnov(column.sorted_values, finite)
    return replace(
        drift,
        ks_statistic=ks.statistic if ks else None,
        ks_p_value=ks.p_value if ks else None,
        out_of_range_share=float(np.mean((finite < smallest) | (finite > largest))) if len(finite) else 0.0,
    )


def _fold_expected_newcomers(column: ReferenceColumn, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Move as many rows from "new category" to "other" as are new without any drift.

    The reference has no row in "new category" by construction, but a column with a long tail always brings new ones.
    Their expected share is once_seen / n (Good 1953), its variance at most (once_seen + 2 twice_seen) / n² (Esty 1983)
    plus the binomial one of the current window. Rows up to three standard deviations above belong to the tail.
    """
    if column.kind == "numeric":
        return counts
    n, m = column.n_rows, int(counts.sum())
    share = column.once_seen / n
    variance = m * share * (1 - share) + (m / n) ** 2 * (column.once_seen + 2 * column.twice_seen)
    folded = min(int(counts[-2]), int(m * share + 3 * np.sqrt(variance)))
    result = counts.copy()
    result[-2] -= folded
    result[-3] += folded
    return result


def _with_verdict(
    drift: FeatureDrift, false_discovery_rate: float, minimum_effect_psi: float, psi_warning: float, psi_drift: float
) -> FeatureDrift:
    psi, expected, debiased = _known(drift.psi), _known(drift.psi_expected_without_drift), _known(drift.psi_debiased)
    p_value = max(_known(drift.adjusted_p_value), _known(drift.minimum_effect_p_value))
    measured = (
        f"PSI is {psi:.3f}, or {debiased:.3f} less the {expected:.2g} expected without drift "
        f"({drift.n_reference} reference and {drift.n_current} current rows)"
    )
    evidence = f"adjusted p = {p_value:.2g}, limit {false_discovery_rate:g}"
    if p_value > false_discovery_rate:
        return replace(
            drift,
            status="ok",
            reason=f"{measured}; that the true PSI exceeds {minimum_effect_psi:g} is not established ({evidence}).",
        )
    established = f"{measured}; that the true PSI exceeds {minimum_effect_psi:g} is established ({evidence})"
    if debiased >= psi_drift:
        return replace(drift, status="drift", reason=f"{established}, and it reaches the drift limit {psi_drift:g}.")
    if debiased >= psi_warning:
        reason = f"{established}, and it reaches the warning limit {psi_warning:g}."
        return replace(drift, status="warning", reason=reason)
    return replace(drift, status="ok", reason=f"{established}, but it stays below the warning limit {psi_warning:g}.")


def _occupied(reference_counts: npt.ArrayLike, current_counts: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Both windows as floats, without the bins that are empty in both."""
    a, b = np.asarray(reference_counts, dtype=np.float64), np.asarray(current_counts, dtype=np.float64)
    if a.sum() <= 0 or b.sum() <= 0:
        raise ValueError(f"Both windows need rows: found {a.sum():g} in the reference, {b.sum():g} in the current one.")
    occupied = (a + b) > 0
    return a[occupied], b[occupied]


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


def _relative_entropy_bits(p: FloatArray, q: FloatArray) -> float:
    positive = p > 0
    return float(np.sum(p[positive] * np.log2(p[positive] / q[positive])))


def _known(value: float | None) -> float:
    """A number of an assessed feature; assessed features have all of theirs."""
    if value is None:
        raise TypeError("An assessed feature has a number for every distance; found None.")
    return value
