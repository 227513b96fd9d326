"""The stages of a model version and which step leads from one to another: a pure state machine, nothing is written here.

    development ──proposed──▶ staging ──approved, rolled_out──▶ production ──(another goes live)──▶ archived
         │                       └─────rejected─────────────────────────────────────────▶ │
         └──promoted, promoted_by_hand──▶ production ◀──rolled_back, fell_back, promoted_by_hand──┘

At most one version is in staging and exactly one is in production once the first went live. A version that a person
rejected stays archived. `rolled_out`: at the end of a rollout, during which a newer candidate may have come to staging.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from lead_scoring_assets.errors import PromotionError

Stage = Literal["development", "staging", "production", "archived"]
Action = Literal[
    "proposed", "promoted", "approved", "rolled_out", "promoted_by_hand", "rolled_back", "fell_back", "rejected"
]

GOES_LIVE: frozenset[Action] = frozenset(
    {"promoted", "approved", "rolled_out", "promoted_by_hand", "rolled_back", "fell_back"}
)
LEAVES_BEHIND: frozenset[Action] = frozenset({"rolled_back", "fell_back"})
"""Steps that say of the version that was live before: not again, unless a person names it."""

_LEADS_TO: Mapping[Action, tuple[frozenset[Stage], Stage]] = {
    "proposed": (frozenset({"development", "staging"}), "staging"),
    "promoted": (frozenset({"development", "staging"}), "production"),
    "approved": (frozenset({"staging"}), "production"),
    "rolled_out": (frozenset({"staging", "archived"}), "production"),
    "promoted_by_hand": (frozenset({"development", "staging", "archived"}), "production"),
    "rolled_back": (frozenset({"archived"}), "production"),
    "fell_back": (frozenset({"archived"}), "production"),
    "rejected": (frozenset({"development", "staging"}), "archived"),
}
_IN_WORDS: Mapping[Action, str] = {
    "proposed": "proposed",
    "promoted": "promoted by the gate",
    "approved": "approved",
    "rolled_out": "rolled out",
    "promoted_by_hand": "promoted by hand",
    "rolled_back": "rolled back to",
    "fell_back": "fallen back to",
    "rejected": "rejected",
}
_WHAT_TO_DO: Mapping[Stage, str] = {
    "development": "The gate did not propose it; `lead-scoring promote` takes it live by hand, with a reason.",
    "staging": "Approve or reject it first.",
    "production": "It is live; `lead-scoring rollback` goes back to the version before it.",
    "archived": "`lead-scoring promote` takes an archived version live, with a reason.",
}


class Step(Protocol):
    """Something that happened to a version."""

    @property
    def version(self) -> int: ...

    @property
    def action(self) -> Action: ...


@dataclass(frozen=True)
class Lifecycle:
    """The stage of every version that a step was recorded of; one that nothing happened to is in development.

    `rejected`: said no to by a person. `went_live`: at any time. `left`: rolled back or fallen back from, and not named
    by a person since.
    """

    stages: Mapping[int, Stage] = field(default_factory=dict)
    rejected: frozenset[int] = frozenset()
    went_live: frozenset[int] = frozenset()
    left: frozenset[int] = frozenset()

    @property
    def production(self) -> int | None:
        return self._in("production")

    @property
    def staging(self) -> int | None:
        return self._in("staging")

    @property
    def archived(self) -> frozenset[int]:
        return frozenset(version for version, stage in self.stages.items() if stage == "archived")

    def stage(self, version: int) -> Stage:
        return self.stages.get(version, "development")

    def allows(self, action: Action, version: int) -> bool:
        is_there = self.stage(version) in _LEADS_TO[action][0] and version not in self.rejected
        return is_there and (action not in LEAVES_BEHIND or self._is_way_back(version))

    def after(self, action: Action, version: int) -> "Lifecycle":
        """The lifecycle once `action` has happened to `version`.

        Raises:
            PromotionError: no such step leads away from the version's stage, in words.
        """
        stage, origins = self.stage(version), _LEADS_TO[action][0]
        if version in self.rejected:
            raise PromotionError(
                f"v{version} was rejected, expected a version that nobody said no to: it stays archived. Name another "
                "version, or train a new one."
            )
        if stage not in origins:
            raise PromotionError(
                f"v{version} cannot be {_IN_WORDS[action]}: expected it in {' or '.join(sorted(origins))}, found it in "
                f"{stage}. {_WHAT_TO_DO[stage]}"
            )
        if action in LEAVES_BEHIND and not self._is_way_back(version):
            what = "was left for another one" if version in self.left else "was never live"
            raise PromotionError(
                f"v{version} cannot be {_IN_WORDS[action]}: expected a version that was live and not left, found that it "
                f"{what}. {_WHAT_TO_DO['archived']}"
            )
        return self.moved(action, version)

    def moved(self, action: Action, version: int) -> "Lifecycle":
        """The same without a question whether it may happen: for what has happened."""
        stages, left, went_live = dict(self.stages), self.left, self.went_live
        if action in GOES_LIVE:
            if self.production is not None:
                stages[self.production] = "archived"
                left = left | {self.production} if action in LEAVES_BEHIND else left
            # Whoever names a version, or approves it, takes back that it was left.
            left = left if action in LEAVES_BEHIND else left - {version}
            went_live |= {version}
        elif action == "proposed" and self.staging is not None:
            stages[self.staging] = "archived"  # a newer candidate takes its place
        stages[version] = _LEADS_TO[action][1]
        rejected = self.rejected | {version} if action == "rejected" else self.rejected
        return Lifecycle(stages, rejected, went_live, left)

    def _is_way_back(self, version: int) -> bool:
        return version in self.went_live and version not in self.left

    def _in(self, stage: Stage) -> int | None:
        return next((version for version, found in self.stages.items() if found == stage), None)


def lifecycle_of(steps: Iterable[Step]) -> Lifecycle:
    """Where every version stands after `steps`, in the order in which they were recorded."""
    found = Lifecycle()
    for step in steps:
        found = found.moved(step.action, step.version)
    return found
