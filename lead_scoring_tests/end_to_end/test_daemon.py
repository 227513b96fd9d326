"""The product as a person meets it after the history: the UI's daemon ingests, scores, retrains and decides by itself."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.models.registry import ModelRegistry
from lead_scoring_assets.predictions.model import named_model
from lead_scoring_assets.promotion.deployments import Deployments
from lead_scoring_assets.retraining.records import CLOSED, OPENED
from lead_scoring_assets.settings import Home
from lead_scoring_tests.conftest import RunVerb, environment

# After the files that wait for nothing: the history is made meanwhile.
pytestmark = pytest.mark.slow(minutes=2)

NEXT = "2010-06"
_DAEMON_PATIENCE_SECONDS = 240


@pytest.fixture
def history(whole_history: tuple[Path, ...]) -> Path:
    """All months through 2010-05, where they were made: here it goes on."""
    return whole_history[0]


def _compare_the_api_with_batch(house: Installation, port: int, version: int) -> None:
    """The same leads, by the same model: the same scores, to the last bit."""
    scorer = named_model(house, f"v{version}").scorer
    rows = house.lakehouse.read("lead_features", periods=[NEXT]).slice(0, 50)
    # A lead says "not there" by the source's code where an empty cell would break its contract.
    absent = {name: (*column.missing, None)[0] for name, column in house.settings.registry.features.items()}
    leads = [
        {"lead_id": row["lead_id"], **{name: code if row[name] is None else row[name] for name, code in absent.items()}}
        for row in rows.to_pylist()
    ]
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/predict/batch?exact=true",
        data=json.dumps({"leads": leads}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        told = json.load(answer)
    expected = scorer.probabilities(rows.to_pandas()).tolist()
    assert [result["score_exact"] for result in told["results"]] == expected


def test_the_daemon_ingests_scores_retrains_and_decides_by_itself(
    history: Path, bank_mirror: Path, run_verb: RunVerb
) -> None:
    """`lead-scoring start` with the real daemon; one month lands; nobody touches anything."""
    port, pages, api = _free_port(), _free_port(), _free_port()
    settings = history / "lead_scoring.yaml"
    text = (
        settings.read_text(encoding="utf-8")
        .replace("port: 3070", f"port: {pages}")
        .replace("port: 8000", f"port: {api}")
    )
    settings.write_text(text.replace("sensor_interval_seconds: 30", "sensor_interval_seconds: 5"), encoding="utf-8")
    before = Deployments(Installation(Home(history)).lakehouse).newest()
    product = subprocess.Popen(
        [str(Path(sys.executable).with_name("lead-scoring")), "start", "--port", str(port)],
        cwd=history,
        env=environment(history, bank_mirror),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _wait_for(lambda: _get(f"http://127.0.0.1:{port}/server_info"), "the UI")
        run_verb(history, "arrive")
        arrival = _wait_for(lambda: _finished_run(port, "arrival"), "the arrival run")
        assert arrival["status"] == "SUCCESS"
        retraining = _wait_for(lambda: _finished_run(port, "retraining"), "the retraining run")
        assert retraining["status"] == "SUCCESS"
        tags = {tag["key"]: tag["value"] for tag in retraining["tags"]}
        assert tags["dagster/run_key"] == f"retraining-drift-{NEXT}"
        assert tags["dagster/partition"] == NEXT
        house = Installation(Home(history))
        # The episode is closed by the next tick, which launches nothing more.
        _wait_for(lambda: house.events.events(kind=CLOSED), "the episode's end")
        time.sleep(12)
        assert len([run for run in _runs(port) if run["jobName"] == "retraining"]) == 1
        [opened] = house.events.events(kind=OPENED)
        assert opened.event_id == f"retraining-drift-{NEXT}"
        [decision] = house.lakehouse.read("promotion_decision", periods=[NEXT]).to_pylist()
        champion = Deployments(house.lakehouse).newest()
        assert champion is not None
        assert before is not None
        assert (champion.version != before.version) == (decision["verdict"] == "promoted")
        assert ModelRegistry(house.home).production_version() == champion.version
        assert house.lakehouse.read("lead_scores", periods=[NEXT]).num_rows > 100
        page = _get(f"http://127.0.0.1:{pages}/drift-{NEXT}.html")
        assert page is not None
        assert NEXT.encode() in page
        assert any("drifted" in alert.reason for alert in house.events.events(kind="alert"))
        told = json.loads(_get(f"http://127.0.0.1:{api}/health") or b"{}")
        assert told["model_version"] == f"v{champion.version}"
        _compare_the_api_with_batch(house, api, champion.version)
    finally:
        product.send_signal(signal.SIGTERM)
        _, told = product.communicate(timeout=60)
    assert product.returncode == 0, told
    assert f"http://127.0.0.1:{port}" in told
    assert _get(f"http://127.0.0.1:{port}/server_info") is None, "the UI must be gone"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _get(url: str) -> bytes | None:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            content: bytes = answer.read()
            return content
    except OSError:
        return None


def _runs(port: int) -> list[dict[str, Any]]:
    query = "{runsOrError(limit: 20) {... on Runs {results {jobName status tags {key value}}}}}"
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        data=json.dumps({"query": query}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        found: list[dict[str, Any]] = json.load(answer)["data"]["runsOrError"]["results"]
        return found


def _finished_run(port: int, job: str) -> dict[str, Any] | None:
    ended = ("SUCCESS", "FAILURE", "CANCELED")
    return next((run for run in _runs(port) if run["jobName"] == job and run["status"] in ended), None)


def _wait_for(look: Any, what: str) -> Any:
    deadline = time.monotonic() + _DAEMON_PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(1)
    raise AssertionError(f"{what} did not come within {_DAEMON_PATIENCE_SECONDS} seconds (pid {os.getpid()})")
