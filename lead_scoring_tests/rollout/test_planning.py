"""The calendar of a rollout: the documents' weeks, and a rollout to which nothing happens keeps to it."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.rollout.advancing import advance_rollout
from lead_scoring_assets.rollout.evidence import Live
from lead_scoring_assets.rollout.guards import Stratum
from lead_scoring_assets.rollout.planning import plan
from lead_scoring_assets.settings import RolloutPolicy
from lead_scoring_tests.rollout.worlds import CANDIDATE, DAY, HOUR, LIVE, POLICY, START, evidence, shadow


def test_the_documents_weeks() -> None:
    """Weeks 1 and 2 in the shadow, week 3 at 5 to 50 %, then all; where nothing has to mature."""
    at_once = POLICY.model_copy(update={"business_from_percent": 100})
    phases = plan(at_once, START, 30, None)
    assert [(phase.name, phase.percent, phase.weeks(START)) for phase in phases] == [
        ("shadow", 0, "weeks 1-2"),
        ("canary 5 %", 5, "week 3"),
        ("canary 10 %", 10, "week 3"),
        ("canary 50 %", 50, "week 3"),
        ("watching", 100, "week 3"),
    ]
    assert phases[-1].ends == START + 20 * DAY
    assert phases[3].ends_when == "2 days; then approval of 100 %"
    assert phases[4].ends_when == "48 hours, looked at every 15 minutes"


def test_what_has_to_mature_is_counted() -> None:
    phases = plan(POLICY, START, 30, leads_a_day=400)
    # 20 and 40 leads in the first two days; 940 more take 4.7 days at 200 a day, and 30 days to mature.
    assert phases[3].ends == START + (16 + 4.7 + 30) * DAY
    assert "1,000 leads of each model matured (30 days after their score)" in phases[3].ends_when
    slow = plan(POLICY, START, 30, leads_a_day=50)
    assert slow[0].ends == START + 40 * DAY  # 2,000 leads


def test_a_fast_track_is_a_day() -> None:
    first = plan(POLICY, START, 30, None, is_fast=True)[0]
    assert (first.ends - first.begins, first.ends_when) == (DAY, "24 hours, and a second person approves")


@given(
    st.lists(st.integers(1, 99), max_size=4, unique=True).map(lambda found: (*sorted(found), 100)),
    st.lists(st.integers(0, 4), min_size=4, max_size=4),
    st.one_of(st.none(), st.floats(1, 5_000)),
    st.integers(1, 90),
)
def test_phases_follow_each_other(steps: tuple[int, ...], days: list[int], leads: float | None, window: int) -> None:
    policy = RolloutPolicy(
        steps_percent=steps,
        dwell_days=tuple(days[: len(steps) - 1]),
        approval_before_percent=(),
        business_from_percent=50,
    )
    phases = plan(policy, START, window, leads)
    assert [phase.percent for phase in phases] == [0, *steps]
    assert all(one.ends == other.begins for one, other in pairwise(phases))
    assert all(phase.ends >= phase.begins for phase in phases)


@pytest.mark.parametrize("window", [3, 30])
@pytest.mark.parametrize("leads_a_day", [100, 400, 3_000])
def test_a_rollout_keeps_to_its_calendar(leads_a_day: int, window: int) -> None:
    """Looked at hourly, with exactly so many leads, it reaches each share at the hour that was planned, or the next look."""
    phases = plan(POLICY, START, window, leads_a_day)
    rollout, now, live, reached = shadow(), START, LIVE, {}
    answered: list[tuple[float, float]] = []  # of the candidate and the champion, an hour each
    while not rollout.is_over:
        share = rollout.share_bp / 10_000
        answered.append((leads_a_day / 24 * share, leads_a_day / 24 * (1 - share)) if share else (0, 0))
        now += HOUR
        matured = answered[: max(0, len(answered) - 24 * window)]
        candidate = round(sum(one for one, _ in matured), 6)
        stratum = Stratum(int(candidate / 8), int(candidate), int(candidate / 8), int(candidate))
        found = evidence(live=live, matured=(stratum,), shadow_leads=int(leads_a_day * (now - START) / DAY))
        step = advance_rollout(rollout, found, POLICY, now)
        rollout = replace(step.next, approvers=("lina",)) if not step.next.is_over else step.next
        if step.effect == "go_live":
            live = Live(CANDIDATE, now)
        reached.setdefault(rollout.share_bp, now)
    planned = {phase.percent * 100: phase.begins for phase in phases[1:]}
    assert reached.keys() >= planned.keys()
    for share, when in planned.items():
        assert timedelta(0) <= reached[share] - when <= 5 * HOUR
