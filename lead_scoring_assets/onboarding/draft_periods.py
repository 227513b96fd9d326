"""The draft's part about time and amounts: which periods the data spans, and how much of it each decision needs."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import duckdb

from lead_scoring_assets.errors import SourceError
from lead_scoring_assets.onboarding.inspect_files import moments_sql
from lead_scoring_assets.onboarding.roles import Roles
from lead_scoring_assets.periods import Cadence, PeriodCalendar

_BUSY = 50_000
_MONTHS_OF_TRAINING = 6


@dataclass(frozen=True)
class Span:
    """What the times of the data say. `first`, `last`: of leads; `end`: of everything."""

    first: datetime
    last: datetime
    end: datetime
    leads: int
    odd: int

    @property
    def days(self) -> float:
        return max((self.last - self.first) / timedelta(days=1), 1.0)

    @property
    def monthly(self) -> float:
        return self.leads / max(self.days / 30.44, 1.0)


def span_of(connection: duckdb.DuckDBPyConnection, roles: Roles) -> Span:
    """Times outside 1990 to 2100 are taken for slips of the pen; rows that have them are pulled all the same."""
    created = moments_sql(roles.created)
    sane = "m >= TIMESTAMP '1990-01-01' AND m < TIMESTAMP '2100-01-01'"
    first, last, leads, odd = connection.execute(
        f"SELECT min(m) FILTER ({sane}), max(m) FILTER ({sane}), count(*), count_if(m IS NULL OR NOT ({sane})) "  # noqa: S608
        f"FROM (SELECT {created} AS m FROM {roles.leads.table})"
    ).fetchall()[0]
    if first is None:
        raise SourceError(
            f"{roles.leads.label}: no time in {roles.created.name!r} lies between 1990 and 2100, found "
            f"{list(roles.created.examples)}. Expected when each lead was created; correct the export."
        )
    end = last
    if roles.outcomes is not None and roles.closed is not None:
        (closed,) = connection.execute(
            f"SELECT max(m) FILTER ({sane}) FROM (SELECT {moments_sql(roles.closed)} AS m FROM {roles.outcomes.table})"  # noqa: S608
        ).fetchall()[0]
        end = max(last, closed or last)
    first, last, end = (moment.replace(tzinfo=UTC) for moment in (first, last, end))
    return Span(first, last, end, int(leads), int(odd))


def periods_part(span: Span, remarks: list[str]) -> list[str]:
    """Lines of `periods`: months, or something shorter where a month holds too much or the data spans few."""
    cadence: Cadence = "month"
    why = f"{span.monthly:,.0f} leads a month over {span.days / 30.44:.1f} months"
    if span.monthly > _BUSY or span.days < 4 * 30.44:
        cadence = "day" if span.monthly / 4.35 > _BUSY or span.days < 28 else "week"
    # 1970-01-05 is a Monday.
    calendar = PeriodCalendar(cadence, datetime(1970, 1, 5 if cadence == "week" else 1, tzinfo=UTC))
    start = calendar.containing(span.first).start.date()
    end = calendar.containing(span.end).end.date()
    if span.odd:
        remarks.append(
            f"{span.odd:,} of {span.leads:,} leads have no readable time of creation, or one outside 1990 to 2100."
        )
    remarks.append(f"Periods are {cadence}s ({why}), {start} to {end}; take `end` out when leads go on arriving.")
    return [
        "periods:",
        f"  cadence: {cadence:<14}# {why}",
        f"  start: {start}",
        f"  end: {end}       # first day that is not part of the data; leave out for a system that goes on",
        "",
    ]


def amounts_part(roles: Roles, span: Span) -> list[str]:
    """How much data each decision needs, scaled to how much there is."""
    rate = 0.1
    if roles.status is not None and roles.converted_words and roles.outcomes is not None:
        converted = sum(roles.status.values[word] for word in roles.converted_words)
        rate = min(converted / max(span.leads, 1), 1.0)
    window = span.monthly * min(_MONTHS_OF_TRAINING, max(span.days / 30.44, 1.0))

    def bounded(least: int, value: float, most: int) -> int:
        return int(min(max(value, least), most))

    rows = bounded(50, window / 10, 10_000)
    positives = bounded(10, window * rate / 20, 100)
    month = span.monthly
    return [
        "# How much data a decision needs: scaled to these exports.",
        "training:",
        f"  window_months: {_MONTHS_OF_TRAINING}",
        f"  minimum_rows: {rows}",
        f"  minimum_positives: {positives}",
        f"  minimum_holdout_rows: {bounded(20, rows / 16, 500)}",
        f"  minimum_holdout_positives: {bounded(5, positives / 4, 20)}",
        "  tuning: {trials: 4, folds: 3}   # recipes tried in every training, folds in time; 50 and 5 once the history is played",
        "  parameters: {eta: 0.08, max_depth: 4, min_child_weight: 5, subsample: 0.9, colsample_bytree: 0.8}",
        "",
        "gate:                   # what a model must reach to go live, and how it is compared with the one in use",
        "  minimum_auc: 0.55",
        "  maximum_brier: 0.30",
        f"  minimum_precision_at_10_percent: {max(0.01, round(rate, 2))}",
        "  refresh_margin: 0.02",
        "  traceable: required   # a commit must hold exactly the code that trained it; recorded: only say whether one does",
        "",
        "drift:",
        f"  minimum_rows: {bounded(50, month / 5, 200)}",
        "",
        "performance:",
        f"  minimum_rows: {bounded(30, month / 10, 100)}",
        f"  minimum_positives: {bounded(5, month * rate / 10, 20)}",
        "  minimum_auc: 0.55",
        "  maximum_relative_auc_drop: 0.10",
        "",
        "retraining:",
        f"  new_labels: {bounded(100, month, 5_000)}",
        "",
    ]
