"""The day's report as a message: once a day by the installation's own clock, with the figures of the newest manager's report
and what is open. What the report says is made in `monitoring`."""

from datetime import datetime, timedelta
from typing import Any

from lead_scoring_assets.alerts.alerts import Alert
from lead_scoring_assets.alerts.desk import AlertDesk
from lead_scoring_assets.alerts.episodes import counted
from lead_scoring_assets.errors import LeadScoringError
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.monitoring.reports.listing import find_report
from lead_scoring_assets.monitoring.reports.manager_facts import ManagerFacts, gather
from lead_scoring_assets.monitoring.reports.manager_words import headline, needs_a_person


def tell_daily_report(installation: Installation, desk: AlertDesk) -> str:
    """Raise the report that is due, unless it was raised; what was done, in a sentence.

    Days on which nobody looked are not made up for: a report of last week is no news.
    """
    hour = installation.settings.alerts.daily_report_hour
    if hour is None:
        return "no daily report is wanted (alerts.daily_report_hour in lead_scoring.yaml)"
    day = due_day(installation.clock.now(), hour)
    if desk.knows(_name(day)):
        return f"the report of {day} was told; the next one is due at {hour:02d}:00 UTC"
    try:
        found = find_report(installation, None)
    except LeadScoringError as problem:
        return f"nothing can be told: {problem}"
    calendar, now = installation.settings.calendar, installation.clock.now()
    period, newest = calendar.period(found.period), calendar.last_closed(now)
    if period.end > now:
        return (
            f"nothing can be told: the newest report is of {period.key}, which ends at {period.end:%Y-%m-%d}, and by the "
            f"clock it is {now:%Y-%m-%d}. Has the clock been set back?"
        )
    facts = gather(installation, period)
    missing = newest.key if newest is not None and newest.key != found.period else None
    alert = daily_report(day, facts, counted(desk.open_episodes), found.page.name, missing)
    desk.raise_(alert)
    return f"told the report of {day}: {alert.message}"


def due_day(now: datetime, hour: int) -> str:
    """The newest day whose `hour` has come."""
    return f"{now - timedelta(hours=hour):%Y-%m-%d}"


def daily_report(day: str, facts: ManagerFacts, open_alerts: str, page: str, missing: str | None) -> Alert:
    """What the newest report of a period says, which problems are open, and which period has closed and is `missing`."""
    sentences = [
        *([f"The report of {missing} has not been made yet."] if missing else []),
        f"Period {facts.period.key}: {' '.join(headline(facts))}",
        f"Needs a person: {' '.join(needs_a_person(facts))}",
        f"Open alerts: {open_alerts}.",
        *([facts.simulated_part] if facts.simulated_part else []),
    ]
    best = facts.buckets[0]
    figures: dict[str, Any] = {
        "period": facts.period.key,
        "leads scored": facts.total,
        best: facts.scored.get(best, 0),
        "features drifted": "not known" if facts.not_assessed else f"{len(facts.drifted)} of {facts.assessed}",
        "model": f"v{facts.champion.version}" if facts.champion else "none",
    }
    for name, kpi, form in (
        ("conversion rate", "conversion_rate", ".1%"),
        ("revenue per lead", "revenue_per_lead", ",.0f"),
    ):
        if (row := facts.figure(kpi)) is not None:
            edges = "" if row["low"] is None else f" [{row['low']:{form}}, {row['high']:{form}}]"
            figures[name] = f"{row['value']:{form}}{edges}, n = {row['n']:,}"
    return Alert(_name(day), "info", "daily report", "\n".join(sentences), topic="report", evidence=figures, page=page)


def _name(day: str) -> str:
    return f"alert-daily-report-{day}"
