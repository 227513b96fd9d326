"""`performance_estimates`: what the scores of leads that are still open will turn out to be worth, marked as estimated.

The plain figure of the labels known so far is nowhere among them: it counts a lead that waits as lost.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from lead_scoring_assets.labels.delay import MINIMUM_EVENTS
from lead_scoring_assets.models.calibration import LEAST_OF_EACH_OUTCOME
from lead_scoring_assets.monitoring.performance import cbpe, delay_correction
from lead_scoring_assets.monitoring.performance.expected_labels import Estimator, estimates, names
from lead_scoring_assets.monitoring.performance.open_leads import MaturedLeads, OpenLeads, open_window
from lead_scoring_assets.periods import Period
from lead_scoring_assets.settings import Performance, Settings

EstimateStatus = Literal["ok", "insufficient_data", "not_computable"]

ESTIMATES = "performance_estimates"
SCHEMA = pa.schema(
    [("period", pa.string()), ("as_of", pa.timestamp("us", tz="UTC")), ("model_version", pa.int64())]
    + [(name, pa.timestamp("us", tz="UTC")) for name in ("created_from", "created_before")]
    + [("estimator", pa.string()), ("metric", pa.string())]
    + [(name, pa.float64()) for name in ("value", "low", "high")]
    + [("n", pa.int64()), ("known_conversions", pa.int64()), ("label_coverage", pa.float64())]
    + [("status", pa.string()), ("reason", pa.string()), ("assumption", pa.string())]
)


@dataclass(frozen=True)
class Learned:
    """An estimator for some open leads, or None, and the sentence that says what it rests on or lacks.

    `status`: of the figures that there are not, where there is no estimator.
    """

    estimator: Estimator | None
    reason: str
    status: EstimateStatus = "insufficient_data"


def learn_delay_correction(leads: OpenLeads, matured: MaturedLeads, limits: Performance) -> Learned:
    """Needs known conversions among the open leads, and matured ones that became known one after the other.

    Where outcomes come in lots, such as a file a month, an age says little of what is known: all leads that are open now
    were looked at after the same lot, those that have matured were not.
    """
    known, past = int(leads.converted.sum()), int(matured.labels.sum())
    told = f"{leads.n:,} open leads, {known:,} known to have converted; delays of {past:,} matured conversions"
    least = max(limits.minimum_positives, 2)
    if leads.n < limits.minimum_rows or known < least or past < MINIMUM_EVENTS:
        needed = f"{limits.minimum_rows:,} leads, {least:,} conversions and {MINIMUM_EVENTS} delays are needed"
        return Learned(None, f"{told}; {needed}")
    lots = len(np.unique(matured.known_on_days[matured.labels == 1]))
    if lots < MINIMUM_EVENTS:
        return Learned(
            None, f"{told} that became known in {lots} lots; {MINIMUM_EVENTS} are needed to tell how long one takes"
        )
    found = delay_correction.DelayCorrection.learn(leads, matured)
    expected = float(found.expected().sum())
    if not expected <= leads.n:
        why = (
            "leads are so young that of some scores no conversion can be known yet"
            if np.isnan(expected)
            else f"these stand for {expected:,.0f}, more than there are leads: they became known faster than those"
        )
        return Learned(None, f"{told}; {why}", "not_computable")
    return Learned(
        found, f"{told} in {len(found.groups)} group(s) of scores, by which {found.known_share:.0%} are known"
    )


def learn_cbpe(leads: OpenLeads, matured: MaturedLeads, limits: Performance) -> Learned:
    """Needs matured leads with labels: the version's own, or while it is too young those of its forerunners as well."""
    own = matured.of(matured.versions == leads.model_version)
    used, whose = (own, "its own") if _suffices(own, limits) else (matured, "all versions'")
    told = f"{leads.n:,} open leads, calibrated on {len(used.labels):,} of {whose} matured leads"
    if leads.n < limits.minimum_rows or not _suffices(used, limits):
        needed = (
            f"{limits.minimum_rows:,} of each, and {LEAST_OF_EACH_OUTCOME} matured ones of either outcome, are needed"
        )
        return Learned(None, f"{told}; {needed}")
    return Learned(cbpe.CalibratedChances.learn(leads.scores, used), told)


Learn = Callable[[OpenLeads, MaturedLeads, Performance], Learned]
ESTIMATORS: dict[str, tuple[Learn, str]] = {
    "delay_corrected": (learn_delay_correction, delay_correction.ASSUMPTION),
    "cbpe": (learn_cbpe, cbpe.ASSUMPTION),
}


def estimate_rows(
    period: Period, open_now: Sequence[OpenLeads], matured: MaturedLeads, settings: Settings
) -> list[dict[str, object]]:
    """Rows of `performance_estimates`: each figure of each model version's open leads, by each estimator."""
    capacity, seed = settings.evaluation.capacity_share, settings.training.seed
    created_from, created_before = open_window(period.end, settings.labels.conversion_window_days)
    rows: list[dict[str, object]] = []
    for leads in open_now:
        place = {"period": period.key, "as_of": period.end, "model_version": leads.model_version}
        place |= {"created_from": created_from, "created_before": created_before, "n": leads.n}
        place |= {"known_conversions": int(leads.converted.sum()), "label_coverage": leads.label_coverage}
        for name, (learn, assumption) in ESTIMATORS.items():
            learned = learn(leads, matured, settings.performance)
            told = {**place, "estimator": name, "reason": learned.reason, "assumption": assumption}
            if learned.estimator is None:
                rows += [{**told, "metric": metric, "status": learned.status} for metric in names(capacity)]
                continue
            for found in estimates(leads, learned.estimator, capacity, seed):
                figures = {"value": found.value, "low": found.low, "high": found.high}
                status = "ok" if np.isfinite(list(figures.values())).all() else "not_computable"
                rows.append({**told, "metric": found.name, **(figures if status == "ok" else {}), "status": status})
    return rows


def _suffices(matured: MaturedLeads, limits: Performance) -> bool:
    """Enough to calibrate by: the first few that mature are often those of one odd month, and say nothing of the next."""
    n, converted = len(matured.labels), int(matured.labels.sum())
    return n >= limits.minimum_rows and min(converted, n - converted) >= LEAST_OF_EACH_OUTCOME
