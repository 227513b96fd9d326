"""The reference that only moves up: the version that no later champion was shown to beat. Rebuilt from what is on record.

A point difference above zero would not be enough: among models that are equal but for noise it picks the luckiest, and
the reference sinks with each pick. So a version takes over only when its whole interval against the best lies above zero.
"""

from collections.abc import Mapping, Sequence, Set
from typing import Any

from lead_scoring_assets.promotion.deployments import Deployment
from lead_scoring_assets.promotion.lifecycle import LEAVES_BEHIND

Row = Mapping[str, Any]


def best_so_far(history: Sequence[Deployment], decisions: Sequence[Row], without: Set[int]) -> Deployment | None:
    """The best of the versions that went live, or None before the first.

    Args:
        history: what went live up to now, in the order of its recording.
        decisions: rows of `promotion_decision`, one a candidate.
        without: versions that cannot serve as a reference: rolled back from, or damaged.
    """
    decided = {row["candidate_version"]: row for row in decisions if row["candidate_version"] is not None}
    best: Deployment | None = None
    for live in history:
        if live.version in without or live.action in LEAVES_BEHIND:
            continue
        if best is None or _beat(decided.get(live.version), best.version):
            best = live
    return best


def _beat(decision: Row | None, best_version: int) -> bool:
    """Whether the decision compared its candidate with this version, and the interval lay above zero."""
    if decision is None or decision.get("best_version") != best_version:
        return False
    low = decision.get("best_auc_difference_low")
    return low is not None and low > 0
