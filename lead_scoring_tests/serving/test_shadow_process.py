"""The shadow's own process, beside real servers: killed at any moment, hanging, crashing; each lead gets its one record."""

import contextlib
import http.client
import json
import os
import random
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lead_scoring_assets.clock import ReplayClock
from lead_scoring_assets.prediction_log.segments import LogFolder
from lead_scoring_assets.serving import processes
from lead_scoring_assets.serving.processes import Processes
from lead_scoring_assets.settings import Home
from lead_scoring_tests.serving.served import NOW, Served, requests
from lead_scoring_tests.serving.shadowed import each_has_its_record, owed, recorded, shadow_all
from lead_scoring_tests.serving.test_processes import load, wait_until_asked

FATAL_AGE = 80
BODIES = [{**body, "age": min(body["age"], FATAL_AGE - 1)} for body in requests(20)]
FATAL = {**BODIES[0], "age": FATAL_AGE}
PLANTED = f"""
import ctypes, os, sys, time
if any("shadow_process" in word for word in sys.orig_argv):
    from lead_scoring_assets.models.row_scorer import RowScorer
    probability = RowScorer.probability
    def planted(self, features):
        if features["age"] == {FATAL_AGE}:
            FAULT
        return probability(self, features)
    RowScorer.probability = planted
"""


@dataclass
class Running:
    """Servers and their shadow, looked after in a thread."""

    group: Processes
    port: int
    told: list[str] = field(default_factory=list)

    @property
    def shadow(self) -> int | None:
        process = self.group._shadow.process
        return None if process is None else process.pid

    @property
    def workers(self) -> list[int]:
        return [slot.process.pid for slot in self.group._servers if slot.process is not None]

    def get(self, path: str) -> Any:
        return self._asked("GET", path)

    def ask(self, *bodies: dict[str, Any]) -> None:
        for body in bodies:
            assert self._asked("POST", "/predict", json.dumps(body))["source"] == "model"

    def _asked(self, method: str, path: str, body: str | None = None) -> Any:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request(method, path, body, {"content-type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
            assert answer.status == 200, content
        return json.loads(content)


@contextlib.contextmanager
def running(home: Home, workers: int = 1) -> Iterator[Running]:
    ReplayClock(home.clock_file).move_to(NOW)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        told: list[str] = []
        group = Processes(str(home.root), listening, workers, told.append, may_be_open=True)
        found, is_over = Running(group, listening.getsockname()[1], told), threading.Event()

        def look() -> None:
            while not is_over.wait(0.02):
                group.look(time.monotonic())

        looking = threading.Thread(target=look)
        looking.start()
        try:
            until(lambda: found.get("/health")["shadow_is_running"])
            yield found
        finally:
            is_over.set()
            looking.join()
            group.end()


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_settled(home: Home) -> bool:
    return len(recorded(home)) >= len(owed(home))


def test_kill_9_under_load_loses_no_lead_and_doubles_none(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shadow, and servers; and whatever is let go of in the log's folder is let go of at once."""
    monkeypatch.setattr(processes, "_LONGEST_PAUSE_SECONDS", 0.05)
    served.set_serving("{breaker: {timeout_ms: 60000.0}, shadow: {queue: 1000000, timeout_ms: 60000.0}}")
    served.deploy(1, 2)
    log, kept, chance = served.home.serving / "log", tmp_path / "kept", random.Random(5)
    kept.mkdir()

    def let_go() -> None:
        source = LogFolder(log)
        for segment, end in source.ends().items():
            with contextlib.suppress(FileExistsError):
                os.link(log / f"{segment}.jsonl", kept / f"{segment}.jsonl")
            source.remove(segment, end)

    def written() -> int:
        found = {path.name: path.stat().st_size for folder in (log, kept) for path in folder.glob("shadow-*")}
        return sum(found.values())

    with running(served.home, workers=2) as beside, load(beside.port, clients=1) as under:
        for kills_a_server in (False, True, False, False, True, False):
            before = written()
            until(lambda before=before: written() > before + 20_000)  # type: ignore[misc]
            time.sleep(chance.uniform(0.0, 0.1))
            until(lambda: beside.shadow is not None and len(beside.workers) == 2)
            if kills_a_server:
                os.kill(beside.workers[0], signal.SIGKILL)
            os.kill(beside.shadow or 0, signal.SIGKILL)
            let_go()
        wait_until_asked(under, 100)
        under.is_over.set()
    let_go()
    shadow_all(served.home)
    for path in kept.iterdir():
        with contextlib.suppress(FileExistsError):
            os.link(path, log / path.name)
    found = each_has_its_record(served.home)
    answered = {lead["lead_id"] for lead in owed(served.home).values()}
    assert answered >= under.acknowledged.keys()
    assert {record["outcome"] for record in found.values()} == {"scored"}
    assert len({path.stem.rpartition("-")[0] for path in log.glob("shadow-*")}) >= 6  # it was killed at its work
    assert list((served.home.serving / "shadow").glob("w*.jsonl")) == []


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("time.sleep(3600)", "no answer within 200 ms"),
        ("ctypes.PyDLL(None).sleep(3600)", "no answer within 200 ms"),  # and keeps Python's lock
        ("ctypes.string_at(0)", "its process ended (-11)"),
    ],
)
def test_a_model_that_hangs_or_crashes_costs_its_own_lead(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, reason: str
) -> None:
    plant(tmp_path, monkeypatch, fault)
    served.set_serving("{breaker: {timeout_ms: 60000.0}, shadow: {timeout_ms: 200.0}}")
    served.deploy(1, 2)
    with running(served.home) as beside:
        beside.ask(*BODIES[:10], FATAL, *BODIES[10:])
        until(lambda: is_settled(served.home))
        assert beside.get("/health")["status"] == "ok"
    found = each_has_its_record(served.home)
    fatal = [found[place] for place, lead in owed(served.home).items() if lead["features"]["age"] == FATAL_AGE]
    assert [(record["outcome"], record["reason"]) for record in fatal] == [("timeout", reason)]
    # A busy machine may take longer than the time-out for others too, which is told.
    others = [record for record in found.values() if record is not fatal[0]]
    assert {record["outcome"] for record in others} <= {"scored", "timeout"}
    assert Counter(record["outcome"] for record in others)["scored"] >= 15


def test_a_model_that_hangs_three_times_gets_no_more_leads(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path, monkeypatch, "os._exit(3)")
    served.deploy(1, 2)
    with running(served.home) as beside:
        for strike in range(1, 4):
            beside.ask(FATAL)
            until(lambda: is_settled(served.home))
            assert len(recorded(served.home)) == strike
        beside.ask(*BODIES)
        until(lambda: is_settled(served.home))
        served.deploy(1, 3)
        until(lambda: beside.get("/health")["challenger_version"] == "v3")
        beside.ask(*BODIES)
        until(lambda: is_settled(served.home))
    told = Counter((r["shadow_version"], r["outcome"], r["reason"]) for r in each_has_its_record(served.home).values())
    assert told == {
        (2, "timeout", "its process ended (3)"): 3,
        (2, "dropped", "v2 has hung, or ended its process, 3 times"): len(BODIES),
        (3, "scored", None): len(BODIES),
    }


def plant(folder: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """Have the shadow's process do this for one lead."""
    (folder / "planted").mkdir()
    (folder / "planted" / "sitecustomize.py").write_text(PLANTED.replace("FAULT", fault))
    monkeypatch.setenv("PYTHONPATH", str(folder / "planted"))


def test_health_tells_whether_the_shadow_is_there(served: Served) -> None:
    served.deploy(1, 2)
    with served.client() as client:
        told = client.get("/health").json()
        assert (told["shadow_is_running"], told["challenger_version"], told["traffic"]) == (False, "v2", "shadow")
    with running(served.home) as beside:
        assert beside.get("/health")["shadow_waiting"] == 0
        assert beside.shadow is not None
        os.kill(beside.shadow, signal.SIGSTOP)
        beside.ask(*BODIES)
        assert recorded(served.home) == []
        os.kill(beside.shadow, signal.SIGCONT)
        until(lambda: is_settled(served.home))
        before = beside.shadow
        os.kill(before, signal.SIGKILL)
        until(lambda: beside.shadow not in (None, before) and beside.get("/health")["shadow_is_running"])
    assert any("the shadow ended (-9) and is started again" in words for words in beside.told)
