"""A simulated API under a rollout: leads come, both models answer, outcomes mature. Nothing of the product but its decisions."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np

from lead_scoring_assets.rollout.advancing import advance_rollout
from lead_scoring_assets.rollout.evidence import Evidence, Live
from lead_scoring_assets.rollout.guards import NO_ANSWERS, Answers, Stratum, p95_of
from lead_scoring_assets.rollout.states import Rollout
from lead_scoring_tests.rollout.worlds import CANDIDATE, LIVE, POLICY, START, canary, latencies

LOOK = timedelta(hours=4)


@dataclass(frozen=True)
class Model:
    """How one model does in truth."""

    error_rate: float = 0.002
    median_ms: float = 20.0
    conversion_rate: float = 0.125


@dataclass(frozen=True)
class Looked:
    at: datetime
    rollout: Rollout
    reason: str


@dataclass
class World:
    """`fault`: what the candidate becomes when it reaches the step `fault_from`; equal to the champion until then."""

    seed: int
    fault: Model = field(default_factory=Model)
    fault_from: int = 1
    leads_a_look: int = 500
    window: timedelta = timedelta(days=6)

    def run(self) -> list[Looked]:
        """Every look, until the rollout is over. It begins at the first share; somebody approves when asked."""
        draws = np.random.default_rng(self.seed)
        rollout, now, live, looked = canary(1), START, LIVE, list[Looked]()
        answered: dict[str, Answers] = {}
        ms: dict[str, list[np.ndarray]] = {"candidate": [], "control": []}
        errors = {"candidate": 0, "control": 0}
        cohorts: list[tuple[datetime, int, Stratum]] = []
        while not rollout.is_over:
            share = 1.0 if rollout.state == "watching" else rollout.share_bp / 10_000
            n = int(draws.binomial(self.leads_a_look, share))
            counts = {"candidate": n, "control": self.leads_a_look - n}
            models = {"candidate": self.fault if rollout.step >= self.fault_from else Model(), "control": Model()}
            for arm, model in models.items():
                ms[arm].append(latencies(draws, counts[arm], model.median_ms))
                errors[arm] += int(draws.binomial(counts[arm], model.error_rate))
            converted = {arm: int(draws.binomial(counts[arm], models[arm].conversion_rate)) for arm in models}
            if rollout.state != "watching":
                stratum = Stratum(converted["candidate"], n, converted["control"], counts["control"])
                cohorts.append((now, rollout.share_bp, stratum))
            now += LOOK
            for arm in ms:
                timed = np.concatenate(ms[arm])
                answered[arm] = Answers(len(timed), errors[arm], p95_of(timed)) if len(timed) else NO_ANSWERS
            found = Evidence(live, answered["candidate"], answered["control"], self._matured(cohorts, now), now)
            step = advance_rollout(rollout, found, POLICY, now)
            looked.append(Looked(now, step.next, step.reason))
            if step.effect == "go_live":
                live = Live(CANDIDATE, now)
            if step.next.share_bp != rollout.share_bp:
                was = ms["control"]
                ms = {"candidate": [], "control": was if step.next.state == "watching" else []}
                errors = {"candidate": 0, "control": 0}
            rollout = step.next
            if rollout.state == "waiting_for_approval":
                rollout = replace(rollout, approvers=("lina",))
        return looked

    def _matured(self, cohorts: list[tuple[datetime, int, Stratum]], now: datetime) -> tuple[Stratum, ...]:
        found: dict[int, list[Stratum]] = {}
        for at, share, stratum in cohorts:
            if at + self.window <= now:
                found.setdefault(share, []).append(stratum)
        names = ("converted", "n", "converted_control", "n_control")
        return tuple(Stratum(*(sum(getattr(s, name) for s in strata) for name in names)) for strata in found.values())
