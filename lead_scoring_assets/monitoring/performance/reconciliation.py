"""`estimate_reconciliation`: each estimate against what came, once every label that it was made without is known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from lead_scoring_assets.evaluation.means import mean_interval
from lead_scoring_assets.evaluation.metrics import Metric, share
from lead_scoring_assets.monitoring.performance.estimates import ESTIMATORS
from lead_scoring_assets.monitoring.performance.expected_labels import Reckoning, reckon
from lead_scoring_assets.monitoring.performance.open_leads import MaturedLeads, OpenLeads
from lead_scoring_assets.periods import Period, PeriodCalendar
from lead_scoring_assets.settings import Settings

RECONCILIATION = "estimate_reconciliation"
SCHEMA = pa.schema(
    [("period", pa.string()), ("as_of", pa.timestamp("us", tz="UTC"))]
    + [("estimated_in", pa.string()), ("estimated_as_of", pa.timestamp("us", tz="UTC"))]
    + [("model_version", pa.int64()), ("estimator", pa.string()), ("metric", pa.string())]
    + [(f"{figure}{end}", pa.float64()) for figure in ("estimate", "truth", "error") for end in ("", "_low", "_high")]
    + [("is_covered", pa.bool_()), ("n", pa.int64()), ("label_coverage", pa.float64())]
    + [("status", pa.string()), ("reason", pa.string())]
)

Row = Mapping[str, Any]


def matured_estimates(calendar: PeriodCalendar, period: Period, window_days: int) -> list[Period]:
    """The periods at whose end leads were open of which the last matured in `period`: each period is in one answer."""
    window = timedelta(days=window_days)
    first = calendar.containing(max(period.start - window - timedelta(days=1), calendar.start))
    return [past for past in calendar.through(period, first) if period.start < past.end + window <= period.end]


def reconcile(
    period: Period, said: Sequence[Row], then_open: Sequence[OpenLeads], matured: MaturedLeads, settings: Settings
) -> list[dict[str, object]]:
    """Rows of `estimate_reconciliation` for what was said at one earlier moment.

    The estimate is the one that was told. The interval of its error is found by making it again from what was known then
    (`then_open`, `matured`) beside the truth; an error is covered when 0 lies in it.

    Args:
        period: its end is when the truth is told.
        said: the rows of `performance_estimates` of that moment.
        then_open: the leads that were open then, with their labels as known at the end of `period` as `truth`.
        matured: the leads that had matured then.
        settings: limits, capacity and seed, as for the estimate.
    """
    by_version = {leads.model_version: leads for leads in then_open}
    rows: list[dict[str, object]] = []
    for (version, estimator), told in _groups([row for row in said if row["status"] == "ok"]).items():
        leads = by_version.get(version)
        found, reason = _reckoned(leads, estimator, matured, settings)
        for row in told:
            place = {"period": period.key, "as_of": period.end, "model_version": version, "estimator": estimator}
            place |= {"estimated_in": row["period"], "estimated_as_of": row["as_of"], "metric": row["metric"]}
            place |= {"estimate": row["value"], "estimate_low": row["low"], "estimate_high": row["high"]}
            place |= {"n": leads.n if leads else 0, "label_coverage": _coverage(leads), "reason": reason}
            rows.append({**place, **_outcome(row, found.get(row["metric"]))})
    return rows


def _reckoned(
    leads: OpenLeads | None, estimator: str, matured: MaturedLeads, settings: Settings
) -> tuple[dict[str, Reckoning], str]:
    """The truth and the error of each figure, or none and why."""
    if leads is None:
        return {}, "the leads that were estimated are not in lead_scores any more"
    if _coverage(leads) < 1:
        return {}, f"{int(np.isfinite(leads.truth).sum()):,} of {leads.n:,} leads labelled: not all have a label yet"
    learned = ESTIMATORS[estimator][0](leads, matured, settings.performance)
    if learned.estimator is None:
        return {}, f"what it was estimated from is not there any more: {learned.reason}"
    found = reckon(leads, learned.estimator, settings.evaluation.capacity_share, settings.training.seed)
    return {reckoned.truth.name: reckoned for reckoned in found}, f"{leads.n:,} leads, all labelled"


def _outcome(said: Row, reckoned: Reckoning | None) -> dict[str, object]:
    if reckoned is None:
        return {"status": "insufficient_data"}
    truth, error = reckoned.truth, reckoned.error
    if not np.isfinite([truth.value, truth.low, error.low]).all():
        return {"status": "not_computable"}
    return {
        "truth": truth.value,
        "truth_low": truth.low,
        "truth_high": truth.high,
        "error": said["value"] - truth.value,
        "error_low": error.low,
        "error_high": error.high,
        "is_covered": error.low <= 0 <= error.high,
        "status": "ok",
    }


@dataclass(frozen=True)
class Record:
    """How one estimator has done at one figure so far: mean error, and the share of errors whose interval holds 0."""

    estimator: str
    metric: str
    mean_error: Metric
    covered: Metric

    @property
    def sentence(self) -> str:
        mean = self.mean_error
        return (
            f"{self.estimator} {self.metric}: mean error {mean.value:+.4f} [{mean.low:+.4f}, {mean.high:+.4f}], "
            f"{self.covered.value:.0%} of {self.covered.n} covered"
        )


def track_record(rows: Sequence[Row]) -> list[Record]:
    """Over all that was reconciled, by estimator and figure; the interval of a mean by the central limit theorem."""
    done: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row["status"] == "ok":
            done.setdefault((row["estimator"], row["metric"]), []).append(row)
    found = []
    for (estimator, metric), of_it in sorted(done.items()):
        errors = np.array([row["error"] for row in of_it], dtype=np.float64)
        mean = Metric("mean_error", *mean_interval(errors), len(errors))
        covered = share("covered", float(sum(row["is_covered"] for row in of_it)), len(of_it))
        found.append(Record(estimator, metric, mean, covered))
    return found


def errors_by_period(rows: Sequence[Row], metric: str) -> tuple[list[str], dict[str, list[float]]]:
    """Keys of the periods that were estimated, and for each estimator its errors (NaN: none); the model with most leads."""
    told = sorted((row for row in rows if row["status"] == "ok" and row["metric"] == metric), key=lambda row: row["n"])
    keys = sorted({row["estimated_in"] for row in told})
    # The last one stays: that of most leads.
    largest = {(row["estimator"], row["estimated_in"]): float(row["error"]) for row in told}
    return keys, {name: [largest.get((name, key), np.nan) for key in keys] for name in ESTIMATORS}


def _groups(rows: Sequence[Row]) -> dict[tuple[int, str], list[Row]]:
    found: dict[tuple[int, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row["model_version"], row["estimator"]), []).append(row)
    return found


def _coverage(leads: OpenLeads | None) -> float:
    return float(np.isfinite(leads.truth).mean()) if leads and leads.n else np.nan
