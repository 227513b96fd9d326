"""All business figures of one matured cohort, bucket by bucket and overall, as rows of `business_kpis`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from lead_scoring_assets.evaluation.metrics import Metric, share
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.monitoring.business.cohort import BusinessCohort
from lead_scoring_assets.monitoring.business.comparing import lift
from lead_scoring_assets.monitoring.business.funnel import NO_TOUCH, funnel
from lead_scoring_assets.monitoring.business.kpi import Kpi, count, estimate, missing
from lead_scoring_assets.monitoring.business.money import money
from lead_scoring_assets.monitoring.business.over_time import Counted, external_factors, over_time
from lead_scoring_assets.monitoring.business.waiting_times import median_wait
from lead_scoring_assets.periods import Period
from lead_scoring_assets.predictions.buckets import LOWEST_BUCKET
from lead_scoring_assets.settings import Business, Settings

TABLE = "business_kpis"
ALL = "all"
SCHEMA = pa.schema(
    [("period", pa.string()), ("as_of", pa.timestamp("us", tz="UTC"))]
    + [(name, pa.timestamp("us", tz="UTC")) for name in ("created_from", "created_before")]
    + [("bucket", pa.string()), ("kpi", pa.string())]
    + [(name, pa.float64()) for name in ("value", "low", "high")]
    + [("n", pa.int64()), ("label_coverage", pa.float64()), ("currency", pa.string())]
    + [("status", pa.string()), ("reason", pa.string())]
)
SENTENCES = ("prioritisation_working", "vs_baseline", "goal_reached", "conversion_trend")
"""Figures whose reason people want to read beside the number."""


def measure(
    cohort: BusinessCohort, history: Sequence[Counted], period: Period, settings: Settings
) -> list[dict[str, Any]]:
    """Rows of `business_kpis` for the cohort that matured in `period`.

    Args:
        cohort: its leads, as known at the period's end.
        history: the cohorts that matured before, oldest first.
        period: the period in which it matured.
        settings: buckets, resampling, and what figures are compared with.
    """
    found = [(ALL, kpi) for kpi in _of_group(cohort, settings)]
    best = next(iter(settings.scoring.buckets))
    for bucket in (*settings.scoring.buckets, LOWEST_BUCKET):
        mine = cohort.of(bucket)
        lifted = _lift(mine, cohort, settings.business)
        found += [(bucket, kpi) for kpi in [*_of_group(mine, settings), _bucket_share(mine, cohort), lifted]]
        if bucket == best:
            found.append((ALL, _prioritisation(lifted, best)))
    found += [(ALL, kpi) for kpi in over_time(cohort, history, settings.business)]
    found += [(ALL, kpi) for kpi in external_factors(cohort, settings.business.calendar)]
    return [_row(period, cohort, bucket, kpi) for bucket, kpi in found]


def counted_before(rows: Iterable[Mapping[str, Any]], period: str) -> list[Counted]:
    """(conversions, leads) of the cohorts of earlier periods in rows of `business_kpis`, oldest first."""
    told = sorted(
        (row["period"], float(row["value"]), int(row["n"]))
        for row in rows
        if (row["bucket"], row["kpi"], row["status"]) == (ALL, "conversions", "ok")
        and row["period"] < period
        and row["n"]
    )
    return [(converted, n) for _, converted, n in told]


def _of_group(cohort: BusinessCohort, settings: Settings) -> list[Kpi]:
    """What is told of every bucket and of all leads together."""
    n, limits = len(cohort), settings.business
    told = [count("leads", n, n)]
    if n:
        told.append(count("promised_rate", float(cohort.scores.mean()), n, "mean of the scores given on arrival"))
    if n and cohort.label_coverage < 1:
        # Early labels are those that came quickly: their rate is not the cohort's, and silence is not a lost lead.
        reason = f"label coverage {cohort.label_coverage:.1%}: figures need the whole cohort"
        names = ("conversions", "conversion_rate", "revenue", "revenue_per_lead", "deal_value_per_win", "funnel_leads")
        return [*told, *(missing(name, n, "insufficient_data", reason) for name in names)]
    wins = int((cohort.labels == 1).sum())
    told.append(count("conversions", wins, n))
    if not n:
        return [*told, missing("conversion_rate", 0, "insufficient_data", "no lead")]
    rate = share("conversion_rate", wins, n)
    told.append(estimate(rate, limits.minimum_leads, f"{wins:,} of {n:,} converted"))
    told += money(cohort, limits.minimum_leads, settings.evaluation.bootstrap_samples, settings.training.seed)
    return [*told, *funnel(cohort, limits.minimum_leads), *waiting_times(cohort, limits.minimum_leads)]


def rows_before(installation: Installation, first: Period) -> list[dict[str, Any]]:
    """What the table holds of periods before `first`, the first that is made now."""
    if not installation.lakehouse.exists(TABLE):
        return []
    earlier = [past.key for past in installation.settings.calendar.through(first) if past != first]
    found: list[dict[str, Any]] = installation.lakehouse.read(TABLE, periods=earlier).to_pylist()
    return found


def rates_by_period(rows: Iterable[Mapping[str, Any]]) -> tuple[list[str], dict[str, list[float]]]:
    """Periods in order, and over them what converted and what was promised; NaN where a figure is missing."""
    told = {(row["period"], row["kpi"]): row["value"] for row in rows if row["bucket"] == ALL}
    keys = sorted({period for (period, kpi), value in told.items() if kpi == "conversion_rate" and value is not None})
    lines = {
        line: [told.get((key, kpi)) or np.nan for key in keys]
        for line, kpi in (("promised", "promised_rate"), ("converted", "conversion_rate"))
    }
    return keys, lines


def waiting_times(cohort: BusinessCohort, minimum: int) -> list[Kpi]:
    """Medians with what has not happened yet counted as waiting: to the first contact, to the decision, to the win.

    Who was decided without a contact is watched to the decision. Days to win are those of the wins alone, all of which
    came within the conversion window.
    """
    is_closed, has_contact = np.isfinite(cohort.closed_days), np.isfinite(cohort.contact_hours)
    closed = np.where(is_closed, cohort.closed_days, cohort.age_days)
    contacted = np.where(has_contact, cohort.contact_hours, 24 * closed)
    won = cohort.fates == "converted"
    to_win = median_wait("days_to_win", cohort.closed_days[won], np.ones(int(won.sum())))
    to_close = median_wait("days_to_close", closed, is_closed.astype(np.float64))
    to_contact = median_wait("hours_to_contact", contacted, has_contact.astype(np.float64))
    return [
        _wait(to_contact, int(has_contact.sum()), minimum, "contacted", NO_TOUCH),
        _wait(to_close, int(is_closed.sum()), minimum, "decided", "no lead has an outcome that decides"),
        _wait(to_win, int(won.sum()), minimum, "won", "nobody converted"),
    ]


def _wait(median: Metric, events: int, minimum: int, happened: str, none: str) -> Kpi:
    if not events:
        return missing(median.name, median.n, "insufficient_data", none)
    told = f"{events:,} of {median.n:,} {happened}"
    if not np.isfinite(median.value):
        return missing(median.name, median.n, "not_computable", f"{told}: it has not happened to half of them")
    return estimate(median, minimum, told)


def _bucket_share(bucket: BusinessCohort, cohort: BusinessCohort) -> Kpi:
    n = len(cohort)
    return estimate(share("share_of_leads", len(bucket), n), 1, f"{len(bucket):,} of {n:,} leads")


def _lift(bucket: BusinessCohort, cohort: BusinessCohort, limits: Business) -> Kpi:
    n = len(bucket)
    if cohort.label_coverage < 1:
        return missing("lift", n, "insufficient_data", "labels are not complete")
    found = lift(float(bucket.labels.sum()), n, float(cohort.labels.sum()), len(cohort))
    if not np.isfinite(found.value):
        reason = "no lead in this bucket" if not n else "nobody converted" if n < len(cohort) else "all leads are in it"
        return missing("lift", n, "insufficient_data", reason)
    return estimate(found, limits.minimum_leads, "its conversion rate divided by that of all leads")


def _prioritisation(lifted: Kpi, bucket: str) -> Kpi:
    """Whether the best bucket converts better than all leads: yes only when the whole interval of its lift says so."""
    if lifted.status != "ok":
        return missing("prioritisation_working", lifted.n, lifted.status, f"{bucket}: {lifted.reason}")
    told = f"{bucket} converts {lifted.value:.2f} times as often as all leads [{lifted.low:.2f}, {lifted.high:.2f}]"
    is_working = lifted.low > 1
    return count("prioritisation_working", is_working, lifted.n, told if is_working else f"{told}: not shown")


def _row(period: Period, cohort: BusinessCohort, bucket: str, kpi: Kpi) -> dict[str, Any]:
    def told(number: float) -> float | None:
        return float(number) if np.isfinite(number) else None

    return {
        "period": period.key,
        "as_of": cohort.as_of,
        "created_from": cohort.created_from,
        "created_before": cohort.created_before,
        "bucket": bucket,
        "kpi": kpi.name,
        "value": told(kpi.value),
        "low": told(kpi.low),
        "high": told(kpi.high),
        "n": kpi.n,
        "label_coverage": told(cohort.label_coverage),
        "currency": kpi.currency,
        "status": kpi.status,
        "reason": kpi.reason,
    }
