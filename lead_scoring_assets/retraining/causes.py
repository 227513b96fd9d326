"""What asks for a training: each cause looks at the facts and says yes or no, with its reason and numbers. Pure.

Not here: what holds a training back although there is cause (`brakes.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

from lead_scoring_assets.periods import months_before
from lead_scoring_assets.retraining.facts import DriftWindow, Facts
from lead_scoring_assets.settings import Performance, Retraining, RetrainingCause, Settings, Training

Cause = Literal["by_hand", "drift", "concept_drift", "prediction_drift", "performance", "label_volume", "calendar"]
Status = Literal["given", "not_given", "answered", "insufficient_data", "not_computable"]

_IN_ORDER: tuple[RetrainingCause, ...] = get_args(RetrainingCause)
# What is measured, of what, and against which leads of the champion.
_SUBJECT: Mapping[RetrainingCause, tuple[str, str, str]] = {
    "drift": ("drift", "features", "training window"),
    "concept_drift": ("concept drift", "outcome measures", "holdout"),
    "prediction_drift": ("prediction drift", "score distributions", "holdout"),
}


@dataclass(frozen=True)
class Policy:
    """The settings that decide about retraining."""

    retraining: Retraining
    performance: Performance
    training: Training
    conversion_window: timedelta

    @classmethod
    def of(cls, settings: Settings) -> "Policy":
        window = timedelta(days=settings.labels.conversion_window_days)
        return cls(settings.retraining, settings.performance, settings.training, window)


@dataclass(frozen=True)
class Finding:
    """What one cause says. `answered`: it is there, but a candidate that did not go live has answered it."""

    cause: Cause
    status: Status
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_given(self) -> bool:
        return self.status == "given"


def find_causes(facts: Facts, policy: Policy) -> tuple[Finding, ...]:
    """What every cause that the policy names says, in a fixed order; a request by hand comes first where there is one."""
    found = [Finding("by_hand", "given", f"{facts.request.by}: {facts.request.reason}")] if facts.request else []
    return (*found, *(_find(cause, facts, policy) for cause in _IN_ORDER if cause in policy.retraining.causes))


def _find(cause: RetrainingCause, facts: Facts, policy: Policy) -> Finding:
    match cause:
        case "drift":
            return on_drift(cause, facts.drift, policy.retraining.drift_windows, facts, policy)
        case "prediction_drift":
            return on_drift(cause, facts.prediction_drift, policy.retraining.drift_windows, facts, policy)
        case "concept_drift":
            # Measured on matured labels: it is late already, and a second window would make it later.
            return on_drift(cause, facts.concept_drift, 1, facts, policy)
        case "performance":
            return on_performance(facts, policy.performance)
        case "label_volume":
            return on_label_volume(facts, policy.retraining.new_labels)
        case "calendar":
            return on_calendar(facts, policy.retraining)


def on_drift(
    cause: RetrainingCause, windows: Sequence[DriftWindow], needed: int, facts: Facts, policy: Policy
) -> Finding:
    """Cause is given when something drifted from what the live champion is compared with in the newest `needed` windows.

    Re-based on what was tried: drift that a candidate has answered which did not go live asks again only when it has
    grown, or when labels came for another conversion window, so that a training would see what that one had not.
    """
    subject, things, base = _SUBJECT[cause]

    def says(status: Status, reason: str, **evidence: Any) -> Finding:
        return Finding(cause, status, reason, evidence)

    if facts.champion is None:
        return says("not_computable", "there is no champion to drift away from")
    version = facts.champion.version
    mine = [window for window in windows if window.model_version == version]
    if not mine or mine[-1].period != facts.period:
        others = sorted({window.model_version for window in windows if window.period == facts.period})
        if not others:
            return says("not_computable", f"{subject} of {facts.period} has not been measured")
        measured = ", ".join(f"v{other}" for other in others)
        return says(
            "not_computable",
            f"{subject} of {facts.period} was measured against {measured}, and champion v{version} has replaced it",
        )
    newest = mine[-1]
    if not newest.judged:
        return says(
            "insufficient_data",
            f"insufficient data: none of the {things} of {facts.period} could be judged ({newest.remark})",
        )
    of_window = f"of {newest.judged} {things} of {facts.period} drifted from champion v{version}'s {base}"
    if not newest.drifted:
        return says("not_given", f"0 {of_window}; {newest.remark}")
    names = ", ".join(name if psi is None else f"{name} (PSI {psi:.2f})" for name, psi in newest.drifted.items())
    n = "" if newest.n is None else f"; n = {newest.n:,}"
    told = f"{len(newest.drifted)} {of_window}: {names}{n}"
    in_a_row = _in_a_row(mine)
    if in_a_row < needed:
        return says("not_given", f"{told}; in {in_a_row} of {needed} windows in a row that are needed")
    evidence = {"psi": dict(newest.drifted), "champion_version": version, "windows": in_a_row}
    again = _asks_again(mine, facts, policy)
    if again is None:
        return says("given", told, **evidence)
    return says("given" if again.is_new else "answered", f"{told}; {again.told}", **evidence)


def on_performance(facts: Facts, limits: Performance) -> Finding:
    """Cause is given when the champion's matured AUC is clearly below the floor, or clearly below its promise.

    Clearly: the whole 95 % interval. Accuracy decides nothing: where one lead in eight converts, who always says no is
    right in 88 % of cases. After a rejected candidate the next matured cohort may ask again: it is new evidence.
    """

    def says(status: Status, reason: str, **evidence: Any) -> Finding:
        return Finding("performance", status, reason, evidence)

    if facts.champion is None:
        return says("not_computable", "there is no champion whose performance could fall")
    version, promised, auc = facts.champion.version, facts.champion.promised_auc, facts.performance
    if auc is None:
        return says("not_computable", f"no lead scored by champion v{version} matured in {facts.period}")
    if auc.status != "ok":
        return says("insufficient_data", f"insufficient data on champion v{version} in {facts.period}: {auc.reason}")
    told = f"AUC {auc.value:.3f} [{auc.low:.3f}, {auc.high:.3f}], n = {auc.n:,}, champion v{version}"
    evidence = {"value": auc.value, "low": auc.low, "high": auc.high, "n": auc.n, "promised_auc": promised}
    if auc.high < limits.minimum_auc:
        return says("given", f"{told}: clearly below the floor {limits.minimum_auc:.2f}", **evidence)
    above = f"{told}: not clearly below the floor {limits.minimum_auc:.2f}"
    if not promised:
        return says("not_given", f"{above}; its holdout's AUC is not on record, so that a drop cannot be judged")
    allowed = limits.maximum_relative_auc_drop
    # Rounded, because 1 - 0.72 / 0.80 is a trifle more than 0.10.
    drop = round(1 - auc.value / promised, 9)
    if drop > allowed and auc.high < promised:
        reason = f"{told}: {drop:.1%} below its holdout's {promised:.3f}, more than {allowed:.0%} allowed"
        return says("given", reason, **evidence)
    return says(
        "not_given", f"{above}, nor clearly fallen by more than {allowed:.0%} from its holdout's {promised:.3f}"
    )


def on_label_volume(facts: Facts, needed: int) -> Finding:
    """Cause is given when at least `needed` labels became known since a model was last trained and judged."""
    last = facts.last_judgement
    who = f"champion v{facts.champion.version}" if facts.champion else "no champion yet"
    when = f"since the last training at {last.judged_at:%Y-%m-%d}" if last else "so far, and no model was trained yet"
    return Finding(
        "label_volume",
        "given" if facts.new_labels >= needed else "not_given",
        f"{facts.new_labels:,} of {needed:,} new labels {when} ({who})",
        {"new_labels": facts.new_labels, "needed": needed},
    )


def on_calendar(facts: Facts, rhythm: Retraining) -> Finding:
    """Cause is given when the last training lies long enough back, or never happened: less long in the first days after
    the first champion went live, when little is known about how it keeps."""
    months, last, now = rhythm.calendar_months, facts.last_judgement, facts.now
    if last is None:
        reason = f"no model was trained yet, due after {_count(months, 'month')} at the latest; it is {now:%Y-%m-%d}"
        return Finding("calendar", "given", reason)
    every = _count(months, "month")
    is_due = last.judged_at <= months_before(now, months)
    if _is_early(now, facts.first_live_at, rhythm.calendar_early_days):
        every = (
            f"{_count(rhythm.calendar_early_every_days, 'day')} in the first {rhythm.calendar_early_days} days since "
            f"{facts.first_live_at:%Y-%m-%d}"
        )
        is_due = is_due or last.judged_at <= now - timedelta(days=rhythm.calendar_early_every_days)
    reason = f"last trained at {last.judged_at:%Y-%m-%d}, due after {every}; it is {now:%Y-%m-%d}"
    return Finding("calendar", "given" if is_due else "not_given", reason)


@dataclass(frozen=True)
class _Again:
    """Why drift that was answered asks again (`is_new`), or does not."""

    is_new: bool
    told: str


def _asks_again(mine: Sequence[DriftWindow], facts: Facts, policy: Policy) -> _Again | None:
    """None where no candidate has answered this drift."""
    last = facts.last_judgement
    if last is None or last.verdict == "promoted":
        return None
    then = next((window for window in reversed(mine) if window.period == last.period and window.drifted), None)
    if then is None:
        return None
    answer = f"the candidate of {last.period} ({last.verdict.replace('_', ' ')}) had answered it"
    before, after, growth = then.strongest_psi, mine[-1].strongest_psi, policy.retraining.drift_growth
    if before is not None and after is not None and after > before * (1 + growth):
        return _Again(True, f"{answer}, and it has grown from PSI {before:.2f} to {after:.2f}")
    since = last.judged_at + policy.conversion_window
    if facts.now >= since and facts.new_labels:
        return _Again(True, f"{answer}, and {facts.new_labels:,} labels have come since")
    days = policy.conversion_window.days
    return _Again(
        False,
        f"{answer}: it asks again when it has grown by {growth:.0%} or new labels of {days} days have come "
        f"(at {since:%Y-%m-%d} at the earliest)",
    )


def _in_a_row(mine: Sequence[DriftWindow]) -> int:
    """How many of the newest windows drifted; one that could not be judged is no evidence, and ends the row."""
    return next((i for i, window in enumerate(reversed(mine)) if not window.drifted), len(mine))


def _is_early(now: datetime, first_live_at: datetime | None, days: int) -> bool:
    return bool(days) and first_live_at is not None and now <= first_live_at + timedelta(days=days)


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}{'' if number == 1 else 's'}"
