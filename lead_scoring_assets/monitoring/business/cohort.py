"""Scored leads whose conversion window has closed, and what became of each: the rows that all business figures count."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from lead_scoring_assets.contracts.columns import RAW_TABLES
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.labels.maturity import SAID, first_rows, labels_known_at, matured_cohort
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.leads.versions import latest_known
from lead_scoring_assets.periods import Period

Floats = npt.NDArray[np.float64]
Texts = npt.NDArray[np.object_]
UNDECIDED = "undecided"

_CHOSEN = "(SELECT * FROM scores WHERE created_at >= $1 AND created_at < $2)"
_COHORT = f"""
WITH cohort AS (
    SELECT lead_id, created_at, bucket, probability FROM {first_rows(_CHOSEN, "scored_at")}
), contacts AS (
    SELECT lead_id, min(occurred_at) AS contacted_at
    FROM {latest_known("activities", "activities", "$3")} JOIN cohort USING (lead_id)
    WHERE rep IS NOT NULL AND occurred_at >= created_at AND occurred_at <= $3 GROUP BY lead_id
)
SELECT c.bucket, c.probability, l.label::DOUBLE AS label,
       CASE WHEN l.basis IN {SAID} THEN l.basis ELSE '{UNDECIDED}' END AS fate,
       CASE WHEN l.basis IN {SAID} THEN epoch(l.outcome_at) - epoch(c.created_at) END AS closed_after,
       epoch(t.contacted_at) - epoch(c.created_at) AS contacted_after,
       epoch($3) - epoch(c.created_at) AS age,
       CASE WHEN l.label = 1 THEN l.deal_value END::DOUBLE AS deal_value,
       CASE WHEN l.label = 1 AND l.deal_value IS NOT NULL THEN l.currency END AS currency
FROM cohort c LEFT JOIN {labels_known_at("labels", "$3")} l USING (lead_id) LEFT JOIN contacts t USING (lead_id)
ORDER BY c.lead_id
"""  # noqa: S608  # only our own names are pasted in
_DAY_SECONDS, _HOUR_SECONDS = 86_400, 3_600


@dataclass(frozen=True)
class BusinessCohort:
    """Leads created in [created_from, created_before), as known at `as_of`; every array has shape (leads,).

    `labels`: 1 converted, 0 not, NaN not known. `fates`: converted, lost, disqualified or undecided. `closed_days`: from
    creation to the outcome that decided; `contact_hours`: to the first activity of a rep (a call, a meeting, an answer);
    both NaN where there was none. `deal_values`: of conversions whose value was told, else NaN.
    """

    created_from: datetime
    created_before: datetime
    as_of: datetime
    buckets: Texts
    scores: Floats
    labels: Floats
    fates: Texts
    closed_days: Floats
    contact_hours: Floats
    age_days: Floats
    deal_values: Floats
    currencies: Texts

    def __len__(self) -> int:
        return len(self.buckets)

    @property
    def label_coverage(self) -> float:
        """Share of the leads whose label is known; NaN without leads."""
        return float(np.isfinite(self.labels).mean()) if len(self) else np.nan

    def of(self, bucket: str) -> "BusinessCohort":
        """The leads of one bucket: the one they were in when they were first scored."""
        chosen = self.buckets == bucket
        arrays = {name: value[chosen] for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        return BusinessCohort(self.created_from, self.created_before, self.as_of, **arrays)


def matured_leads(installation: Installation, period: Period) -> BusinessCohort:
    """The scored leads whose conversion window closed in `period`, as known at its end; never younger ones.

    A lead answers with the bucket of its first score, and counts once.
    """
    settings, lakehouse = installation.settings, installation.lakehouse
    window = timedelta(days=settings.labels.conversion_window_days)
    created_from, created_before = matured_cohort(period, window)
    calendar = settings.calendar
    since = calendar.containing(max(created_from, calendar.start))
    keys = [past.key for past in calendar.through(period, since)]
    tables: dict[str, Any] = {
        name: lakehouse.scan(table, periods=keys)
        for name, table in (
            ("scores", "lead_scores"),
            ("labels", "ground_truth_labels"),
            ("activities", RAW_TABLES["activities"]),
        )
    }
    found = query(_COHORT, tables, [created_from, created_before, period.end])

    def numbers(name: str, unit: float = 1.0) -> Floats:
        values: Floats = found[name].to_numpy().astype(np.float64)
        return values / unit

    def texts(name: str) -> Texts:
        return np.array(found[name].to_pylist(), dtype=object)

    return BusinessCohort(
        created_from,
        created_before,
        period.end,
        buckets=texts("bucket"),
        scores=numbers("probability"),
        labels=numbers("label"),
        fates=texts("fate"),
        closed_days=numbers("closed_after", _DAY_SECONDS),
        contact_hours=numbers("contacted_after", _HOUR_SECONDS),
        age_days=numbers("age", _DAY_SECONDS),
        deal_values=numbers("deal_value"),
        currencies=texts("currency"),
    )
