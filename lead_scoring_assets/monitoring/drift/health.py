"""Whether what arrived is whole: rows refused or sent twice, leads told late, values missing, and how many leads came.

Judged against earlier periods, not against a model: this works before there is one. Shares and counts come in, verdicts
go out; counting is done elsewhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Literal

from lead_scoring_assets.evaluation.metrics import share as share_interval
from lead_scoring_assets.monitoring.drift.measure import Severity
from lead_scoring_assets.monitoring.drift.significance import benjamini_hochberg
from lead_scoring_assets.settings import Watching

HealthStatus = Literal["ok", "warning", "critical", "nothing_arrived", "insufficient_data", "not_computable"]
Measure = Literal["rejected", "duplicates", "late", "missing", "volume"]

LEAST_PERIODS = 4
"""With fewer earlier periods nobody knows how much a month differs from the next."""


@dataclass(frozen=True)
class SharePair:
    """`found` of `n` now, and `found_before` of `n_before` in earlier periods. `subject`: a table or a column."""

    measure: Measure
    subject: str
    found: int
    n: int
    found_before: int
    n_before: int


@dataclass(frozen=True)
class Volume:
    """How many leads came in a period of so many days."""

    leads: int
    days: float


@dataclass(frozen=True)
class Health:
    """The verdict on one figure. `value`: a share or a count, `low` to `high` its 95 % interval, for a volume the interval
    in which it was expected; `expected` from earlier periods. None where it cannot be said."""

    measure: Measure
    subject: str
    status: HealthStatus
    severity: Severity
    reason: str
    n: int
    n_before: int
    value: float | None = None
    low: float | None = None
    high: float | None = None
    expected: float | None = None
    change_pp: float | None = None
    adjusted_p_value: float | None = None


def judge_shares(
    pairs: Sequence[SharePair], watching: Watching, minimum_rows: int, false_discovery_rate: float
) -> list[Health]:
    """One verdict a pair. A share that fell is no fault of the data, so only a rise is one.

    `warning`: the share rose by at least `share_rise_pp` and that is no chance: Fisher's exact test of the two windows,
    Benjamini-Hochberg over all pairs at `false_discovery_rate`. `critical`: it is above `critical_share` as well, with
    its whole interval. Rejected rows are judged by their level too: `warning` where the whole interval is above
    `rejected_share`, `critical` above `critical_share`, so that a fault that stays does not become usual.
    """
    judged = [_described(pair) for pair in pairs]
    enough = [index for index, pair in enumerate(pairs) if min(pair.n, pair.n_before) >= minimum_rows]
    adjusted = benjamini_hochberg([_rise_by_chance(pairs[index]) for index in enough])
    for index, p in zip(enough, adjusted, strict=True):
        judged[index] = _with_verdict(replace(judged[index], adjusted_p_value=p), watching, false_discovery_rate)
    for index in set(range(len(pairs))) - set(enough):
        judged[index] = _with_little(judged[index], watching, minimum_rows)
    return judged


def judge_volume(now: Volume, before: Sequence[Volume], false_alarm_rate: float, *, subject: str = "leads") -> Health:
    """Whether as many leads came as earlier periods let expect, each at its own length in days; trend and season are not
    modelled, so that both widen the interval.

    rate × days ± t sqrt(dispersion × rate × days × (1 + days / days before)): the prediction interval of counts that vary
    more than Poisson's (quasi-Poisson, as in Menssen and Schaarschmidt's predint, 2022), with the dispersion from Pearson's
    X² over its degrees of freedom, at least 1, and Student's t for having estimated it. A period in which nothing came has
    a status of its own, which is harmless only where none was within the interval.
    """
    from scipy.stats import t

    known = [period for period in before if period.days > 0]
    days_before = sum(period.days for period in known)
    if len(known) < LEAST_PERIODS or now.days <= 0:
        reason = f"{now.leads:,} {subject}; {LEAST_PERIODS} earlier periods are needed to expect a number, found {len(known)}"
        return _volume(now, subject, len(known), "insufficient_data" if now.leads else "nothing_arrived", "LOW", reason)
    rate = sum(period.leads for period in known) / days_before
    if not rate:
        reason = f"{now.leads:,} {subject}, and none in {len(known)} earlier periods"
        return _volume(now, subject, len(known), "not_computable" if now.leads else "nothing_arrived", "LOW", reason)
    expected = rate * now.days
    squares = sum((period.leads - rate * period.days) ** 2 / (rate * period.days) for period in known)
    dispersion = max(1.0, squares / (len(known) - 1))
    reach = float(t.isf(false_alarm_rate / 2, len(known) - 1))
    half = reach * sqrt(dispersion * expected * (1 + now.days / days_before))
    low, high = max(0.0, expected - half), expected + half
    told = (
        f"{now.leads:,} {subject}, {low:,.0f} to {high:,.0f} were expected from {len(known)} earlier periods "
        f"(dispersion {dispersion:.1f})"
    )
    status: HealthStatus = "ok" if low <= now.leads <= high else "warning"
    severity: Severity = "LOW" if status == "ok" else "MEDIUM"
    if not now.leads:
        status, severity = "nothing_arrived", "CRITICAL" if low > 0 else "LOW"
        told = f"nothing arrived: {told}"
    found = _volume(now, subject, len(known), status, severity, told)
    return replace(found, low=low, high=high, expected=expected)


def _volume(now: Volume, subject: str, periods: int, status: HealthStatus, severity: Severity, reason: str) -> Health:
    return Health("volume", subject, status, severity, reason, now.leads, periods, value=float(now.leads))


def _described(pair: SharePair) -> Health:
    interval = share_interval(pair.measure, float(pair.found), pair.n)
    found = Health(pair.measure, pair.subject, "insufficient_data", "LOW", "", pair.n, pair.n_before)
    if not pair.n:
        return replace(found, reason=f"no row of {pair.subject} to look at")
    told = f"{interval.value:.1%} [{interval.low:.1%}, {interval.high:.1%}] of {pair.n:,} {_WORDS[pair.measure]}"
    found = replace(found, value=interval.value, low=interval.low, high=interval.high, reason=told)
    if not pair.n_before:
        return found
    expected = pair.found_before / pair.n_before
    change = 100 * (interval.value - expected)
    told += f", {expected:.1%} of {pair.n_before:,} before: {change:+.1f} percentage points"
    return replace(found, expected=expected, change_pp=change, reason=told)


_WORDS: dict[Measure, str] = {
    "rejected": "rows were rejected",
    "duplicates": "rows were duplicates",
    "late": "leads were told in a later period than they were created",
    "missing": "leads have no value",
    "volume": "leads came",
}


def _rise_by_chance(pair: SharePair) -> float:
    """Chance of at least so many of them now, had they fallen on both windows alike (Fisher 1935, one-sided)."""
    from scipy.stats import hypergeom

    total = pair.n + pair.n_before
    return float(hypergeom.sf(pair.found - 1, total, pair.found + pair.found_before, pair.n))


def _with_verdict(found: Health, watching: Watching, false_discovery_rate: float) -> Health:
    change, p = found.change_pp or 0.0, found.adjusted_p_value if found.adjusted_p_value is not None else 1.0
    has_risen = change >= watching.share_rise_pp and p <= false_discovery_rate
    told = replace(found, reason=f"{found.reason} (adjusted p = {p:.2g}, limit {watching.share_rise_pp:g})")
    return _levelled(told, watching, has_risen=has_risen)


def _with_little(found: Health, watching: Watching, minimum_rows: int) -> Health:
    """A change cannot be judged by few rows; that clearly too many were rejected can."""
    levelled = _levelled(found, watching, has_risen=False)
    if levelled.status != "ok":
        return levelled
    return replace(found, reason=f"{found.reason}; {minimum_rows:,} rows are needed in both windows")


def _levelled(found: Health, watching: Watching, *, has_risen: bool) -> Health:
    low = found.low or 0.0
    is_too_much = found.measure == "rejected" and low > watching.rejected_share
    if not (has_risen or is_too_much):
        return replace(found, status="ok")
    if low > watching.critical_share:
        return replace(found, status="critical", severity="HIGH")
    return replace(found, status="warning", severity="MEDIUM")
