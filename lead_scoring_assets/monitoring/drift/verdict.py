"""The verdict on each feature, with its reason: what was measured, the calibrated alarm, and the limits of the effect."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Literal, Self

import numpy as np

from lead_scoring_assets.evaluation.metrics import change, share
from lead_scoring_assets.monitoring.drift.counts import Counts
from lead_scoring_assets.monitoring.drift.distances import (
    SMOOTHING,
    IntArray,
    expected_psi_under_no_drift,
    jensen_shannon_distance,
    kullback_leibler_divergence,
    population_stability_index,
)
from lead_scoring_assets.monitoring.drift.exact import ExactComparison
from lead_scoring_assets.monitoring.drift.reference_state import ColumnKind, ReferenceColumn, ReferenceState
from lead_scoring_assets.monitoring.drift.significance import (
    SMALLEST_EXPECTED_COUNT,
    benjamini_hochberg,
    chi_square_two_sample,
    minimum_effect_p_value,
)

if TYPE_CHECKING:
    from lead_scoring_assets.settings import Drift

DEFINITION_VERSION = 2
"""Of the bins and formulas: numbers of different versions are not compared."""

Status = Literal["ok", "warning", "drift", "insufficient_data", "not_computable"]


@dataclass(frozen=True)
class Limits:
    """What a verdict needs and from where on a change counts.

    `minimum_rows`: fewer rows in either window give `insufficient_data`. The alarm fires where both "nothing moved" and
    "PSI is at most `minimum_effect_psi`" are rejected at `false_discovery_rate` over all features. Status `drift` needs the
    alarm and a debiased PSI of at least `psi_drift`, `warning` the alarm and `psi_warning`.
    """

    minimum_rows: int = 200
    false_discovery_rate: float = 0.01
    minimum_effect_psi: float = 0.02
    psi_warning: float = 0.10
    psi_drift: float = 0.25

    @classmethod
    def of(cls, settings: "Drift") -> Self:
        """The limits among the settings of drift."""
        return cls(**{field.name: getattr(settings, field.name) for field in fields(cls)})


@dataclass(frozen=True)
class FeatureDrift:
    """What was measured for one feature, and the verdict.

    Every number is None where the status is `insufficient_data` or `not_computable`, so that nobody compares a
    placeholder with a threshold.

    Attributes
    ----------
    n_reference, n_current : rows, missing values included.
    n_bins : bins that hold a row in at least one window.
    smoothing : rows added per bin before the PSI and the KL divergence.
    psi, psi_debiased : PSI as measured; minus its expectation under no drift (around 0 then, so at times negative).
    kl_divergence : of the current window from the reference, in nats.
    js_distance : Jensen-Shannon distance, base 2, from 0 to 1.
    ks_statistic, ks_p_value : numeric features with finite values in both windows; for people, not part of the alarm.
    wasserstein_sd : mean distance between both windows' values in standard deviations of the reference; for people too.
    adjusted_p_value : of "nothing moved", Benjamini-Hochberg over the features.
    minimum_effect_p_value : of "PSI is at most the minimum effect", Benjamini-Hochberg over the features.
    null_rate_change_pp : share missing now minus then, percentage points; `_low_pp` to `_high_pp` is its 95 % interval
        (Newcombe 1998).
    new_category_share : share of current rows in a category the reference never held (None for numeric features).
    vanished_category_share : share of reference rows in categories that no current row has, of those categories of which
        at least five rows were expected (None for numeric features).
    vanished_categories : their names.
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
    kl_divergence: float | None = None
    wasserstein_sd: float | None = None
    vanished_category_share: float | None = None
    vanished_categories: str | None = None
    null_rate_change_low_pp: float | None = None
    null_rate_change_high_pp: float | None = None


def measure_counts(
    reference: ReferenceState, counts: Counts, limits: Limits, exact: Mapping[str, ExactComparison] | None = None
) -> list[FeatureDrift]:
    """One verdict per reference column, in the reference's order; they are one family for the alarm.

    Parameters
    ----------
    counts : the window to judge, in the bins of `reference`: of one period or the sum of several.
    exact : of the numeric columns that were compared row by row, the comparison.
    """
    return with_alarm([measure_column(column, counts, limits, exact) for column in reference.columns], limits)


def measure_column(
    column: ReferenceColumn, counts: Counts, limits: Limits, exact: Mapping[str, ExactComparison] | None = None
) -> FeatureDrift:
    """All numbers of one feature; p-values still raw, verdict still open."""
    if unusable := _why_unusable(column, counts, limits.minimum_rows):
        return unusable
    n, m = column.n_rows, counts.n_rows
    before, raw = np.asarray(column.bin_counts), np.asarray(counts.bins[column.name])
    now = _fold_expected_newcomers(column, raw)
    n_bins = int(np.count_nonzero(before + now))
    psi = population_stability_index(before, now)
    expected = expected_psi_under_no_drift(n_bins, n, m)
    chi_square = chi_square_two_sample(before, now)
    if chi_square.degrees_of_freedom == 0 and psi - expected >= limits.psi_warning:
        reason = (
            f"PSI is {psi:.3f}, but no two bins hold enough of the {n} reference and {m} current rows to tell that from "
            f"chance: {SMALLEST_EXPECTED_COUNT:g} are needed of each window in each."
        )
        return FeatureDrift(column.name, column.kind, n, m, "insufficient_data", reason)
    nulls = change(share("nulls", column.n_missing, n), share("nulls", int(raw[-1]), m))
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
        kl_divergence=kullback_leibler_divergence(before, now),
        js_distance=jensen_shannon_distance(before, now),
        chi_square=chi_square.statistic,
        chi_square_p_value=chi_square.p_value,
        cramers_v=chi_square.cramers_v,
        minimum_effect_p_value=minimum_effect_p_value(chi_square, n, m, minimum_effect_psi=limits.minimum_effect_psi),
        null_rate_change_pp=100 * nulls.value,
        null_rate_change_low_pp=100 * nulls.low,
        null_rate_change_high_pp=100 * nulls.high,
    )
    if column.kind == "categorical":
        return _with_categories(drift, column, raw)
    n_finite = int(raw[:-2].sum())
    drift = replace(drift, out_of_range_share=counts.outside[column.name] / n_finite if n_finite else 0.0)
    compared = (exact or {}).get(column.name)
    if compared is None:
        return drift
    return replace(
        drift,
        ks_statistic=compared.ks.statistic,
        ks_p_value=compared.ks.p_value,
        wasserstein_sd=compared.wasserstein_sd,
    )


def with_alarm(measured: Sequence[FeatureDrift], limits: Limits) -> list[FeatureDrift]:
    """The verdicts on `measured`, which are one family: p-values are adjusted over all of them that were assessed."""
    assessed = [drift for drift in measured if drift.psi is not None]
    plain = benjamini_hochberg([known(drift.chi_square_p_value) for drift in assessed])
    minimum_effect = benjamini_hochberg([known(drift.minimum_effect_p_value) for drift in assessed])
    judged = iter(
        _with_verdict(replace(drift, adjusted_p_value=p_plain, minimum_effect_p_value=p_effect), limits)
        for drift, p_plain, p_effect in zip(assessed, plain, minimum_effect, strict=True)
    )
    return [drift if drift.psi is None else next(judged) for drift in measured]


def known(value: float | None) -> float:
    """A number of an assessed feature; assessed features have all of theirs."""
    if value is None:
        raise TypeError("An assessed feature has a number for every distance; found None.")
    return value


def _why_unusable(column: ReferenceColumn, counts: Counts, minimum_rows: int) -> FeatureDrift | None:
    least = max(minimum_rows, 1)
    status: Status = "not_computable"
    if column.n_usable == 0:
        reason = f"The reference holds no usable value of {column.name} in {column.n_rows:,} rows."
    elif column.name in counts.problems:
        reason = counts.problems[column.name]
    elif min(column.n_rows, counts.n_rows) < least:
        status = "insufficient_data"
        reason = (
            f"{least} rows are needed in both windows; "
            f"found {column.n_rows} in the reference and {counts.n_rows} in the current data."
        )
    else:
        return None
    return FeatureDrift(
        feature=column.name,
        kind=column.kind,
        n_reference=column.n_rows,
        n_current=counts.n_rows,
        status=status,
        reason=reason,
    )


def _with_categories(drift: FeatureDrift, column: ReferenceColumn, raw: IntArray) -> FeatureDrift:
    before = np.asarray(column.bin_counts)[: len(column.categories)]
    is_expected = before * drift.n_current >= SMALLEST_EXPECTED_COUNT * drift.n_reference
    is_gone = is_expected & (raw[: len(before)] == 0)
    return replace(
        drift,
        new_category_share=int(raw[-2]) / drift.n_current,
        vanished_category_share=int(before[is_gone].sum()) / drift.n_reference,
        vanished_categories=", ".join(column.categories[place] for place in np.flatnonzero(is_gone)),
    )


def _fold_expected_newcomers(column: ReferenceColumn, counts: IntArray) -> IntArray:
    """Move as many rows from "new category" to "other" as are new without any drift.

    The reference has no row in "new category" by construction, but a column with a long tail always brings new ones.
    Their expected share is once_seen / n (Good 1953), its variance at most (once_seen + 2 twice_seen) / n² (Esty 1983)
    plus the binomial one of the current window. Rows up to three standard deviations above belong to the tail.
    """
    if column.kind == "numeric":
        return counts
    n, m = column.tail_rows, int(counts.sum())
    share = column.once_seen / n
    variance = m * share * (1 - share) + (m / n) ** 2 * (column.once_seen + 2 * column.twice_seen)
    folded = min(int(counts[-2]), int(m * share + 3 * np.sqrt(variance)))
    result = counts.copy()
    result[-2] -= folded
    result[-3] += folded
    return result


def _with_verdict(drift: FeatureDrift, limits: Limits) -> FeatureDrift:
    psi, expected, debiased = known(drift.psi), known(drift.psi_expected_without_drift), known(drift.psi_debiased)
    p_value = max(known(drift.adjusted_p_value), known(drift.minimum_effect_p_value))
    measured = (
        f"PSI is {psi:.3f}, or {debiased:.3f} less the {expected:.2g} expected without drift "
        f"({drift.n_reference} reference and {drift.n_current} current rows)"
    )
    evidence = f"adjusted p = {p_value:.2g}, limit {limits.false_discovery_rate:g}"
    exceeds = f"that the true PSI exceeds {limits.minimum_effect_psi:g}"
    if p_value > limits.false_discovery_rate:
        return replace(drift, status="ok", reason=f"{measured}; {exceeds} is not established ({evidence}).")
    established = f"{measured}; {exceeds} is established ({evidence})"
    if debiased >= limits.psi_drift:
        reason = f"{established}, and it reaches the drift limit {limits.psi_drift:g}."
        return replace(drift, status="drift", reason=reason)
    if debiased >= limits.psi_warning:
        reason = f"{established}, and it reaches the warning limit {limits.psi_warning:g}."
        return replace(drift, status="warning", reason=reason)
    reason = f"{established}, but it stays below the warning limit {limits.psi_warning:g}."
    return replace(drift, status="ok", reason=reason)
