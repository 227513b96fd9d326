"""What people do to a rollout: start, approve, abort. Each is one commit to the table of rollouts."""

from dataclasses import replace

from lead_scoring_assets.errors import RolloutError
from lead_scoring_assets.events.log import Event
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.promotion import transitions
from lead_scoring_assets.promotion.deployments import Deployments
from lead_scoring_assets.rollout.advancing import needs_approval, next_percent
from lead_scoring_assets.rollout.records import Action, Rollouts
from lead_scoring_assets.rollout.states import Rollout, Step
from lead_scoring_assets.rollout.traffic import running_experiment

KIND = "rollout"


def start(installation: Installation, version: int, by: str, reason: str, *, is_fast: bool = False) -> Rollout:
    """Begin the rollout of `version`, in the shadow of the champion; it comes to staging if it is not there.

    Raises:
        RolloutError: no reason, nothing is live, or a rollout or an experiment is running.
        PromotionError: no such version, it was rejected, is or was live, does not load or is not traceable.
    """
    if not reason.strip():
        raise RolloutError(f"a rollout of v{version} is started by hand only with a reason, found none: add --reason.")
    rollouts = Rollouts(installation.lakehouse)
    with rollouts.one_at_a_time():
        refuse_company(installation, rollouts)
        if Deployments(installation.lakehouse).lifecycle().staging != version:
            transitions.propose(installation, version, by, reason)
        return begin(installation, rollouts, version, by, reason, is_fast)


def approve(installation: Installation, by: str, reason: str) -> Rollout:
    """Approve the next share of the running rollout, also before its time is up.

    Raises:
        RolloutError: none is running, it needs no approval, or this person asked for the training or started it.
    """
    rollouts, policy = Rollouts(installation.lakehouse), installation.settings.rollout
    with rollouts.one_at_a_time():
        rollout = _running(rollouts)
        if not needs_approval(rollout, policy):
            raise RolloutError(f"{rollout.in_words} and needs no approval now: expected one that does.")
        if by in (rollout.requested_by, rollout.started_by):
            what = "asked for the training of" if by == rollout.requested_by else "started the rollout of"
            raise RolloutError(
                f"{by} {what} v{rollout.version}, expected another person to approve it: four eyes. Ask a colleague, who "
                "names themselves with --by."
            )
        approved = replace(rollout, approvers=(*rollout.approvers, by))
        percent = next_percent(rollout, policy)
        record(installation, rollouts, approved, "approved", by, reason or f"{percent} % approved")
        return approved


def abort(installation: Installation, by: str, reason: str) -> Rollout:
    """Take the candidate of the running rollout back; once it is the champion, `lead-scoring rollback` does.

    Raises:
        RolloutError: no reason, none is running, or its version is the champion already.
    """
    rollouts = Rollouts(installation.lakehouse)
    with rollouts.one_at_a_time():
        rollout = _running(rollouts)
        if not reason.strip():
            raise RolloutError(f"{rollout.in_words}: it is aborted only with a reason, found none: add --reason.")
        live = Deployments(installation.lakehouse).newest()
        if live is not None and live.version == rollout.version:
            raise RolloutError(f"v{rollout.version} is live, expected a candidate: `lead-scoring rollback` goes back.")
        over = replace(rollout, state="rolled_back", share_bp=0, since=installation.clock.now(), approvers=())
        record(installation, rollouts, over, "aborted", by, reason)
        return over


def begin(installation: Installation, rollouts: Rollouts, version: int, by: str, reason: str, is_fast: bool) -> Rollout:
    """Record that the rollout of a version in staging starts. Only inside the lock.

    Raises:
        RolloutError: nothing is live.
    """
    deployments = Deployments(installation.lakehouse)
    live = deployments.newest()
    if live is None:
        raise RolloutError(
            f"nothing is live, expected a champion beside which v{version} can be rolled out: `lead-scoring promote` or "
            "`lead-scoring approve` takes the first one live."
        )
    now, number = installation.clock.now(), len(rollouts.all()) + 1
    rollout = Rollout(
        rollout_id=f"rollout-{number}-v{version}",
        version=version,
        champion_version=live.version,
        state="shadow",
        step=0,
        share_bp=0,
        started_at=now,
        since=now,
        started_by=by,
        requested_by=_requested_by(deployments, version),
        is_fast=is_fast,
    )
    record(installation, rollouts, rollout, "started", by, reason)
    return rollout


def record(
    installation: Installation,
    rollouts: Rollouts,
    rollout: Rollout,
    action: Action,
    by: str,
    reason: str,
    step: Step | None = None,
) -> None:
    """Append to the table, then tell the log of events what it holds. Only inside the lock."""
    rollouts.append(rollout, action, installation.clock.now(), by, reason, step.evidence if step else None)
    tell(installation, rollouts)


def tell(installation: Installation, rollouts: Rollouts) -> None:
    """Record the event of each step that has none yet: a process may have died between the two."""
    rows = rollouts.rows()
    known = {event.event_id for event in installation.events.events(kind=KIND)} if rows else set()
    for row in rows:
        name = f"rollout-step-{row['sequence']}"
        if name not in known:
            evidence = {key: row[key] for key in ("action", "version", "champion_version", "state", "share_bp")}
            event = Event(name, KIND, row["rollout_id"], row["at"], row["actor"], row["reason"], evidence)
            installation.events.record(event)


def _running(rollouts: Rollouts) -> Rollout:
    running = rollouts.running()
    if running is None:
        raise RolloutError("no rollout is running, expected one: `lead-scoring rollout start VERSION` begins one.")
    return running


def refuse_company(installation: Installation, rollouts: Rollouts) -> None:
    """A lead has one challenger: a second rollout, or an experiment beside it, would compare nothing."""
    if (running := rollouts.running()) is not None:
        raise RolloutError(
            f"{running.in_words}, expected no rollout that is running: wait for its end, or `lead-scoring rollout abort`."
        )
    if (experiment := running_experiment(installation.lakehouse)) is not None:
        raise RolloutError(
            f"experiment {experiment['experiment_id']} is running, expected none beside a rollout: both would draw the same "
            "leads. Wait for its end, or stop it with `lead-scoring experiment stop`."
        )


def _requested_by(deployments: Deployments, version: int) -> str | None:
    """Who asked for the training, as far as any step of the version tells."""
    told = [step.requested_by for step in deployments.steps() if step.version == version]
    return next((name for name in reversed(told) if name), None)
