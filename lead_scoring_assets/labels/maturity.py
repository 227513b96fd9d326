"""The maturity rule: positive, negative and not-yet-known are three different things.

A label becomes known when the outcome does, or, when nothing happened, once the conversion window has passed. What
counts is what was known by then: a conversion that is reported later does not turn a 0 into a 1.
"""

from datetime import datetime, timedelta

import pyarrow as pa

from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.periods import Period

NO_OUTCOME = "no outcome in the window"

_SQL = f"""
WITH first_outcome AS (
    SELECT * FROM outcomes
    QUALIFY row_number() OVER (PARTITION BY lead_id ORDER BY known_at, outcome_at, outcome, provenance) = 1
), leads_with_limit AS (
    SELECT lead_id, created_at, known_at AS lead_known_at,
           greatest(created_at + to_days($1::INTEGER), known_at) AS matures_at
    FROM leads
), judged AS (
    SELECT l.lead_id, l.created_at, l.matures_at,
           o.lead_id IS NOT NULL AND o.known_at <= l.matures_at AS has_outcome,
           o.outcome, o.outcome_at, o.provenance,
           CASE WHEN o.known_at <= l.matures_at THEN greatest(o.known_at, l.lead_known_at) ELSE l.matures_at END
               AS label_known_at
    FROM leads_with_limit l LEFT JOIN first_outcome o USING (lead_id)
)
SELECT $2 AS period, lead_id, created_at, matures_at, label_known_at,
       CASE WHEN has_outcome AND outcome = 'converted' THEN 1 ELSE 0 END::TINYINT AS label,
       CASE WHEN has_outcome THEN outcome ELSE '{NO_OUTCOME}' END AS basis,
       CASE WHEN has_outcome THEN outcome_at END AS outcome_at,
       CASE WHEN has_outcome THEN provenance END AS provenance
FROM judged
WHERE label_known_at > $3 AND label_known_at <= $4
ORDER BY lead_id
"""  # noqa: S608  # only a constant is pasted in


def labels_known_in(period: Period, leads: pa.Table, outcomes: pa.Table, conversion_window_days: int) -> pa.Table:
    """The labels that became known in `period`: each lead gets exactly one, in exactly one period.

    `leads` needs lead_id, created_at and known_at of everything that can mature in the period; `outcomes` everything
    known by its end. Later rows are harmless: they become known later.
    """
    return query(
        _SQL,
        {"leads": leads, "outcomes": outcomes},
        [conversion_window_days, period.key, period.start, period.end],
    )


def matured_cohort(period: Period, conversion_window: timedelta) -> tuple[datetime, datetime]:
    """First and last (exclusive) instant of creation of the leads whose conversion window closed in `period`.

    The cohorts of successive periods lie side by side: a lead is in exactly one. It is the newest cohort whose labels
    are complete at the period's end, and no model trained before this period has seen it.
    """
    return period.start - conversion_window, period.end - conversion_window
