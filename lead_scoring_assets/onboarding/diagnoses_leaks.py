"""Features that know the outcome: judged alone, on leads whose label can no longer change.

A leak is told by the lower end of a 95 % interval, not by the figure: with many features, one figure is high by chance.
"""

from dataclasses import dataclass
from math import log

import numpy as np
import numpy.typing as npt

from lead_scoring_assets.evaluation.metrics import Floats, Metric, auc
from lead_scoring_assets.onboarding.diagnosis import Diagnosis, insufficient, or_well
from lead_scoring_assets.onboarding.evidence import Evidence

SUSPECT_AUC = 0.9
ENOUGH_OF_EACH = 20
"""Converted and other leads that an interval needs: with fewer, one that separates perfectly has no width."""
_BINS = 20
_CHANCE = 1e-6  # over all groups that are looked at
_PRIOR_LEADS = 10.0
_REMEDY = (
    "find out when {name} is filled: if only after the outcome, declare it `role: forbidden, available: after_outcome`"
)

Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Feature:
    """One feature of matured leads. `codes`: category or bin of each lead; 0 is missing. `numbers`: NaN is missing."""

    name: str
    groups: list[str]
    codes: Codes
    numbers: Floats | None


def diagnose_leaks(evidence: Evidence) -> list[Diagnosis]:
    """Leak suspects among the features of the lead: by AUC, by groups of one label only, by when they are filled."""
    told = evidence.arrow("SELECT * FROM sample WHERE converted IS NOT NULL")
    labels = told["converted"].to_numpy().astype(np.float64)
    fold = told["fold"].to_numpy().astype(np.int64)
    outcome = told["has_outcome"].to_numpy(zero_copy_only=False).astype(np.float64)
    positives, n = int(labels.sum()), len(labels)
    immature = evidence.sample_rows - n
    numbers = {"matured": n, "converted": positives, "immature": immature}
    if min(positives, n - positives) < ENOUGH_OF_EACH:
        why = (
            f"{positives} conversions among {n:,} matured leads ({immature:,} immature ones are left out); leaks need "
            f"{ENOUGH_OF_EACH} converted and {ENOUGH_OF_EACH} other leads"
        )
        return [insufficient("leak suspect", "raw_leads", why, numbers)]
    features = [_feature(evidence, place, told[f"f{place}"]) for place in range(len(evidence.features))]
    groups = sum(len(feature.groups) + 2 for feature in features)
    found: list[Diagnosis] = []
    for feature in features:
        # One suspicion of a feature is enough to look at it; the strongest is told.
        suspect = _by_auc(evidence, feature, labels, fold) or _by_presence(evidence, feature, outcome)
        found += [suspect] if suspect else _by_groups(evidence, feature, labels, log(_CHANCE / groups))
    sentence = (
        f"no feature alone tells the outcome of {n:,} matured leads ({positives:,} converted; {immature:,} immature ones "
        "are left out)"
    )
    return or_well(found, "leak suspect", "raw_leads", sentence, numbers)


def _feature(evidence: Evidence, place: int, values: object) -> _Feature:
    name, column = evidence.features[place]
    if column.is_numeric:
        numbers = values.to_numpy().astype(np.float64)  # type: ignore[attr-defined]  # an Arrow column
        there = numbers[~np.isnan(numbers)]
        edges = np.unique(np.quantile(there, np.linspace(0, 1, _BINS + 1)[1:-1])) if len(there) else np.empty(0)
        codes = np.where(np.isnan(numbers), 0, np.searchsorted(edges, numbers, side="left") + 1)
        return _Feature(name, [], codes.astype(np.int64), numbers)
    encoded = values.combine_chunks().dictionary_encode()  # type: ignore[attr-defined]
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64) + 1
    return _Feature(name, encoded.dictionary.to_pylist(), codes, None)


def _by_auc(evidence: Evidence, feature: _Feature, labels: Floats, fold: Codes) -> Diagnosis | None:
    best = auc(labels, cross_fitted(feature.codes, labels, fold))
    if feature.numbers is not None:
        there = ~np.isnan(feature.numbers)
        if min(labels[there].sum(), (1 - labels[there]).sum()) >= ENOUGH_OF_EACH:
            rising = auc(labels[there], feature.numbers[there])
            falling = Metric("auc", 1 - rising.value, 1 - rising.high, 1 - rising.low, rising.n)
            best = max(best, rising, falling, key=lambda metric: metric.low)
    if not best.low > SUSPECT_AUC:
        return None
    return Diagnosis(
        "problem",
        "leak suspect",
        evidence.subject("leads", feature.name),
        f"{feature.name} alone ranks converted leads above others with AUC {best.value:.3f} "
        f"({best.low:.3f} to {best.high:.3f}, {best.n:,} matured leads): too good to be known beforehand",
        _REMEDY.format(name=feature.name),
        {"auc": best.value, "low": best.low, "high": best.high, "rows": best.n},
    )


def cross_fitted(codes: Codes, labels: Floats, fold: Codes) -> Floats:
    """Scores of shape (n,): the conversion rate of a lead's group in the *other* half (`fold` 0 or 1).

    Rates of the lead's own half would hold its own label, and call many small groups a leak. Small groups are drawn
    towards the mean. Any shape of dependence is seen, not only a rising one.
    """
    size, mean = int(codes.max(initial=0)) + 1, labels.mean() if len(labels) else 0.0
    scores = np.empty(len(labels))
    for half in (0, 1):
        other = fold != half
        converted = np.bincount(codes[other], weights=labels[other], minlength=size)
        rates = (converted + _PRIOR_LEADS * mean) / (np.bincount(codes[other], minlength=size) + _PRIOR_LEADS)
        scores[fold == half] = rates[codes[fold == half]]
    return scores


def _by_presence(evidence: Evidence, feature: _Feature, outcome: Floats) -> Diagnosis | None:
    """Filled when there is an outcome, whatever it is, and empty otherwise: then somebody fills it at the outcome."""
    present = (feature.codes > 0).astype(np.float64)
    with_outcome = int(outcome.sum())
    if min(with_outcome, len(outcome) - with_outcome) < ENOUGH_OF_EACH:
        return None
    found = auc(outcome, present)
    if not found.low > SUSPECT_AUC:
        return None
    filled, otherwise = present[outcome == 1].mean(), present[outcome == 0].mean()
    return Diagnosis(
        "problem",
        "filled with the outcome",
        evidence.subject("leads", feature.name),
        f"{feature.name} is filled for {filled:.1%} of leads with an outcome and for {otherwise:.1%} of those without",
        _REMEDY.format(name=feature.name),
        {"filled_with_outcome": filled, "filled_without": otherwise, "auc_low": found.low},
    )


def _by_groups(evidence: Evidence, feature: _Feature, labels: Floats, chance: float) -> list[Diagnosis]:
    """A category, or the missing values, in which every lead converted or none did, beyond chance.

    Chance: the binomial probability of such a group at the overall conversion rate, corrected for the number of groups.
    """
    n, rate = np.bincount(feature.codes), float(labels.mean())
    converted = np.bincount(feature.codes, weights=labels).astype(np.int64)
    groups = [(repr(value), int(n[k]), int(converted[k])) for k, value in enumerate(feature.groups, start=1)]
    groups.append(("no value", int(n[0]), int(converted[0])))
    if n[0]:
        groups.append(("any value", int(n[1:].sum()), int(converted[1:].sum())))
    found = []
    for value, rows, positives in groups:
        is_all = positives == rows
        if positives not in (0, rows) or rows * log(rate if is_all else 1 - rate) > chance:
            continue
        found.append(
            Diagnosis(
                "problem" if is_all else "warning",
                "one label only",
                evidence.subject("leads", feature.name),
                f"{'every' if is_all else 'none'} of {rows:,} matured leads with {value} converted, "
                f"where {rate:.1%} of all leads do",
                _REMEDY.format(name=feature.name),
                {"rows": rows, "converted": positives, "overall_rate": rate},
            )
        )
    return found
