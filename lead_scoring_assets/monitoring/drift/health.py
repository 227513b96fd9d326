"""Whether what arrived is whole: rows refused or sent twice, leads told late, values missing. How many leads came is judged in
`volume.py`.

Judged against earlier periods, not against a model: this works before there is one. Shares and counts come in, verdicts
go out; counting is done elsewhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from lead_scoring_assets.evaluation.metrics import change, share
from lead_scoring_assets.monitoring.drift.measure import Severity
from lead_scoring_assets.monitoring.drift.significance import benjamini_hochberg
from lead_scoring_assets.settings import Watching

HealthStatus = Literal["ok", "warning", "critical", "nothing_arrived", "insufficient_data", "not_computable"]
Measure = Literal["rejected", "duplicates", "late", "missing", "volume"]


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
class Health:
    """The verdict on one figure. `value`: a share or a count, `low` to `high` its 95 % interval, for a volume the interval
    in which it was expected; `expected` from earlier periods; `change_pp` of a share with its 95 % interval. None where it
    cannot be said."""

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
    change_low_pp: float | None = None
    change_high_pp: float | None = None
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


def _described(pair: SharePair) -> Health:
    now = share(pair.measure, pair.found, pair.n)
    found = Health(pair.measure, pair.subject, "insufficient_data", "UNKNOWN", "", pair.n, pair.n_before)
    if not pair.n:
        return replace(found, reason=f"no row of {pair.subject} to look at")
    told = f"{now.value:.1%} [{now.low:.1%}, {now.high:.1%}] of {pair.n:,} {_WORDS[pair.measure]}"
    found = replace(found, value=now.value, low=now.low, high=now.high, reason=told)
    if not pair.n_before:
        return found
    before = share(pair.measure, pair.found_before, pair.n_before)
    rise = change(before, now)
    points, low, high = (100 * value for value in (rise.value, rise.low, rise.high))
    told += (
        f", {before.value:.1%} of {pair.n_before:,} before: {points:+.1f} [{low:+.1f}, {high:+.1f}] percentage points"
    )
    return replace(found, expected=before.value, change_pp=points, change_low_pp=low, change_high_pp=high, reason=told)


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
        return replace(found, status="ok", severity="LOW")
    if low > watching.critical_share:
        return replace(found, status="critical", severity="HIGH")
    return replace(found, status="warning", severity="MEDIUM")
