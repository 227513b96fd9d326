"""What is wrong with times: the future, dates without times, a shifted time zone, months that are missing or swell."""

from itertools import pairwise
from math import exp

import numpy as np
import numpy.typing as npt

from lead_scoring_assets.contracts.columns import EVENT_TIMES, Entity
from lead_scoring_assets.onboarding.diagnosis import Diagnosis, insufficient, or_well
from lead_scoring_assets.onboarding.evidence import DAY_US, Evidence, Numbers

_ENOUGH_ROWS = 50
_ENOUGH_A_MONTH = 300
_DATES_ONLY = 0.99
_SHIFT_HOURS, _SHIFT_ERRORS, _CONCENTRATED = 1.5, 5.0, 0.2
_JUMP, _JUMP_ERRORS = 3.0, 5.0
_CHANCE_OF_A_GAP = 0.01
_QUARTER_US = 15 * 60 * 1_000_000

Floats = npt.NDArray[np.float64]


def diagnose_times(evidence: Evidence) -> list[Diagnosis]:
    """Judgements on the event times of every table."""
    found: list[Diagnosis] = []
    for entity in evidence.tables:
        if not evidence.counts[entity]:
            continue
        hours, counts = evidence.event_hours(entity)
        dates_only = _dates_only(evidence, entity)
        found += _future(evidence, entity)
        found += dates_only or [_shifts(evidence, entity, hours, counts)]
        if entity == "leads":
            found += _volume(evidence, hours, counts)
    return found


def _future(evidence: Evidence, entity: Entity) -> list[Diagnosis]:
    time, name, subject = EVENT_TIMES[entity], "time in the future", evidence.subject(entity, EVENT_TIMES[entity])
    late, n, last = evidence.row(f"SELECT count_if({time} > known_at), count({time}), max({time}) FROM {entity}")  # noqa: S608
    if not late:
        return [Diagnosis("ok", name, subject, f"all {n:,} times lie before the row was known", "", {"rows": n})]
    remedy = (
        "check the clock, the time zone and the day-month order of the export; such rows are refused when they arrive"
    )
    told = f"{late:,} of {n:,} times lie after the row was known; the latest is {last:%Y-%m-%d %H:%M}"
    return [Diagnosis("problem", name, subject, told, remedy, {"rows": late, "share": late / n})]


def _dates_only(evidence: Evidence, entity: Entity) -> list[Diagnosis]:
    """Times that are always the same full quarter of an hour: somebody's midnight."""
    time = EVENT_TIMES[entity]
    quarter, n, most = evidence.row(
        f"""
        SELECT arg_max(quarter, n), sum(n)::BIGINT, max(n) FROM (
            SELECT CASE WHEN epoch_us({time}) % {_QUARTER_US} = 0 THEN (epoch_us({time}) % {DAY_US}) // {_QUARTER_US}
                   ELSE -1 END AS quarter, count(*) AS n
            FROM {entity} WHERE {time} IS NOT NULL GROUP BY 1
        )
        """  # noqa: S608  # our own names
    )
    if not n or n < _ENOUGH_ROWS or quarter == -1 or most < _DATES_ONLY * n:
        return []
    clock = f"{quarter // 4:02}:{quarter % 4 * 15:02}"
    is_midnight = quarter == 0
    return [
        Diagnosis(
            "warning",
            "dates without times",
            evidence.subject(entity, time),
            f"{most / n:.1%} of {n:,} times are {clock} UTC: dates without times"
            + ("" if is_midnight else ", read as midnight of another time zone"),
            "export the time of day; until then, what happens on one day has no order, and counts from midnight on"
            if is_midnight
            else "check sources.time_zone: dates are best exported with their time of day and offset",
            {"share": most / n, "rows": n},
        )
    ]


def _shifts(evidence: Evidence, entity: Entity, hours: Numbers, counts: Numbers) -> Diagnosis:
    """From one month to the next: has the same day's rhythm moved by two hours or more?

    The mean direction of the hours (a circle of 24) of two months is compared by its circular standard error (Fisher
    1993, section 4.4); and moving the hours back must make the two months alike, else people changed, not the clock.
    One hour is left out: clocks change by it twice a year.
    """
    name, subject = "shifted time zone", evidence.subject(entity, EVENT_TIMES[entity])
    months = _by_month(hours, counts)
    compared, told = 0, []
    for (_, before), (month, after) in pairwise(months):
        if min(before.sum(), after.sum()) < _ENOUGH_A_MONTH:
            continue
        compared += 1
        shift = hour_shift(before, after)
        if shift:
            told.append((month, shift))
    if told:
        month, shift = told[0]
        return Diagnosis(
            "warning",
            name,
            subject,
            f"from {month} on the same rhythm of the day lies {abs(shift)} hours {'later' if shift > 0 else 'earlier'}"
            + (f", and {len(told) - 1} more such moves follow" if len(told) > 1 else ""),
            "find out whether the export changed its time zone then; write times with their offset",
            {"hours": shift, "months": len(told)},
        )
    if not compared:
        why = f"no two months in a row with {_ENOUGH_A_MONTH} times each"
        return insufficient(name, subject, why, {"months_compared": 0})
    told_ok = f"the rhythm of the day stays in {compared} months compared with the one before"
    return Diagnosis("ok", name, subject, told_ok, "", {"months_compared": compared})


def hour_shift(before: Numbers, after: Numbers) -> int:
    """By how many hours (-11 to 12) the counts of 24 hours moved as a whole; 0 when they did not, or nobody can say."""
    (angle_1, length_1, error_1), (angle_2, length_2, error_2) = _direction(before), _direction(after)
    if min(length_1, length_2) < _CONCENTRATED:
        return 0
    turned = (angle_2 - angle_1 + 12) % 24 - 12
    if abs(turned) < _SHIFT_HOURS or abs(turned) < _SHIFT_ERRORS * np.hypot(error_1, error_2):
        return 0
    share_1, share_2 = before / before.sum(), after / after.sum()
    distances = [float(np.abs(np.roll(share_1, shift) - share_2).sum() / 2) for shift in range(24)]
    best = int(np.argmin(distances))
    if distances[best] > distances[0] / 2:
        return 0
    return best if best <= 12 else best - 24


def _direction(counts: Numbers) -> tuple[float, float, float]:
    """Mean hour, resultant length (0 to 1) and standard error in hours."""
    n = counts.sum()
    turn = 2j * np.pi * np.arange(24) / 24
    first, second = (counts * np.exp(turn)).sum() / n, (counts * np.exp(2 * turn)).sum() / n
    angle, length = float(np.angle(first)), float(abs(first))
    if length < 1e-9:
        return 0.0, 0.0, float("inf")
    second_moment = float((second * np.exp(-2j * angle)).real)
    error = np.sqrt(max(0.0, 1 - second_moment) / (2 * length**2) / n)
    return angle * 12 / np.pi, length, float(error) * 12 / np.pi


def _by_month(hours: Numbers, counts: Numbers) -> list[tuple[str, Numbers]]:
    """Counts of the 24 hours (UTC) of every month that has any, in order."""
    months = hours.astype("datetime64[h]").astype("datetime64[M]")
    found = []
    for month in np.unique(months):
        of_month = months == month
        of_day = np.bincount(hours[of_month] % 24, weights=counts[of_month], minlength=24)
        found.append((str(month), of_day.astype(np.int64)))
    return found


def _volume(evidence: Evidence, hours: Numbers, counts: Numbers) -> list[Diagnosis]:
    subject = evidence.subject("leads")
    if not len(hours):
        return [insufficient("months without leads", subject, "no lead has a time")]
    months = hours.astype("datetime64[h]").astype("datetime64[M]").astype(np.int64)
    per_month = np.bincount(months - months[0], weights=counts).astype(np.int64)
    names = [str(np.datetime64(int(months[0]) + k, "M")) for k in range(len(per_month))]
    usual = float(np.median(per_month[per_month > 0]))
    numbers = {"months": len(per_month), "usual": usual}
    gaps = [month for month, n in zip(names, per_month, strict=True) if n == 0]
    found = []
    # With few leads a month, an empty one is chance (Poisson).
    if gaps and len(per_month) * exp(-usual) < _CHANCE_OF_A_GAP:
        found.append(
            Diagnosis(
                "warning",
                "months without leads",
                subject,
                f"{len(gaps)} of {len(per_month)} months have no lead, such as {', '.join(gaps[:3])}; usual are {usual:,.0f}",
                "find out whether the export left them out, and load them",
                {**numbers, "gaps": len(gaps)},
            )
        )
    told = f"no gap that is beyond chance in {len(per_month)} months ({usual:,.0f} leads a month are usual)"
    return [*or_well(found, "months without leads", subject, told, numbers), *_jumps(subject, names, per_month)]


def _jumps(subject: str, names: list[str], per_month: Numbers) -> list[Diagnosis]:
    """Whole months only: the first and the last are cut off by the data's ends. Empty ones are told as gaps."""
    jumps = []
    for k in range(2, len(per_month) - 1):
        before, after = float(per_month[k - 1]), float(per_month[k])
        is_large = min(before, after) > 0 and max(before, after) >= _JUMP * min(before, after)
        if is_large and abs(after - before) > _JUMP_ERRORS * np.sqrt(after + before):
            jumps.append((names[k], before, after))
    if not jumps:
        told = f"no month has {_JUMP:g} times the leads of its neighbour, beyond chance"
        return [Diagnosis("ok", "volume jumps", subject, told, "", {"months": len(per_month)})]
    month, before, after = max(jumps, key=lambda jump: abs(np.log(jump[2] / jump[1])))
    return [
        Diagnosis(
            "warning",
            "volume jumps",
            subject,
            f"{len(jumps)} months jump, most of all {month}: {before:,.0f} leads, then {after:,.0f}",
            "find out whether it was a campaign, an import of old leads, or an export that changed",
            {"jumps": len(jumps), "before": before, "after": after},
        )
    ]
