"""The maturity rule: positive, negative and not-yet-known are three different things.

A label becomes known when the outcome does, or, when nothing happened, once the conversion window has passed. What
counts is what was known by then. A later statement of the outcome does not overwrite a label: it makes one more row,
so that what was known at any earlier moment can still be read.
"""

from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.lakehouse.tables import Lakehouse
from lead_scoring_assets.periods import Period, PeriodCalendar
from lead_scoring_assets.settings import Labels

NO_OUTCOME = "no outcome in the window"
NO_RESPONSE = "no response in the window"
SAID = ("converted", "disqualified", "lost")
"""Outcomes that make a label as soon as they are known. The others (no_response, open) leave it open."""


def days_after(moment: str, days: str) -> str:
    """SQL: `days` times 24 hours after `moment`. In UTC the same as adding days, and thirty times faster."""
    return f"make_timestamptz(epoch_us({moment}) + {days} * 86400000000)"


_CLOSES, _MATURES = days_after("created_at", "$1"), f"greatest({days_after('created_at', '$1')}, known_at)"
# Later versions of a lead change neither when it was created nor when it was first known.
_JUDGED_LEADS = f"""
judged_leads AS (
    SELECT lead_id, created_at, known_at AS first_known_at, {_CLOSES} AS closes_at, {_MATURES} AS matures_at,
           {days_after(_MATURES, "$2")} AS settled_at
    FROM leads WHERE version = 1
)"""  # noqa: S608  # only constants are pasted in

_LABELS = f"""
WITH {_JUDGED_LEADS}, open_leads AS (
    -- Of the leads that are not settled, those to which something can happen in this period.
    SELECT * FROM judged_leads
    WHERE first_known_at <= $5 AND settled_at > $4
      AND (matures_at > $4 OR lead_id IN (SELECT lead_id FROM outcomes WHERE known_at > $4))
), statements AS (
    -- What was in force from when on: a version that is older than one known no later was never in force.
    SELECT l.*, greatest(o.known_at, l.first_known_at) AS moment, o.version,
           o.outcome_at <= l.closes_at AND o.outcome IN {SAID} AS is_decided,
           struct_pack(outcome := o.outcome, outcome_at := o.outcome_at, reason := o.reason, rep := o.rep,
                       deal_value := o.deal_value, currency := o.currency, provenance := o.provenance) AS said
    FROM open_leads l JOIN outcomes o USING (lead_id)
    WHERE o.known_at <= least(l.settled_at, $5) AND o.outcome_at >= l.created_at
    QUALIFY o.version = max(o.version) OVER (PARTITION BY lead_id ORDER BY moment)
), before_maturity AS (
    SELECT lead_id, max(moment) AS moment, arg_max(said, version) AS said, arg_max(is_decided, version) AS is_decided
    FROM statements WHERE moment <= matures_at GROUP BY lead_id
), states AS (
    SELECT lead_id, created_at, closes_at, matures_at, moment, said, is_decided FROM statements
    UNION ALL
    -- At maturity, where nobody speaks at that instant, the undecided are decided.
    SELECT l.lead_id, l.created_at, l.closes_at, l.matures_at, l.matures_at, b.said, false
    FROM open_leads l LEFT JOIN before_maturity b USING (lead_id)
    WHERE l.matures_at <= $5 AND b.moment IS DISTINCT FROM l.matures_at AND b.is_decided IS DISTINCT FROM true
), judged AS (
    SELECT *,
           CASE WHEN is_decided OR moment < matures_at THEN said.outcome
                WHEN said.outcome_at <= closes_at AND said.outcome = 'no_response' THEN '{NO_RESPONSE}'
                ELSE '{NO_OUTCOME}' END AS basis,
           CASE WHEN is_decided THEN (said.outcome = 'converted')::TINYINT
                WHEN moment >= matures_at THEN 0::TINYINT END AS label,
           CASE WHEN basis <> '{NO_OUTCOME}' THEN said END AS told
    FROM states
), changes AS (
    -- A label that is not known yet is no row, unless it was known before: then it is taken back.
    SELECT * FROM judged
    WINDOW of_lead AS (PARTITION BY lead_id ORDER BY moment)
    QUALIFY CASE WHEN label IS NULL THEN lag(label) OVER of_lead IS NOT NULL
                 ELSE row(label, basis, told) IS DISTINCT FROM lag(row(label, basis, told)) OVER of_lead END
), numbered AS (
    SELECT *, row_number() OVER (PARTITION BY lead_id ORDER BY moment) AS revision FROM changes
)
SELECT $3 AS period, lead_id, created_at, matures_at, moment AS label_known_at, label, basis,
       told.outcome_at AS outcome_at,
       told.reason AS reason, told.rep AS rep, told.deal_value AS deal_value, told.currency AS currency,
       told.provenance AS provenance, revision
FROM numbered WHERE moment > $4
ORDER BY lead_id, revision
"""  # noqa: S608  # only constants are pasted in


def labels_known_in(period: Period, leads: Any, outcomes: Any, rule: Labels) -> pa.Table:
    """What became known about labels in `period`: first labels, corrections (revision 2, 3 …), and labels taken back.

    A lead is judged from its first version (`created_at`, first `known_at`) and, at any moment, by the highest version
    of its outcome known by then; an outcome dated before its lead is no evidence. A label that is taken back before
    maturity is a row whose label is NULL.

    Args:
        period: the slice of known-at time.
        leads: table or dataset with lead_id, version, created_at and known_at of everything not settled at the
            period's start.
        outcomes: the statements about them known by the period's end. Later rows are harmless.
        rule: conversion window, and how long after maturity a statement still counts.
    """
    return query(
        _LABELS,
        {"leads": leads, "outcomes": outcomes},
        [rule.conversion_window_days, rule.corrections_days, period.key, period.start, period.end],
    )


def build_labels(lakehouse: Lakehouse, calendar: PeriodCalendar, period: Period, rule: Labels) -> pa.Table:
    """`labels_known_in` over the raw tables, of which only the periods that can matter are read.

    Raises:
        LakehouseError: raw_leads or raw_outcomes does not exist.
    """
    span = timedelta(days=rule.conversion_window_days + rule.corrections_days)
    leads = lakehouse.scan("raw_leads", periods=_keys(calendar, period.start - span, period))
    # An outcome may have come long before its lead: as far back as the oldest of these leads was created.
    oldest = query(
        f"WITH {_JUDGED_LEADS} SELECT min(created_at) AS oldest FROM judged_leads "  # noqa: S608  # only a constant
        "WHERE first_known_at <= $4 AND settled_at > $3",
        {"leads": leads},
        [rule.conversion_window_days, rule.corrections_days, period.start, period.end],
    )["oldest"][0].as_py()
    # What is known exactly at the end of a period belongs to it, not to the next.
    since = min(oldest or period.start, period.start) - timedelta(microseconds=1)
    outcomes = lakehouse.scan("raw_outcomes", periods=_keys(calendar, since, period))
    return labels_known_in(period, leads, outcomes, rule)


def count_too_late(lakehouse: Lakehouse, period: Period, rule: Labels) -> int:
    """How many outcomes that arrived in `period` came after their lead's corrections had closed, and change nothing."""
    found = query(
        f"""
        WITH {_JUDGED_LEADS}
        SELECT count(*) AS n FROM outcomes o JOIN judged_leads l USING (lead_id)
        WHERE o.known_at > l.settled_at AND o.outcome_at >= l.created_at
        """,  # noqa: S608  # only a constant is pasted in
        {
            "leads": lakehouse.scan("raw_leads"),
            "outcomes": lakehouse.scan("raw_outcomes", periods=[period.key]),
        },
        [rule.conversion_window_days, rule.corrections_days],
    )
    return int(found["n"][0].as_py())


def labels_known_at(rows: str, moment: str) -> str:
    """SQL: the labels in the table `rows` as they were known at `moment` (an expression such as $1), one a lead.

    Leads whose label was not known then, or was taken back, are not among them: join from the left, and what has no
    label is not yet known. Needs lead_id, label and label_known_at.
    """
    # The newest row is the highest revision: each is known later than the one before (a contract check sees to that).
    return (
        f"(SELECT * FROM (SELECT * FROM {rows} WHERE label_known_at <= {moment} "  # noqa: S608  # our own names
        "QUALIFY row_number() OVER (PARTITION BY lead_id ORDER BY label_known_at DESC) = 1) WHERE label IS NOT NULL)"
    )


def first_rows(rows: str, known_at: str) -> str:
    """SQL: of each lead in the table `rows` its first row, by the column `known_at`, then by period.

    A corrected lead has one more row in a later period. It is judged by what was known, and said, when it came.
    """
    return (
        f"(SELECT * FROM {rows} "  # noqa: S608  # our own names
        f"QUALIFY row_number() OVER (PARTITION BY lead_id ORDER BY {known_at}, period) = 1)"
    )


def matured_cohort(period: Period, conversion_window: timedelta) -> tuple[datetime, datetime]:
    """First and last (exclusive) instant of creation of the leads whose conversion window closed in `period`.

    The cohorts of successive periods lie side by side: a lead is in exactly one. It is the newest cohort whose labels
    are complete at the period's end, and no model trained before this period has seen it.
    """
    return period.start - conversion_window, period.end - conversion_window


def _keys(calendar: PeriodCalendar, since: datetime, last: Period) -> list[str]:
    first = calendar.containing(max(since, calendar.start))
    return [period.key for period in calendar.through(last, first)]
