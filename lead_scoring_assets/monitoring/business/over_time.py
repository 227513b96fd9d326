"""A matured cohort among others: against the baseline and the goal, the trend, and what else happened in its days."""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np

from lead_scoring_assets.monitoring.business.cohort import BusinessCohort
from lead_scoring_assets.monitoring.business.comparing import against_baseline
from lead_scoring_assets.monitoring.business.kpi import Kpi, count, estimate, missing
from lead_scoring_assets.monitoring.business.trend import MINIMUM_PERIODS, conversion_trend
from lead_scoring_assets.settings import Business, NamedDays

Counted = tuple[float, int]
"""Conversions and leads of a matured cohort."""


def over_time(cohort: BusinessCohort, history: Sequence[Counted], limits: Business) -> list[Kpi]:
    """Against the baseline, against the goal, and the trend of the newest cohorts."""
    n = len(cohort)
    if not n or cohort.label_coverage < 1:
        names = ("vs_baseline", "goal_reached", "conversion_trend")
        return [missing(name, n, "insufficient_data", "no complete cohort") for name in names]
    now = (float(cohort.labels.sum()), n)
    return [*_goal(now, history, limits), _trend([*history, now][-limits.trend_periods :])]


def _goal(now: Counted, history: Sequence[Counted], limits: Business) -> list[Kpi]:
    """The goal is reached when the rate is as far above the baseline as agreed, and the whole interval above it."""
    agreed, first = limits.baseline_conversion_rate, history[: limits.baseline_periods]
    if agreed is None and len(first) < limits.baseline_periods:
        reason = f"the baseline is being measured: {len(first) + 1} of {limits.baseline_periods} cohorts"
        return [missing(name, now[1], "insufficient_data", reason) for name in ("vs_baseline", "goal_reached")]
    against = against_baseline(now, first if agreed is None else agreed)
    if not np.isfinite(against.value):
        reason = "nobody of the baseline converted"
        return [missing(name, now[1], "not_computable", reason) for name in ("vs_baseline", "goal_reached")]
    rate = agreed if agreed is not None else sum(c for c, _ in first) / sum(m for _, m in first)
    source = "agreed" if agreed is not None else f"of the first {limits.baseline_periods} cohorts"
    told = estimate(against, limits.minimum_leads, f"baseline {rate:.1%}, {source}")
    is_reached = against.value >= limits.conversion_goal - 1e-9 and against.low > 0
    goal = count(
        "goal_reached", is_reached, now[1], f"{against.value:+.1%} against a goal of {limits.conversion_goal:+.0%}"
    )
    return [told, goal if told.status == "ok" else goal.because(told.status, told.reason)]


def _trend(cohorts: Sequence[Counted]) -> Kpi:
    n, trend = sum(leads for _, leads in cohorts), conversion_trend(cohorts)
    if len(cohorts) < MINIMUM_PERIODS:
        reason = f"{len(cohorts)} matured cohorts, {MINIMUM_PERIODS} are needed"
        return missing("conversion_trend", n, "insufficient_data", reason)
    if not np.isfinite(trend.change):
        return missing("conversion_trend", n, "not_computable", "nobody converted, or everybody")
    told = f"{trend.words}: fitted {trend.first:.1%} → {trend.last:.1%} over {len(cohorts)} cohorts"
    return Kpi(
        "conversion_trend", trend.change, trend.low, trend.high, n, reason=f"{told}; change of the odds per cohort"
    )


def external_factors(cohort: BusinessCohort, calendar: Sequence[NamedDays]) -> list[Kpi]:
    """Named days of the settings that fall into the cohort's days of creation: something else that may explain figures."""
    first, last = cohort.created_from.date(), (cohort.created_before - timedelta(microseconds=1)).date()
    found = []
    for named in calendar:
        days = (min(named.last, last) - max(named.first, first)).days + 1
        if days > 0:
            reason = (
                f"{named.name}, {named.first} to {named.last}: {days} of the cohort's {(last - first).days + 1} days"
            )
            found.append(count(f"external: {named.name} {named.first}", days, len(cohort), reason))
    return found
