"""What came in a period and in those before it, counted where it lies: the facts that `health` judges."""

from dataclasses import dataclass
from datetime import timedelta

import pyarrow as pa

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lakehouse.names import quoted
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.monitoring.drift.health import SharePair
from lead_scoring_assets.monitoring.drift.volume import Volume
from lead_scoring_assets.periods import Period

A_YEAR = timedelta(weeks=52)
"""Whole weeks, so that a day is compared with the same day of the week; a month begins in the same month either way."""


@dataclass(frozen=True)
class Arrived:
    """Shares now and before, and how many leads came now and in each earlier period since the first that brought any."""

    shares: list[SharePair]
    now: Volume
    before: list[Volume]


def count_arrivals(installation: Installation, period: Period) -> Arrived:
    """Count what came in `period` and in up to `history_periods` periods before it; of leads, in the year before as well.

    Raises:
        LakehouseError: a table of ingestion, or lead_features, does not exist.
    """
    settings = installation.settings
    calendar = settings.calendar
    earlier = [past for past in calendar.through(period) if past.start < period.start]
    earlier = earlier[-settings.watching.history_periods :]
    a_year_ago = {each.key: calendar.containing(each.start - A_YEAR) for each in [*earlier, period]}
    known = sorted({each for each in (*a_year_ago.values(), *earlier, period) if each.start >= calendar.start})
    leads = _leads(installation, known)
    came = [past.key for past in known if past.key != period.key and leads[past.key][0]]
    since = [past for past in known if came and past.key >= came[0]]  # keys are in order of time
    history = [past for past in earlier if past in since]

    def volume(each: Period) -> Volume:
        ago = a_year_ago[each.key]
        return Volume(leads[each.key][0], _days(each), Volume(leads[ago.key][0], _days(ago)) if ago in since else None)

    late = SharePair(
        "late",
        "raw_leads",
        *(leads[period.key][1], leads[period.key][0]),
        *(sum(leads[past.key][place] for past in history) for place in (1, 0)),
    )
    return Arrived(
        shares=[*_files(installation, period, earlier), late, *_missing(installation, period, earlier)],
        now=volume(period),
        before=[volume(past) for past in history],
    )


def _days(period: Period) -> float:
    return (period.end - period.start) / timedelta(days=1)


def _leads(installation: Installation, periods: list[Period]) -> dict[str, tuple[int, int]]:
    """Of each period: leads that were told for the first time, and of these how many were created in an earlier period."""
    starts = pa.table({"period": [past.key for past in periods], "start": [past.start for past in periods]})
    rows = query(
        """
        SELECT s.period, count(r.lead_id) AS n, count(*) FILTER (WHERE r.created_at < s.start) AS late
        FROM starts s LEFT JOIN leads r ON r.period = s.period AND r.version = 1 GROUP BY s.period
        """,
        {"starts": starts, "leads": installation.lakehouse.scan("raw_leads", periods=starts["period"].to_pylist())},
    )
    return {row["period"]: (row["n"], row["late"]) for row in rows.to_pylist()}


def _files(installation: Installation, period: Period, earlier: list[Period]) -> list[SharePair]:
    rows = query(
        """
        SELECT entity, coalesce(sum(rows_in) FILTER (WHERE period = $1), 0)::BIGINT AS n,
               coalesce(sum(rejected) FILTER (WHERE period = $1), 0)::BIGINT AS rejected,
               coalesce(sum(duplicates) FILTER (WHERE period = $1), 0)::BIGINT AS duplicates,
               coalesce(sum(rows_in) FILTER (WHERE period <> $1), 0)::BIGINT AS n_before,
               coalesce(sum(rejected) FILTER (WHERE period <> $1), 0)::BIGINT AS rejected_before,
               coalesce(sum(duplicates) FILTER (WHERE period <> $1), 0)::BIGINT AS duplicates_before
        FROM files GROUP BY entity ORDER BY entity
        """,
        {"files": installation.lakehouse.scan("arrived_files", periods=_keys(period, earlier))},
        [period.key],
    ).to_pylist()
    return [
        SharePair(measure, row["entity"], row[measure], row["n"], row[f"{measure}_before"], row["n_before"])
        for row in rows
        for measure in ("rejected", "duplicates")
    ]


def _missing(installation: Installation, period: Period, earlier: list[Period]) -> list[SharePair]:
    found = installation.lakehouse.scan("lead_features", periods=_keys(period, earlier))
    # A feature that was added to the settings and not computed yet is in no column.
    names = [name for name in installation.settings.registry.features if name in found.schema.names]
    given = ", ".join(f"count({quoted(name)})" for name in names)
    rows = query(
        f"SELECT period = $1 AS is_now, count(*) AS n, [{given}] AS given FROM features GROUP BY ALL",  # noqa: S608  # quoted
        {"features": found},
        [period.key],
    ).to_pylist()
    counts = {row["is_now"]: row for row in rows}

    def missing(is_now: bool, place: int) -> tuple[int, int]:
        row = counts.get(is_now)
        return (row["n"] - row["given"][place], row["n"]) if row else (0, 0)

    return [
        SharePair("missing", name, *missing(True, place), *missing(False, place)) for place, name in enumerate(names)
    ]


def _keys(period: Period, earlier: list[Period]) -> list[str]:
    return [*(past.key for past in earlier), period.key]
