"""What the sensor does at each look: judge the rollout that runs and carry out what follows, or start the next one.

Where the champion changes, that is committed first, by `promotion`; whoever looks next finds it and writes down the rest.
What follows the table of deployments (`following.follow`) is the caller's next call.
"""

from dataclasses import replace

from lead_scoring_assets.errors import PromotionError, RolloutError
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.promotion import transitions
from lead_scoring_assets.promotion.deployments import Deployment, Deployments
from lead_scoring_assets.rollout.advancing import advance_rollout
from lead_scoring_assets.rollout.conducting import begin, record, refuse_company, tell
from lead_scoring_assets.rollout.gathering import gather
from lead_scoring_assets.rollout.records import Rollouts, taken_back
from lead_scoring_assets.rollout.states import Rollout, Step


def look(installation: Installation, by: str) -> Step | str:
    """Judge the running rollout now and carry out what follows; where none is running, whether one is to be started."""
    rollouts = Rollouts(installation.lakehouse)
    tell(installation, rollouts)
    if rollouts.running() is None:
        started = start_what_waits(installation, by)
        return started if isinstance(started, str) else Step(started, f"started: {started.in_words}")
    with rollouts.one_at_a_time():
        # Anew: somebody may have moved it meanwhile.
        rollout, live = rollouts.running(), Deployments(installation.lakehouse).newest()
        if rollout is None or live is None:
            return "the rollout has ended meanwhile"
        now = installation.clock.now()
        policy = installation.settings.rollout
        step = advance_rollout(rollout, gather(installation, rollout, live, now), policy, now)
        try:
            _carry_out(installation, step, by)
        except PromotionError as problem:
            step = _refused(rollout, step, problem)
        if step.next != rollout:
            record(installation, rollouts, step.next, "moved", by, step.reason, step)
        return step


def _carry_out(installation: Installation, step: Step, by: str) -> None:
    """What has to happen to the champion before the step counts."""
    told = f"{step.next.rollout_id}: {step.reason}"
    if step.effect == "go_live":
        transitions.roll_out(installation, step.next.version, by, told)
    elif step.effect == "go_back":
        transitions.roll_back(installation, by, told, only_from=step.next.version)


def _refused(rollout: Rollout, step: Step, problem: PromotionError) -> Step:
    """A candidate that cannot go live is taken back; a champion that there is no way back from stays, and that is told."""
    if step.effect == "go_back":
        return Step(rollout, f"{step.reason}; but {problem}", evidence=step.evidence)
    back = replace(rollout, state="rolled_back", share_bp=0, since=step.next.since, approvers=())
    return Step(back, f"it cannot go live: {problem}", evidence=step.evidence)


def start_what_waits(installation: Installation, by: str) -> Rollout | str:
    """Begin the rollout of the candidate in staging where `gate.approval` asks for it, or say why not."""
    if installation.settings.gate.approval != "rollout":
        return f"no rollout is running, and gate.approval is {installation.settings.gate.approval}: a person starts one"
    deployments, rollouts = Deployments(installation.lakehouse), Rollouts(installation.lakehouse)
    version = deployments.lifecycle().staging
    if version is None:
        return "no rollout is running, and no candidate waits in staging"
    with rollouts.one_at_a_time():
        live = deployments.newest()
        if version in taken_back(rollouts.all()):
            return f"v{version} waits in staging and was taken back by its rollout: `lead-scoring rollout start` tries again"
        if live is None:
            return (
                f"v{version} waits in staging and nothing is live to compare it with: `lead-scoring approve {version}`"
            )
        proposed = _proposal(deployments, version)
        if proposed.champion_version != live.version:
            met = f"v{proposed.champion_version}" if proposed.champion_version else "no champion"
            return (
                f"v{version} met {met} and v{live.version} is live now: the comparison is out of date. Decide "
                f"{proposed.period} again, or `lead-scoring rollout start {version}` with a reason"
            )
        try:
            refuse_company(installation, rollouts)
        except RolloutError as problem:
            return str(problem)
        return begin(installation, rollouts, version, by, f"passed the gate: {proposed.reason}", is_fast=False)


def _proposal(deployments: Deployments, version: int) -> Deployment:
    return next(s for s in reversed(deployments.steps()) if (s.action, s.version) == ("proposed", version))
