"""The shadow sees every lead and changes no answer: through a real server, whatever the shadow does."""

import contextlib
import json
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lead_scoring_assets.serving.worker import Worker, server_of
from lead_scoring_assets.settings import ShadowQueue
from lead_scoring_tests.serving.served import Served, as_json, requests
from lead_scoring_tests.serving.test_breaker import Scores, put, raises


@contextlib.contextmanager
def listening(worker: Worker, request_seconds: float = 10.0) -> Iterator[str]:
    """The application behind a real server on a free port, in a thread; its address."""
    server = server_of(worker.app, request_seconds)
    server.config.load()
    held = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [held]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{held.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        held.close()


def ask(address: str, body: object, path: str = "/predict?exact=true") -> Any:
    asked = urllib.request.Request(address + path, as_json(body), {"content-type": "application/json"})
    with urllib.request.urlopen(asked, timeout=30) as answer:
        return json.loads(answer.read())


def without_time(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "scored_at"}


def test_the_shadow_scores_every_lead_and_nobody_sees_it(served: Served) -> None:
    bodies = requests(40)
    served.deploy(1)
    with served.worker() as worker, listening(worker) as address:
        alone = [without_time(ask(address, body)) for body in bodies]
    served.deploy(1, 2)
    with served.worker() as worker, listening(worker) as address:
        beside = [without_time(ask(address, body)) for body in bodies]
        batch = ask(address, {"leads": bodies}, "/predict/batch")
    assert beside == alone
    assert {result["model_version"] for result in batch["results"]} == {"v1"}
    shadows = served.records("shadow")
    earlier = [
        record for record in served.records("score") if record["request_id"] not in {r["request_id"] for r in shadows}
    ]
    scores = [record for record in served.records("score") if record not in earlier]
    assert len(earlier) == len(bodies)
    key = ("request_id", "lead_id")
    assert sorted(tuple(r[k] for k in key) for r in shadows) == sorted(tuple(r[k] for k in key) for r in scores)
    assert {record["outcome"] for record in shadows} == {"scored"}
    expected = served.scorer(2).row_probabilities([record["features"] for record in scores]).tolist()
    by_lead = {(r["request_id"], r["lead_id"]): r for r in shadows}
    for record, score in zip(scores, expected, strict=True):
        shadow = by_lead[record["request_id"], record["lead_id"]]
        assert (shadow["shadow_score"], shadow["champion_score"]) == (score, record["score"])
        assert (shadow["champion_version"], shadow["shadow_version"]) == (1, 2)
    timed = [shadow["shadow_latency_us"] for shadow in shadows if shadow["shadow_latency_us"] is not None]
    assert timed, "one of the leads that come together is scored alone"
    assert min(timed) >= 0


def hang() -> float:
    time.sleep(10)
    return 0.5


@pytest.mark.parametrize(
    ("does", "outcomes"),
    [
        (raises, {"failed"}),
        (lambda: float("nan"), {"not_finite"}),
        (lambda: 7.0, {"not_finite"}),
        (hang, {"timeout", "dropped"}),
    ],
)
def test_a_shadow_that_fails_changes_nothing(served: Served, does: Callable[[], float], outcomes: set[str]) -> None:
    bodies = requests(30)
    if does is hang:
        served.set_serving("{breaker: {timeout_ms: 60000.0}, shadow: {timeout_ms: 1000.0}}")
    served.deploy(1, 2)
    with served.worker() as worker, listening(worker) as address:
        expected = [without_time(ask(address, body)) for body in bodies]
        put(worker, challenger=Scores(does))
        found = [without_time(ask(address, body)) for body in bodies]
        assert json.loads(urllib.request.urlopen(f"{address}/health", timeout=10).read())["status"] == "ok"
    assert found == expected
    shadows = served.records("shadow")
    assert len(shadows) == 2 * len(bodies)
    assert len({record["request_id"] for record in shadows}) == 2 * len(bodies)
    after = [record for record in shadows if record["outcome"] != "scored"]
    assert len(after) == len(bodies)
    assert {record["outcome"] for record in after} <= outcomes
    assert all(record["shadow_score"] is None and record["reason"] for record in after)
    assert "secret" not in json.dumps(shadows)


def test_what_is_too_much_is_dropped_and_recorded(served: Served) -> None:
    served.set_serving("{shadow: {queue: 5, timeout_ms: 60000.0}}")
    assert served.home.settings.serving.shadow == ShadowQueue(queue=5, timeout_ms=60_000.0)
    served.deploy(1, 2)
    held = threading.Event()

    def wait() -> float:
        held.wait(30)
        return 0.5

    with served.worker() as worker:
        put(worker, challenger=Scores(wait))
        with listening(worker) as address:
            for body in requests(20):
                ask(address, body)
            held.set()
    outcomes = [record["outcome"] for record in served.records("shadow")]
    assert len(outcomes) == 20
    assert outcomes.count("dropped") >= 9
    assert outcomes.count("scored") == 20 - outcomes.count("dropped") >= 5


def test_a_canary_has_no_shadow(served: Served) -> None:
    from lead_scoring_assets.rollout.traffic import Traffic

    served.deploy(1, 2, Traffic("canary", 5_000, salt="s"))
    with served.worker() as worker, listening(worker) as address:
        for body in requests(5):
            ask(address, body)
    assert served.records("shadow") == []
