"""Leads that arrive in one turn of the loop: written together, answered each, and nobody's fault is another's."""

import asyncio
import contextlib
import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from lead_scoring_assets.errors import PredictionLogError
from lead_scoring_assets.serving.following import LoadedModel
from lead_scoring_assets.serving.requests import Answered, Whole
from lead_scoring_assets.serving.together import TOGETHER
from lead_scoring_assets.serving.worker import Worker
from lead_scoring_tests.serving.served import Served, as_json
from lead_scoring_tests.serving.test_protocol import (
    EXCHANGES,
    LEADS,
    Held,
    answers,
    connected,
    connections,
    counted,
    post,
    whole,
)


@contextlib.contextmanager
def writes(worker: Worker) -> Iterator[list[int]]:
    """How many records each write to the log took."""
    found: list[int] = []
    parts = worker.app._endpoints._parts
    write = parts.write

    def counting(content: bytes) -> None:
        found.append(content.count(b"\n"))
        write(content)

    object.__setattr__(parts, "write", counting)
    try:
        yield found
    finally:
        object.__setattr__(parts, "write", write)


def test_leads_that_come_together_are_written_together_and_answered_each(served: Served) -> None:
    served.deploy(1)

    async def ask(sent: list[bytes]) -> list[Held]:
        made = connections(worker.app, len(sent), asyncio.get_running_loop())
        for (connection, held), content in zip(made, sent, strict=True):
            connection.data_received(content)
            assert not held.written
        await asyncio.sleep(0)
        return [held for _, held in made]

    with served.worker() as worker, writes(worker) as written:
        sent = [
            whole(0),
            post("/predict", b"{"),
            whole(2),
            whole(3, age="old"),
            post("/score-lead?exact=true", as_json(LEADS[1])),
            post("/predict", as_json(LEADS[1]), "Content-Type: text/plain"),
        ]
        told = [answers(held.written) for held in asyncio.run(ask(sent))]
    assert [[status for status, _, _ in own] for own in told] == [[200], [422], [200], [422], [200], [415]]
    assert [own[0][2].get("lead_id") for own in told] == ["lead-0", None, "lead-2", None, LEADS[1]["lead_id"], None]
    assert ["score_exact" in own[0][2] for own in told] == [False] * 4 + [True, False]
    assert written == [3]
    ids = {own[0][1]["x-request-id"]: own[0] for own in told}
    records = {record["request_id"]: record for record in served.records()}
    assert ids.keys() == records.keys()
    for request_id, (status, _, body) in ids.items():
        assert (records[request_id]["status"], records[request_id]["lead_id"]) == (status, body.get("lead_id"))


def test_however_they_were_sent_leads_that_come_together_are_answered_once(served: Served) -> None:
    served.deploy(1)
    names = ["chunked", "lead", "health", "exact", "chunked"]

    async def ask() -> list[Held]:
        made = connections(worker.app, len(names), asyncio.get_running_loop())
        for (connection, _), name in zip(made, names, strict=True):
            connection.data_received(EXCHANGES[name][0])
        async with asyncio.timeout(60):
            while not all(held.written for _, held in made) or any(connection.tasks for connection, _ in made):
                await asyncio.sleep(0.001)
        return [held for _, held in made]

    with served.worker() as worker:
        for held, name in zip(asyncio.run(ask()), names, strict=True):
            [(status, _, told)] = answers(held.written)
            assert (status, EXCHANGES[name][2] in json.dumps(told)) == (200, True)
    assert len(served.records("score")) == 4


def test_no_lead_waits_for_more_than_so_many_others(served: Served) -> None:
    served.deploy(1)

    async def ask() -> list[int]:
        made = connections(worker.app, TOGETHER + 3, asyncio.get_running_loop())
        for number, (connection, _) in enumerate(made):
            connection.data_received(whole(number))
        before = [bool(held.written) for _, held in made]
        assert before == [True] * TOGETHER + [False] * 3
        await asyncio.sleep(0)
        for number, (_, held) in enumerate(made):
            [(status, _, told)] = answers(held.written)
            assert (status, told["lead_id"]) == (200, f"lead-{number}")
        return written

    with served.worker() as worker, writes(worker) as written:
        assert asyncio.run(ask()) == [TOGETHER, 3]


def test_who_is_alone_waits_for_nobody(served: Served) -> None:
    served.deploy(1)

    async def ask() -> None:
        made, held = connected(worker.app, asyncio.get_running_loop())
        made.data_received(whole())
        assert [status for status, _, _ in answers(held.written)] == [200]

    with served.worker() as worker:
        asyncio.run(ask())


@pytest.mark.parametrize("how", ["leaves", "is closed by the server", "asks again"])
def test_whatever_happens_to_one_that_waits_all_are_answered(served: Served, how: str) -> None:
    served.deploy(1)

    async def ask() -> list[Held]:
        made = connections(worker.app, 3, asyncio.get_running_loop())
        for number, (connection, _) in enumerate(made):
            connection.data_received(whole(number))
        connection, held = made[1]
        if how == "leaves":
            held.is_closed = True  # as the transport is before the protocol hears of it
            connection.connection_lost(None)
        elif how == "is closed by the server":
            connection.shutdown()
        else:
            connection.data_received(whole(3))
        await asyncio.sleep(0)
        assert not any(connection.tasks for connection, _ in made)
        return [held for _, held in made]

    with served.worker() as worker:
        helds = asyncio.run(ask())
    told = [[(status, body["lead_id"]) for status, _, body in answers(held.written)] for held in helds]
    own = {"leaves": [], "is closed by the server": [(200, "lead-1")], "asks again": [(200, "lead-1"), (200, "lead-3")]}
    assert told == [[(200, "lead-0")], own[how], [(200, "lead-2")]]
    assert helds[1].is_closed == (how != "asks again")
    recorded = sorted(record["lead_id"] for record in served.records("score"))
    assert recorded == [f"lead-{number}" for number in range(4 if how == "asks again" else 3)]


def test_where_their_records_cannot_be_written_none_is_answered(served: Served) -> None:
    served.deploy(1)

    def full(content: bytes) -> None:
        raise PredictionLogError("the disk is full")

    async def ask() -> list[list[tuple[int, dict[str, str], Any]]]:
        made = connections(worker.app, 3, asyncio.get_running_loop())
        for connection, content in zip(made, [whole(0), whole(1, age="old"), whole(2)], strict=True):
            connection[0].data_received(content)
        await asyncio.sleep(0)
        return [answers(held.written) for _, held in made]

    with served.worker() as worker:
        object.__setattr__(worker.app._endpoints._parts, "write", full)
        told = asyncio.run(ask())
    assert [status for [(status, _, _)] in told] == [503, 422, 503]
    assert [headers.get("retry-after") for [(_, headers, _)] in told] == ["1", None, "1"]
    assert not served.records("score")


_EIGHT = range(18, 26)


async def _asked_together(worker: Worker, ages: Sequence[int]) -> list[tuple[int, Any]]:
    """The answers to leads of one turn, of whom only the age differs."""
    made = connections(worker.app, len(ages), asyncio.get_running_loop())
    for (connection, _), age in zip(made, ages, strict=True):
        connection.data_received(post("/predict?exact=true", as_json({**LEADS[0], "age": age})))
    await asyncio.sleep(0)
    return [(status, body) for _, held in made for status, _, body in answers(held.written)]


def _model(worker: Worker) -> LoadedModel:
    assert worker.follower.live is not None
    return worker.follower.live.champion


@pytest.mark.parametrize("version", [1, 2])
def test_leads_that_come_together_are_scored_in_one_call_each_as_if_alone(served: Served, version: int) -> None:
    served.deploy(version)
    with served.worker() as worker:
        scorer = _model(worker).scorer
        ages = range(18, 88, 10)
        alone = [body["score_exact"] for age in ages for _, body in asyncio.run(_asked_together(worker, [age]))]
        several, calls = scorer.probabilities, []

        def counting(rows: Sequence[Mapping[str, Any]]) -> list[float]:
            calls.append(len(rows))
            return several(rows)

        scorer.probabilities = counting  # type: ignore[method-assign]
        scorer.probability = None  # type: ignore[assignment, method-assign]
        together = [body["score_exact"] for _, body in asyncio.run(_asked_together(worker, ages))]
    assert calls == [7]
    assert together == alone
    assert len(set(together)) > 3


@pytest.mark.parametrize("count", [3, 9])
def test_a_lead_that_the_model_cannot_score_takes_no_other_with_it(served: Served, count: int) -> None:
    served.deploy(1)
    with served.worker() as worker:
        model = _model(worker)
        probability = model.scorer.probability

        def failing(features: Mapping[str, Any]) -> float:
            return math.nan if features["age"] == 19 else probability(features)

        model.scorer.probability = failing  # type: ignore[method-assign]
        model.scorer.probabilities = lambda rows: [*map(failing, rows)]  # type: ignore[method-assign]
        told = asyncio.run(_asked_together(worker, range(18, 18 + count)))
        assert [(status, body["source"]) for status, body in told] == [
            (200, "fallback" if number == 1 else "model") for number in range(count)
        ]
        assert model.breaker._failures == 1


def test_a_model_that_is_slow_for_many_is_left_alone(served: Served) -> None:
    served.deploy(1)
    with served.worker() as worker:
        model = _model(worker)
        several, seconds = (
            model.scorer.probabilities,
            2 * worker.app._endpoints._parts.settings.breaker.timeout_ms / 1e3,
        )

        def slow(rows: Sequence[Mapping[str, Any]]) -> list[float]:
            time.sleep(seconds)
            return several(rows)

        model.scorer.probabilities = slow  # type: ignore[method-assign]
        first = asyncio.run(_asked_together(worker, _EIGHT))
        assert model.breaker.state == "open"
        second = asyncio.run(_asked_together(worker, _EIGHT))
    assert {(status, body["source"]) for status, body in first} == {(200, "model")}
    assert {(status, body["source"]) for status, body in second} == {(200, "fallback")}


def test_whether_a_model_is_back_is_tried_with_one_lead(served: Served) -> None:
    served.deploy(1)
    with served.worker() as worker:
        model = _model(worker)
        long_ago = time.monotonic() - 3_600
        while model.breaker.state == "closed":
            model.breaker.failed(long_ago)
        probability, tried = model.scorer.probability, []

        def failing(features: Mapping[str, Any]) -> float:
            tried.append(features["age"])
            raise RuntimeError("not yet")

        model.scorer.probability = failing  # type: ignore[method-assign]
        told = asyncio.run(_asked_together(worker, _EIGHT))
        assert tried == [18]
        assert {body["source"] for _, body in told} == {"fallback"}
        model.breaker._opened_at = long_ago
        model.scorer.probability = probability  # type: ignore[method-assign]
        assert {body["source"] for _, body in asyncio.run(_asked_together(worker, _EIGHT))} == {"model"}


def test_a_library_that_comes_while_leads_wait_is_waited_for(served: Served) -> None:
    """Between arriving and being answered the champion has become one that the application has to wait for."""
    served.deploy(3)

    async def ask() -> list[list[tuple[int, dict[str, str], Any]]]:
        made = connections(worker.app, 3, asyncio.get_running_loop())
        for number, (connection, _) in enumerate(made):
            connection.data_received(whole(number) + whole(number + 10))
        async with asyncio.timeout(60):
            while any(connection.tasks for connection, _ in made) or any(
                held.written.count(b"HTTP/1.1 ") < 2 for _, held in made
            ):
                await asyncio.sleep(0.001)
        return [answers(held.written) for _, held in made]

    with served.worker() as worker, counted(worker) as at_once:
        told = asyncio.run(ask())
        assert at_once
        assert not any(at_once)
    assert [[body["lead_id"] for _, _, body in own] for own in told] == [
        [f"lead-{n}", f"lead-{n + 10}"] for n in range(3)
    ]
    assert len(served.records("score")) == 6


def test_nobody_waits_for_an_answer_that_will_never_come(served: Served) -> None:
    served.deploy(1)

    def broken(requests: Sequence[Whole]) -> list[Answered] | None:
        raise RuntimeError("a mistake of ours")

    async def ask() -> list[bool]:
        problems: list[Any] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: problems.append(context["exception"]))
        made = connections(worker.app, 2, loop)
        for connection, _ in made:
            connection.data_received(whole())
        await asyncio.sleep(0)
        assert [str(problem) for problem in problems] == ["a mistake of ours"]
        return [held.is_closed for _, held in made]

    with served.worker() as worker:
        worker.app.at_once = broken  # type: ignore[method-assign]
        assert asyncio.run(ask()) == [True, True]
