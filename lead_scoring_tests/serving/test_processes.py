"""`lead-scoring serve` as people run it: processes that are killed, models that are swapped, under load."""

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from lead_scoring_assets.models.bundle import load_scorer
from lead_scoring_assets.models.row_scorer import RowScorer
from lead_scoring_assets.promotion.deployments import Deployments
from lead_scoring_assets.promotion.transitions import promote, roll_back
from lead_scoring_assets.serving.keys import FILE as KEYS
from lead_scoring_assets.serving.keys import create_key
from lead_scoring_tests.conftest import MakeHome, environment
from lead_scoring_tests.promotion.worlds import World, make_world
from lead_scoring_tests.serving.served import requests
from lead_scoring_tests.serving.shadowed import each_has_its_record, owed, shadow_all

[LEAD] = requests(1)
FEATURES = {name: value for name, value in LEAD.items() if name != "lead_id"}


@pytest.fixture(scope="module")
def made_world(make_home: MakeHome) -> World:
    return make_world(make_home("processes"), versions=2)


@pytest.fixture
def world(made_world: World, tmp_path: Path) -> World:
    root = tmp_path / "lead scoring"
    shutil.copytree(made_world.root, root)
    world = World(root)
    world.set_gate("clock: replay", "clock: system")
    world.promote(1)
    return world


@dataclass
class Serving:
    """A running `lead-scoring serve`."""

    process: "subprocess.Popen[str]"
    port: int
    told: list[str] = field(default_factory=list)

    @property
    def workers(self) -> list[int]:
        return self.processes(b"serving.worker")

    def processes(self, of: bytes) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [pid for pid in map(int, children) if of in Path(f"/proc/{pid}/cmdline").read_bytes()]


@contextlib.contextmanager
def serving(world: World, *words: str) -> Iterator[Serving]:
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("lead-scoring")), "serve", "--port", "0", *words],
        cwd=world.root,
        env=environment(world.root, world.root),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    told = []
    for line in process.stderr:
        told.append(line)
        if "Ctrl-C" in line:
            break
    found = re.search(r"http://127\.0\.0\.1:(\d+)", "".join(told))
    assert found, "".join(told)
    running = Serving(process, int(found[1]), told)
    # Read on, or it would wait for a full pipe.
    reading = threading.Thread(target=lambda: told.extend(process.stderr or ()))
    reading.start()
    try:
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)
        reading.join()
        process.stderr.close()
    assert code == 0, "".join(told)


@dataclass
class Load:
    """Clients that each hold a connection, and try once more when it breaks."""

    port: int
    acknowledged: dict[str, tuple[str, float]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    asked: int = 0
    is_over: threading.Event = field(default_factory=threading.Event)

    def client(self, name: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        number = 0
        while not self.is_over.is_set():
            number += 1
            lead_id = f"{name}-{number}"
            body = json.dumps({**FEATURES, "lead_id": lead_id})
            self.asked += 1
            for last in (False, True):
                try:
                    connection.request("POST", "/predict?exact=true", body, {"content-type": "application/json"})
                    answer = connection.getresponse()
                    content = json.loads(answer.read())
                except (OSError, http.client.HTTPException) as problem:
                    connection.close()
                    if last:
                        self.errors.append(repr(problem))
                    continue
                if answer.status == 200:
                    self.acknowledged[lead_id] = (content["model_version"], content["score_exact"])
                else:
                    self.errors.append(str(content))
                break
        connection.close()


@contextlib.contextmanager
def load(port: int, clients: int = 3) -> Iterator[Load]:
    found = Load(port)
    threads = [threading.Thread(target=found.client, args=(f"c{n}",)) for n in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        found.is_over.set()
        for thread in threads:
            thread.join()


def wait_until_asked(under: Load, more: int) -> None:
    goal = under.asked + more
    while under.asked < goal:
        time.sleep(0.01)


def logged(world: World) -> dict[str, tuple[str, float]]:
    found = {}
    for path in (world.root / "data" / "serving" / "log").glob("*.jsonl"):
        for line in path.read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n") and (record := json.loads(line))["kind"] == "score":
                found[record["lead_id"]] = (f"v{record['model_version']}", record["score"])
    return found


def test_kill_9_under_load_loses_no_acknowledged_lead_and_hardly_a_request(world: World) -> None:
    with serving(world, "--workers", "2") as running, load(running.port) as under:
        before = running.workers
        assert len(before) == 2
        for _ in range(2):
            wait_until_asked(under, 300)
            os.kill(running.workers[0], signal.SIGKILL)
        wait_until_asked(under, 600)
        deadline = time.monotonic() + 60
        while len(running.workers) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert len(running.workers) == 2
        under.is_over.set()
    assert len(under.errors) <= 0.001 * under.asked, under.errors[:5]
    kept = logged(world)
    assert {lead: kept.get(lead) for lead in under.acknowledged} == under.acknowledged
    assert len(under.acknowledged) >= under.asked - len(under.errors) - 3
    assert sum("is started again" in line for line in running.told) >= 2


def test_swaps_under_load_give_no_error_and_no_wrong_version(world: World) -> None:
    data = world.root / "data"
    expected = {}
    for number in (1, 2):
        version = world.version(number)
        scorer = RowScorer(load_scorer(version.folder(data), version.fingerprint))
        expected[f"v{number}"] = scorer.probability(FEATURES)
    assert expected["v1"] != expected["v2"]
    seen = []
    with serving(world) as running, load(running.port) as under:
        for live in ("v2", "v1", "v2"):
            wait_until_asked(under, 100)
            if live == "v1":
                roll_back(world.house, "Mona", "worse")
            else:
                promote(world.house, 2, "Mona", "better")
            deadline = time.monotonic() + 60
            while next(reversed(under.acknowledged.values()))[0] != live and time.monotonic() < deadline:
                time.sleep(0.01)
            seen.append(next(reversed(under.acknowledged.values()))[0])
        under.is_over.set()
    assert seen == ["v2", "v1", "v2"]
    assert under.errors == []
    assert set(under.acknowledged.values()) == set(expected.items())


def test_what_cannot_be_served_is_told(world: World) -> None:
    def refused(*words: str) -> str:
        ended = subprocess.run(
            [str(Path(sys.executable).with_name("lead-scoring")), "serve", *words],
            cwd=world.root,
            env=environment(world.root, world.root),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert ended.returncode == 2, ended.stderr
        assert "Traceback" not in ended.stderr
        return ended.stderr

    assert "there are no keys" in refused("--host", "0.0.0.0")
    assert "must be an address" in refused("--host", "somewhere")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "choose another" in refused("--port", str(taken.getsockname()[1]))
    create_key(world.root / "data" / "serving" / KEYS, "crm", ["score"])
    with serving(world) as running:
        assert "another `lead-scoring serve`" in refused("--port", "0")
        assert any("keys: 1, asked for" in line for line in running.told)


def test_who_was_left_alone_ends_and_what_was_answered_is_shadowed_after_the_next_start(world: World) -> None:
    assert Deployments(world.house.lakehouse).record(replace(world.version(2), action="proposed"))
    running = subprocess.Popen(
        [str(Path(sys.executable).with_name("lead-scoring")), "serve", "--port", "0"],
        cwd=world.root, env=environment(world.root, world.root), stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert running.stderr is not None
    told = ""
    while "Ctrl-C" not in told:
        told += running.stderr.readline()
    processes = Serving(running, 0).processes(b"serving.")
    assert len(processes) == 2
    with load(int(told.split("http://127.0.0.1:")[1].split()[0])) as under:
        wait_until_asked(under, 300)
        running.kill()
        running.wait()
        under.is_over.set()
    running.stderr.close()
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in processes) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [pid for pid in processes if Path(f"/proc/{pid}").exists()] == []
    home = world.house.home
    assert len(owed(home)) >= 300
    with serving(world) as again, load(again.port) as under:
        wait_until_asked(under, 100)
        under.is_over.set()
    shadow_all(home)
    found = each_has_its_record(home)
    assert len(found) >= 400
    assert {record["outcome"] for record in found.values()} <= {"scored", "timeout"}  # a busy machine


def test_a_server_imports_nothing_that_it_does_not_need() -> None:
    heavy = ("dagster", "mlflow", "sklearn", "pandas", "xgboost", "lightgbm", "scipy", "matplotlib")
    code = f"import sys, lead_scoring_assets.serving.worker; print([name for name in {heavy!r} if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert told.strip() == "[]"


def test_a_lead_is_scored_without_what_explanations_need(world: World) -> None:
    """So that a worker that was just started answers at once."""
    version = world.version(1)
    code = f"""
import sys
from pathlib import Path
from lead_scoring_assets.serving.following import ServedModel, load_model
from lead_scoring_assets.settings import Breaker
served = ServedModel(1, {version.bundle!r}, {version.fingerprint!r})
model = load_model(Path({str(world.root / "data")!r}), served, Breaker())
assert 0 < model.scorer.probability({FEATURES!r}) < 1
print([name for name in ("pandas", "xgboost", "lightgbm", "sklearn") if name in sys.modules])
"""
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert told.strip() == "[]"


def test_what_explanations_need_is_there_before_anybody_asks(world: World) -> None:
    """By the files that are mapped into the process: libraries of compiled code."""
    with serving(world) as running:
        [pid] = running.workers
        deadline = time.monotonic() + 60
        while "site-packages/pandas/" not in Path(f"/proc/{pid}/maps").read_text() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert "site-packages/pandas/" in Path(f"/proc/{pid}/maps").read_text()
