"""The circuit breaker as a state machine, and leads that are answered whatever the model does."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.lots import lot
from lead_scoring_assets.models.row_scorer import RowScorer
from lead_scoring_assets.rollout.traffic import Traffic
from lead_scoring_assets.serving.breaker import CircuitBreaker
from lead_scoring_assets.serving.following import LoadedModel
from lead_scoring_assets.serving.worker import Worker
from lead_scoring_assets.settings import Breaker
from lead_scoring_tests.serving.served import BASE_RATE, Client, Served, requests

POLICY = Breaker(failures=3, of_last=5, open_seconds=10.0)


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 4)), max_size=80))
def test_it_is_what_its_definition_says(calls: list[tuple[bool, float]]) -> None:
    """Against a model that keeps all of history and looks at it anew each time."""
    breaker, now = CircuitBreaker(POLICY), 0.0
    history: list[bool] = []  # failures since it was closed last
    opened: float | None = None
    for fails, gap in calls:
        now += gap
        expected = opened is None or now - opened >= POLICY.open_seconds
        assert breaker.allows(now) == expected
        if not expected:
            assert breaker.state == "open"
            continue
        assert breaker.state == ("closed" if opened is None else "half_open")
        if fails:
            breaker.failed(now)
        else:
            breaker.succeeded()
        if opened is not None:
            opened, history = (now, []) if fails else (None, [])
        else:
            history.append(fails)
            if fails and sum(history[-POLICY.of_last :]) >= POLICY.failures:
                opened = now
        assert (breaker.state == "closed") == (opened is None)


def test_one_call_tries_and_one_that_never_comes_back_is_not_waited_for() -> None:
    breaker = CircuitBreaker(POLICY)
    for _ in range(3):
        breaker.failed(0.0)
    assert [breaker.allows(t) for t in (9.9, 10.0, 10.1, 19.9, 20.0, 20.1)] == [False, True, False, False, True, False]


class Scores(RowScorer):
    """In place of a model: does what it is told."""

    def __init__(self, does: Callable[[], float], path: str = "one_row") -> None:
        self.does, self.path, self.calls = does, path, 0  # type: ignore[assignment]

    def probability(self, features: Any) -> float:
        self.calls += 1
        return self.does()

    def probabilities(self, rows: Any) -> list[float]:
        self.calls += 1
        return [self.does() for _ in rows]


def raises() -> float:
    raise RuntimeError("secret internals")


def hangs() -> float:
    time.sleep(0.6)
    return 0.9


def put(worker: Worker, champion: Scores | None = None, challenger: Scores | None = None) -> None:
    """Put models in the place of those that the server follows."""
    from dataclasses import replace

    live, policy = worker.follower.live, Breaker()
    assert live is not None
    if champion is not None:
        live = replace(live, champion=LoadedModel(1, champion, CircuitBreaker(policy)))
    if challenger is not None:
        live = replace(live, challenger=LoadedModel(2, challenger, CircuitBreaker(policy)))
    worker.follower.live = live


@pytest.mark.parametrize(("does", "path"), [(raises, "one_row"), (raises, "library"), (hangs, "library")])
def test_a_model_that_fails_never_fails_a_lead(hurried: Served, does: Callable[[], float], path: str) -> None:
    hurried.deploy(1)
    with hurried.worker() as worker:
        client, model = Client(worker.app), Scores(does, path)
        put(worker, model)
        answers = [client.send("/predict", body) for body in requests(8)]
        batch = client.send("/predict/batch", {"leads": requests(3)}).json()
        health = client.get("/health").json()
        client.close()
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["source"] for answer in answers} == {"fallback"}
    assert {answer.json()["lead_score"] for answer in answers} == {BASE_RATE}
    assert {answer.json()["model_version"] for answer in answers} == {None}
    assert {result["source"] for result in batch["results"]} == {"fallback"}
    assert "secret" not in "".join(answer.text for answer in answers)
    assert 4 <= model.calls <= 5  # then it was left alone; of five that hang, the fifth waits for a thread
    assert (health["status"], health["breaker"]) == ("degraded", "open")
    assert {(r["source"], r["model_version"]) for r in hurried.records("score")} == {("fallback", None)}


def test_a_model_that_recovers_is_asked_again(served: Served) -> None:
    served.set_serving("{breaker: {failures: 1, of_last: 1, open_seconds: 0.05}}")
    served.deploy(1)
    with served.worker() as worker:
        client, model = Client(worker.app), Scores(raises)
        put(worker, model)
        assert worker.follower.live is not None
        object.__setattr__(
            worker.follower.live.champion, "breaker", CircuitBreaker(served.home.settings.serving.breaker)
        )
        sources = [client.send("/predict", body).json()["source"] for body in requests(2)]
        model.does = lambda: 0.25
        time.sleep(0.06)
        sources += [client.send("/predict", body).json()["source"] for body in requests(3)]
        client.close()
    assert sources == ["fallback", "fallback", "model", "model", "model"]


@pytest.mark.parametrize("does", [lambda: float("nan"), lambda: 1.5, lambda: float("inf")])
def test_what_is_no_probability_is_not_answered(served: Served, does: Callable[[], float]) -> None:
    served.deploy(1)
    with served.worker() as worker:
        client = Client(worker.app)
        put(worker, Scores(does))
        answer = client.send("/predict", requests(1)[0]).json()
        batch = client.send("/predict/batch", {"leads": requests(2)}).json()
        client.close()
    assert answer["source"] == "fallback"
    assert {result["source"] for result in batch["results"]} == {"fallback"}


@pytest.mark.parametrize("found", [float("nan"), float("inf"), 1.5, 0.123])
def test_what_contributions_do_not_add_up_to_is_not_explained(
    served: Served, monkeypatch: pytest.MonkeyPatch, found: float
) -> None:
    served.deploy(1)
    with served.worker() as worker:
        client = Client(worker.app)
        assert worker.follower.live is not None
        monkeypatch.setattr(worker.follower.live.champion.scorer, "probability", lambda _: found)
        answer = client.send("/explain-prediction", requests(1)[0])
        client.close()
    assert (answer.status_code, answer.json()["error"]) == (503, "explanation")
    assert served.records("score") == []


def test_the_champion_answers_for_its_challenger(served: Served) -> None:
    traffic = Traffic("canary", 10_000, salt="s", rollout_id="r")
    served.deploy(1, 2, traffic)
    with served.worker() as worker:
        client = Client(worker.app)
        put(worker, Scores(lambda: 0.25), Scores(raises))
        answer = client.send("/predict", requests(1)[0]).json()
        batch = client.send("/predict/batch", {"leads": requests(2)}).json()["results"]
        client.close()
    for told in (answer, *batch):
        assert (told["lead_score"], told["source"], told["model_version"]) == (0.25, "fallback", "v1")
    assert {(r["arm"], r["source"]) for r in served.records("score")} == {("challenger", "fallback")}


def test_a_lead_of_which_nothing_is_known_is_503(served: Served) -> None:
    served.deploy(1, base_rate=None)
    with served.worker() as worker:
        client = Client(worker.app)
        put(worker, Scores(raises))
        refused = client.send("/predict", requests(1)[0])
        client.close()
    assert (refused.status_code, refused.json()["error"]) == (503, "no_model")


@pytest.mark.parametrize("mode", ["canary", "experiment"])
def test_leads_are_split_by_their_lots_and_each_answer_is_its_arms(served: Served, mode: Any) -> None:
    traffic = Traffic(mode, 3_000, salt="s", rollout_id="r", experiment_id="e")
    served.deploy(1, 2, traffic)
    bodies = requests(60)
    with served.client() as client:
        single = [client.send("/predict", body).json() for body in bodies]
        batch = client.send("/predict/batch", {"leads": bodies}).json()["results"]
    expected = ["v2" if lot("s", body["lead_id"]) < 3_000 else "v1" for body in bodies]
    assert [answer["model_version"] for answer in single] == expected
    assert [answer["model_version"] for answer in batch] == expected
    assert len(set(expected)) == 2
    for record in served.records("score"):
        is_challenger = record["arm"] == "challenger"
        assert record["model_version"] == (2 if is_challenger else 1)
        assert record["propensity"] == pytest.approx(0.3 if is_challenger else 0.7)
        assert (record["share_bp"], record["rollout_id"], record["experiment_id"]) == (3_000, "r", "e")
        assert record["unit_id"] == record["lead_id"]


def test_a_champion_that_is_tested_against_the_process_is_no_fallback(served: Served) -> None:
    served.deploy(1, 1, Traffic("experiment", 10_000, salt="s", experiment_id="e", control="process"))
    with served.client() as client:
        answers = [client.send("/predict", body).json() for body in requests(5)]
    assert {(answer["source"], answer["model_version"]) for answer in answers} == {("model", "v1")}
    kept = served.records("score")
    assert {(r["arm"], r["source"], r["model_version"]) for r in kept} == {("challenger", "model", 1)}


def test_in_the_arm_of_the_process_no_score_is_shown_and_it_is_kept(served: Served) -> None:
    served.deploy(1, 2, Traffic("experiment", 5_000, salt="s", experiment_id="e", control="process"))
    with served.client() as client:
        answers = [client.send("/predict?exact=true", body).json() for body in requests(30)]
    hidden = [answer for answer in answers if answer["source"] == "process"]
    assert 0 < len(hidden) < 30
    for answer in hidden:
        shown = {answer[name] for name in ("lead_score", "score_bucket", "model_version", "score_exact")}
        assert shown == {None}
    kept = [record for record in served.records("score") if record["arm"] == "process"]
    assert len(kept) == len(hidden)
    assert all(0 < record["score"] < 1 for record in kept)


def test_reps_are_drawn_where_reps_are_the_unit(served: Served) -> None:
    served.deploy(1, 2, Traffic("experiment", 5_000, salt="s", experiment_id="e", unit="rep"))
    with served.client() as client:
        for number, body in enumerate(requests(40)):
            client.send("/predict", {**body, "rep": f"rep-{number % 8}"} if number < 32 else body)
    records = served.records("score")
    arms = {(record["unit_id"], record["arm"]) for record in records[:32]}
    assert len(arms) == 8
    assert {arm for _, arm in arms} == {"champion", "challenger"}
    assert {(r["unit_id"], r["arm"], r["experiment_id"]) for r in records[32:]} == {(None, None, None)}


def test_a_slow_library_does_not_hold_up_other_requests(served: Served) -> None:
    served.deploy(1)
    with served.worker() as worker:
        put(worker, Scores(hangs, "library"))

        async def both() -> tuple[float, float]:
            import httpx

            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(worker.app), base_url="http://127.0.0.1"
            ) as client:
                order: list[str] = []

                async def ask(name: str, path: str, **more: Any) -> None:
                    await (client.post(path, **more) if more else client.get(path))
                    order.append(name)

                import json

                body = json.dumps(requests(1)[0]).encode()
                slow = asyncio.create_task(
                    ask("slow", "/predict", content=body, headers={"content-type": "application/json"})
                )
                await asyncio.sleep(0.01)
                await ask("quick", "/health")
                await slow
                return order.index("quick"), order.index("slow")

        assert asyncio.run(both()) == (0, 1)
