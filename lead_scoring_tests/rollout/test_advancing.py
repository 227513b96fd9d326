"""The way of a candidate: what moves it, what holds it, what takes it back; and any walk keeps the promises."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lead_scoring_assets.rollout.advancing import advance_rollout, lasts_until, needs_approval
from lead_scoring_assets.rollout.evidence import Evidence, Live
from lead_scoring_assets.rollout.guards import Guard, Stratum
from lead_scoring_assets.rollout.states import Rollout, Step
from lead_scoring_assets.settings import RolloutPolicy
from lead_scoring_tests.rollout.worlds import (
    CANDIDATE,
    CHAMPION,
    DAY,
    GONE_LIVE,
    HOUR,
    LIVE,
    POLICY,
    START,
    advance,
    answers,
    canary,
    evidence,
    shadow,
    watching,
)

NOW_LIVE = Live(CANDIDATE, START, GONE_LIVE)


def test_the_whole_way_by_the_calendar() -> None:
    """14 days beside the champion, 5 % and 10 % for a day each, 50 % for two, approval, 48 hours, done."""
    rollout, now, seen = shadow(), START, []
    live = LIVE
    for _ in range(24 * 30):
        now += HOUR
        if rollout.state == "waiting_for_approval":
            rollout = replace(rollout, approvers=("lina",))
        step = advance_rollout(rollout, evidence(live=live), POLICY, now)
        if step.effect == "go_live":
            live = Live(CANDIDATE, now, GONE_LIVE)
        if step.next != rollout:
            seen.append((step.next.state, step.next.share_bp, (now - START) / DAY))
        rollout = step.next
    assert seen == [
        ("canary", 500, 14),
        ("canary", 1_000, 15),
        ("canary", 5_000, 16),
        ("waiting_for_approval", 5_000, 18),
        ("watching", 10_000, 18 + 1 / 24),
        ("done", 10_000, 20 + 1 / 24),
    ]


@pytest.mark.parametrize(("rollout", "days"), [(shadow(), 14), (canary(1), 1), (canary(2), 1), (canary(3), 2)])
def test_nothing_goes_further_before_its_time(rollout: Rollout, days: float) -> None:
    early = advance(rollout, days - 0.01)
    assert early.next is rollout
    assert f"until {lasts_until(rollout, POLICY):%Y-%m-%d %H:%M}" in early.reason
    assert advance(rollout, days).next != rollout


# What is missing holds it.

FEW = {"candidate": answers(199)}
MISSING: list[tuple[Rollout, dict[str, Any], str]] = [
    (shadow(), {"shadow_leads": 1_999}, "1,999 of 2,000 leads scored in the shadow"),
    (shadow(), FEW, "errors: 199 of 200 answers"),
    (shadow(), {"shadow_guards": (Guard("scores", "held", "KS 0.4"),)}, "scores: KS 0.4"),
    (canary(1), FEW, "errors: 199 of 200 answers"),
    (canary(2), {"control": answers(10)}, "latency: 10 of 200"),
    (canary(3), {"matured": ()}, "conversions: 0 matured leads of the candidate"),
    (canary(3), {"matured": (), "labels_as_of": None}, "(no label is known)"),
    (canary(3), {"matured": (), "label_coverage": 0.9}, "as known on 2026-03-02, label coverage 90%, "),
    (
        canary(3),
        {"matured": (), "label_coverage": 0.0},
        "coverage 0% (a label is of a lead that has landed in raw_leads",
    ),
    (canary(3), {"matured": (Stratum(30, 999, 30, 1_000),)}, "1,000 of each are needed"),
]


@pytest.mark.parametrize(("rollout", "lacks", "told"), MISSING)
def test_what_is_missing_holds_it_and_is_told(rollout: Rollout, lacks: dict[str, Any], told: str) -> None:
    held = advance(rollout, 20, **lacks)
    assert (held.next.state, held.next.share_bp, held.next.since) == ("held", rollout.share_bp, rollout.since)
    assert told in held.reason
    assert advance(held.next, 21, **lacks).next == held.next
    assert advance(held.next, 22).next.state != "held"  # it comes


def test_before_the_share_that_asks_for_business_young_leads_hold_nothing() -> None:
    assert advance(canary(2), 1, matured=()).next.share_bp == 5_000
    by_time_alone = POLICY.model_copy(update={"business_from_percent": 100})
    assert advance(canary(3), 2, by_time_alone, matured=()).next.state == "waiting_for_approval"


def test_labels_of_the_shadow_are_not_waited_for() -> None:
    unknown = (Guard("ranking", "insufficient_data", "0 labelled leads"),)
    assert advance(shadow(), 14, shadow_guards=unknown).next.state == "canary"


# Approval.


def test_without_approval_it_does_not_take_over() -> None:
    waits = advance(canary(3), 2)
    assert (waits.next.state, waits.next.share_bp, waits.effect) == ("waiting_for_approval", 5_000, "none")
    assert advance(waits.next, 60).next is waits.next
    approved = replace(waits.next, approvers=("lina",))
    taken = advance(approved, 60)
    assert (taken.next.state, taken.effect) == ("watching", "go_live")
    assert "approved by lina" in taken.reason


def test_a_word_given_early_counts_when_the_time_is_up() -> None:
    early = canary(3, approvers=("lina",))
    assert advance(early, 1.9).next is early
    assert advance(early, 2).effect == "go_live"


def test_each_share_can_be_made_to_ask() -> None:
    careful = POLICY.model_copy(update={"approval_before_percent": (5, 10, 50, 100)})
    for rollout, days in ((shadow(), 14), (canary(1), 1), (canary(2), 1), (canary(3), 2)):
        assert advance(rollout, days, careful).next.state == "waiting_for_approval"
    free = POLICY.model_copy(update={"approval_before_percent": ()})
    assert advance(canary(3), 2, free).effect == "go_live"


def test_the_fast_track_takes_a_day_and_a_second_person() -> None:
    fast = shadow(is_fast=True)
    assert advance(fast, 0.99, shadow_leads=0).next is fast
    assert advance(fast, 1, shadow_leads=0).next.state == "waiting_for_approval"
    assert advance(replace(fast, approvers=("lina",)), 1, shadow_leads=0).next.share_bp == 500
    assert not needs_approval(canary(1, is_fast=True), POLICY)


# Taken back.

SLOW = {"candidate": answers(p95_ms=400.0)}
FAILING = {"candidate": answers(1_000, errors=50)}
WORSE = {"matured": (Stratum(80, 1_000, 125, 1_000),)}
WRONG = {"shadow_guards": (Guard("ranking", "violated", "AUC -0.05"),)}
FAULTS = [
    *((shadow(), fault) for fault in (SLOW, FAILING, WRONG)),
    *((canary(place), fault) for place in (1, 2, 3) for fault in (SLOW, FAILING, WORSE)),
    *((canary(3, state=state), FAILING) for state in ("held", "waiting_for_approval")),
]


@pytest.mark.parametrize("days", [0.01, 30])
@pytest.mark.parametrize(("rollout", "fault"), FAULTS)
def test_a_fault_takes_it_back_at_the_next_look(rollout: Rollout, fault: dict[str, Any], days: float) -> None:
    back = advance(rollout, days, **fault)
    assert (back.next.state, back.next.share_bp, back.effect) == ("rolled_back", 0, "none")
    assert advance(back.next, 1).next is back.next


@pytest.mark.parametrize("fault", [SLOW, FAILING, WORSE])
def test_a_new_champion_that_fails_gives_way_to_the_one_before(fault: dict[str, Any]) -> None:
    back = advance(watching(), 0.1, live=NOW_LIVE, **fault)
    assert (back.next.state, back.effect) == ("rolled_back", "go_back")


def test_after_48_hours_it_is_done() -> None:
    assert advance(watching(), 1.99, live=NOW_LIVE).next == watching()
    assert advance(watching(), 2, live=NOW_LIVE).next.state == "done"
    assert (
        advance(watching(), 2, live=NOW_LIVE, candidate=answers(0)).next.state == "done"
    )  # a quiet weekend ends as well


def test_a_rejected_candidate_gets_no_leads() -> None:
    assert advance(canary(2), 0.1, is_rejected=True).next.state == "rolled_back"


def test_another_champion_ends_the_comparison() -> None:
    other = Live(6, START + DAY, "rolled back by a guardrail")
    back = advance(canary(2), 0.1, live=other)
    assert (back.next.state, back.next.since, back.effect) == ("rolled_back", other.since, "none")
    assert "v6 is live, and it was compared with v7: rolled back by a guardrail" in back.reason
    assert advance(watching(), 0.1, live=other).effect == "none"  # somebody was faster


@pytest.mark.parametrize("rollout", [shadow(), canary(3), canary(3, state="held")])
def test_what_went_live_without_the_record_is_written_down_and_watched(rollout: Rollout) -> None:
    step = advance(rollout, 5, live=NOW_LIVE)
    assert step.next == watching(since=NOW_LIVE.since)
    assert step.effect == "none"


@pytest.mark.parametrize(
    ("rollout", "lacks"), [(shadow(), {"shadow_leads": 3}), (canary(3), {"matured": ()}), (canary(3), {})]
)
def test_nobody_waits_for_ever(rollout: Rollout, lacks: dict[str, Any]) -> None:
    stays = advance(rollout, 89.9, **lacks)
    assert not stays.next.is_over
    back = advance(stays.next, 90, **lacks)
    assert back.next.state == "rolled_back"
    assert "90 days without going further" in back.reason


# Any walk.


class Walk(RuleBasedStateMachine):
    """Time passes, evidence is good, bad or missing, people approve or not; whatever comes, the promises are kept."""

    @initialize(
        policy=st.builds(
            lambda steps, days, approvals, business, fast: (steps, days, approvals, business, fast),
            st.lists(st.integers(1, 99), max_size=4, unique=True).map(lambda found: (*sorted(found), 100)),
            st.lists(st.integers(0, 4), min_size=4, max_size=4),
            st.booleans(),
            st.integers(1, 100),
            st.booleans(),
        )
    )
    def begin(self, policy: tuple[tuple[int, ...], list[int], bool, int, bool]) -> None:
        steps, days, asks, business, is_fast = policy
        self.policy = RolloutPolicy(
            steps_percent=steps,
            dwell_days=tuple(days[: len(steps) - 1]),
            approval_before_percent=steps[-1:] if asks else (),
            business_from_percent=business,
        )
        self.rollout = shadow(is_fast=is_fast)
        self.now = START
        self.live = LIVE
        self.log: list[tuple[Rollout, Step]] = []

    def look(self, found: Evidence) -> None:
        before = self.rollout
        step = advance_rollout(before, replace(found, live=self.live), self.policy, self.now)
        if step.effect == "go_live":
            self.live = Live(CANDIDATE, self.now, GONE_LIVE)
        if step.effect == "go_back":
            self.live = LIVE
        self.rollout = step.next
        self.log.append((before, step))
        self.check(before, step)

    def check(self, before: Rollout, step: Step) -> None:
        after = step.next
        assert step.reason
        if after.state != "rolled_back":
            assert after.share_bp >= before.share_bp
            assert after.step in (before.step, before.step + 1) or after.state == "watching"
        else:
            assert after.share_bp == 0
        if before.is_over:
            assert after is before
        if after.share_bp > before.share_bp:
            assert self.now >= lasts_until(before, self.policy)
            assert not needs_approval(before, self.policy) or before.approvers
            assert after.share_bp in [100 * share for share in self.policy.steps_percent]
            assert after.since == self.now
            assert not after.approvers
        elif not after.is_over:
            assert after.since == before.since
        assert (step.effect == "go_live") == (after.state == "watching" and before.state != "watching")
        assert step.effect != "go_back" or before.state == "watching"
        # Exactly one champion, and it is the candidate exactly while all leads are its.
        assert self.live.version == (CANDIDATE if after.share_bp == 10_000 else CHAMPION)

    @rule(hours=st.floats(0.1, 400))
    def time_passes(self, hours: float) -> None:
        self.now += timedelta(hours=hours)
        self.look(evidence())

    @rule(hours=st.floats(0.1, 400), n=st.integers(0, 300), matured=st.integers(0, 1_400), leads=st.integers(0, 3_000))
    def little_is_known(self, hours: float, n: int, matured: int, leads: int) -> None:
        self.now += timedelta(hours=hours)
        strata = (Stratum(matured // 8, matured, matured // 8, matured),)
        self.look(evidence(candidate=answers(n), matured=strata, shadow_leads=leads))

    @rule(fault=st.sampled_from([SLOW, FAILING, WORSE]))
    @precondition(lambda self: len(self.log) > 6)
    def something_breaks(self, fault: dict[str, Any]) -> None:
        before = self.rollout
        self.look(evidence(**fault))
        if not before.is_over and (before.step or fault is not WORSE):
            assert self.rollout.state == "rolled_back"

    @rule()
    @precondition(lambda self: not self.rollout.is_over and needs_approval(self.rollout, self.policy))
    def somebody_approves(self) -> None:
        self.rollout = replace(self.rollout, approvers=("lina",))

    @invariant()
    def it_can_be_told(self) -> None:
        if hasattr(self, "rollout"):
            assert "v8 is" in self.rollout.in_words

    def teardown(self) -> None:
        """Whatever happened, it ends: looked at daily, with good evidence and nobody who approves."""
        if not hasattr(self, "rollout"):
            return
        for _ in range((len(self.policy.steps_percent) + 1) * (self.policy.longest_step_days + 1)):
            self.now += DAY
            self.look(evidence())
        assert self.rollout.is_over


TestAnyWalk = Walk.TestCase
TestAnyWalk.settings = hypothesis_settings(max_examples=60, stateful_step_count=25)
