"""Carrying one message to one channel: Slack, PagerDuty and webhooks by plain HTTP, e-mail and all others by apprise.

Apprise is not used for the first three: it fixes their hosts and payloads, and does not tell a receiver that asks to be
left alone (429, Retry-After) from one that refuses. No secret leaves here but to its receiver.
"""

import http.client
import json
import logging
import os
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from lead_scoring_assets.alerts.delivery import payloads
from lead_scoring_assets.alerts.delivery.notices import Message, Outcome
from lead_scoring_assets.alerts.delivery.payloads import Place
from lead_scoring_assets.settings import Channel

# Too early, too many, or a server's own trouble: the same message may be taken later.
_TRY_LATER = frozenset({408, 425, 429})


@dataclass(frozen=True)
class Result:
    """How a send ended. `error` holds no secret."""

    outcome: Outcome
    error: str | None = None
    retry_after_seconds: float | None = None


def send(
    channel: Channel,
    message: Message,
    place: Place,
    timeout_seconds: float,
    environment: Mapping[str, str] | None = None,
) -> Result:
    """Deliver `message`, within `timeout_seconds` for all of it; never raises for what a receiver does."""
    secret = (os.environ if environment is None else environment).get(channel.secret, "").strip()
    if not secret:
        return Result(
            "refused",
            f"environment variable {channel.secret} is empty: expected the address or key of this channel there",
        )
    prepare = _apprise_call if channel.kind in ("email", "apprise") else _http_call
    # Getting ready may import a library: that is not the receiver's time.
    return _within(timeout_seconds, prepare(channel, message, place, timeout_seconds, secret))


def _within(seconds: float, carry: Callable[[], Result]) -> Result:
    """What `carry` gives, or that nobody answered in time. A socket's own timeout starts again with every byte.

    One that hangs is left behind in its thread, which ends with the process. If it gets through after all, the message
    arrives twice.
    """
    results: list[Result] = []
    thread = threading.Thread(target=lambda: results.append(carry()), name="alert-delivery", daemon=True)
    thread.start()
    thread.join(seconds)
    if results:
        return results[0]
    if thread.is_alive():
        return Result("unreachable", f"no answer within {seconds:g} seconds")
    return Result("refused", "it could not be sent; the process's error output says why")


def _http_call(
    channel: Channel, message: Message, place: Place, timeout_seconds: float, secret: str
) -> Callable[[], Result]:
    is_pager = channel.kind == "pagerduty"
    address = f"{channel.server}/v2/enqueue" if is_pager else secret
    if not _is_address(address):
        where = "its server" if is_pager else f"the address in {channel.secret}"
        told = f"{where} is none that can be used: expected one such as https://hooks.example.org/…"
        return lambda: Result("refused", told)
    if is_pager:
        event = payloads.pagerduty(message, place, secret)
        return lambda: _post(address, event, {}, timeout_seconds)
    body = payloads.slack(message, place, channel.room) if channel.kind == "slack" else payloads.webhook(message, place)
    # What brings the same notice again carries the same key.
    headers = {"Idempotency-Key": quote(message.message_id)}
    return lambda: _post(address, body, headers, timeout_seconds)


def _is_address(text: str) -> bool:
    """Whether it is one that HTTP can be spoken to: else libraries fail with texts that quote it, and with it the secret."""
    try:
        found = urlsplit(text)
        has_port = found.port is None or found.port > 0
    except ValueError:
        return False
    is_plain = all("!" <= sign <= "~" for sign in text)
    return is_plain and found.scheme in ("http", "https") and bool(found.hostname) and not found.username and has_port


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """An address that moves a secret elsewhere is not followed."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _post(address: str, body: payloads.Payload, headers: Mapping[str, str], timeout_seconds: float) -> Result:
    try:
        request = urllib.request.Request(  # noqa: S310  # the scheme was looked at
            address,
            data=json.dumps(body, default=str).encode(),
            headers={"Content-Type": "application/json; charset=utf-8", "User-Agent": "lead-scoring", **headers},
            method="POST",
        )
        with urllib.request.build_opener(_NoRedirects).open(request, timeout=timeout_seconds) as answer:
            answer.read(0)
            return Result("delivered")
    except urllib.error.HTTPError as refusal:
        with refusal:
            error = f"answered {refusal.code}"
            if refusal.code in _TRY_LATER or refusal.code >= 500:
                return Result("unreachable", error, _seconds(refusal.headers.get("Retry-After")))
            return Result("refused", error)
    except urllib.error.URLError as problem:
        return Result("unreachable", f"no connection ({_kind(problem.reason)})")
    except (OSError, http.client.HTTPException) as problem:
        return Result("unreachable", f"no connection ({_kind(problem)})")


def _apprise_call(
    channel: Channel, message: Message, place: Place, timeout_seconds: float, secret: str
) -> Callable[[], Result]:
    import apprise  # 0.3 seconds and 20 MB: not for those who only read

    # It quotes addresses that it does not understand, and with them the secret.
    logging.getLogger("apprise").disabled = True
    service = apprise.Apprise.instantiate(secret)
    if service is None:
        told = f"apprise does not understand the address in {channel.secret}: expected one such as mailtos://… or msteams://…"
        return lambda: Result("refused", told)
    if channel.kind == "email":
        service.notify_format = apprise.NotifyFormat.TEXT
    levels = {
        "info": apprise.NotifyType.INFO,
        "warning": apprise.NotifyType.WARNING,
        "critical": apprise.NotifyType.FAILURE,
    }
    sender = apprise.Apprise(service)

    def call() -> Result:
        arrived = sender.notify(
            body=payloads.plain(message, place),
            title=payloads.subject(message),
            notify_type=apprise.NotifyType.SUCCESS if message.action == "resolve" else levels[message.level],
            body_format=apprise.NotifyFormat.TEXT,
            timeout=timeout_seconds,
        )
        # It says that it failed, not whether trying again helps; most often nobody was there.
        told = f"apprise could not deliver it: is the receiver there, and does it take what {channel.secret} says?"
        return Result("delivered") if arrived else Result("unreachable", told)

    return call


def _kind(problem: object) -> str:
    return str(problem.strerror or type(problem).__name__) if isinstance(problem, OSError) else type(problem).__name__


def _seconds(retry_after: str | None) -> float | None:
    """Retry-After in seconds; a date would need the wall clock, and the back-off serves as well."""
    return float(retry_after) if retry_after and retry_after.strip().isdigit() else None
