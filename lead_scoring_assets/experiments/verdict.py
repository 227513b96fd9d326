"""Promote, keep, or go on? One pure decision over a reading; the reasons for the yes and for the no, with their numbers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Literal

from lead_scoring_assets.evaluation.metrics import Metric
from lead_scoring_assets.experiments.always_valid import AlwaysValid
from lead_scoring_assets.experiments.experiment import Experiment
from lead_scoring_assets.experiments.figures import Figure
from lead_scoring_assets.experiments.sample_ratio import SampleRatio
from lead_scoring_assets.rollout.guards import Guard

Verdict = Literal["PROMOTE_TREATMENT", "KEEP_CONTROL", "CONTINUE_TEST", "BLOCKED"]
Point = Literal[
    "sample_ratio",
    "guardrails",
    "sample_size",
    "duration",
    "significance",
    "business_metrics",
    "sales_feedback",
    "gradual_rollout",
]
Answer = Literal["yes", "no", "open"]

# Chance alone does not halve the conversions of a thousand leads: something else was planned than is measured.
_LEAST_OF_PLANNED_CONVERSIONS = 0.5


@dataclass(frozen=True)
class Evidence:
    """What is known at one reading. `control`, `treatment`: leads that were counted at their age. `conversions`: of both; those
    that became known after that age are `conversions_too_late`, and do not count.

    `sequence`: of experiments by lead; `by_rep`: of those by rep, where one look at the end is all there is. `feedback`: what
    salespeople said.
    """

    days: float
    control: int
    treatment: int
    conversions: int
    conversions_too_late: int
    sample_ratio: SampleRatio
    sequence: AlwaysValid | None
    by_rep: Metric | None
    guards: Sequence[Guard]
    secondary: Sequence[Figure]
    feedback: Sequence[str] = ()

    @property
    def units(self) -> int:
        return self.control + self.treatment


@dataclass(frozen=True)
class Check:
    """One point of the checklist: yes and no speak for and against the treatment, open is not known yet."""

    point: Point
    answer: Answer
    sentence: str


@dataclass(frozen=True)
class ExperimentDecision:
    """The verdict, why, and every point that was looked at."""

    verdict: Verdict
    reason: str
    checklist: tuple[Check, ...]

    @property
    def ends_it(self) -> bool:
        return self.verdict != "CONTINUE_TEST"

    def answer(self, point: Point) -> Answer:
        return next(check.answer for check in self.checklist if check.point == point)


def decide_experiment(evidence: Evidence, plan: Experiment) -> ExperimentDecision:
    """The verdict on the treatment, by what was settled before the start.

    In this order: a sample ratio that does not fit blocks, because no comparison holds; a violated guardrail and a treatment that
    is worse beyond doubt end it at any size; then nothing is decided before the smallest sample and the shortest time; then a
    lift beyond doubt promotes, unless money or speed got worse; a lift that cannot be as large as planned, or the planned size
    without a lift, keeps the control.
    """
    checks = {check.point: check for check in _checks(evidence, plan)}
    verdict, points = _verdict(evidence, plan, checks)
    reason = "; ".join(checks[point].sentence for point in points)
    checks["gradual_rollout"] = _next_step(verdict, plan)
    return ExperimentDecision(verdict, reason, tuple(checks.values()))


def _verdict(evidence: Evidence, plan: Experiment, checks: dict[Point, Check]) -> tuple[Verdict, tuple[Point, ...]]:
    is_whole = _is_whole(evidence, plan)
    if checks["sample_ratio"].answer == "no":
        return "BLOCKED", ("sample_ratio",)
    if checks["guardrails"].answer == "no":
        return "KEEP_CONTROL", ("guardrails",)
    if evidence.sequence is not None and evidence.sequence.high < 1:
        return "KEEP_CONTROL", ("significance",)
    if checks["sample_size"].answer == "open" or checks["duration"].answer == "open":
        return "CONTINUE_TEST", ("sample_size", "duration")
    if checks["significance"].answer == "yes":
        if checks["business_metrics"].answer != "no":
            return "PROMOTE_TREATMENT", ("significance", "business_metrics")
        return ("KEEP_CONTROL" if is_whole else "CONTINUE_TEST"), ("business_metrics", "significance")
    if checks["significance"].answer == "no":
        return "KEEP_CONTROL", ("significance",)
    return "CONTINUE_TEST", ("significance",)


def _checks(evidence: Evidence, plan: Experiment) -> Iterator[Check]:
    ratio = evidence.sample_ratio
    yield Check("sample_ratio", "no" if ratio.is_mismatch else "yes", ratio.sentence)
    violated = [guard for guard in evidence.guards if guard.status == "violated"]
    known = any(guard.status == "ok" for guard in evidence.guards)
    told = "; ".join(f"{guard.name}: {guard.reason}" for guard in violated or evidence.guards) or "nothing was answered"
    yield Check("guardrails", "no" if violated else "yes" if known else "open", told)
    yield _sample_size(evidence, plan)
    is_long = evidence.days >= plan.minimum_days
    told = f"{evidence.days:.0f} of at least {plan.minimum_days} days"
    yield Check("duration", "yes" if is_long else "open", told)
    yield _by_rep(evidence, plan) if evidence.sequence is None else _by_lead(evidence, evidence.sequence, plan)
    yield _business(evidence.secondary)
    said = "; ".join(evidence.feedback)
    yield Check(
        "sales_feedback", "yes" if said else "open", said or "nobody has asked the salespeople, or written it down"
    )


def _sample_size(evidence: Evidence, plan: Experiment) -> Check:
    if not evidence.units:
        return Check(
            "sample_size", "open", f"no lead is {plan.age_days} days past its first answer: nothing can be counted"
        )
    fewest = min(evidence.control, evidence.treatment)
    told = (
        f"{evidence.control:,} leads of the control and {evidence.treatment:,} of the treatment are {plan.age_days} days old, "
        f"{plan.minimum_units:,} of each are needed, {plan.planned_units:,} were planned altogether"
    )
    return Check("sample_size", "yes" if fewest >= plan.minimum_units else "open", told)


def _by_lead(evidence: Evidence, sequence: AlwaysValid, plan: Experiment) -> Check:
    times = "an unknown number of" if isnan(sequence.ratio) else f"{sequence.ratio:.3f}"
    told = (
        f"the treatment converts {times} times as often [{sequence.low:.3f}, {sequence.high:.3f}], at any number of "
        f"looks (p {sequence.p_value:.2g}, {plan.significance:g} was planned)"
    )
    if sequence.low > 1:
        return Check("significance", "yes", told)
    if sequence.high < 1:
        return Check("significance", "no", f"{told}: it is worse")
    if sequence.high < 1 + plan.minimum_lift:
        return Check("significance", "no", f"{told}: the {plan.minimum_lift:.1%} that were planned are out of reach")
    if _is_whole(evidence, plan):
        return Check(
            "significance", "no", f"{told}: all {plan.planned_units:,} planned leads were counted without a winner"
        )
    return Check("significance", "open", f"{told}{_too_few_conversions(evidence, plan)}")


def _by_rep(evidence: Evidence, plan: Experiment) -> Check:
    effect = evidence.by_rep
    if effect is None or isnan(effect.low):
        return Check("significance", "open", "too few reps in an arm for an interval")
    told = f"treatment minus control {effect.value:+.2%} [{effect.low:+.2%}, {effect.high:+.2%}] over {effect.n:,} reps, one look"
    if not _is_whole(evidence, plan):
        return Check(
            "significance",
            "open",
            f"{told}: drawn by rep, it is read once {plan.planned_units:,} leads were counted"
            f"{_too_few_conversions(evidence, plan)}",
        )
    return Check("significance", "yes" if effect.low > 0 else "no", told)


def _is_whole(evidence: Evidence, plan: Experiment) -> bool:
    """Whether the planned sample is there: the leads, and what can be learned from them, which is their conversions."""
    return (
        evidence.units >= plan.planned_units
        and evidence.conversions >= _LEAST_OF_PLANNED_CONVERSIONS * plan.planned_conversions
    )


def _too_few_conversions(evidence: Evidence, plan: Experiment) -> str:
    """Why the planned number of leads is not the planned sample; nothing where it has not come yet."""
    if evidence.units < plan.planned_units:
        return ""
    told = (
        f". All {plan.planned_units:,} planned leads were counted, but {evidence.conversions:,} conversions where the plan "
        f"expected {plan.planned_conversions:,.0f}, so that it goes on"
    )
    if evidence.conversions_too_late <= evidence.conversions:
        return told
    return (
        f"{told}: {evidence.conversions_too_late:,} more became known after the {plan.age_days} days at which a lead is counted. "
        "Have outcomes told sooner, or stop it and plan one with more --age-days"
    )


def _business(secondary: Sequence[Figure]) -> Check:
    known = [figure for figure in secondary if figure.status == "ok"]
    told = "; ".join(
        f"{figure.metric} {figure.effect.value:+.4g} [{figure.effect.low:+.4g}, {figure.effect.high:+.4g}]"
        for figure in known
    )
    if not known:
        why = "; ".join(f"{figure.metric}: {figure.reason}" for figure in secondary)
        return Check("business_metrics", "open", why or "no business figure can be told")
    worse = [figure.metric for figure in known if figure.is_worse]
    return Check("business_metrics", "no" if worse else "yes", f"{told}; worse: {', '.join(worse)}" if worse else told)


def _next_step(verdict: Verdict, plan: Experiment) -> Check:
    if verdict == "PROMOTE_TREATMENT":
        told = f"nothing is live by this: `lead-scoring rollout start {plan.treatment_version}` takes it there step by step"
        return Check("gradual_rollout", "open", told)
    return Check("gradual_rollout", "no", "there is no winner to roll out")
