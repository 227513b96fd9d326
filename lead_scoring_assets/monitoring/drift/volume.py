"""Whether as many leads came as the past lets expect: by the same season a year ago where that is known, else by the mean."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt

from lead_scoring_assets.monitoring.drift.health import Health, HealthStatus
from lead_scoring_assets.monitoring.drift.measure import Severity

LEAST_PERIODS = 4
"""With fewer earlier periods nobody knows how much a month differs from the next."""


@dataclass(frozen=True)
class Volume:
    """How many leads came in a period of so many days, and in the same season a year before (None: not known)."""

    leads: int
    days: float
    year_ago: "Volume | None" = None


@dataclass(frozen=True)
class _Expected:
    """How many leads are expected, and how far around it counts of the same kind stray: variance and its degrees of freedom."""

    leads: float
    variance: float
    freedom: int
    told: str


def judge_volume(now: Volume, before: Sequence[Volume], false_alarm_rate: float, *, subject: str = "leads") -> Health:
    """Whether as many leads came as earlier periods let expect, each at its own length in days.

    Expected ± t sqrt(variance): the prediction interval of counts that vary more than Poisson's (quasi-Poisson, as in
    Menssen and Schaarschmidt's predint, 2022), with the dispersion from Pearson's X² over its degrees of freedom, at least
    1, and Student's t for having estimated it. `false_alarm_rate` is its chance where nothing but such variation moves. A
    period in which nothing came has a status of its own, which is harmless only where none was within the interval. One
    odd period among the earlier ones is left out: an accident, which would let expect anything for a year. Two are not.
    """
    from scipy.special import stdtrit

    known = [period for period in before if period.days > 0]
    if len(known) < LEAST_PERIODS or now.days <= 0:
        reason = f"{now.leads:,} {subject}; {LEAST_PERIODS} earlier periods are needed to expect a number, found {len(known)}"
        return _without_past(now, subject, len(known), "insufficient_data", reason)
    if not any(period.leads for period in known):
        reason = f"{now.leads:,} {subject}, and none in {len(known)} earlier periods"
        return _without_past(now, subject, len(known), "not_computable", reason)
    usual = _without_an_odd_one(known, false_alarm_rate)
    expected = _expected(now, usual)
    half = -float(stdtrit(expected.freedom, false_alarm_rate / 2)) * sqrt(expected.variance)
    low, high = max(0.0, expected.leads - half), expected.leads + half
    told = f"{now.leads:,} {subject}, {low:,.0f} to {high:,.0f} were expected {expected.told}"
    told += ", without the one odd period among them" if len(usual) < len(known) else ""
    status: HealthStatus = "ok" if low <= now.leads <= high else "warning"
    severity: Severity = "LOW" if status == "ok" else "MEDIUM"
    if not now.leads:
        status, severity = "nothing_arrived", "CRITICAL" if low > 0 else "LOW"
        told = f"nothing arrived: {told}"
    found = _volume(now, subject, len(usual), status, severity, told)
    return replace(found, low=low, high=high, expected=expected.leads)


def _without_an_odd_one(before: Sequence[Volume], error_rate: float) -> Sequence[Volume]:
    """The periods but one that the others would not have let expect, at `error_rate` over all of them (Bonferroni)."""
    from scipy.special import stdtr

    if len(before) <= LEAST_PERIODS:
        return before
    likely = []
    for place, period in enumerate(before):
        others = [*before[:place], *before[place + 1 :]]
        if not any(other.leads for other in others):
            return before
        expected = _expected(period, others)
        strays = abs(period.leads - expected.leads) / sqrt(expected.variance)
        likely.append((2 * float(stdtr(expected.freedom, -strays)), others))
    least, without = min(likely, key=lambda each: each[0])
    return without if least < error_rate / len(before) else before


def _expected(now: Volume, before: Sequence[Volume]) -> _Expected:
    return _by_season(now, before) or _by_mean(now, before)


def _by_mean(now: Volume, before: Sequence[Volume]) -> _Expected:
    """rate × days, with variance dispersion × rate × days × (1 + days / days before); season and trend widen it."""
    days_before = sum(period.days for period in before)
    rate = sum(period.leads for period in before) / days_before
    expected = rate * now.days
    squares = sum((period.leads - rate * period.days) ** 2 / (rate * period.days) for period in before)
    dispersion = max(1.0, squares / (len(before) - 1))
    variance = dispersion * expected * (1 + now.days / days_before)
    told = f"from {len(before)} earlier periods (dispersion {dispersion:.1f})"
    return _Expected(expected, variance, len(before) - 1, told)


def _by_season(now: Volume, before: Sequence[Volume]) -> _Expected | None:
    """As many as a year ago times the growth since then; None where too few periods have a year before them.

    Growth g is the sum of the periods over that of the same ones a year ago: the estimate of a two-way Poisson table of
    year and season, in which every season grows alike (quasi-likelihood: McCullagh and Nelder 1989, chapter 6). X² sums
    (N - g A)² / (g (N + A)); the variance of N - g A is dispersion × E × (1 + g + E / sum N + E / sum A), E = g A: of what
    comes now, of what came a year ago, and of the growth.
    """
    pairs = [(float(period.leads), ago) for period in before if (ago := _a_year_ago(period)) is not None]
    then = _a_year_ago(now)
    came, came_then = sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs)
    if not then or len(pairs) < LEAST_PERIODS or not came or not came_then:
        return None
    growth = came / came_then
    squares = sum((n - growth * a) ** 2 / (growth * (n + a)) for n, a in pairs if n + a)
    dispersion = max(1.0, squares / (len(pairs) - 1))
    expected = growth * then
    variance = dispersion * expected * (1 + growth + expected / came + expected / came_then)
    told = (
        f"from {then:,.0f} a year ago and {growth:.2f} times as many in {len(pairs)} earlier periods as in the same a year "
        f"before (dispersion {dispersion:.1f})"
    )
    return _Expected(expected, variance, len(pairs) - 1, told)


def _a_year_ago(period: Volume) -> float | None:
    """Leads of the same season a year before, as if it had been as long."""
    ago = period.year_ago
    return None if ago is None or ago.days <= 0 else ago.leads * period.days / ago.days


def _without_past(now: Volume, subject: str, periods: int, status: HealthStatus, reason: str) -> Health:
    """Nothing tells what to expect; that nothing came where nothing was expected is harmless."""
    if now.leads:
        return _volume(now, subject, periods, status, "UNKNOWN", reason)
    return _volume(now, subject, periods, "nothing_arrived", "LOW", reason)


def _volume(now: Volume, subject: str, periods: int, status: HealthStatus, severity: Severity, reason: str) -> Health:
    return Health("volume", subject, status, severity, reason, now.leads, periods, value=float(now.leads))
