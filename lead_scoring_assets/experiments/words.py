"""Plans and readings as a person reads them: sentences and rows of text. Nothing is computed here but what is told."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from math import isfinite, isnan
from typing import Any

from lead_scoring_assets.experiments.experiment import Experiment
from lead_scoring_assets.experiments.figures import Figure
from lead_scoring_assets.experiments.planning import Plan, power
from lead_scoring_assets.experiments.reading import Reading
from lead_scoring_assets.experiments.records import Status
from lead_scoring_assets.settings import Gate

_SPLITS = (0.5, 0.2, 0.1)
_PERCENT = frozenset(
    {"conversion_lift_always_valid", "conversion_lift", "conversion_difference", "conversion_if_all", "error_rate"}
)


def plan_in_words(plan: Plan, is_by_rep: bool) -> Iterator[str]:
    """What a plan costs, and, where it is so, that it cannot work."""
    question = plan.question
    control, treatment = plan.per_arm(plan.units_one_look)
    yield (
        f"to find {question.lift:+.1%} on {question.base_rate:.1%} ({question.base_rate:.2%} → {question.treated_rate:.2%}) with "
        f"power {question.power:.0%} at {question.significance:.0%}, one look needs {control:,} leads of the control and "
        f"{treatment:,} of the treatment: {plan.days_one_look:,} days at {plan.units_a_day:,.1f} leads a day"
    )
    if not is_by_rep:
        yield (
            f"looked at every day (always valid) it needs {plan.units:,} leads, {plan.days:,} days, at the most; a clear winner "
            "ends it sooner"
        )
    if plan.units_one_look == plan.least_units:
        yield (
            f"for one look chance alone would ask for fewer: experiments.minimum_units wants {plan.minimum_units:,} in each arm "
            "before a treatment can win"
        )
    if not plan.can_work:
        found = f"{plan.reachable_lift:+.1%} or more" if isfinite(plan.reachable_lift) else "no lift at all"
        chance = power(question, plan.units_reachable) if plan.units_reachable else question.significance / 2
        yield (
            f"it CANNOT WORK within {plan.maximum_days} days: {plan.units_reachable:,.0f} leads come of age by then, enough to "
            f"find {found}; {question.lift:+.1%} would be found with probability {chance:.0%} by one look"
        )
    powers = ", ".join(
        f"{1 - share:.0%}/{share:.0%}: {power(replace(question, share=share), plan.units_one_look):.2f}"
        for share in _SPLITS
    )
    yield f"power of one look at as many leads by split (control/treatment): {powers}"


def plan_as_dict(plan: Plan) -> dict[str, Any]:
    """All of a plan, for programs."""
    return {**asdict(plan), "can_work": plan.can_work}


def arms_in_words(experiment: Experiment) -> str:
    """What is compared, and how it is drawn."""
    control = (
        f"v{experiment.control_version}" if experiment.control_version else "the process as before (no score is shown)"
    )
    explored = f", {experiment.exploration_bp / 100:g} % drawn 1 to 1" if experiment.exploration_bp else ""
    return (
        f"v{experiment.treatment_version} against {control}, {experiment.share_bp / 100:g} % of the {experiment.unit}s get the "
        f"treatment{explored}; counted {experiment.age_days} days after their first answer, {experiment.planned_units:,} planned"
    )


def status_in_words(status: Status) -> str:
    """Where an experiment stands, and why."""
    since = status.ended_at or status.started_at or status.last.at
    verdict = f", {status.last.verdict}" if status.last.verdict else ""
    why = f": {status.last.reason}" if status.last.reason else ""
    return f"{status.experiment.experiment_id}: {status.state}{verdict} since {since:%Y-%m-%d %H:%M}{why}"


def what_would_end_it(experiment: Experiment, gate: Gate) -> str | None:
    """What else than its verdict may end an experiment soon; None: nothing that is settled."""
    if experiment.control == "process" or gate.approval != "automatic":
        return None
    return (
        "gate.approval is automatic: a new model that passes the gate goes live at once in place of "
        f"v{experiment.control_version}, which ends this experiment without a winner. manual or rollout lets it wait in staging."
    )


def figure_in_words(figure: Figure) -> tuple[str, str, str, str, str]:
    """Role, metric, control, treatment, effect, as text."""
    if figure.status != "ok":
        return figure.role, figure.metric, "", "", f"{figure.status.replace('_', ' ')}: {figure.reason}"
    is_share = figure.metric in _PERCENT
    values = (_number(figure.control.value, is_share), _number(figure.treatment.value, is_share))
    effect = f"{_number(figure.effect.value, is_share)}"
    if not isnan(figure.effect.low):
        effect += f" [{_number(figure.effect.low, is_share)}, {_number(figure.effect.high, is_share)}]"
    p_value = "" if isnan(figure.p_value) else f" p {figure.p_value:.2g}"
    sizes = (f" ({figure.control.n:,})", f" ({figure.treatment.n:,})")
    return figure.role, figure.metric, values[0] + sizes[0], values[1] + sizes[1], effect + p_value


def reading_in_words(reading: Reading) -> Iterator[str]:
    """The verdict, its reason, and what weakens it."""
    yield f"as of {reading.as_of:%Y-%m-%d %H:%M}, labels known until {reading.labels_until:%Y-%m-%d}: {reading.decision.verdict}"
    yield reading.decision.reason
    yield from (f"warning: {warning}" for warning in reading.warnings)


def _number(value: float, is_share: bool) -> str:
    if isnan(value):
        return "unknown"
    if not isfinite(value):
        return "unbounded"
    return f"{value:.2%}" if is_share else f"{value:.4g}"
