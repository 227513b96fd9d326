"""How much of each creation cohort is labelled: a conversion rate is told only where every label is known."""

from datetime import timedelta
from typing import Any

import pyarrow as pa

from lead_scoring_assets.labels.maturity import days_after, labels_known_at
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.periods import Cadence, Period
from lead_scoring_assets.settings import Labels

CONFIDENCE = 0.95

SCHEMA = pa.schema(
    [("period", pa.string()), ("cohort", pa.string()), ("as_of", pa.timestamp("us", tz="UTC"))]
    + [(name, pa.int64()) for name in ("leads", "labelled", "positive", "negative", "not_yet_known")]
    + [(name, pa.float64()) for name in ("matured_share", "conversion_rate", "low", "high")]
    + [("is_closed", pa.bool_()), ("status", pa.string()), ("reason", pa.string())]
)

_COUNTS = f"""
SELECT c.cohort, count(l.lead_id) AS leads, count(k.label) AS labelled,
       count(*) FILTER (k.label = 1) AS positive, count(*) FILTER (k.label = 0) AS negative,
       count(l.lead_id) - count(k.label) AS not_yet_known,
       count(*) FILTER (greatest({days_after("l.created_at", "$3")}, l.known_at) <= $1) AS matured
FROM cohorts c
LEFT JOIN (SELECT * FROM leads WHERE version = 1 AND known_at <= $1) l
  ON date_trunc($2, make_timestamp(epoch_us(l.created_at))) = c.starts_at
LEFT JOIN {labels_known_at("labels", "$1")} k USING (lead_id)
GROUP BY c.cohort ORDER BY c.cohort
"""  # noqa: S608  # only our own names are pasted in


def measure_coverage(
    cohorts: list[Period], leads: Any, labels: Any, period: Period, cadence: Cadence, rule: Labels
) -> list[dict[str, object]]:
    """Rows of `label_coverage`: each cohort (leads by the period of their creation) as known at the end of `period`.

    `not_yet_known` is neither positive nor negative. A rate stands only where the cohort's window has closed and every
    lead is labelled: early labels are mostly those that were made quickly, and conversions and refusals are not equally
    quick. Interval: Wilson's score interval (1927).

    Args:
        cohorts: the periods of creation to tell about.
        leads: lead_id, version, created_at and known_at of their leads.
        labels: the rows of ground_truth_labels about them.
        period: its end is the as-of moment.
        cadence: of the periods.
        rule: the conversion window.
    """
    starts = pa.array([cohort.start.replace(tzinfo=None) for cohort in cohorts], pa.timestamp("us"))
    keys = pa.table({"cohort": pa.array([cohort.key for cohort in cohorts], pa.string()), "starts_at": starts})
    found = query(
        _COUNTS,
        {"cohorts": keys, "leads": leads, "labels": labels},
        [period.end, cadence, rule.conversion_window_days],
    ).to_pylist()
    window = timedelta(days=rule.conversion_window_days)
    closed = {cohort.key: cohort.end + window <= period.end for cohort in cohorts}
    return [_row(counts, period, is_closed=closed[counts["cohort"]]) for counts in found]


def _row(counts: dict[str, Any], period: Period, *, is_closed: bool) -> dict[str, object]:
    leads, labelled, matured = counts["leads"], counts["labelled"], counts.pop("matured")
    row: dict[str, object] = {"period": period.key, "as_of": period.end, **counts, "is_closed": is_closed}
    row["matured_share"] = matured / leads if leads else None
    if not leads:
        return {**row, "status": "no_leads", "reason": "no lead was created"}
    if labelled < leads or not is_closed:
        return {**row, "status": "not_mature", "reason": f"not mature: {labelled:,} of {leads:,} labelled"}
    from scipy.stats import binomtest

    positive = counts["positive"]
    interval = binomtest(positive, leads).proportion_ci(CONFIDENCE, method="wilson")
    rate = {"conversion_rate": positive / leads, "low": float(interval.low), "high": float(interval.high)}
    return {**row, **rate, "status": "complete", "reason": f"{positive:,} of {leads:,} converted"}
