"""Backfills as the UI asks for them: a range of periods twice gives the same content, and so does one that was killed."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.settings import Home
from lead_scoring_tests.conftest import environment
from lead_scoring_tests.end_to_end.contents import contents

pytestmark = pytest.mark.slow(minutes=5)

ALL_MONTHS = [f"2008-{month:02}" for month in range(5, 10)]
# A range, and in it a month with a candidate that is rejected, and the one with the first champion.
MONTHS = ALL_MONTHS[-2:]
_PATIENCE_SECONDS = 240
# The log tells what happened, not what is.
LOG = ("events",)


class Product:
    """`lead-scoring start` in a home: the webserver, the daemon, and the runs that they launch."""

    def __init__(self, home: Path, mirror: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        verb = str(Path(sys.executable).with_name("lead-scoring"))
        self._process = subprocess.Popen(
            [verb, "start", "--port", str(self.port)],
            cwd=home,
            env=environment(home, mirror),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.wait_for(self._answers, "the UI")

    def ask(self, query: str, **variables: Any) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/graphql",
            data=json.dumps({"query": query, "variables": variables}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            told = json.load(answer)
        assert "errors" not in told, told
        return told["data"]

    def backfill(self, assets: list[str], periods: list[str]) -> str:
        """What the UI's Materialize sends for a range of partitions; the backfill's id."""
        told = self.ask(
            "mutation($asked: LaunchBackfillParams!) {launchPartitionBackfill(backfillParams: $asked) "
            "{__typename ... on LaunchBackfillSuccess {backfillId} ... on PythonError {message}}}",
            # For each asset: a bare list of periods is one of the roots', and draws in every later period below them.
            asked={
                "partitionsByAssets": [
                    {"assetKey": {"path": [name]}, "partitions": {"range": {"start": periods[0], "end": periods[-1]}}}
                    for name in assets
                ]
            },
        )["launchPartitionBackfill"]
        assert told["__typename"] == "LaunchBackfillSuccess", told
        return str(told["backfillId"])

    def status_of(self, backfill: str) -> str:
        told = self.ask(
            "query($id: String!) {partitionBackfillOrError(backfillId: $id) {... on PartitionBackfill {status}}}",
            id=backfill,
        )
        return str(told["partitionBackfillOrError"]["status"])

    def runs_of(self, backfill: str) -> list[str]:
        told = self.ask(
            "query($tags: [ExecutionTag!]) {runsOrError(filter: {tags: $tags}) {... on Runs {results {status}}}}",
            tags=[{"key": "dagster/backfill", "value": backfill}],
        )
        return [run["status"] for run in told["runsOrError"]["results"]]

    def assets(self) -> dict[str, bool]:
        """By name, whether they have periods."""
        nodes = self.ask("{assetNodes {assetKey {path} isPartitioned}}")["assetNodes"]
        return {node["assetKey"]["path"][-1]: node["isPartitioned"] for node in nodes}

    def succeed(self, assets: list[str], periods: list[str]) -> None:
        backfill = self.backfill(assets, periods)
        status = self.wait_for(lambda: _ended(self.status_of(backfill)), f"the backfill of {assets}")
        assert status == "COMPLETED_SUCCESS", status

    def wait_for(self, look: Callable[[], Any], what: str) -> Any:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if found := look():
                return found
            time.sleep(0.5)
        raise AssertionError(f"{what} did not come within {_PATIENCE_SECONDS} seconds")

    def kill(self) -> None:
        """SIGKILL for all of it at once: the verb, the webserver, the daemon, the code server and the run it works on."""
        family = _family(self._process.pid)
        assert len(family) >= 4, "the daemon and its run must be among them"
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(timeout=60)

    def end(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        self._process.wait(timeout=60)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/server_info", timeout=2):
                return True
        except OSError:
            return False


@pytest.fixture
def home(short_home: Path, tmp_path: Path) -> Path:
    """A copy with its own records, in which nothing is to come that sensors would take up. Model files keep their
    place: the registry knows them by their full path."""
    copy = tmp_path / "backfilled"
    shutil.copytree(short_home, copy)
    for period in (copy / "data" / "landing").glob("*/*"):
        if period.name not in ALL_MONTHS:
            shutil.rmtree(period)
    (copy / "data" / "clock.json").write_text('{"now": "2008-10-01T00:00:00+00:00"}')
    settings = copy / "lead_scoring.yaml"
    for port in ("port: 3070", "port: 8000"):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            settings.write_text(settings.read_text().replace(port, f"port: {probe.getsockname()[1]}"))
    # One tick of the sensors is enough, and nobody looks at pages.
    for found, wanted in (("interval_seconds: 30", "interval_seconds: 600"), ("evidently: newest", "evidently: never")):
        assert found in settings.read_text()
        settings.write_text(settings.read_text().replace(found, wanted))
    return copy


@pytest.fixture
def start(home: Path, bank_mirror: Path) -> Iterator[Callable[[], Product]]:
    started: list[Product] = []

    def begin() -> Product:
        started.append(Product(home, bank_mirror))
        return started[-1]

    yield begin
    for product in started:
        product.end()


def test_a_range_backfilled_twice_or_killed_and_resumed_has_the_same_content(
    home: Path, start: Callable[[], Product]
) -> None:
    before = contents(home, LOG)
    product = start()
    assets = product.assets()
    # All but what is only made when somebody asks for it by name.
    everything = [name for name in assets if name != "rescored_leads"]
    assert {"raw_leads", "raw_activities", "raw_outcomes", "lead_features", "promotion_decision"} <= set(everything)
    product.succeed(["lead_features"], MONTHS)
    assert contents(home, LOG) == before

    killed = product.backfill(everything, MONTHS)
    product.wait_for(lambda: "STARTED" in product.runs_of(killed), "the run")
    version = Installation(Home(home)).lakehouse.version("raw_leads")
    product.wait_for(lambda: Installation(Home(home)).lakehouse.version("raw_leads") > version, "its first write")
    product.kill()

    product = start()
    assert "STARTED" not in product.runs_of(killed)
    # On top of what the history and the killed run wrote: every table is written a second time, some a third.
    product.succeed([name for name in everything if assets[name]], MONTHS)
    assert contents(home, LOG) == before
    # Its run did not go on beside the product that came after; what has no periods, and was still to come, has.
    status = product.wait_for(lambda: _ended(product.status_of(killed)), "the end of the killed backfill")
    assert status == "COMPLETED_FAILED", status
    assert contents(home, LOG) == before


def _ended(status: str) -> str | None:
    return status if status.startswith(("COMPLETED", "FAILED", "CANCELED")) else None


def _family(pid: int) -> list[int]:
    """A process and everything below it, whichever of its threads began it."""
    children = [child for of in Path(f"/proc/{pid}/task").glob("*/children") for child in of.read_text().split()]
    return [pid, *(member for child in children for member in _family(int(child)))]
