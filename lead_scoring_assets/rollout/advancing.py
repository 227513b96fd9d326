"""What becomes of a rollout now? One pure decision: where it stands and what is known in, the next step and why out.

In this order: it is over, something else happened to the champion, a guard is violated, nobody answered for too long, the
time at this share is not up, evidence is missing, a word is missing; and only then it goes on.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from math import isnan

from lead_scoring_assets.rollout.evidence import Evidence
from lead_scoring_assets.rollout.guards import Guard, judge_conversions, judge_errors, judge_latency
from lead_scoring_assets.rollout.states import Rollout, State, Step
from lead_scoring_assets.settings import RolloutPolicy

_WHOLE_BP = 10_000
_BP_OF_A_PERCENT = 100


def advance_rollout(rollout: Rollout, evidence: Evidence, policy: RolloutPolicy, now: datetime) -> Step:
    """The next step of `rollout`; `Step.next` is `rollout` itself where nothing changes."""
    if rollout.is_over:
        return Step(rollout, f"{rollout.in_words} since {rollout.since:%Y-%m-%d %H:%M}")
    step = _overtaken(rollout, evidence, policy) or _judged(rollout, evidence, policy, now)
    return replace(step, evidence=evidence.figures())


def guards_of(rollout: Rollout, evidence: Evidence, policy: RolloutPolicy) -> list[Guard]:
    """Every guard of where the rollout stands."""
    guards = [
        judge_errors(evidence.candidate, policy),
        judge_latency(evidence.candidate, evidence.control, policy),
    ]
    if rollout.step:
        return [*guards, judge_conversions(evidence.matured, policy, _as_known(evidence))]
    return [*guards, *evidence.shadow_guards]


def lasts_until(rollout: Rollout, policy: RolloutPolicy) -> datetime:
    """When the time at its share is up."""
    if rollout.state == "watching":
        return rollout.since + timedelta(hours=policy.watch_hours)
    if rollout.step:
        return rollout.since + timedelta(days=policy.dwell_days[rollout.step - 1])
    return rollout.since + (
        timedelta(hours=policy.fast_track_hours) if rollout.is_fast else timedelta(days=policy.shadow_days)
    )


def next_percent(rollout: Rollout, policy: RolloutPolicy) -> int:
    """The share that comes after this one."""
    return policy.steps_percent[rollout.step]


def needs_approval(rollout: Rollout, policy: RolloutPolicy) -> bool:
    """Whether somebody has to approve its next share."""
    is_shortened = rollout.is_fast and not rollout.step
    return rollout.state != "watching" and (
        is_shortened or next_percent(rollout, policy) in policy.approval_before_percent
    )


def _overtaken(rollout: Rollout, evidence: Evidence, policy: RolloutPolicy) -> Step | None:
    """What happened to the champion or the candidate without this rollout, or before it could be written down."""
    live, is_live = evidence.live, evidence.live.version == rollout.version
    if rollout.state == "watching":
        if is_live:
            return None
        return _taken_back(rollout, f"v{live.version} is live in its place since then: {live.reason}", live.since)
    if is_live:
        return Step(
            _watched(rollout, policy, live.since), f"it is live since {live.since:%Y-%m-%d %H:%M}: {live.reason}"
        )
    if live.version != rollout.champion_version:
        return _taken_back(
            rollout,
            f"v{live.version} is live, and it was compared with v{rollout.champion_version}: {live.reason}",
            live.since,
        )
    if evidence.is_rejected:
        return _taken_back(rollout, "a person rejected it", rollout.since)
    return None


def _judged(rollout: Rollout, evidence: Evidence, policy: RolloutPolicy, now: datetime) -> Step:
    guards = guards_of(rollout, evidence, policy)
    told = "; ".join(f"{guard.name}: {guard.reason}" for guard in guards)
    if violated := [guard for guard in guards if guard.status == "violated"]:
        why = "; ".join(f"{guard.name}: {guard.reason}" for guard in violated)
        step = _taken_back(rollout, why, now)
        return replace(step, effect="go_back") if rollout.state == "watching" else step
    until = lasts_until(rollout, policy)
    if now < until:
        return Step(rollout, f"until {until:%Y-%m-%d %H:%M}; {told}")
    if rollout.state == "watching":
        return Step(replace(rollout, state="done"), f"{policy.watch_hours} hours watched; {told}")
    return _going_on(rollout, evidence, policy, now, guards, told)


def _going_on(
    rollout: Rollout, evidence: Evidence, policy: RolloutPolicy, now: datetime, guards: list[Guard], told: str
) -> Step:
    """Its time is up and nothing speaks against it: further, unless something is missing."""
    percent = next_percent(rollout, policy)
    missing = [*_missing(rollout, evidence, policy, guards)]
    needs_word = needs_approval(rollout, policy) and not rollout.approvers
    if missing or needs_word:
        lasts = now - rollout.since
        if lasts >= timedelta(days=policy.longest_step_days):
            why = "; ".join(missing) or "nobody approved it"
            return _taken_back(rollout, f"{lasts.days} days without going further: {why}", now)
    if missing:
        return Step(_as(rollout, "held"), f"held before {percent} %: {'; '.join(missing)}")
    if needs_word:
        asked = f"`lead-scoring rollout approve` answers; {told}"
        return Step(_as(rollout, "waiting_for_approval"), f"waits for approval of {percent} %: {asked}")
    by = f" approved by {', '.join(rollout.approvers)};" if rollout.approvers else ""
    if percent * _BP_OF_A_PERCENT == _WHOLE_BP:
        return Step(_watched(rollout, policy, now), f"takes over:{by} {told}", "go_live")
    further = replace(
        rollout,
        state="canary",
        step=rollout.step + 1,
        share_bp=percent * _BP_OF_A_PERCENT,
        since=now,
        approvers=(),
    )
    return Step(further, f"{percent} % of the leads:{by} {told}")


def _missing(rollout: Rollout, evidence: Evidence, policy: RolloutPolicy, guards: list[Guard]) -> Iterator[str]:
    """What has to be known before the next share and is not; nothing goes further on too little evidence."""
    if not rollout.step and not rollout.is_fast and evidence.shadow_leads < policy.shadow_leads:
        yield f"{evidence.shadow_leads:,} of {policy.shadow_leads:,} leads scored in the shadow"
    asks_for_business = rollout.share_bp >= policy.business_from_percent * _BP_OF_A_PERCENT
    for guard in guards:
        lacks_business = guard.name == "conversions" and guard.status == "insufficient_data" and asks_for_business
        if guard.holds or lacks_business:
            yield f"{guard.name}: {guard.reason}"


def _as_known(evidence: Evidence) -> str:
    if evidence.labels_as_of is None:
        return "(no label is known)"
    covered = "" if isnan(evidence.label_coverage) else f", label coverage {evidence.label_coverage:.0%}"
    if evidence.label_coverage == 0:
        covered += (
            " (a label is of a lead that has landed in raw_leads, by the same lead_id, and known after its score)"
        )
    return f"as known on {evidence.labels_as_of:%Y-%m-%d}{covered}"


def _as(rollout: Rollout, state: State) -> Rollout:
    return rollout if rollout.state == state else replace(rollout, state=state)


def _watched(rollout: Rollout, policy: RolloutPolicy, since: datetime) -> Rollout:
    last = len(policy.steps_percent)
    return replace(rollout, state="watching", step=last, share_bp=_WHOLE_BP, since=since, approvers=())


def _taken_back(rollout: Rollout, reason: str, at: datetime) -> Step:
    return Step(replace(rollout, state="rolled_back", share_bp=0, since=at, approvers=()), reason)
