"""What takes the ground from under a comparison while it runs: another champion, or a challenger that nobody wants. Pure.

Nobody is drawn for it from that moment on; its own sensor ends it, and records why.
"""

from collections.abc import Sequence
from datetime import datetime

from lead_scoring_assets.promotion.deployments import Deployment, newest_of
from lead_scoring_assets.promotion.lifecycle import LEAVES_BEHIND
from lead_scoring_assets.rollout.states import Rollout


def overtaken(steps: Sequence[Deployment], challenger: int, live: int | None, since: datetime) -> str | None:
    """Why the challenger and what is live can no longer be compared; None: they can.

    Args:
        steps: of all versions, as recorded.
        challenger: the version that is tried.
        live: the version that has to be live; None: it matters to nobody which is.
        since: when the comparison began. A challenger that had been taken back before may be tried again.
    """
    newest = newest_of([step for step in steps if step.went_live])
    if newest is not None and live not in (None, newest.version):
        return (
            f"v{newest.version} is live since {newest.effective_at:%Y-%m-%d %H:%M} ({newest.reason}): the control is no longer "
            f"v{live}, and later answers would be compared with something else"
        )
    for step in steps:
        if step.action == "rejected" and step.version == challenger:
            return f"v{challenger} was rejected by {step.actor}: {step.reason}"
        is_taken_back = step.action in LEAVES_BEHIND and step.champion_version == challenger
        if is_taken_back and step.effective_at >= since:
            return f"v{challenger} was taken back by {step.actor}: {step.reason}"
    return None


def is_overtaken(rollout: Rollout, steps: Sequence[Deployment]) -> bool:
    """Whether something happened to a running rollout's champion, or to its candidate, without it."""
    live = rollout.version if rollout.state == "watching" else rollout.champion_version
    return overtaken(steps, rollout.version, live, rollout.started_at) is not None
