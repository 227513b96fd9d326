"""The shadow sees every lead and changes no answer, and every lead gets one record, whatever the model does."""

import contextlib
import json
import os
import signal
import socket
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lead_scoring_assets.errors import PredictionLogError
from lead_scoring_assets.files import write_atomically
from lead_scoring_assets.models.row_scorer import RowScorer
from lead_scoring_assets.rollout.traffic import Traffic
from lead_scoring_assets.serving.breaker import CircuitBreaker
from lead_scoring_assets.serving.counts import Totals
from lead_scoring_assets.serving.following import LoadedModel
from lead_scoring_assets.serving.shadow_process import Shadowing
from lead_scoring_assets.serving.shadow_turn import shadow_folder
from lead_scoring_assets.serving.worker import Worker, server_of
from lead_scoring_assets.settings import Breaker, ShadowQueue
from lead_scoring_tests.serving.served import Client, Served, as_json, copied, requests
from lead_scoring_tests.serving.shadowed import drain, each_has_its_record, owed, recorded, shadow_all, shadowing
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


def shadow_of(shadow: Shadowing, scorer: RowScorer, version: int = 2) -> None:
    """Put a model in the place of the one that the shadow follows."""
    shadow._follower.look()
    shadow._follower.model = LoadedModel(version, scorer, CircuitBreaker(Breaker()))


def ask_for(served: Served, bodies: list[dict[str, Any]], worker: str = "w0") -> list[dict[str, Any]]:
    """The answers of a worker that ends then."""
    with served.client(worker) as client:
        answers = [client.send("/predict?exact=true", body).json() for body in bodies]
    return [without_time(answer) for answer in answers]


def test_the_shadow_scores_every_lead_and_nobody_sees_it(served: Served) -> None:
    bodies = requests(40)
    served.deploy(1)
    with served.worker() as worker, listening(worker) as address:
        alone = [without_time(ask(address, body)) for body in bodies]
    served.deploy(1, 2)
    with served.worker() as worker, listening(worker) as address:
        beside = [without_time(ask(address, body)) for body in bodies]
        batch = ask(address, {"leads": bodies}, "/predict/batch")
        ask(address, bodies[0], "/explain-prediction")
        assert worker.follower.live is not None
        assert worker.follower.live.challenger is None  # no server scores by it
    assert beside == alone
    assert {result["model_version"] for result in batch["results"]} == {"v1"}
    assert len(owed(served.home)) == 2 * len(bodies)  # neither what was answered before, nor an explanation
    shadow_all(served.home)
    found = each_has_its_record(served.home)
    leads = owed(served.home)
    expected = served.scorer(2).row_probabilities([lead["features"] for lead in leads.values()]).tolist()
    assert [found[place]["shadow_score"] for place in leads] == expected
    assert {(record["shadow_version"], record["outcome"]) for record in found.values()} == {(2, "scored")}
    assert min(record["shadow_latency_us"] for record in found.values()) >= 0


def test_of_a_library_s_leads_one_is_timed_as_an_answer_would_be(served: Served) -> None:
    served.deploy(1, 2)
    ask_for(served, requests(20))
    with shadowing(served.home) as shadow:
        model = Scores(lambda: 0.25, "library")
        shadow_of(shadow, model)
        drain(shadow)
    found = each_has_its_record(served.home).values()
    assert model.calls == 2
    assert {record["shadow_score"] for record in found} == {0.25}
    assert [record["shadow_latency_us"] is not None for record in found] == [True] + [False] * 19


@pytest.mark.parametrize("path", ["one_row", "library"])
@pytest.mark.parametrize(
    ("does", "outcome"),
    [
        (raises, "failed"),
        (lambda: float("nan"), "not_finite"),
        (lambda: float("inf"), "not_finite"),
        (lambda: 7.0, "not_finite"),
        (lambda: "secret", "failed"),
        (lambda: None, "failed"),
    ],
)
def test_a_shadow_that_fails_costs_its_own_leads_only(
    served: Served, does: Callable[[], float], outcome: str, path: str
) -> None:
    served.deploy(1, 2)
    ask_for(served, requests(5))
    with shadowing(served.home) as shadow:
        shadow_of(shadow, Scores(does, path))
        drain(shadow)
        shadow_of(shadow, Scores(lambda: 0.5, path))
        ask_for(served, requests(5, seed=8))
        drain_new(shadow)
    records = list(each_has_its_record(served.home).values())
    assert Counter(record["outcome"] for record in records) == {outcome: 5, "scored": 5}
    assert "secret" not in json.dumps(records)
    told = dict(Totals(served.home.serving / "counts").shadows())
    assert (told[outcome], told["scored"]) == (5, 5)


@pytest.mark.parametrize("path", ["one_row", "library"])
def test_a_shadow_that_is_slow_has_no_score(served: Served, path: str) -> None:
    served.deploy(1, 2)
    ask_for(served, requests(3))
    with shadowing(served.home) as shadow:
        shadow_of(shadow, Scores(lambda: time.sleep(0.01) or 0.5, path))
        shadow._timeout_seconds = 0.001
        drain(shadow)
    found = each_has_its_record(served.home).values()
    assert {record["outcome"] for record in found} == {"timeout"}
    assert all(record["reason"].startswith("took ") for record in found)


def drain_new(shadow: Shadowing) -> None:
    """What has come just now; it looks for new segments only so often."""
    shadow._looked = -float("inf")
    model = shadow._follower.model
    assert shadow.step(time.monotonic())
    assert shadow._follower.model is model
    drain(shadow)


def test_one_lead_that_fails_in_a_library_fails_no_other(served: Served) -> None:
    served.deploy(1, 2)
    ask_for(served, requests(6))

    class FailsForOne(Scores):
        def probability(self, features: Any) -> float:
            return raises() if features == bad else 0.5

        def probabilities(self, rows: Any) -> list[float]:
            return [self.probability(row) for row in rows]

    bad = list(owed(served.home).values())[3]["features"]
    with shadowing(served.home) as shadow:
        shadow_of(shadow, FailsForOne(raises, "library"))
        drain(shadow)
    outcomes = [record["outcome"] for record in each_has_its_record(served.home).values()]
    assert outcomes == ["scored"] * 3 + ["failed"] + ["scored"] * 2


def test_of_too_many_the_oldest_are_dropped_and_recorded(served: Served) -> None:
    served.set_serving("{shadow: {queue: 70, timeout_ms: 60000.0}}")
    assert served.home.settings.serving.shadow == ShadowQueue(queue=70, timeout_ms=60_000.0)
    served.deploy(1, 2)
    ask_for(served, requests(100))
    shadow_all(served.home)
    found = list(each_has_its_record(served.home).values())
    assert [record["outcome"] for record in found] == ["dropped"] * 30 + ["scored"] * 70
    assert {record["reason"] for record in found[:30]} == {"more than 70 leads wait"}


def test_leads_of_a_version_that_is_no_longer_the_shadow_are_dropped(served: Served) -> None:
    served.deploy(1, 2)
    ask_for(served, requests(5))
    served.deploy(1, 3)
    ask_for(served, requests(5, seed=8), "w1")
    shadow_all(served.home)
    found = each_has_its_record(served.home).values()
    assert Counter((record["shadow_version"], record["outcome"]) for record in found) == {
        (2, "dropped"): 5,
        (3, "scored"): 5,
    }
    assert {record["reason"] for record in found} == {"v2 is not the shadow any more", None}


def test_a_shadow_that_servers_have_seen_first_is_not_dropped(served: Served) -> None:
    served.deploy(1, 2)
    with shadowing(served.home) as shadow:
        shadow.step(time.monotonic())
        shadow._looked = float("inf")  # it does not look by itself
        served.deploy(1, 3)
        ask_for(served, requests(5))
        shadow._unread.look()
        drain(shadow)
    assert {record["outcome"] for record in each_has_its_record(served.home).values()} == {"scored"}


def test_what_the_plain_rule_answered_is_not_compared(served: Served) -> None:
    served.deploy(1, 2)
    with served.worker() as worker, contextlib.closing(Client(worker.app)) as client:
        put(worker, Scores(raises))
        assert client.send("/predict", requests(1)[0]).json()["source"] == "fallback"
    assert [record["shadow_version"] for record in served.records("score")] == [None]


@pytest.mark.parametrize("mode", ["canary", "experiment"])
def test_who_answers_leads_has_no_shadow(served: Served, mode: Any) -> None:
    served.deploy(1, 2, Traffic(mode, 5_000, salt="s"))
    ask_for(served, requests(5))
    assert owed(served.home) == {}
    shadow_all(served.home)
    assert recorded(served.home) == []


def test_what_the_disk_does_not_take_is_written_when_it_does(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lead_scoring_assets.serving.shadow_process._RETRY_SECONDS", 0.0)
    served.deploy(1, 2)
    ask_for(served, requests(5))
    with shadowing(served.home) as shadow:
        write, refusals = shadow._writer.write, iter(range(6))

        def refuses(lines: bytes) -> None:
            for _ in refusals:
                raise PredictionLogError("the disk is full")
            write(lines)

        def keeps(path: Path, content: bytes) -> None:
            for _ in refusals:
                raise OSError(28, "No space left on device")
            write_atomically(path, content)

        monkeypatch.setattr(shadow._writer, "write", refuses)
        monkeypatch.setattr("lead_scoring_assets.serving.shadow_progress.write_atomically", keeps)
        for _ in range(3):
            assert shadow.step(time.monotonic())
            shadow._keep()
            assert recorded(served.home) == []
        drain(shadow)
    assert {record["outcome"] for record in each_has_its_record(served.home).values()} == {"scored"}


# Ends of the process


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (None, None),  # another server has been started
        (-signal.SIGKILL, None),
        (-signal.SIGTERM, None),
        (-signal.SIGALRM, "no answer within 60,000 ms"),
        (-signal.SIGSEGV, "its process ended (-11)"),
        (0, "its process ended (0)"),
    ],
)
@pytest.mark.parametrize("path", ["one_row", "library"])
def test_the_leads_that_a_model_ended_its_process_with_get_a_timeout(
    served: Served, code: int | None, reason: str | None, path: str
) -> None:
    served.deploy(1, 2)
    ask_for(served, requests(6))
    left = iter([0.5, 0.5])

    def ends() -> float:
        for score in left:
            return score
        raise SystemExit

    with shadowing(served.home) as shadow:
        shadow_of(shadow, Scores(ends, path))
        with pytest.raises(SystemExit):
            drain(shadow)
    assert recorded(served.home) == []
    with shadowing(served.home, code) as shadow:
        shadow_of(shadow, Scores(lambda: 0.5))
        drain(shadow)
        assert shadow._turn.strikes(2) == (reason is not None)
    found = list(each_has_its_record(served.home).values())
    # A library was asked for the first lead, and then for the others together.
    ended = [] if reason is None else found[2:3] if path == "one_row" else found[1:]
    assert [record for record in found if record["outcome"] != "scored"] == ended
    assert {(record["outcome"], record["reason"]) for record in ended} <= {("timeout", reason)}


def test_a_version_that_ended_its_process_three_times_is_asked_no_more(served: Served) -> None:
    served.deploy(1, 2)
    ask_for(served, requests(3))
    for strikes, version in ((1, 2), (2, 2), (3, 2), (1, 3)):
        with shadowing(served.home, 1) as shadow:
            shadow._turn.strike(version)
            assert shadow._turn.strikes(version) == strikes
        if strikes == 3:
            shadow_all(served.home, 1)
    found = each_has_its_record(served.home).values()
    assert {record["reason"] for record in found} == {"v2 has hung, or ended its process, 3 times"}
    with shadowing(served.home) as shadow:  # a new server forgives
        assert (shadow._turn.strikes(2), shadow._turn.strikes(3)) == (0, 0)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=4))
def test_wherever_it_was_killed_each_lead_gets_one_record(
    logged: Served, tmp_path_factory: pytest.TempPathFactory, ends: Sequence[tuple[float, bool]]
) -> None:
    """Killed in the midst of a write: what it wrote since it last kept its progress ends anywhere, also in half a line."""
    served = copied(logged, tmp_path_factory.mktemp("killed"))
    link_again(served)
    log = served.home.serving / "log"
    for part, has_kept in ends:
        before = set(log.iterdir())
        with shadowing(served.home) as shadow:
            for _ in range(2):
                shadow._kept = -float("inf") if has_kept else float("inf")
                shadow.step(time.monotonic())
            shadow._keep = lambda: None  # type: ignore[method-assign]  # it comes to no end
        for segment in set(log.iterdir()) - before:
            told = json.loads((shadow_folder(served.home) / "progress.json").read_bytes()) if has_kept else {}
            kept, size = told.get(segment.stem, 0), segment.stat().st_size
            os.truncate(segment, kept + round((size - kept) * part))
    shadow_all(served.home)
    each_has_its_record(served.home)


@pytest.fixture(scope="module")
def logged(made_served: Served, tmp_path_factory: pytest.TempPathFactory) -> Served:
    """Two workers have answered 150 leads each; nobody scores them, which takes time and tells nothing here."""
    served = copied(made_served, tmp_path_factory.mktemp("logged"))
    served.deploy(1, 2)
    for worker in ("w0", "w1"):
        ask_for(served, requests(150), worker)
    served.deploy(1)
    return served


def link_again(served: Served) -> None:
    """A copy of a folder has two files where there was one with two names."""
    for path in shadow_folder(served.home).glob("*.jsonl"):
        path.unlink()
        os.link(served.home.serving / "log" / path.name, path)
