"""Records of the simulation as the tables that a CRM exports, and as the tables of truth. Local times, with offset."""

from functools import cache
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lead_scoring_assets.simulation import population as people
from lead_scoring_assets.simulation.activity_draws import DETAILS, TYPES
from lead_scoring_assets.simulation.dubai_days import DAY_SECONDS, OFFSET_SECONDS, ZONE, as_moments
from lead_scoring_assets.simulation.outcome_draws import NOTHING, OUTCOMES, REASONS, segments
from lead_scoring_assets.simulation.work_queue import LEAD_PREFIX
from lead_scoring_assets.simulation.world import EFFECTS, World, day_number

PROVENANCE: Final = "simulated"
CURRENCY: Final = "AED"
TIME: Final = pa.timestamp("us", tz=ZONE)

_LEAD_ATTRIBUTES: Final = {
    "lead_source": ("source", people.SOURCE),
    "industry": ("industry", people.INDUSTRY),
    "region": ("region", people.REGION),
    "job_title": ("job_title", people.JOB_TITLE),
    "requested_package": ("package", people.PACKAGE),
    "phone_present": ("phone", people.PHONE),
    "email_domain_type": ("email_domain", people.EMAIL_DOMAIN),
    "language": ("language", people.LANGUAGE),
}


def leads_table(leads: NDArray[np.void]) -> pa.Table:
    """LEAD records as exported: nothing of what only the simulation knows."""
    size = leads["company_size"].astype(np.int64)
    columns = {
        "lead_id": _ids(LEAD_PREFIX, leads["number"]),
        "created_at": _times(as_moments(leads["day"].astype(np.int64), leads["second"].astype(np.int64))),
        "known_at": _midnights(leads["known_day"]),
        **{name: _named(leads[field], attribute.names) for name, (field, attribute) in _LEAD_ATTRIBUTES.items()},
        "company_size": pa.array(size, mask=size == 0),
        "provenance": _always(PROVENANCE, len(leads)),
    }
    return pa.table(columns)


def activities_table(activities: NDArray[np.void]) -> pa.Table:
    """ACTIVITY records as exported. The contract of activities has no column for where they come from."""
    value = activities["value"].astype(np.int64)
    return pa.table(
        {
            "activity_id": _ids("act-", activities["number"]),
            "lead_id": _ids(LEAD_PREFIX, activities["lead"]),
            "occurred_at": _times(activities["moment"]),
            "known_at": _midnights(activities["known_day"]),
            "activity_type": _named(activities["type"], TYPES),
            "detail": _named(activities["detail"], DETAILS),
            "value": pa.array(value, mask=value == 0),
            "rep": _reps(activities["rep"]),
        }
    )


def outcomes_table(outcomes: NDArray[np.void]) -> pa.Table:
    """STATEMENT records as exported."""
    deal = outcomes["deal_value"].astype(np.int64)
    return pa.table(
        {
            "lead_id": _ids(LEAD_PREFIX, outcomes["lead"]),
            "outcome": _named(outcomes["outcome"], OUTCOMES),
            "outcome_at": _times(outcomes["moment"]),
            "known_at": _midnights(outcomes["known_day"]),
            "reason": _named(outcomes["reason"], REASONS),
            "rep": _reps(outcomes["rep"]),
            "deal_value": pa.array(deal, mask=deal == 0),
            "currency": pa.array([CURRENCY]).take(pa.array(np.zeros(len(deal), dtype=np.int32), mask=deal == 0)),
            "provenance": _always(PROVENANCE, len(outcomes)),
        }
    )


def truth_table(truth: NDArray[np.void], world: World) -> pa.Table:
    """TRUTH records: one row for each lead, for tests and for judging the product; never part of an export.

    `p_*`: probabilities of conversion. `chance`: the lead's draw; it converts if that is below `p_as_handled`.
    `outcome`, `outcome_at`: what happened, reported or not; empty: nothing ever. `final_*`: after corrections.
    `planted_*`: whether the change held on the day the lead was created (fewer_reps, slower_outcomes: was decided).
    """
    chance = truth["chance"]
    created_days = (truth["created"] + OFFSET_SECONDS) // DAY_SECONDS
    return pa.table(
        {
            "lead_id": _ids(LEAD_PREFIX, truth["number"]),
            "created_at": _times(truth["created"]),
            "known_at": _midnights(truth["known_day"]),
            "segment": pa.array(segments(truth)),
            "intent": truth["intent"],
            "p_if_worked": truth["p_if_worked"],
            "p_if_not_worked": truth["p_if_not_worked"],
            "p_as_handled": truth["p_as_handled"],
            "chance": chance,
            "would_convert_if_worked": chance < truth["p_if_worked"],
            "would_convert_if_not_worked": chance < truth["p_if_not_worked"],
            "is_worked": truth["is_worked"],
            "worked_at": _times(truth["worked"]),
            "rep": _reps(truth["rep"]),
            "decided_at": _midnights(truth["decided_day"] + 1),
            "outcome": _named(truth["outcome"], OUTCOMES, missing=NOTHING),
            "outcome_at": _times(truth["moment"]),
            "is_reported": truth["is_reported"],
            "final_outcome": _named(truth["final_outcome"], OUTCOMES, missing=NOTHING),
            "final_outcome_at": _times(truth["final_moment"]),
            "deal_value": truth["deal_value"],
            "true_company_size": truth["true_company_size"],
            "true_industry": _named(truth["true_industry"], people.INDUSTRY.names),
            "true_phone_present": _named(truth["true_phone"], people.PHONE.names),
            **{f"planted_{name}": _active(world, name, truth, created_days) for name in EFFECTS},
            "provenance": _always(PROVENANCE, len(truth)),
        }
    )


def as_text(table: pa.Table) -> pa.Table:
    """The same with times as ISO 8601 text of Dubai, such as 2022-01-03T09:30:00+04:00."""
    columns = {
        name: _iso_texts(column) if pa.types.is_timestamp(column.type) else column
        for name, column in zip(table.column_names, table.columns, strict=True)
    }
    return pa.table(columns)


def _active(world: World, effect: str, truth: NDArray[np.void], created_days: NDArray[np.int64]) -> NDArray[np.bool_]:
    days = truth["decided_day"] if effect in ("fewer_reps", "slower_outcomes") else created_days
    found = world.planted.get(effect)
    if found is None or found.strength == 0:
        return np.zeros(len(days), dtype=np.bool_)
    active: NDArray[np.bool_] = days >= day_number(found.start)
    return active


def _named(codes: NDArray[np.uint8], names: tuple[str, ...], missing: int = people.MISSING) -> pa.Array:
    is_missing = codes == missing
    indices = pa.array(np.where(is_missing, 0, codes).astype(np.int32), mask=is_missing)
    return pa.array(names, pa.string()).take(indices)


def _ids(prefix: str, numbers: NDArray[np.int64]) -> pa.Array:
    return pc.binary_join_element_wise(prefix, pa.array(numbers).cast(pa.string()), "")


def _reps(reps: NDArray[np.int16]) -> pa.Array:
    """`rep-001` and so on; 0 is nobody."""
    highest = int(reps.max(initial=0))
    names = pa.array([f"rep-{number:03}" for number in range(1, highest + 1)], pa.string())
    return (
        names.take(pa.array(np.maximum(reps, 1) - 1, mask=reps == 0)) if highest else pa.nulls(len(reps), pa.string())
    )


def _always(word: str, count: int) -> pa.Array:
    return pa.array([word], pa.string()).take(pa.array(np.zeros(count, dtype=np.int32)))


def _times(moments: NDArray[np.int64]) -> pa.Array:
    """Seconds since 1970 as times; 0 is missing."""
    return pa.array(moments * 1_000_000, pa.int64(), mask=moments == 0).cast(pa.timestamp("us", tz="UTC")).cast(TIME)


def _midnights(days: NDArray[np.int32]) -> pa.Array:
    return _times(as_moments(days.astype(np.int64), np.zeros(len(days), dtype=np.int64)))


def _iso_texts(times: pa.ChunkedArray) -> pa.Array:
    """From two tables, of days and of seconds of the day: formatting each time would take most of the run."""
    moments = times.combine_chunks().cast(pa.int64())
    if not len(moments) or moments.null_count == len(moments):
        return pa.nulls(len(moments), pa.string())
    seconds = pc.fill_null(moments, pc.min(moments)).to_numpy() // 1_000_000 + OFFSET_SECONDS
    days = seconds // DAY_SECONDS
    first = int(days.min())
    dates = np.arange(first, int(days.max()) + 1).astype("datetime64[D]").astype(str)
    texts = pc.binary_join_element_wise(
        pa.array(dates).take(pa.array(days - first)), _clock_texts().take(pa.array(seconds % DAY_SECONDS)), "T"
    )
    return pc.if_else(moments.is_valid(), texts, pa.scalar(None, pa.string()))


@cache
def _clock_texts() -> pa.Array:
    return pa.array(
        [f"{second // 3_600:02}:{second // 60 % 60:02}:{second % 60:02}+04:00" for second in range(DAY_SECONDS)]
    )
