"""Is a model trained now? One pure decision over all causes and brakes: facts in, decision out, with every reason.

Cheap enough to be asked a million times by a replay: no table, no clock, no Dagster.
"""

from dataclasses import dataclass

from lead_scoring_assets.retraining.brakes import PASSED_BY_A_PERSON, Brake, BrakeName, find_brakes
from lead_scoring_assets.retraining.causes import Cause, Finding, Policy, find_causes
from lead_scoring_assets.retraining.facts import Facts


@dataclass(frozen=True)
class RetrainingDecision:
    """Whether a model is trained for `period`: what every cause said, which brakes hold, and which were passed."""

    period: str
    retrain: bool
    findings: tuple[Finding, ...]
    brakes: tuple[Brake, ...] = ()
    passed: tuple[Brake, ...] = ()

    @property
    def triggers(self) -> tuple[Finding, ...]:
        """The causes that are given; the first one names the episode."""
        return tuple(finding for finding in self.findings if finding.is_given)

    @property
    def reason(self) -> str:
        """In words with numbers, for the yes and for the no."""
        asked = "; ".join(map(_told, self.triggers))
        if self.retrain:
            return asked + "".join(f"; passed {_by(self)}: {brake.reason}" for brake in self.passed)
        if self.brakes:
            return f"{'; '.join(brake.reason for brake in self.brakes)}; there is cause: {asked}"
        return "; ".join(map(_told, self.findings)) or "no cause is watched (retraining.causes is empty)"

    @property
    def kind(self) -> tuple[str, ...]:
        """What kind of answer it is, without its numbers: a reason that only counts on is the same reason."""
        said = (f"{finding.cause} {finding.status}" for finding in self.findings)
        return (*said, *(f"held by {brake.name}" for brake in self.brakes))


def decide_retraining(facts: Facts, policy: Policy) -> RetrainingDecision:
    """Any cause that is given asks for a training; any brake that holds and is not passed refuses it.

    A person passes what is about patience (cooldown, back-off, a period that is decided); a cause that the settings call
    urgent passes the back-off. Nothing passes what makes a training impossible or doubles it.
    """
    findings = find_causes(facts, policy)
    given: set[Cause] = {finding.cause for finding in findings if finding.is_given}
    if not given:
        return RetrainingDecision(facts.period, False, findings)
    passes: frozenset[BrakeName] = frozenset()
    if "by_hand" in given:
        passes = PASSED_BY_A_PERSON
    elif given & set(policy.retraining.urgent_causes):
        passes = frozenset({"back_off"})
    brakes = find_brakes(facts, policy)
    holding = tuple(brake for brake in brakes if brake.name not in passes)
    passed = tuple(brake for brake in brakes if brake.name in passes)
    return RetrainingDecision(facts.period, not holding, findings, holding, passed)


def _told(finding: Finding) -> str:
    return f"{finding.cause.replace('_', ' ')}: {finding.reason}"


def _by(decision: RetrainingDecision) -> str:
    return "by hand" if decision.triggers[0].cause == "by_hand" else "because it is urgent"
