"""The calendar of a rollout that starts now: each share, from when to when at the earliest, and what ends it. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from lead_scoring_assets.settings import RolloutPolicy


@dataclass(frozen=True)
class Phase:
    """A stretch of a rollout. `ends` at the earliest; `percent` of the leads are answered by the candidate."""

    name: str
    percent: int
    begins: datetime
    ends: datetime
    ends_when: str

    def weeks(self, start: datetime) -> str:
        """The weeks of the rollout that it lies in, counted from 1."""
        first = (self.begins - start).days // 7 + 1
        last = max(first, ceil((self.ends - start) / timedelta(weeks=1)))
        return f"week {first}" if first == last else f"weeks {first}-{last}"


def plan(
    policy: RolloutPolicy, start: datetime, window_days: int, leads_a_day: float | None, *, is_fast: bool = False
) -> list[Phase]:
    """The phases of a rollout to which nothing happens, and that is approved as soon as it asks.

    Args:
        policy: shares, how long each lasts, and how many leads are needed.
        start: when the shadow begins.
        window_days: after so long a lead has matured.
        leads_a_day: how many different leads are scored; None: it is not known, and time alone is counted.
        is_fast: a day in the shadow instead of two weeks.
    """
    phases = [_shadow(policy, start, leads_a_day, is_fast)]
    for percent, days in zip(policy.steps_percent, policy.dwell_days, strict=False):
        phases.append(_canary(policy, percent, days, phases, window_days, leads_a_day))
    begins = phases[-1].ends
    watched = begins + timedelta(hours=policy.watch_hours)
    looks = policy.minutes_between_looks(is_watched=True)
    phases.append(
        Phase("watching", 100, begins, watched, f"{policy.watch_hours} hours, looked at every {looks:g} minutes")
    )
    return phases


def _shadow(policy: RolloutPolicy, start: datetime, leads_a_day: float | None, is_fast: bool) -> Phase:
    if is_fast:
        hours = policy.fast_track_hours
        told = f"{hours} hours, and a second person approves"
        return Phase("shadow", 0, start, start + timedelta(hours=hours), told)
    days = max(policy.shadow_days, ceil(policy.shadow_leads / leads_a_day) if leads_a_day else 0)
    told = f"{policy.shadow_days} days and {policy.shadow_leads:,} leads"
    return Phase("shadow", 0, start, start + timedelta(days=days), told + _approval(policy, policy.steps_percent[0]))


def _canary(
    policy: RolloutPolicy,
    percent: int,
    days: int,
    before: list[Phase],
    window_days: int,
    leads_a_day: float | None,
) -> Phase:
    begins = before[-1].ends
    ends, told = begins + timedelta(days=days), "1 day" if days == 1 else f"{days} days"
    if percent >= policy.business_from_percent:
        canary = [*before[1:], Phase("", percent, begins, begins, "")]
        answered = _answered_by(policy.minimum_matured_leads, canary, leads_a_day)
        ends = max(ends, answered + timedelta(days=window_days))
        told += (
            f" and {policy.minimum_matured_leads:,} leads of each model matured ({window_days} days after their score)"
        )
    following = policy.steps_percent[policy.steps_percent.index(percent) + 1]
    return Phase(f"canary {percent} %", percent, begins, ends, told + _approval(policy, following))


def _answered_by(leads: int, canary: list[Phase], leads_a_day: float | None) -> datetime:
    """When the candidate has answered so many leads; the last phase of `canary` lasts as long as it takes."""
    last = canary[-1]
    if not leads_a_day:
        return canary[0].begins
    missing = float(leads)
    for phase in canary[:-1]:
        a_day = leads_a_day * phase.percent / 100
        if missing <= (phase.ends - phase.begins) / timedelta(days=1) * a_day:
            return phase.begins + timedelta(days=missing / a_day)
        missing -= (phase.ends - phase.begins) / timedelta(days=1) * a_day
    # Above half of the leads it is the champion that is short of them.
    return last.begins + timedelta(days=missing / (leads_a_day * min(last.percent, 100 - last.percent) / 100))


def _approval(policy: RolloutPolicy, percent: int) -> str:
    return f"; then approval of {percent} %" if percent in policy.approval_before_percent else ""
