"""`lead-scoring retrain` as a person types it: in a home where nothing else works, and where a daemon does."""

import fcntl
import json
import shutil
from pathlib import Path

import pytest

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.retraining.records import CLOSED, OPENED, REQUESTED
from lead_scoring_assets.settings import Home
from lead_scoring_tests.conftest import RunVerb

EPISODE = "retraining-by_hand-2008-09"


@pytest.fixture
def home(short_home: Path, tmp_path: Path) -> Path:
    """It stands at the end of the fifth month, the last that was materialised; its other files have landed."""
    home = Path(shutil.copytree(short_home, tmp_path / "a home"))
    (home / "data" / "clock.json").write_text(json.dumps({"now": "2008-10-01T00:00:00+00:00"}))
    return home


def kinds(home: Path) -> list[tuple[str, str]]:
    log = Installation(Home(home)).events.events()
    return [(event.kind, event.actor) for event in log if event.kind.startswith("retraining_")]


def test_without_a_reason_nothing_is_asked_for(home: Path, run_verb: RunVerb) -> None:
    refused = run_verb(home, "retrain", check=False)
    assert (refused.returncode, kinds(home)) == (2, [])
    assert "needs a reason, found none: say why in a sentence with --reason" in refused.stderr


def test_where_a_daemon_works_it_is_left_to_it(home: Path, run_verb: RunVerb) -> None:
    lock = home / "data" / "locks" / "daemon.lock"
    lock.parent.mkdir(exist_ok=True)
    with lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        told = run_verb(home, "retrain", "--by", "Mona", "--reason", "a new product").stderr
    assert "The sensor retrain_on_cause launches it within 30 seconds" in told
    assert kinds(home) == [(REQUESTED, "Mona")]
    assert "by hand" in (status := run_verb(home, "status").stdout)
    assert "cause to retrain: Mona: a new product" in status


@pytest.mark.slow
def test_where_nothing_works_it_trains_a_decided_period_once_more(home: Path, run_verb: RunVerb) -> None:
    before = Installation(Home(home)).lakehouse.read("promotion_decision", periods=["2008-09"]).to_pylist()
    done = run_verb(home, "retrain", "--by", "Mona", "--reason", "a new product")
    assert "recorded as retraining-requested-1: Mona asks for a training: a new product" in done.stderr
    assert done.stdout.startswith("2008-09 ")
    house = Installation(Home(home))
    assert {REQUESTED, OPENED, CLOSED} <= {kind for kind, _ in kinds(home)}
    [opened] = house.events.events(kind=OPENED)
    assert (opened.event_id, opened.reason) == (EPISODE, "Mona: a new product")
    assert opened.evidence["is_repeat"]
    [after] = house.lakehouse.read("promotion_decision", periods=["2008-09"]).to_pylist()
    # The same data and settings give the same candidate; only why it was trained is told otherwise.
    assert after["candidate_version"] == before[0]["candidate_version"]
    assert (after["trigger"], after["trigger_reason"]) == ("by_hand", "by_hand: Mona: a new product")
