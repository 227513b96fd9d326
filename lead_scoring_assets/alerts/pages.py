"""Alerts as pages in the browser: the one that the link in a message opens, and the list of what lasts. Only reads; everything
that comes from data is escaped."""

import html
from collections.abc import Iterable, Sequence
from textwrap import shorten
from urllib.parse import quote

from lead_scoring_assets.alerts.delivery.notices import Delivery
from lead_scoring_assets.alerts.delivery.outbox import deliveries
from lead_scoring_assets.alerts.episodes import Episode, RaisedAlert, counted, episodes_of
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.monitoring.reports.plain_page import cell, plain_page, table

_SIGNS_SHOWN = 160


def episode_page(installation: Installation, name: str) -> str | None:
    """One episode: what was raised, with its figures, who looks after it and who was told. None: there is none called so."""
    episodes = episodes_of(installation.events.events())
    found = next((e for e in episodes if name in {e.episode_id, *(alert.alert_id for alert in e.alerts)}), None)
    if found is None:
        return None
    sent = [attempt for attempt in deliveries(installation) if attempt.episode_id == found.episode_id]
    settings = installation.settings
    about = f"{settings.name} · {found.level}, {_state(found)} · {found.episode_id}"
    body = "".join(
        [_answer(found), *map(_alert, found.alerts), _told(sent), '<p><a href="/">All reports and alerts</a></p>']
    )
    return plain_page(found.subject, about, settings.simulated_part, body)


def front_page(installation: Installation, reports: Iterable[str]) -> str:
    """The alerts that last, worst and newest first, and the pages called `reports`."""
    lasting = [episode for episode in episodes_of(installation.events.events()) if episode.is_open]
    lasting.sort(key=lambda episode: (episode.level != "critical", -episode.alerts[-1].raised_at.timestamp()))
    rows = [
        [
            cell(f"{episode.level}, {_state(episode)}"),
            _about(episode),
            str(sum(alert.is_open for alert in episode.alerts)),
            cell(f"{episode.alerts[0].raised_at:%Y-%m-%d %H:%M}"),
        ]
        for episode in lasting
    ]
    links = "".join(f'<li><a href="{quote(name)}">{html.escape(name)}</a></li>' for name in reports)
    body = (
        f"<h2>Open alerts</h2>{table(['', 'About', 'Alerts', 'Since (UTC)'], rows, 'wrap') if rows else '<p>None.</p>'}"
        f"<h2>Reports</h2>{f'<ul>{links}</ul>' if links else '<p>None has been made yet.</p>'}"
    )
    settings, now = installation.settings, installation.clock.now()
    about = f"{settings.name} · as of {now:%Y-%m-%d %H:%M} UTC · open alerts: {counted(lasting)}"
    return plain_page("Reports and alerts", about, settings.simulated_part, body)


def _about(episode: Episode) -> str:
    """A link, and what the alert says that made the episode as bad as it is."""
    said = episode.rises[-1].message.removeprefix(f"{episode.subject} failed: ")
    link = f'<a href="/?episode={quote(episode.episode_id, safe="")}">{html.escape(episode.subject)}</a>'
    return f"{link}<br>{html.escape(shorten(said, _SIGNS_SHOWN, placeholder=' …'))}"


def _state(episode: Episode) -> str:
    if episode.is_open:
        return "acknowledged" if episode.is_acknowledged(episode.rises[-1]) else "open"
    return "news" if episode.resolved_at is None else f"over since {episode.resolved_at:%Y-%m-%d %H:%M} UTC"


def _answer(episode: Episode) -> str:
    answer = episode.acknowledged
    if answer is not None:
        told = f"{answer.by} looks after it since {answer.at:%Y-%m-%d %H:%M} UTC: {answer.reason}"
        return f"<p>{html.escape(told)}</p>"
    if not episode.is_open:
        return ""
    verb = f'lead-scoring acknowledge {episode.episode_id} --reason "…"'
    return f"<p>Nobody has said that they look after it: <code>{html.escape(verb)}</code></p>"


def _alert(alert: RaisedAlert) -> str:
    over = f", over since {alert.resolved_at:%Y-%m-%d %H:%M}" if alert.resolved_at else ""
    heading = f"{alert.raised_at:%Y-%m-%d %H:%M} UTC · {alert.level}{over}"
    lines = "".join(f"<p>{html.escape(line)}</p>" for line in alert.message.splitlines())
    periods = {"periods": ", ".join(alert.periods)} if alert.periods else {}
    rows = [[cell(name), cell(str(value))] for name, value in {**periods, **alert.figures}.items()]
    page = f'<p><a href="/{quote(alert.page)}">The report</a></p>' if alert.page else ""
    return f"<h2>{html.escape(heading)}</h2>{lines}{table(['Figure', 'Value'], rows, 'wrap') if rows else ''}{page}"


def _told(sent: Sequence[Delivery]) -> str:
    if not sent:
        return "<h2>Who was told</h2><p>No channel.</p>"
    rows = [
        [
            cell(f"{attempt.attempted_at:%Y-%m-%d %H:%M:%S}"),
            cell(attempt.channel),
            cell(attempt.action),
            cell(attempt.outcome if attempt.error is None else f"{attempt.outcome}: {attempt.error}"),
        ]
        for attempt in sent
    ]
    return f"<h2>Who was told</h2>{table(['When (UTC)', 'Channel', 'What', 'How it went'], rows, 'wrap')}"
