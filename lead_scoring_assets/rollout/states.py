"""Where a rollout stands, and what a step of it is. Pure values; when one follows another stands in `advancing.py`.

    shadow ──▶ canary 5 % ──▶ 10 % ──▶ 50 % ──▶ watching (100 %, it is the champion) ──▶ done
      └─────────┴───────────┴────────┴── a guard, a person, or nobody answers ──┴──▶ rolled_back

`held` and `waiting_for_approval` are a shadow or a canary whose time is up: its share stays, and what lacks is told.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

State = Literal["shadow", "canary", "held", "waiting_for_approval", "watching", "done", "rolled_back"]
Effect = Literal["none", "go_live", "go_back"]

OVER: frozenset[State] = frozenset({"done", "rolled_back"})
_IN_WORDS: Mapping[State, str] = {
    "shadow": "in the shadow",
    "canary": "a canary",
    "held": "held",
    "waiting_for_approval": "waiting for approval",
    "watching": "live and watched",
    "done": "rolled out",
    "rolled_back": "rolled back",
}


@dataclass(frozen=True)
class Rollout:
    """One candidate's way to the traffic.

    `step`: 0 in the shadow, then the place of its share among the policy's steps, from 1. `since`: when it got that share.
    `share_bp`: of the leads, in basis points. `requested_by`: who asked for its training. `approvers`: who approved the
    next step. `is_fast`: a day in the shadow instead of two weeks, where a second person approves.
    """

    rollout_id: str
    version: int
    champion_version: int
    state: State
    step: int
    share_bp: int
    started_at: datetime
    since: datetime
    started_by: str
    requested_by: str | None = None
    is_fast: bool = False
    approvers: tuple[str, ...] = ()

    @property
    def is_over(self) -> bool:
        return self.state in OVER

    @property
    def in_words(self) -> str:
        share = f" at {self.share_bp / 100:g} %" if self.share_bp else ""
        return f"v{self.version} is {_IN_WORDS[self.state]}{share} ({self.rollout_id})"


@dataclass(frozen=True)
class Step:
    """What becomes of a rollout, and why, with numbers; also when nothing does.

    `effect`: what has to be done to the champion before the step counts.
    """

    next: Rollout
    reason: str
    effect: Effect = "none"
    evidence: Mapping[str, Any] = field(default_factory=dict)
