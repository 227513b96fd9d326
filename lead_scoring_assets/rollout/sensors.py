"""The thin adapters: look at the rollout that runs, and compare a shadow once there is more of it. Each tick says why."""

import json
from datetime import datetime, timedelta
from typing import Any

import dagster as dg

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.prediction_log.tables import PREDICTIONS, SHADOWS
from lead_scoring_assets.promotion.deployments import Deployments
from lead_scoring_assets.promotion.following_later import follow_later
from lead_scoring_assets.rollout.comparison import cause_of_comparison
from lead_scoring_assets.rollout.gathering import LABELS, as_they_lie
from lead_scoring_assets.rollout.looking import look
from lead_scoring_assets.rollout.overtaking import is_overtaken
from lead_scoring_assets.rollout.records import Rollouts
from lead_scoring_assets.settings import find_home

SHADOW_JOB = "shadow_analysis"
_SHARED: dict[str, Any] = {
    "minimum_interval_seconds": find_home().settings.retraining.sensor_interval_seconds,
    "default_status": dg.DefaultSensorStatus.RUNNING,
}


@dg.sensor(
    description="Moves the rollout that runs: further when its time is up and nothing speaks against it, back at once when "
    "a guard is violated. Starts the next one where gate.approval is rollout.",
    **_SHARED,
)
def advance_rollouts(
    context: dg.SensorEvaluationContext, installation: dg.ResourceParam[Installation]
) -> dg.SkipReason:
    """One look an interval, four times as many while a new champion is watched; at once when somebody has approved, or
    something else happened to either model. Where the clock stands, as it does in a replay, a look is repeated when what
    was known by then has been taken in. The cursor holds the last look, and the tables and approvals it saw."""
    running, now = Rollouts(installation.lakehouse).running(), installation.clock.now()
    if running is not None:
        looked, policy = _moment(context.cursor), installation.settings.rollout
        minutes = policy.minutes_between_looks(is_watched=running.state == "watching")
        due = looked + timedelta(minutes=minutes) if looked else now
        seen = as_they_lie(installation.lakehouse, PREDICTIONS, SHADOWS, LABELS)
        approvers = ", ".join(running.approvers)
        is_answered = _kept(context.cursor, "approvers") not in (None, approvers)
        has_more = is_answered or (now == looked and _kept(context.cursor, "seen") != seen)
        if now < due and not has_more and not is_overtaken(running, Deployments(installation.lakehouse).steps()):
            return dg.SkipReason(f"{running.in_words}; the next look is at {due:%Y-%m-%d %H:%M}")
        context.update_cursor(json.dumps({"looked_at": now.isoformat(), "seen": seen, "approvers": approvers}))
    step = look(installation, "advance_rollouts")
    if isinstance(step, str):
        return dg.SkipReason(step)
    if step.effect != "none":
        follow_later(installation)
    return dg.SkipReason(f"{step.next.in_words}: {step.reason}")


@dg.sensor(
    job_name=SHADOW_JOB,
    description="Compares the shadow with the champion once a day while new scores, or labels of its leads, come in.",
    **_SHARED,
)
def compare_shadow(
    context: dg.SensorEvaluationContext, installation: dg.ResourceParam[Installation]
) -> dg.RunRequest | dg.SkipReason:
    """One run for what has come, one a day at most; the cursor holds what that was, and when."""
    cause, now = cause_of_comparison(installation), installation.clock.now()
    if cause is None:
        return dg.SkipReason("no shadow has scored leads that are still to be compared")
    if _kept(context.cursor, "cause") == cause:
        return dg.SkipReason(f"nothing has come since the comparison of {cause}")
    compared = _moment(context.cursor)
    if compared is not None and now < compared + timedelta(days=1):
        return dg.SkipReason(f"the shadow was compared at {compared:%Y-%m-%d %H:%M}; once a day is enough")
    context.update_cursor(json.dumps({"looked_at": now.isoformat(), "cause": cause}))
    return dg.RunRequest(run_key=cause)


def _moment(cursor: str | None) -> datetime | None:
    """When the last look was."""
    try:
        return datetime.fromisoformat(_kept(cursor, "looked_at") or "")
    except ValueError:
        return None


def _kept(cursor: str | None, name: str) -> str | None:
    """What the cursor holds. One that cannot be read is as none."""
    try:
        return str(json.loads(cursor)[name]) if cursor else None
    except (KeyError, TypeError, ValueError):
        return None
