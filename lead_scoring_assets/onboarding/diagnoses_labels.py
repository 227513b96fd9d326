"""Whether the outcomes can teach a model: how many there are, how late they come, and how soon there are enough."""

from datetime import datetime, timedelta
from math import ceil

import numpy as np
import numpy.typing as npt

from lead_scoring_assets.evaluation.metrics import share
from lead_scoring_assets.models.training_set import TrainingWindow
from lead_scoring_assets.onboarding.diagnosis import Diagnosis, insufficient
from lead_scoring_assets.onboarding.evidence import DAY_US, Evidence

_LOWEST_RATE, _HIGHEST_RATE = 0.01, 0.50
_ENOUGH_LEADS, _ENOUGH_CONVERSIONS = 100, 20
_LATE_WARNING, _LATE_PROBLEM = 0.10, 0.50
_PACE_DAYS = 90
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")

Numbers = npt.NDArray[np.int64]


class _Days:
    """Counts by day of creation: of matured leads, of converted ones among them, and of all leads."""

    def __init__(self, evidence: Evidence) -> None:
        found = evidence.arrow(
            f"""
            SELECT epoch_us(created_at) // {DAY_US} AS day, count(label) AS matured, coalesce(sum(label), 0)::BIGINT AS positive,
                   count(*) AS leads
            FROM judged WHERE created_at IS NOT NULL GROUP BY day ORDER BY day
            """  # noqa: S608  # a constant
        )
        self.day: Numbers = found["day"].to_numpy()
        self.counts: dict[str, Numbers] = {name: found[name].to_numpy() for name in ("matured", "positive", "leads")}

    def count(self, what: str, first: datetime | None = None, end: datetime | None = None) -> int:
        """How many leads were created in [first, end)."""
        low = 0 if first is None else np.searchsorted(self.day, _day(first))
        high = len(self.day) if end is None else np.searchsorted(self.day, _day(end))
        return int(self.counts[what][low:high].sum())


def _day(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(days=1)


def diagnose_labels(evidence: Evidence) -> list[Diagnosis]:
    """Judgements that need outcomes. Immature leads are left out of them, and that is said."""
    days = _Days(evidence)
    return [_prevalence(days), _window(evidence), *_training(evidence, days)]


def _prevalence(days: _Days) -> Diagnosis:
    n, positive, leads = (days.count(what) for what in ("matured", "positive", "leads"))
    numbers: dict[str, float] = {"matured": n, "converted": positive, "immature": leads - n}
    left_out = f"{leads - n:,} immature leads are left out"
    if n < _ENOUGH_LEADS:
        why = f"{n} matured leads ({left_out}) do not show a conversion rate; {_ENOUGH_LEADS} would"
        return insufficient("conversion rate", "labels", why, numbers)
    rate = share("conversion_rate", positive, n)
    told = f"{rate.value:.2%} of {n:,} matured leads converted (interval {rate.low:.2%} to {rate.high:.2%}; {left_out})"
    numbers |= {"rate": rate.value, "low": rate.low, "high": rate.high}
    if rate.high < _LOWEST_RATE:
        remedy = "check that every conversion arrives, under the lead's id, and that the status words are mapped"
        return Diagnosis("warning", "conversion rate", "labels", f"{told}: very few", remedy, numbers)
    if rate.low > _HIGHEST_RATE:
        remedy = "check that lost leads are exported as well, and not only those that became customers"
        return Diagnosis("warning", "conversion rate", "labels", f"{told}: most do", remedy, numbers)
    return Diagnosis("ok", "conversion rate", "labels", told, "", numbers)


def _window(evidence: Evidence) -> Diagnosis:
    """Only leads observed for two windows: younger ones cannot show a late conversion, and would make it look rare."""
    name, subject, window = "conversion window", "labels", evidence.window.days
    n, late, median, p95 = evidence.row(
        """
        SELECT count(*), count_if(late), quantile_disc(days_to_conversion, 0.5), quantile_disc(days_to_conversion, 0.95)
        FROM judged WHERE days_to_conversion IS NOT NULL AND created_at <= $1
        """,
        [evidence.as_of - 2 * evidence.window],
    )
    observed = f"leads created {2 * window} days or more before {evidence.as_of:%Y-%m-%d}"
    if n < _ENOUGH_CONVERSIONS:
        why = f"{n} conversions of {observed} do not show how long conversions take; {_ENOUGH_CONVERSIONS} would"
        return insufficient(name, subject, why, {"conversions": n})
    found = share("late", late, n)
    told = (
        f"{found.value:.1%} of {n:,} conversions came after the window of {window} days and count as not converted "
        f"(median {median} days, 95 % within {p95}; {observed}; what comes later still cannot be seen)"
    )
    numbers = {"late": found.value, "low": found.low, "conversions": n, "median_days": median, "p95_days": p95}
    if found.low <= _LATE_WARNING:
        return Diagnosis("ok", name, subject, told, "", numbers)
    return Diagnosis(
        "problem" if found.low > _LATE_PROBLEM else "warning",
        name,
        subject,
        told,
        f"raise labels.conversion_window_days towards {p95}; models then learn that much later",
        numbers,
    )


def _training(evidence: Evidence, days: _Days) -> list[Diagnosis]:
    """Counts against `training.minimum_*`, in the windows of a model trained at the last closed period's end."""
    rules, settings = evidence.settings.training, evidence.settings
    subject = "training"
    period = settings.calendar.last_closed(evidence.as_of)
    if period is None:
        why = f"no period has closed at {evidence.as_of:%Y-%m-%d}"
        return [insufficient("training minimum", subject, why), insufficient("training history", subject, why)]
    window = TrainingWindow.of(period, evidence.window, rules.window_months)
    train, holdout = (window.start, window.embargo), (window.holdout, window.end)
    pace_from = window.end - timedelta(days=_PACE_DAYS)
    judged = [
        ("minimum_rows", "matured leads to learn from", "matured", train, rules.minimum_rows),
        ("minimum_positives", "conversions to learn from", "positive", train, rules.minimum_positives),
        ("minimum_holdout_rows", "matured leads to judge it on", "matured", holdout, rules.minimum_holdout_rows),
        ("minimum_holdout_positives", "conversions to judge it on", "positive", holdout, rules.minimum_holdout_positives),
    ]  # fmt: skip
    found = []
    for setting, words, what, (first, end), minimum in judged:
        have, lately = days.count(what, first, end), days.count(what, pace_from, window.end)
        numbers: dict[str, float] = {"have": have, "minimum": minimum, f"last_{_PACE_DAYS}_days": lately}
        told = f"training at the end of {period.key} finds {have:,} {words} and needs {minimum:,}"
        if have >= minimum:
            found.append(Diagnosis("ok", "training minimum", f"training.{setting}", told, "", numbers))
            continue
        full = lately / _PACE_DAYS * (end - first).days
        pace = f"{lately:,} in the last {_PACE_DAYS} matured days"
        if full >= minimum:
            more = ceil((minimum - have) / (lately / _PACE_DAYS))
            told += f"; at the pace of {pace}, {minimum - have:,} more take about {more} days"
            remedy = f"wait, load older leads and outcomes, or lower training.{setting}"
            numbers["days_more"] = more
            found.append(Diagnosis("warning", "training minimum", f"training.{setting}", told, remedy, numbers))
            continue
        told += f"; at the pace of {pace}, {(end - first).days} days bring {full:,.0f}: never enough"
        remedy = f"lower training.{setting}" + (", or raise training.window_months" if first == window.start else "")
        found.append(Diagnosis("problem", "training minimum", f"training.{setting}", told, remedy, numbers))
    return found if rules.window_months is None else [*found, _history(days, window, rules.window_months)]


def _history(days: _Days, window: TrainingWindow, months: int) -> Diagnosis:
    name, subject = "training history", "training.window_months"
    if not len(days.day):
        return insufficient(name, subject, "there is no lead")
    first = _EPOCH + timedelta(days=int(days.day[0]))
    have, wanted = max(0, (window.embargo - first).days), (window.embargo - window.start).days
    numbers = {"days": min(have, wanted), "wanted_days": wanted}
    if have >= wanted:
        return Diagnosis("ok", name, subject, f"leads reach back over the {months} months of training", "", numbers)
    return Diagnosis(
        "warning",
        name,
        subject,
        f"the first lead came to be on {first:%Y-%m-%d}: {have} of the {wanted} days that {months} months of training "
        "would use",
        "load older leads and outcomes, or go on with less and expect wider intervals",
        numbers,
    )
