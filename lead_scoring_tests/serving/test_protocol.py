"""However the bytes of requests arrive, they are answered one after the other, and the short way answers as the long one does."""

import asyncio
import contextlib
import heapq
import itertools
import json
import socket
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

import pytest
import uvicorn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from uvicorn.server import ServerState

from lead_scoring_assets.serving.app import Api
from lead_scoring_assets.serving.keys import FILE, create_key
from lead_scoring_assets.serving.protocol import protocol
from lead_scoring_assets.serving.requests import Answered, Whole
from lead_scoring_assets.serving.worker import Worker
from lead_scoring_tests.serving.served import Served, as_json, requests
from lead_scoring_tests.serving.test_shadow import listening

LEADS = requests(3)
KEEP_ALIVE_SECONDS = 5


def post(path: str, body: bytes, *lines: str) -> bytes:
    """A whole request."""
    head = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", *lines, f"Content-Length: {len(body)}"]
    if not any(line.lower().startswith("content-type") for line in lines):
        head.append("Content-Type: application/json")
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


def answers(content: bytes) -> list[tuple[int, dict[str, str], Any]]:
    """Status, headers and body of each answer; what is not whole is an error."""
    found = []
    while content:
        head, _, rest = content.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        length = int(headers["content-length"])
        assert len(rest) >= length, rest
        found.append((int(first.split(" ")[1]), headers, json.loads(rest[:length])))
        content = rest[length:]
    return found


class Held(asyncio.Transport):
    """A connection in memory: what was written to it, and whether it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_closed = False

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.is_closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.is_closed

    def pause_reading(self) -> None:
        """Bytes are handed over by the tests alone."""

    resume_reading = pause_reading


class Later:
    """What a protocol asks of its loop for the short way, with a time that the tests move on."""

    def __init__(self) -> None:
        self.now = 0.0
        self._numbers = itertools.count()
        self._due: list[tuple[float, int, Callable[..., None], tuple[Any, ...], list[bool]]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, seconds: float, call: Callable[..., None], *given: Any) -> Any:
        cancelled = [False]
        heapq.heappush(self._due, (self.now + seconds, next(self._numbers), call, given, cancelled))

        class Handle:
            def cancel(self) -> None:
                cancelled[0] = True

        return Handle()

    def call_soon(self, call: Callable[..., None], *given: Any) -> Any:
        return self.call_later(0, call, *given)

    def pass_by(self, seconds: float) -> None:
        until = self.now + seconds
        while self._due and self._due[0][0] <= until:
            self.now, _, call, given, cancelled = heapq.heappop(self._due)
            if not cancelled[0]:
                call(*given)
        self.now = until


def connected(app: Api, loop: Any = None) -> tuple[Any, Held]:
    """The one connection to the application, without a network. `loop`: the running one, or what stands for it."""
    [connection] = connections(app, 1, loop)
    return connection


def connections(app: Api, n: int, loop: Any = None) -> list[tuple[Any, Held]]:
    """As many to the same server."""
    config = uvicorn.Config(app, ws="none", lifespan="off", log_config=None, timeout_keep_alive=KEEP_ALIVE_SECONDS)
    config.load()
    spoken, state = protocol(60.0, app), ServerState()
    found = [(spoken(config, state, {}, _loop=loop), Held()) for _ in range(n)]
    for made, held in found:
        made.connection_made(held)
    return found


@contextlib.contextmanager
def counted(worker: Worker) -> Iterator[list[bool]]:
    """For each request that took the short way, whether it was answered there."""
    found: list[bool] = []
    at_once = worker.app.at_once

    def counting(requests: Sequence[Whole]) -> list[Answered] | None:
        answered = at_once(requests)
        found.extend([answered is not None] * len(requests))
        return answered

    worker.app.at_once = counting  # type: ignore[method-assign]
    try:
        yield found
    finally:
        del worker.app.at_once


def spoken(address: str, sent: bytes, n: int = 1) -> list[tuple[int, dict[str, str], Any]]:
    """`n` answers over a connection of its own."""
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(sent)
        found = b""
        while part := connection.recv(65_536):
            found += part
            with contextlib.suppress(AssertionError, KeyError, ValueError):
                if len(told := answers(found)) >= n:
                    return told
    return answers(found)


CASES = {
    "a lead": ("/predict", as_json(LEADS[0]), ()),
    "its other name": ("/score-lead", as_json(LEADS[0]), ()),
    "all digits": ("/predict?exact=true", as_json(LEADS[0]), ()),
    "an id of its own": ("/predict", as_json(LEADS[0]), ("X-Request-ID: abc-1",)),
    "an unknown query": ("/predict?exact=maybe", as_json(LEADS[0]), ()),
    "an escaped query": ("/predict?%65xact=%74rue", as_json(LEADS[0]), ()),
    "a place in the page": ("/predict?exact=true#here", as_json(LEADS[0]), ()),
    "no JSON": ("/predict", b"{", ()),
    "nothing": ("/predict", b"", ()),
    "a field too few": ("/predict", as_json({"lead_id": "x"}), ()),
    "no number": ("/predict", as_json({**LEADS[0], "age": "old"}), ()),
    "another kind of text": ("/predict", as_json(LEADS[0]), ("Content-Type: text/plain",)),
    "parameters of the kind": ("/predict", as_json(LEADS[0]), ("Content-Type: APPLICATION/json; charset=utf-8",)),
    "an escaped address": ("/%70redict", as_json(LEADS[0]), ()),
    "too large": ("/predict", as_json(LEADS[0]) + b" " * 65_536, ()),
    "a foreign host": ("/predict", as_json(LEADS[0]), ("Host: leads.example.com",)),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("key", ["needs none", "has one", "has none"])
def test_the_short_way_answers_and_records_as_the_application_does(served: Served, case: str, key: str) -> None:
    """The application is asked where the caller wants the connection closed."""
    served.deploy(1)
    path, body, lines = CASES[case]
    if key != "needs none":
        token = create_key(served.home.serving / FILE, "crm", ["score"])
        lines = (*lines, f"Authorization: Bearer {token}") if key == "has one" else lines
    with served.worker() as worker, listening(worker) as address, counted(worker) as at_once:
        [short] = spoken(address, post(path, body, *lines))
        taken = [*at_once]
        [long] = spoken(address, post(path, body, *lines, "Connection: close"))
        assert at_once == taken
    # What is large comes in one part or in several.
    assert taken == [True] * (case not in ("a place in the page", "an escaped address")) or len(body) > 65_536
    assert short[0] == long[0]
    own = {"date", "x-request-id", "connection", "content-length"}
    assert {n: v for n, v in short[1].items() if n not in own} == {n: v for n, v in long[1].items() if n not in own}
    assert ({"date", "x-request-id"} <= short[1].keys(), "connection" in short[1]) == (True, False)
    assert {**short[2], "request_id": ""} == {**long[2], "request_id": ""}
    one, other = served.records()
    varies = {"request_id": "", "latency_us": 0}
    assert {**one, **varies} == {**other, **varies}
    assert one["request_id"] == short[1]["x-request-id"]


def _exchanges() -> dict[str, tuple[bytes, int, str]]:
    """Requests by name: the bytes, the status to expect, and a text that only their answers hold."""
    good, exact, bad = as_json(LEADS[0]), as_json(LEADS[1]), as_json({**LEADS[2], "age": "old"})
    return {
        "lead": (post("/predict", good), 200, LEADS[0]["lead_id"]),
        "exact": (post("/score-lead?exact=true", exact), 200, "score_exact"),
        "bad": (post("/predict", bad), 422, "a whole number"),
        "several": (post("/predict/batch", as_json({"leads": LEADS[2:]})), 200, '"scored": 1'),
        "health": (b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 200, "scoring_path"),
        "chunked": (
            b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(exact), exact),
            200,
            LEADS[1]["lead_id"],
        ),
        "unknown": (post("/nowhere", good), 404, "not_found"),
    }


EXCHANGES = _exchanges()


def test_however_requests_are_cut_they_are_answered_in_their_order(served: Served) -> None:
    """Several connections, whose bytes come in any order, in more turns of the loop or fewer."""
    served.deploy(1)
    scored = 0
    with served.worker() as worker, counted(worker) as at_once:

        @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
        @given(
            st.lists(st.lists(st.sampled_from(sorted(EXCHANGES)), min_size=1, max_size=5), min_size=1, max_size=4),
            st.lists(st.integers(0, 5_000), max_size=5),
            st.integers(0, 1 << 32).map(Random),
            st.sampled_from([0.0, 0.3, 1.0]),
        )
        def all_are_answered(callers: list[list[str]], cuts: list[int], order: Random, turns: float) -> None:
            nonlocal scored
            pieces = []
            for names in callers:
                stream = b"".join(EXCHANGES[name][0] for name in names)
                edges = sorted({0, len(stream), *(cut % len(stream) for cut in cuts)})
                pieces.append([stream[begin:end] for begin, end in itertools.pairwise(edges)])
            told = asyncio.run(answered(worker.app, pieces, [len(names) for names in callers], order, turns))
            for names, answers_of in zip(callers, told, strict=True):
                for name, (status, _, body) in zip(names, answers_of, strict=True):
                    assert (status, EXCHANGES[name][2] in json.dumps(body)) == (EXCHANGES[name][1], True), name
                scored += sum(name in ("lead", "exact", "several", "chunked") for name in names)

        all_are_answered()
        assert at_once.count(True) > 40
    assert len(served.records("score")) == scored


async def answered(
    app: Api, pieces: list[list[bytes]], n: list[int], order: Random, turns: float
) -> list[list[tuple[int, dict[str, str], Any]]]:
    """The loop goes round after some of the pieces, so that tasks of earlier requests are under way."""
    made = connections(app, len(pieces), asyncio.get_running_loop())
    turn = [number for number, own in enumerate(pieces) for _ in own]
    order.shuffle(turn)
    left = [iter(own) for own in pieces]
    for number in turn:
        made[number][0].data_received(next(left[number]))
        if order.random() < turns:
            await asyncio.sleep(0)
    async with asyncio.timeout(60):
        for (connection, held), answers_of in zip(made, n, strict=True):
            while held.written.count(b"HTTP/1.1 ") < answers_of or connection.tasks:
                await asyncio.sleep(0.001)
    for connection, _ in made:
        connection.connection_lost(None)
    return [answers(held.written) for _, held in made]


def whole(n: int = 0, **changed: Any) -> bytes:
    """A request for a lead of its own."""
    return post("/predict", as_json({**LEADS[0], "lead_id": f"lead-{n}", **changed}))


def test_a_library_is_waited_for_by_the_application(served: Served) -> None:
    served.deploy(3)
    with served.worker() as worker, listening(worker) as address, counted(worker) as at_once:
        [(status, _, told)] = spoken(address, post("/predict", as_json(LEADS[0])))
    assert (status, told["model_version"], at_once) == (200, "v3", [False])


def test_who_asks_before_sending_is_told_to_go_on(served: Served) -> None:
    served.deploy(1)
    body = as_json(LEADS[0])
    whole = post("/predict", body, "Expect: 100-continue")
    with served.worker() as worker, listening(worker) as address:
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(whole.removesuffix(body))
            assert connection.recv(65_536) == b"HTTP/1.1 100 Continue\r\n\r\n"
            connection.sendall(body)
            [(status, _, _)] = answers(connection.recv(65_536))
    assert status == 200


def test_who_leaves_in_the_middle_of_a_request_is_on_record(served: Served) -> None:
    served.deploy(1)

    async def leave() -> None:
        made, _ = connected(worker.app, asyncio.get_running_loop())
        made.data_received(post("/predict", as_json(LEADS[0]))[:-10])
        made.connection_lost(None)
        while made.tasks:
            await asyncio.sleep(0.001)

    with served.worker() as worker:
        asyncio.run(leave())
    assert [(record["status"], record["error"]) for record in served.records()] == [(400, "disconnected")]


def test_who_does_not_read_is_answered_when_they_do(served: Served) -> None:
    served.deploy(1)

    async def wait() -> None:
        made, held = connected(worker.app, asyncio.get_running_loop())
        made.pause_writing()
        made.data_received(post("/predict", as_json(LEADS[0])) * 3)
        await asyncio.sleep(0.05)
        assert not held.written
        made.resume_writing()
        async with asyncio.timeout(60):
            while made.tasks:
                await asyncio.sleep(0.001)
        assert [status for status, _, _ in answers(held.written)] == [200] * 3

    with served.worker() as worker:
        asyncio.run(wait())


def test_a_server_that_ends_answers_what_has_begun_to_arrive(served: Served) -> None:
    served.deploy(1)

    async def end() -> None:
        made, held = connected(worker.app, asyncio.get_running_loop())
        whole = post("/predict", as_json(LEADS[0]))
        made.data_received(whole[:-10])
        made.shutdown()
        made.data_received(whole[-10:])
        async with asyncio.timeout(60):
            while made.tasks:
                await asyncio.sleep(0.001)
        [(status, headers, _)] = answers(held.written)
        assert (status, headers["connection"], held.is_closed) == (200, "close", True)

    with served.worker() as worker:
        asyncio.run(end())


def test_a_connection_is_closed_when_it_has_been_idle_and_no_sooner(served: Served) -> None:
    served.deploy(1)
    with served.worker() as worker:
        loop = Later()
        made, held = connected(worker.app, loop)
        for _ in range(4):
            made.data_received(whole())
            loop.pass_by(KEEP_ALIVE_SECONDS - 1)
            assert not held.is_closed
        made.data_received(whole()[:-5])
        loop.pass_by(KEEP_ALIVE_SECONDS + 3)  # a request that is under way has a time of its own
        assert not held.is_closed
        made.data_received(whole()[-5:])
        loop.pass_by(KEEP_ALIVE_SECONDS - 1)
        assert not held.is_closed
        loop.pass_by(1)
        assert held.is_closed
    assert [status for status, _, _ in answers(held.written)] == [200] * 5


def test_a_connection_whose_request_waits_is_not_idle(served: Served) -> None:
    served.deploy(1)
    with served.worker() as worker:
        loop = Later()
        (made, held), _ = connections(worker.app, 2, loop)
        made.data_received(whole())
        loop.pass_by(0)
        assert [status for status, _, _ in answers(held.written)] == [200]
        loop.now = KEEP_ALIVE_SECONDS  # the timer is due, and the request comes before the loop has looked
        made.data_received(whole())
        loop.pass_by(0)
    assert [status for status, _, _ in answers(held.written)] == [200] * 2
    assert not held.is_closed
