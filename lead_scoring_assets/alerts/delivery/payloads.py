"""Messages in the words and shapes that receivers expect: text, Slack, PagerDuty events v2, plain JSON. Pure.

Texts can hold what a lead typed into a form: line breaks and control characters are taken out of titles, and what a
receiver would take for its own markup is escaped.
"""

import hashlib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from lead_scoring_assets.alerts.delivery.notices import Message, Notice
from lead_scoring_assets.alerts.kinds import Level

Payload = dict[str, Any]

_COLOURS: Mapping[Level, str] = {"info": "#36a64f", "warning": "#ffcc00", "critical": "#ff0000"}
_TITLE_LENGTH, _TEXT_LENGTH, _SUMMARY_LENGTH, _KEY_LENGTH = 200, 3_000, 1_024, 255
_LISTED = 20


@dataclass(frozen=True)
class Place:
    """Where messages come from: the installation's name, and the address that links lead to."""

    source: str
    dashboard_url: str

    def link(self, message: Message) -> str:
        """The page that the alert names, else the dashboard, told which episode it is about."""
        first = _first(message)
        if first.alert.page is not None and len(message.notices) == 1:
            return f"{self.dashboard_url.rstrip('/')}/{quote(first.alert.page)}"
        return f"{self.dashboard_url}?episode={quote(first.episode.episode_id, safe='')}"


def title(message: Message) -> str:
    """One line: what it is about."""
    first = _first(message)
    if len(message.notices) > 1:
        return f"{len(message.notices)} more alerts, the worst {message.level}"
    subject = one_line(first.alert.subject)
    words = {"raise": subject, "escalate": f"not acknowledged: {subject}", "resolve": f"resolved: {subject}"}
    return _cut(words[message.action], _TITLE_LENGTH)


def text(message: Message) -> str:
    """What happened; of a digest, one line for each."""
    if len(message.notices) == 1:
        return _cut(_readable(_first(message).alert.message), _TEXT_LENGTH)
    lines = [f"[{n.alert.level}] {_cut(one_line(n.alert.message), 140)}" for n in message.notices[:_LISTED]]
    rest = len(message.notices) - len(lines)
    return _cut("\n".join(lines + ([f"and {rest} more"] if rest else [])), _TEXT_LENGTH)


def plain(message: Message, place: Place) -> str:
    """Text for e-mail and chats: what happened, the figures, the link."""
    figures = [f"{name}: {value}" for name, value in _figures(message).items()]
    return "\n".join([text(message), "", *figures, f"Dashboard: {place.link(message)}"])


def subject(message: Message) -> str:
    """The subject of an e-mail: one line, with the level in front."""
    return f"[{message.level}] {title(message)}"


def slack(message: Message, place: Place, room: str) -> Payload:
    """An attachment in the colour of the level (green once resolved), with the figures as fields."""
    is_over = message.action == "resolve"
    mark = "✅" if is_over else "ℹ️" if message.level == "info" else "🚨"
    return {
        "channel": room,
        "attachments": [
            {
                "color": _COLOURS["info" if is_over else message.level],
                "title": f"{mark} {_slack_text(title(message))}",
                "text": _slack_text(text(message)),
                "fields": [
                    {"title": _slack_text(name), "value": _slack_text(str(value)), "short": True}
                    for name, value in _figures(message).items()
                ],
                "footer": f"<{place.link(message)}|View Dashboard>",
                "ts": int(_first(message).due_at.timestamp()),
            }
        ],
    }


def pagerduty(message: Message, place: Place, routing_key: str) -> Payload:
    """An event v2: the same key triggers one incident, however often it comes, and resolves it in the end."""
    identity = {"routing_key": routing_key, "dedup_key": _key(message.dedup_key)}
    if message.action == "resolve":
        return {**identity, "event_action": "resolve"}
    return {
        **identity,
        "event_action": "trigger",
        "payload": {
            "summary": _cut(f"{title(message)}: {one_line(text(message))}", _SUMMARY_LENGTH),
            "severity": message.level,
            "source": place.source,
            "timestamp": _first(message).alert.raised_at.isoformat(),
            "custom_details": webhook(message, place),
        },
        "links": [{"href": place.link(message), "text": "View Dashboard"}],
    }


def webhook(message: Message, place: Place) -> Payload:
    """The alert as plain JSON."""
    first = _first(message)
    return {
        "action": message.action,
        "severity": message.level,
        "title": title(message),
        "message": text(message),
        "timestamp": first.alert.raised_at.isoformat(),
        "metrics": first.alert.figures if len(message.notices) == 1 else {},
        "dashboard_link": place.link(message),
        "subject": first.alert.subject,
        "episode_id": first.episode.episode_id,
        "alert_ids": [notice.alert.alert_id for notice in message.notices],
        "source": place.source,
    }


def one_line(told: str) -> str:
    """`told` on one line, without control characters: nothing in it can begin a header of its own."""
    return " ".join("".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in told).split())


def _first(message: Message) -> Notice:
    return message.notices[0]


def _figures(message: Message) -> Mapping[str, Any]:
    """What stands beside the text: the alert's figures and the episode's name."""
    first = _first(message)
    own = first.alert.figures if len(message.notices) == 1 else {"alerts": len(message.notices)}
    return {**own, "episode": first.episode.episode_id}


def _readable(told: str) -> str:
    """Line breaks stay, other control characters go."""
    return "".join(c if c == "\n" or unicodedata.category(c) != "Cc" else " " for c in told)


def _slack_text(told: str) -> str:
    """Slack's three signs escaped: no text of ours mentions a channel or links anywhere."""
    return told.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(told: str, length: int) -> str:
    return told if len(told) <= length else f"{told[: length - 1]}…"


def _key(dedup_key: str) -> str:
    """A key as long as PagerDuty takes; longer ones are told apart by their hash."""
    if len(dedup_key) <= _KEY_LENGTH:
        return dedup_key
    return f"{dedup_key[: _KEY_LENGTH - 17]}-{hashlib.sha256(dedup_key.encode()).hexdigest()[:16]}"
