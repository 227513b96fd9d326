"""What is told of both arms, each figure with its role: primary decides, secondary may forbid, the rest is for people."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isnan, nan
from typing import Literal

import numpy as np

from lead_scoring_assets.evaluation.means import mean_interval
from lead_scoring_assets.evaluation.metrics import Floats, Metric, change, evaluate, share
from lead_scoring_assets.experiments.always_valid import AlwaysValid
from lead_scoring_assets.experiments.off_policy import Logged, policy_value
from lead_scoring_assets.experiments.one_look import Counts, chi_square, difference, lift
from lead_scoring_assets.experiments.outcomes import Flags, Outcomes
from lead_scoring_assets.experiments.reps import MINIMUM_REPS, difference_by_rep
from lead_scoring_assets.experiments.sample_ratio import SampleRatio
from lead_scoring_assets.rollout.guards import Answers

Role = Literal["primary", "secondary", "guardrail", "validity", "informative", "policy"]
Status = Literal["ok", "insufficient_data", "not_computable"]

ROLES: dict[str, Role] = {
    "conversion_lift_always_valid": "primary",
    "conversion_lift": "primary",
    "conversion_difference": "primary",
    "revenue_per_lead": "secondary",
    "time_to_contact_hours": "secondary",
    "auc": "informative",
    "precision_at_10_percent": "informative",
    "conversion_if_all": "policy",
    "error_rate": "guardrail",
    "latency_p95_ms": "guardrail",
    "sample_ratio": "validity",
}
LOWER_IS_BETTER = frozenset({"time_to_contact_hours"})
_FEWEST = 30


@dataclass(frozen=True)
class Figure:
    """One figure of both arms with 95 % intervals; `effect` is treatment minus control, of the lift relative to it."""

    metric: str
    control: Metric
    treatment: Metric
    effect: Metric
    p_value: float = nan
    status: Status = "ok"
    reason: str = ""

    @property
    def role(self) -> Role:
        return ROLES[self.metric]

    @property
    def is_worse(self) -> bool:
        """Whether the treatment is worse beyond chance."""
        return self.effect.low > 0 if self.metric in LOWER_IS_BETTER else self.effect.high < 0


def counts_of(outcomes: Outcomes) -> Counts:
    """Leads and conversions of both arms."""
    treated, won = outcomes.is_treatment, outcomes.converted
    return Counts(int((~treated).sum()), int(won[~treated].sum()), int(treated.sum()), int(won[treated].sum()))


def figures(outcomes: Outcomes, *, is_by_rep: bool, minimum_effective_leads: int) -> Iterator[Figure]:
    """Every figure over leads of one age. At one look: who stops by the first good one of many is fooled.

    `is_by_rep`: effects count reps then; the intervals of a single arm still count leads.
    """
    counts = counts_of(outcomes)
    control, treatment = (
        share("conversion_rate", counts.control_conversions, counts.control),
        share("conversion_rate", counts.treatment_conversions, counts.treatment),
    )
    if is_by_rep:
        effect = difference_by_rep(outcomes.converted, outcomes.unit, outcomes.is_treatment)
        yield _told("conversion_difference", control, treatment, effect, f"{MINIMUM_REPS} reps in each arm are needed")
    else:
        p_value = chi_square(counts)
        yield _told("conversion_lift", control, treatment, lift(counts), "nobody was counted in an arm", p_value)
        effect = difference(counts)
        yield _told("conversion_difference", control, treatment, effect, "nobody was counted in an arm", p_value)
    yield _revenue(outcomes, is_by_rep)
    yield _time_to_contact(outcomes, is_by_rep)
    yield from _ranking(outcomes)
    if not is_by_rep:
        yield _if_all(outcomes, minimum_effective_leads)


def always_valid_figure(sequence: AlwaysValid, counts: Counts) -> Figure:
    """The lift that holds at every look, as a figure; its interval has the significance of the plan."""
    control = share("conversion_rate", counts.control_conversions, counts.control)
    treatment = share("conversion_rate", counts.treatment_conversions, counts.treatment)
    effect = Metric("lift", sequence.ratio - 1, sequence.low - 1, sequence.high - 1, control.n + treatment.n)
    won = counts.control_conversions + counts.treatment_conversions
    status: Status = "ok" if won else "insufficient_data"
    reason = f"from {won:,} conversions, at any number of looks"
    return Figure("conversion_lift_always_valid", control, treatment, effect, sequence.p_value, status, reason)


def guardrail_figures(control: Answers, treatment: Answers) -> Iterator[Figure]:
    """Errors and latency of both arms, over answers and not over leads."""
    rates = [share("error_rate", answers.errors, answers.n) for answers in (control, treatment)]
    for metric, (of_control, of_treatment) in (("error_rate", rates), ("latency_p95_ms", [control.p95, treatment.p95])):
        yield _told(
            metric, of_control, of_treatment, change(of_control, of_treatment), "an arm was not answered by a model"
        )


def sample_ratio_figure(ratio: SampleRatio, control: int, treatment: int) -> Figure:
    """Units in each arm: planned (as the control's value) and realised share of the treatment."""
    planned = Metric("sample_ratio", ratio.planned, nan, nan, control)
    realised = Metric("sample_ratio", ratio.realised, nan, nan, treatment)
    effect = Metric("sample_ratio", ratio.realised - ratio.planned, nan, nan, ratio.units)
    status: Status = "ok" if ratio.units else "insufficient_data"
    return Figure("sample_ratio", planned, realised, effect, ratio.always_valid_p_value, status, ratio.sentence)


def _told(
    metric: str, control: Metric, treatment: Metric, effect: Metric, missing: str, p_value: float = nan
) -> Figure:
    is_known = not isnan(effect.low) and not isnan(effect.high)
    status: Status = "ok" if is_known else "insufficient_data"
    return Figure(metric, control, treatment, effect, p_value, status, "" if is_known else missing)


def _missing(metric: str, outcomes: Outcomes, status: Status, reason: str) -> Figure:
    control, treatment = (Metric(metric, nan, nan, nan, int(arm.sum())) for arm in _arms(outcomes))
    return Figure(metric, control, treatment, Metric(metric, nan, nan, nan, len(outcomes)), nan, status, reason)


def _arms(outcomes: Outcomes) -> tuple[Flags, Flags]:
    return ~outcomes.is_treatment, outcomes.is_treatment


def _means(metric: str, outcomes: Outcomes, values: Floats, reason: str, is_by_rep: bool) -> Figure:
    arms = _arms(outcomes)
    if min(int(arm.sum()) for arm in arms) < _FEWEST:
        return _missing(metric, outcomes, "insufficient_data", f"{_FEWEST} leads in each arm are needed")
    control, treatment = (Metric(metric, *mean_interval(values[arm]), int(arm.sum())) for arm in arms)
    if is_by_rep:
        effect = difference_by_rep(values, outcomes.unit, outcomes.is_treatment)
        return _told(metric, control, treatment, effect, f"{MINIMUM_REPS} reps in each arm are needed")
    return Figure(metric, control, treatment, change(control, treatment), reason=reason)


def _revenue(outcomes: Outcomes, is_by_rep: bool) -> Figure:
    """Over ALL leads, those that brought nothing as 0."""
    metric, told = "revenue_per_lead", np.isfinite(outcomes.deal_value)
    currencies = sorted({str(currency) for currency in outcomes.currency[told] if currency is not None})
    if not told.any():
        return _missing(metric, outcomes, "not_computable", "no conversion has a deal value")
    if len(currencies) > 1:
        reason = f"deals in {', '.join(currencies)}: amounts in several currencies cannot be added"
        return _missing(metric, outcomes, "not_computable", reason)
    wins = int(outcomes.converted.sum())
    reason = f"{int(told.sum()):,} of {wins:,} conversions have a deal value, in {' '.join(currencies) or 'no named currency'}"
    return _means(metric, outcomes, np.where(told, outcomes.deal_value, 0.0), reason, is_by_rep)


def _time_to_contact(outcomes: Outcomes, is_by_rep: bool) -> Figure:
    """Hours until a rep first acted, a lead without contact counted with its whole age: the restricted mean (Irwin 1949)."""
    metric, known = "time_to_contact_hours", np.isfinite(outcomes.contact_hours)
    if not known.any():
        return _missing(
            metric, outcomes, "not_computable", "no activity names a rep, so nobody knows who was contacted"
        )
    hours = np.where(known, outcomes.contact_hours, outcomes.age_days * 24.0)
    reason = f"{known.mean():.0%} were contacted; the others count {outcomes.age_days} days"
    return _means(metric, outcomes, hours, reason, is_by_rep)


def _ranking(outcomes: Outcomes) -> Iterator[Figure]:
    """How well each arm's own scores order its own leads: of different leads, so that it says less than a paired comparison."""
    scored = np.isfinite(outcomes.score)
    by_arm = [
        {m.name: m for m in evaluate(outcomes.converted[arm & scored], outcomes.score[arm & scored])}
        for arm in _arms(outcomes)
    ]
    for metric in ("auc", "precision_at_10_percent"):
        control, treatment = (arm[metric] for arm in by_arm)
        if isnan(control.value) or isnan(treatment.value):
            what = "no score in an arm, or nobody converted, or everybody did"
            yield Figure(metric, control, treatment, Metric(metric, nan, nan, nan, 0), nan, "insufficient_data", what)
        else:
            yield Figure(metric, control, treatment, change(control, treatment))


def _if_all(outcomes: Outcomes, minimum_effective_leads: int) -> Figure:
    """Conversions if every lead had got the arm, from the logged propensities."""
    metric, values = "conversion_if_all", []
    for arm in _arms(outcomes):
        logged = Logged(outcomes.propensity, arm.astype(np.float64), outcomes.converted)
        values.append(policy_value(logged, minimum_effective_leads))
    if refused := [value for value in values if value.status != "ok"]:
        return _missing(metric, outcomes, refused[0].status, refused[0].reason)
    control, treatment = (value.self_normalised for value in values)
    reason = "; ".join(value.reason for value in values)
    return Figure(metric, control, treatment, change(control, treatment), reason=reason)
