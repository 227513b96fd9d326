"""Over which periods a backtest can walk: those whose leads have all matured by what the tables hold."""

from datetime import timedelta

from lead_scoring_assets.errors import LeadScoringError
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.periods import Period, PeriodCalendar


def newest_labels(installation: Installation) -> Period:
    """The newest period of which labels are there; its end is the moment up to which all of them are known.

    Not the clock's now: what was not materialised by then would be missing among the leads that did not convert only.

    Raises:
        LakehouseError: there is no table of labels.
        LeadScoringError: it is empty.
    """
    labels = installation.lakehouse.scan("ground_truth_labels")
    [found] = query("SELECT max(period) AS key FROM labels", {"labels": labels}).to_pylist()
    if found["key"] is None:
        raise LeadScoringError("no label is known yet: expected rows in ground_truth_labels. Materialise more periods.")
    return installation.settings.calendar.period(found["key"])


def judged_periods(
    calendar: PeriodCalendar, conversion_window: timedelta, newest: Period, first: str | None, last: str | None
) -> list[Period]:
    """The periods whose leads are scored and judged: all that have matured by the end of `newest`, or those asked for.

    Raises:
        LeadScoringError: a period that is none, has not matured, or none at all.
    """
    begin = calendar.period(first) if first else calendar.next(calendar.containing(calendar.start))
    matured = [p for p in calendar.through(newest, begin) if p.end + conversion_window <= newest.end]
    end = calendar.period(last) if last else (matured[-1] if matured else None)
    if end is None or end not in matured:
        told = f"{begin} to {end}" if end else f"{begin} and later"
        raise LeadScoringError(
            f"no backtest over {told}: expected periods whose last lead was {conversion_window.days} days old at "
            f"{newest.end:%Y-%m-%d}, up to which labels are known; found {f'up to {matured[-1]}' if matured else 'none'}. "
            "Choose other periods, or materialise more (`lead-scoring materialize`)."
        )
    return [period for period in matured if period <= end]
