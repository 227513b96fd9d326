"""What a rollout is judged by at one moment: the champion, answers, matured leads, and what the shadow showed."""

from dataclasses import dataclass
from datetime import datetime
from math import nan
from typing import Any

from lead_scoring_assets.rollout.guards import NO_ANSWERS, Answers, Guard, Stratum


@dataclass(frozen=True)
class Live:
    """The version that is live, since when, and why."""

    version: int
    since: datetime
    reason: str = ""


@dataclass(frozen=True)
class Evidence:
    """`candidate` and `control`: answers since the candidate got its share (in the shadow: both scores of one request).

    `shadow_leads`: different leads that the shadow scored. `matured`: of the whole canary, as known at `labels_as_of`;
    `label_coverage` says how many of the leads that matured have a label.
    `shadow_guards`: what only the shadow can show. `is_rejected`: a person said no to the version.
    """

    live: Live
    candidate: Answers = NO_ANSWERS
    control: Answers = NO_ANSWERS
    matured: tuple[Stratum, ...] = ()
    labels_as_of: datetime | None = None
    label_coverage: float = nan
    shadow_leads: int = 0
    shadow_guards: tuple[Guard, ...] = ()
    is_rejected: bool = False

    def figures(self) -> dict[str, Any]:
        """The numbers, for the record."""
        return {
            "live_version": self.live.version,
            "answers": self.candidate.n,
            "errors": self.candidate.errors,
            "p95_ms": self.candidate.p95.value,
            "answers_of_champion": self.control.n,
            "p95_ms_of_champion": self.control.p95.value,
            "matured_leads": sum(stratum.n for stratum in self.matured),
            "matured_leads_of_champion": sum(stratum.n_control for stratum in self.matured),
            "labels_as_of": self.labels_as_of.isoformat() if self.labels_as_of else None,
            "label_coverage": self.label_coverage,
            "shadow_leads": self.shadow_leads,
        }
