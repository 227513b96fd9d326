"""Sending to real receivers on loopback: what they get, and what becomes of those that do not answer as they should."""

import logging
import socket
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

import pytest

from lead_scoring_assets.alerts.delivery.payloads import Place
from lead_scoring_assets.alerts.delivery.senders import Result, send
from lead_scoring_assets.settings import Channel
from lead_scoring_tests.alerts.receivers import HttpReceiver, SmtpReceiver, http_receiver, smtp_receiver
from lead_scoring_tests.alerts.worlds import message, raised

# apprise looks for a module that Python is going to drop.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
PLACE = Place("free-zone", "https://monitoring.example.org/lead-scoring")
PATIENT, HASTY = 60.0, 0.4


@pytest.fixture
def http() -> Iterator[HttpReceiver]:
    with http_receiver() as receiver:
        yield receiver


@pytest.fixture
def smtp() -> Iterator[SmtpReceiver]:
    with smtp_receiver() as receiver:
        yield receiver


def hook(address: str, timeout: float = PATIENT, kind: Any = "webhook", **more: Any) -> Result:
    channel = Channel(kind=kind, secret="ADDRESS", **more)
    return send(channel, message(), PLACE, timeout, {"ADDRESS": address})


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (200, Result("delivered")),
        (202, Result("delivered")),
        (500, Result("unreachable", "answered 500")),
        (429, Result("unreachable", "answered 429")),
        ((429, {"Retry-After": "120"}), Result("unreachable", "answered 429", 120.0)),
        ((503, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}), Result("unreachable", "answered 503")),
        (400, Result("refused", "answered 400")),
        (404, Result("refused", "answered 404")),
        ((302, {"Location": "https://elsewhere.example/"}), Result("refused", "answered 302")),
    ],
)
def test_an_answer_is_understood(http: HttpReceiver, answer: Any, result: Result) -> None:
    http.script.append(answer)
    assert hook(f"{http.url}/sesame") == result
    [post] = http.posts
    assert post.path == "/sesame"
    assert post.headers["Content-Type"] == "application/json; charset=utf-8"
    assert post.headers["Idempotency-Key"] == "alert-run-1/critical/there"


@pytest.mark.parametrize("silence", ["never", "trickle"])
def test_who_does_not_answer_in_time_is_left(http: HttpReceiver, silence: Any) -> None:
    http.script.append(silence)
    found = hook(http.url, HASTY)
    assert found.outcome == "unreachable"
    assert found.error in (
        f"no answer within {HASTY:g} seconds",
        "no connection (timed out)",
        "no connection (TimeoutError)",
    )
    assert hook(http.url) == Result("delivered")


def test_nobody_at_the_address() -> None:
    assert hook(f"http://127.0.0.1:{closed_port()}/sesame") == Result(
        "unreachable", "no connection (Connection refused)"
    )


@pytest.mark.parametrize(
    "address",
    [
        "sesame",
        "file:///etc/passwd",
        "ftp://127.0.0.1/sesame",
        "http://[sesame",
        "http://",
        "https:///sesame",
        "http://127.0.0.1:port/sesame",
        "http://127.0.0.1:99999/sesame",
        "http://127.0.0.1:0/sesame",
        "http://mona:sesame@127.0.0.1/",
        "http://127.0.0.1/sesame größer",
        "http://127.0.0.1/sesame\nX-More: 1",
    ],
)
def test_an_address_that_is_none_is_refused_without_showing_it(address: str, capfd: pytest.CaptureFixture[str]) -> None:
    """And it is not taken for a receiver that is away."""
    found = hook(address)
    assert found.outcome == "refused"
    assert found.error is not None
    assert "the address in ADDRESS is none that can be used" in found.error
    assert "sesame" not in found.error + "".join(capfd.readouterr())


def test_a_pager_whose_server_is_none_is_refused() -> None:
    channel = Channel(kind="pagerduty", secret="KEY", server="http://127.0.0.1:99999")
    found = send(channel, message(), PLACE, PATIENT, {"KEY": "R0"})
    assert (found.outcome, found.error is not None and found.error.split(":")[0]) == (
        "refused",
        "its server is none that can be used",
    )


@pytest.mark.parametrize("environment", [{}, {"ADDRESS": " "}])
def test_a_missing_secret_is_named(environment: dict[str, str]) -> None:
    found = send(Channel(kind="slack", secret="ADDRESS"), message(), PLACE, PATIENT, environment)
    assert found.outcome == "refused"
    assert found.error is not None
    assert "environment variable ADDRESS is empty" in found.error


def test_slack_gets_its_room(http: HttpReceiver) -> None:
    hook(f"{http.url}/services/T0", kind="slack")
    hook(f"{http.url}/services/T0", kind="slack", room="#ml-deployments")
    assert [post.json["channel"] for post in http.posts] == ["#ml-alerts", "#ml-deployments"]


def test_pagerduty_gets_an_event_with_the_key(http: HttpReceiver) -> None:
    channel = Channel(kind="pagerduty", secret="KEY", server=http.url)
    assert send(channel, message(), PLACE, PATIENT, {"KEY": "R0"}) == Result("delivered")
    [post] = http.posts
    assert post.path == "/v2/enqueue"
    assert (post.json["routing_key"], post.json["event_action"]) == ("R0", "trigger")


def test_any_script_arrives_as_it_was_written(http: HttpReceiver) -> None:
    told = "größer, أكبر, 更大, 🚨 \ud83d"  # the last is half a sign, as broken exports hold them
    channel = Channel(kind="webhook", secret="ADDRESS")
    found = send(channel, message(raised(message=told[:-1])), PLACE, PATIENT, {"ADDRESS": http.url})
    assert found == Result("delivered")
    assert http.posts[0].json["message"] == told[:-1]
    assert send(channel, message(raised(message=told)), PLACE, PATIENT, {"ADDRESS": http.url}) == Result("delivered")
    assert http.posts[1].json["message"].startswith(told[:-1])


# E-mail, by apprise.


def mail(smtp: SmtpReceiver, sent: Any = None, timeout: float = PATIENT, kind: Any = "email") -> Result:
    address = f"mailto://127.0.0.1:{smtp.port}/?from=alerts@example.org&to=mona@example.org,omar@example.org"
    return send(Channel(kind=kind, secret="MAIL"), sent or message(), PLACE, timeout, {"MAIL": address})


def body(found: EmailMessage) -> str:
    part = found.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


@pytest.mark.parametrize("kind", ["email", "apprise"])
def test_mail_arrives(smtp: SmtpReceiver, kind: Any) -> None:
    assert mail(smtp, message(raised(message="zu groß: 更大")), kind=kind) == Result("delivered")
    assert sorted(smtp.recipients) == ["mona@example.org", "omar@example.org"]
    for found in smtp.parsed():
        assert found["Subject"] == "[critical] retraining"
    if kind == "email":
        told = body(smtp.parsed()[0])
        assert "zu groß: 更大" in told
        assert "Dashboard: https://monitoring.example.org/lead-scoring?episode=alert-run-1" in told


def test_what_a_lead_typed_begins_no_header(smtp: SmtpReceiver) -> None:
    evil = "ACME\r\nBcc: everybody@example.org\r\n\r\n<b>hello</b>"
    assert mail(smtp, message(raised(subject=evil, message=evil))) == Result("delivered")
    assert set(smtp.recipients) == {"mona@example.org", "omar@example.org"}
    found = smtp.parsed()[0]
    assert found["Bcc"] is None
    assert str(found["Subject"]).startswith("[critical] ACME Bcc: everybody@example.org")
    assert found.get_content_type() == "text/plain"


def test_mail_that_is_refused_and_a_server_that_is_silent_or_gone(smtp: SmtpReceiver) -> None:
    smtp.refuse = True
    told = "apprise could not deliver it: is the receiver there, and does it take what MAIL says?"
    assert mail(smtp) == Result("unreachable", told)
    smtp.refuse, smtp.silent = False, True
    assert mail(smtp, timeout=HASTY).outcome == "unreachable"
    smtp.port = closed_port()
    assert mail(smtp).outcome == "unreachable"
    assert smtp.mails == []


@pytest.mark.parametrize(
    "address",
    ["mailto//user:sesame@127.0.0.1", "nosuch://sesame@127.0.0.1", "tgram://sesame", "mailto://u:sesame@:99999"],
)
def test_an_address_that_apprise_does_not_understand_is_not_shown(
    address: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG):
        found = send(Channel(kind="apprise", secret="CHAT"), message(), PLACE, PATIENT, {"CHAT": address})
    assert found.outcome == "refused"
    assert "sesame" not in str(found) + caplog.text + "".join(capfd.readouterr())
