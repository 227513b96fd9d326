"""How long outcomes take to become known: the delay curve, with leads that are still waiting counted as waiting.

Leaving out the leads without an outcome makes young cohorts look fast, and counting them as lost makes them look poor.
Here a lead counts on each day on which it was watched, and no longer (right censoring at the as-of moment).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lead_scoring_assets.labels.maturity import SAID
from lead_scoring_assets.lakehouse.query import query

OutcomeGroup = Literal["converted", "not converted"]
GROUPS: tuple[OutcomeGroup, ...] = ("converted", "not converted")
MINIMUM_EVENTS = 20
MINIMUM_AT_RISK = 20
CONFIDENCE = 0.95

Floats = npt.NDArray[np.float64]

SCHEMA = pa.schema(
    [("period", pa.string()), ("as_of", pa.timestamp("us", tz="UTC")), ("outcome_group", pa.string())]
    + [("day", pa.int64())]
    + [(name, pa.float64()) for name in ("cumulative_incidence", "low", "high")]
    + [("at_risk", pa.int64()), ("n", pa.int64()), ("status", pa.string()), ("reason", pa.string())]
)

# The youngest leads are left out: of them only those are here that became known quickly, and these are not like the
# others. The lag within which 99 % of leads become known is the age from which on a cohort is whole.
_OBSERVED = f"""
WITH heard AS (
    SELECT lead_id, arg_min(basis, label_known_at) AS basis, min(label_known_at) AS heard_at
    FROM labels WHERE label_known_at <= $2 AND basis IN {SAID} GROUP BY lead_id
), cohort AS (
    SELECT lead_id, created_at, epoch_us(known_at) - epoch_us(created_at) AS lag
    FROM leads WHERE version = 1 AND known_at <= $2 AND created_at >= $1
), watched AS (
    SELECT basis, least((epoch_us($2) - epoch_us(created_at)) // $4, $3) AS last_day,
           (epoch_us(heard_at) - epoch_us(created_at) + $4 - 1) // $4 AS day
    FROM cohort LEFT JOIN heard USING (lead_id)
    WHERE epoch_us($2) - epoch_us(created_at) >= (SELECT quantile_disc(lag, 0.99) FROM cohort)
)
SELECT CASE WHEN day IS NULL OR day > last_day THEN 'waiting'
            WHEN basis = 'converted' THEN '{GROUPS[0]}' ELSE '{GROUPS[1]}' END AS fate,
       CASE WHEN day <= last_day THEN day ELSE last_day END AS day, count(*) AS leads
FROM watched GROUP BY ALL ORDER BY ALL
"""  # noqa: S608  # only constants are pasted in
_DAY_US = 86_400_000_000


@dataclass(frozen=True)
class Fates:
    """Leads by the whole day (from 0) on which they left: by an outcome that became known, or unheard (`waiting`).

    All of shape (days,). A lead that waits on day d was watched to the end of day d.
    """

    converted: Floats
    not_converted: Floats
    waiting: Floats

    @property
    def leads(self) -> int:
        return int(self.converted.sum() + self.not_converted.sum() + self.waiting.sum())

    def of(self, group: OutcomeGroup) -> Floats:
        return self.converted if group == "converted" else self.not_converted


@dataclass(frozen=True)
class Curve:
    """Share of all leads whose outcome of one group is known by the end of each day, with 95 % pointwise intervals."""

    incidence: Floats
    low: Floats
    high: Floats
    at_risk: Floats

    @property
    def median_day(self) -> int | None:
        """The day by which half of those known by the curve's end are known; None without any."""
        total = self.incidence[-1] if len(self.incidence) else 0.0
        return int(np.argmax(self.incidence >= total / 2)) if total > 0 else None


def observe(leads: Any, labels: Any, created_from: datetime, as_of: datetime, horizon_days: int) -> Fates:
    """What became of the leads created from `created_from` on, as far as it was known at `as_of`, in whole days.

    The first outcome that was said counts; what is corrected later is not another delay. Silence to the end of the
    window is no outcome: such a lead is watched on, to `horizon_days`.
    """
    found = query(
        _OBSERVED, {"leads": leads, "labels": labels}, [created_from, as_of, horizon_days, _DAY_US]
    ).to_pylist()
    counts = {fate: np.zeros(horizon_days + 1) for fate in (*GROUPS, "waiting")}
    for row in found:
        counts[row["fate"]][row["day"]] = row["leads"]
    return Fates(counts["converted"], counts["not converted"], counts["waiting"])


def cumulative_incidence(fates: Fates, group: OutcomeGroup) -> Curve:
    """The Aalen–Johansen estimate with two competing outcomes, on the days with at least `MINIMUM_AT_RISK` leads.

    Variance: Greenwood's formula carried over to cumulative incidence (delta method; Marubini and Valsecchi 1995,
    chapter 10, with ties). Interval: on the scale log(-log F), which stays between 0 and 1; before the first event
    [0, 1 - 0.025^(1/n at risk)].
    """
    events, all_events = fates.of(group), fates.converted + fates.not_converted
    left = all_events + fates.waiting
    at_risk = left.sum() - np.concatenate([[0.0], np.cumsum(left)[:-1]])
    days = int(np.argmin(at_risk >= MINIMUM_AT_RISK)) if (at_risk < MINIMUM_AT_RISK).any() else len(at_risk)
    events, all_events, at_risk = events[:days], all_events[:days], at_risk[:days]
    survived = np.cumprod(1 - all_events / at_risk)
    before = np.concatenate([[1.0], survived[:-1]])[:days]
    steps = before * events / at_risk
    incidence = np.cumsum(steps)
    low, high = _interval(incidence, _variance(incidence, before, events, all_events, at_risk), at_risk)
    return Curve(incidence, low, high, at_risk)


def _variance(incidence: Floats, before: Floats, events: Floats, all_events: Floats, at_risk: Floats) -> Floats:
    """Variance of the incidence at each day; sums over the days up to it, written as running sums (shape (days,)).

    Σ (F(t)-F(j))² d/(Y(Y-d)) + Σ S(j-)² (Y-e)e/Y³ - 2 Σ (F(t)-F(j)) S(j-) e/Y², with d all events, e those of the group.
    """
    # Where nobody is left nothing is gained afterwards: F(t) - F(j) is 0, whatever its factor.
    rest = np.where(at_risk > all_events, at_risk - all_events, np.inf)
    a = all_events / (at_risk * rest)
    b = before**2 * (at_risk - events) * events / at_risk**3
    c = before * events / at_risk**2
    squared = incidence**2 * np.cumsum(a) - 2 * incidence * np.cumsum(a * incidence) + np.cumsum(a * incidence**2)
    crossed = incidence * np.cumsum(c) - np.cumsum(c * incidence)
    return np.maximum(squared + np.cumsum(b) - 2 * crossed, 0.0)


def _interval(incidence: Floats, variance: Floats, at_risk: Floats) -> tuple[Floats, Floats]:
    alpha = 1 - CONFIDENCE
    z = NormalDist().inv_cdf(1 - alpha / 2)
    low, high = np.zeros_like(incidence), 1 - (alpha / 2) ** (1 / at_risk)
    inside = (incidence > 0) & (incidence < 1)
    logs = np.log(incidence[inside])
    width = np.exp(z * np.sqrt(variance[inside]) / (incidence[inside] * np.abs(logs)))
    low[inside], high[inside] = np.exp(logs * width), np.exp(logs / width)
    low[incidence >= 1], high[incidence >= 1] = (alpha / 2) ** (1 / at_risk[incidence >= 1]), 1.0
    return low, high


def judge_group(fates: Fates, group: OutcomeGroup) -> tuple[Literal["ok", "insufficient_data"], str]:
    """Whether there is enough for a curve, and the sentence that says so."""
    events = int(fates.of(group).sum())
    told = f"{fates.leads:,} leads, {events:,} known as {group}"
    if events < MINIMUM_EVENTS:
        return "insufficient_data", f"{told}; {MINIMUM_EVENTS} are needed"
    return "ok", told


def delay_rows(fates: Fates, period: str, as_of: datetime) -> Sequence[dict[str, object]]:
    """Rows of `label_delay`: a row a day and group; one without figures for a group that has too little."""
    rows: list[dict[str, object]] = []
    for group in GROUPS:
        status, reason = judge_group(fates, group)
        place = {"period": period, "as_of": as_of, "outcome_group": group, "n": fates.leads}
        place |= {"status": status, "reason": reason}
        if status == "insufficient_data":
            rows.append(place)
            continue
        curve = cumulative_incidence(fates, group)
        rows += [
            {
                **place,
                "day": day,
                "cumulative_incidence": curve.incidence[day],
                "low": curve.low[day],
                "high": curve.high[day],
                "at_risk": int(curve.at_risk[day]),
            }
            for day in range(len(curve.incidence))
        ]
    return rows
