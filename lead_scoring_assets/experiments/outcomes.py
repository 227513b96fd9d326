"""What became of exposed leads, each at the same age: a lead that is too young is not counted as lost, it is not counted."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lead_scoring_assets.evaluation.metrics import Floats
from lead_scoring_assets.labels.maturity import days_after
from lead_scoring_assets.lakehouse.query import query

Flags = npt.NDArray[np.bool_]
Texts = npt.NDArray[np.object_]
Moments = npt.NDArray[np.datetime64]

# Known BY that age, and not merely today: an older lead's late news would be held against younger ones.
_OUTCOMES = f"""
WITH of_age AS (
    SELECT *, {days_after("exposed_at", "$1")} AS counted_at FROM exposed
    WHERE {days_after("exposed_at", "$1")} <= $2
), known AS (
    SELECT e.lead_id, l.label, l.deal_value, l.currency, l.rep
    FROM of_age e JOIN labels l ON l.lead_id = e.lead_id AND l.label_known_at <= e.counted_at
    QUALIFY row_number() OVER (PARTITION BY e.lead_id ORDER BY l.label_known_at DESC) = 1
), later AS (
    SELECT e.lead_id, l.label
    FROM of_age e JOIN labels l ON l.lead_id = e.lead_id AND l.label_known_at > e.counted_at AND l.label_known_at <= $2
    QUALIFY row_number() OVER (PARTITION BY e.lead_id ORDER BY l.label_known_at DESC) = 1
), decided_before AS (
    SELECT DISTINCT e.lead_id FROM of_age e JOIN labels l ON l.lead_id = e.lead_id AND l.label_known_at <= e.exposed_at
), contacts AS (
    SELECT e.lead_id, min(a.occurred_at) AS contacted_at, arg_min(a.rep, a.occurred_at) AS rep
    FROM of_age e JOIN activities a ON a.lead_id = e.lead_id AND a.rep IS NOT NULL
     AND a.occurred_at > e.exposed_at AND a.occurred_at <= e.counted_at AND a.known_at <= e.counted_at
    GROUP BY e.lead_id
)
SELECT e.lead_id, e.unit_id, e.arm = 'challenger' AS is_treatment, e.propensity, e.explored, e.score, e.counted_at,
       coalesce(k.label = 1, false) AS converted, n.label = 1 AND NOT converted AS converted_too_late,
       coalesce(k.rep, c.rep) AS rep,
       CASE WHEN k.label = 1 THEN k.deal_value END AS deal_value, CASE WHEN k.label = 1 THEN k.currency END AS currency,
       (epoch(c.contacted_at) - epoch(e.exposed_at)) / 3600 AS contact_hours
FROM of_age e LEFT JOIN known k USING (lead_id) LEFT JOIN later n USING (lead_id) LEFT JOIN contacts c USING (lead_id)
WHERE e.lead_id NOT IN (SELECT lead_id FROM decided_before)
ORDER BY e.counted_at, e.lead_id
"""  # noqa: S608  # only our own names are pasted in

_MOMENT = pa.timestamp("us", tz="UTC")
_REP: list[tuple[str, pa.DataType]] = [("lead_id", pa.string()), ("rep", pa.string())]
NO_ACTIVITIES = pa.schema([*_REP, ("occurred_at", _MOMENT), ("known_at", _MOMENT)])
NO_LABELS = pa.schema(
    [*_REP, ("label", pa.int64()), ("label_known_at", _MOMENT), ("deal_value", pa.float64()), ("currency", pa.string())]
)


@dataclass(frozen=True)
class Outcomes:
    """Leads that have reached their age, in the order in which they did; every array has shape (leads,).

    `deal_value`: of conversions, NaN where none was told. `contact_hours`: until a rep first acted, NaN where none did by then.
    `converted_too_late`: known by now, but not at that age, so that it does not count.
    `score`: as first answered, NaN where none was. `rep`: who worked it, None where nobody is known.
    """

    age_days: int
    unit: Texts
    is_treatment: Flags
    converted: Floats
    converted_too_late: Flags
    counted_at: Moments
    propensity: Floats
    explored: Flags
    score: Floats
    rep: Texts
    deal_value: Floats
    currency: Texts
    contact_hours: Floats

    def __len__(self) -> int:
        return len(self.converted)


def outcomes_at_age(
    exposed: pa.Table, labels: Any | None, activities: Any | None, age_days: int, as_of: datetime
) -> Outcomes:
    """What was known of each exposed lead when it was `age_days` past its first answer, of those that are so old at `as_of`.

    The same limit for both arms, so that an arm that has run for longer has no advantage; what becomes known later changes
    nothing any more. Leads whose outcome was known before their first answer are left out: no arm could change it.

    Args:
        exposed: of `exposed_leads`.
        labels: `ground_truth_labels`, complete up to `as_of`; None where there are none yet.
        activities: `raw_activities`; None where there are none.
        age_days: the conversion window, or less for an earlier reading.
        as_of: the moment of the reading.
    """
    tables = {
        "exposed": exposed,
        "labels": labels if labels is not None else NO_LABELS.empty_table(),
        "activities": activities if activities is not None else NO_ACTIVITIES.empty_table(),
    }
    found = query(_OUTCOMES, tables, [age_days, as_of])
    return Outcomes(
        age_days=age_days,
        unit=_texts(found, "unit_id"),
        is_treatment=found["is_treatment"].to_numpy(),
        converted=found["converted"].to_numpy().astype(np.float64),
        converted_too_late=found["converted_too_late"].fill_null(False).to_numpy(zero_copy_only=False),
        counted_at=found["counted_at"].to_numpy(),
        propensity=_numbers(found, "propensity"),
        explored=found["explored"].fill_null(False).to_numpy(),
        score=_numbers(found, "score"),
        rep=_texts(found, "rep"),
        deal_value=_numbers(found, "deal_value"),
        currency=_texts(found, "currency"),
        contact_hours=_numbers(found, "contact_hours"),
    )


def _texts(table: pa.Table, column: str) -> Texts:
    return np.array(table[column].to_pylist(), dtype=object)


def _numbers(table: pa.Table, column: str) -> Floats:
    numbers: Floats = table[column].cast(pa.float64()).to_numpy().astype(np.float64)
    return numbers
