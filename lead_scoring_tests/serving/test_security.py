"""Whatever is sent: nothing crashes, leaks or is lost. Through a real server, or as the OpenAPI document says."""

import contextlib
import json
import socket
import urllib.request

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings

from lead_scoring_assets.serving.keys import FILE, create_key
from lead_scoring_tests.serving.served import Served, as_json, requests
from lead_scoring_tests.serving.test_shadow import ask, listening

LEAKS = ("Traceback", "site-packages", ".py", "lead_scoring_assets", "/tmp", "sqlite", "pydantic")
INJECTIONS = (
    "'; DROP TABLE leads; --", "O'Brien", "${jndi:ldap://x}", "../../etc/passwd", "<script>alert(1)</script>", "%s%n%x",
    "{{7*7}}", "=cmd|' /C calc'!A0", "\u202egnp.exe", "\x00", "a\r\nX-Injected: 1", "🏗️ Zoë محمد", "null", "None", "NaN", "￾",
    "\ufeff",
)  # fmt: skip
[LEAD] = requests(1)


@pytest.mark.parametrize("text", INJECTIONS)
def test_what_looks_like_an_attack_is_text_and_kept_as_it_was_sent(served: Served, text: str) -> None:
    served.deploy(1)
    feedback = {"lead_id": text, "outcome": "lost", "outcome_at": "2008-12-24T10:00:00Z", "reason": text}
    with served.client() as client:
        answer = client.send("/predict", {**LEAD, "lead_id": text, "rep": text})
        assert answer.json()["lead_id"] == text
        assert "x-injected" not in answer.headers
        told = client.send("/feedback", {**feedback, "rep": text, "idempotency_key": text})
        assert told.json()["is_new"] is True
        assert client.send("/feedback", {**feedback, "rep": text, "idempotency_key": text}).json()["is_new"] is False
    score, kept = served.records()
    assert score["lead_id"] == text
    assert [kept[name] for name in ("lead_id", "reason", "rep", "idempotency_key")] == [text] * 4


def test_the_api_does_what_its_document_says(served: Served) -> None:
    """schemathesis: valid requests are answered, invalid ones refused, both as documented; nothing is a server's error."""
    served.deploy(1)
    with served.worker() as worker, listening(worker) as address:
        with urllib.request.urlopen(f"{address}/openapi.json", timeout=30) as answer:
            schema = schemathesis.openapi.from_dict(json.loads(answer.read()))
        asked = {
            mode: sum(ask_all(result.ok(), mode, address) for result in schema.get_all_operations())
            for mode in schemathesis.GenerationMode
        }
        assert min(asked.values()) > 50
        assert ask(address, LEAD)["source"] == "model"


def ask_all(operation: schemathesis.APIOperation, mode: schemathesis.GenerationMode, address: str) -> int:
    """How many requests of this kind were sent; each answer is held against the document."""
    if operation.method != "post":
        return 0
    asked = 0

    @settings(max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask_one(case: schemathesis.Case) -> None:
        nonlocal asked
        case.call_and_validate(base_url=address)
        asked += 1

    ask_one()
    return asked


def raw(address: str, *parts: bytes, seconds: float = 20.0) -> bytes:
    """What a server answers to bytes that are sent in parts, until it closes or the time is over."""
    host, port = address.removeprefix("http://").split(":")
    found = b""
    with (
        socket.create_connection((host, int(port)), timeout=seconds) as held,
        contextlib.suppress(TimeoutError, ConnectionError),
    ):
        for part in parts:
            held.sendall(part)
        while part := held.recv(65_536):
            found += part
    return found


HEAD = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 300_000 + b"\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X: a\r\n" * 40_000 + b"\r\n",
        HEAD + b"Content-Length: -5\r\n\r\n{}",
        HEAD + b"Content-Length: 5\r\nContent-Length: 7\r\n\r\n{}",
        HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n{}",
        HEAD + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\nZZ\r\n{}\r\n0\r\n\r\n",
        HEAD + b"Content-Length: 100000000000\r\nConnection: close\r\n\r\n{}",
        HEAD + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + (b"8000\r\n" + b"a" * 0x8000 + b"\r\n") * 4,
        HEAD + b"Content-Length: 2\r\nConnection: close\r\n\r\n{}",
        b"POST /predict HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
        b"POST http://127.0.0.1/../../etc/passwd HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
        b"DELETE /%2e%2e/%00 HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused_and_the_next_one_answered(served: Served, sent: bytes) -> None:
    served.deploy(1)
    with served.worker() as worker, listening(worker, request_seconds=1.0) as address:
        answer = raw(address, sent)
        status = int(answer.split(b" ")[1]) if answer else 400
        assert 400 <= status < 500
        assert not any(leak.encode() in answer for leak in LEAKS)
        assert ask(address, LEAD)["source"] == "model"


@pytest.mark.parametrize("length", [65_536, 65_537, 200_000])
def test_a_body_of_the_limit_is_read_and_a_larger_one_is_not(served: Served, length: int) -> None:
    served.deploy(1)
    body = as_json(LEAD)
    with served.client() as client:
        answer = client.post(
            "/predict", content=body + b" " * (length - len(body)), headers={"content-type": "application/json"}
        )
    assert answer.status_code == (200 if length <= 65_536 else 413)
    assert [record["status"] for record in served.records()] == [answer.status_code]


@pytest.mark.parametrize("part", [b"", HEAD[:30], HEAD + b"Content-Length: 10\r\n\r\n{"])
def test_who_is_slow_is_sent_away_and_holds_up_nobody(served: Served, part: bytes) -> None:
    served.deploy(1)
    with served.worker() as worker, listening(worker, request_seconds=0.4) as address:
        host, port = address.removeprefix("http://").split(":")
        slow = [socket.create_connection((host, int(port)), timeout=30) for _ in range(50)]
        for held in slow:
            held.sendall(part)
        assert ask(address, LEAD)["source"] == "model"
        for held in slow:
            assert held.recv(100).startswith(b"HTTP/1.1 408")
            assert held.recv(65_536) is not None
            held.close()


@pytest.mark.parametrize("piece_bytes", [20_000, 70_000, 1_000_000])
def test_a_head_up_to_64_kib_is_read_and_a_larger_one_is_not(served: Served, piece_bytes: int) -> None:
    served.deploy(1)
    body = as_json(LEAD)
    last = HEAD.replace(b"Host", b"Connection: close\r\nHost")
    with served.worker() as worker, listening(worker) as address:
        for filling in (65_000, 66_000, 400_000):
            whole = last + b"X-Filling: %s\r\nContent-Length: %d\r\n\r\n" % (b"x" * filling, len(body)) + body
            pieces = [whole[i : i + piece_bytes] for i in range(0, len(whole), piece_bytes)]
            # Who goes on sending to a connection that is closed may not come to read why.
            answers = {b"HTTP/1.1 200"} if filling < 65_536 else {b"HTTP/1.1 431", b""}
            assert raw(address, *pieces)[:12] in answers


def test_a_request_in_pieces_and_several_in_one_are_answered(served: Served) -> None:
    served.deploy(1)
    body = as_json(LEAD)
    whole = HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
    last = whole.replace(b"Host", b"Connection: close\r\nHost")
    with served.worker() as worker, listening(worker, request_seconds=5.0) as address:
        pieces = [last[i : i + 40] for i in range(0, len(last), 40)]
        assert raw(address, *pieces).count(b"HTTP/1.1 200") == 1
        assert raw(address, whole + whole + last).count(b"HTTP/1.1 200") == 3
    assert len(served.records("score")) == 4


def test_probing_for_keys_tells_nothing(served: Served) -> None:
    served.deploy(1)
    token = create_key(served.home.serving / FILE, "crm", ["score"])
    key_id = token.split("_")[1]
    probes = ["", "x", token[:-1], token + "0", f"lsk_{key_id}_", f"lsk_{key_id}_x", "lsk__", "é" * 10, token.upper()]
    with served.client() as client:
        answers = [
            client.post(
                "/predict",
                content=as_json(LEAD),
                headers={"content-type": "application/json", "x-api-key": probe.encode("latin-1")},
            )
            for probe in probes
        ]
        assert client.send("/predict", LEAD, **{"x-api-key": token}).status_code == 200
    assert {answer.status_code for answer in answers} == {401}
    assert len({json.dumps({**answer.json(), "request_id": ""}) for answer in answers}) == 1
