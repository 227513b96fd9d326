"""Kill -9 at every step of a rollback and of what follows: one version is live, it loads, the next command repairs the rest."""

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lead_scoring_assets.models.bundle import load_scorer
from lead_scoring_assets.models.registry import ModelRegistry
from lead_scoring_assets.promotion import transitions
from lead_scoring_assets.promotion.deployments import Deployments
from lead_scoring_assets.promotion.following import KIND, follow
from lead_scoring_tests.conftest import environment
from lead_scoring_tests.promotion.worlds import NOW, World
from lead_scoring_tests.verbs import Verbs

pytestmark = pytest.mark.slow

# The process kills itself where the named function is called, before or after it does its work.
DEADLY = """
import importlib, os, signal
module, owner, name, when = {step!r}.split(":")
holder = importlib.import_module(module)
holder = getattr(holder, owner) if owner else holder
original = getattr(holder, name)
def deadly(*args, **options):
    if when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    original(*args, **options)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(holder, name, deadly)
"""
ROOM = "lead_scoring_assets.promotion"
_PATIENCE_SECONDS = 60
BEFORE_THE_COMMIT = [
    f"{ROOM}.deployments:Deployments:one_at_a_time:before",
    f"{ROOM}.transitions::verify_files:before",
    f"{ROOM}.transitions::verify_files:after",
    f"{ROOM}.deployments:Deployments:append:before",
    "lead_scoring_assets.lakehouse.tables:Lakehouse:append:before",
]
AFTER_THE_COMMIT = [
    "lead_scoring_assets.lakehouse.tables:Lakehouse:append:after",
    f"{ROOM}.deployments:Deployments:append:after",
    f"{ROOM}.transitions::record_events:before",
    "lead_scoring_assets.events.log:EventLog:record:after",
    f"{ROOM}.following_later::follow_later:before",
    f"{ROOM}.following_later::follow_later:after",
]
# A rollback leaves following to another process; the other verbs do it themselves.
FOLLOWING = [
    "lead_scoring_assets.models.registry:ModelRegistry:follow:before",
    "lead_scoring_assets.models.registry:ModelRegistry:_point:after",
    "mlflow:MlflowClient:set_registered_model_alias:after",
]


@pytest.fixture
def live(world: World) -> World:
    """Versions 1 to 3 went live, and everything has followed."""
    (world.root / "data" / "clock.json").write_text(json.dumps({"now": NOW.isoformat()}))
    world.promote(1, 2, 3)
    assert follow(world.house) is None
    return world


@pytest.fixture
def killed_at(live: World, verbs: Verbs) -> Callable[..., int]:
    """Runs a verb that kills itself at a step; how it ended."""

    def run(step: str, *words: str) -> int:
        environs = environment(live.root, live.root)
        return verbs.run(live.root, words, environs, first=DEADLY.format(step=step)).returncode

    return run


def must_be_whole(world: World, expected: set[int]) -> None:
    """One version is live, it loads, and the next command, whatever it is, brings the rest to where the table stands."""
    table = Deployments(world.house.lakehouse)
    newest = table.newest()
    assert newest is not None
    assert newest.version in expected
    assert list(table.lifecycle().stages.values()).count("production") == 1
    assert table.champion_at(NOW) == newest
    load_scorer(newest.folder(world.house.home.data), newest.fingerprint)
    transitions.reject(world.house, 5, "omar", "not this one")
    assert follow(world.house) is None
    registry = ModelRegistry(world.house.home)
    expected_places = (newest.version, table.lifecycle().archived)
    # A killed rollback's follower lives on: what it puts back to an earlier state, it puts right again.
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while (places := (registry.production_version(), registry.archived_versions())) != expected_places:
        assert time.monotonic() < deadline, (places, expected_places)
        time.sleep(0.2)
    steps = table.steps()
    assert len(world.house.events.events(kind=KIND)) == len(steps)
    assert sorted(world.house.lakehouse.read("deployments")["sequence"].to_pylist()) == list(range(len(steps)))


@pytest.mark.parametrize(("step", "expected"), [(s, 3) for s in BEFORE_THE_COMMIT] + [(s, 2) for s in AFTER_THE_COMMIT])
def test_killed_at_a_step(live: World, killed_at: Callable[..., int], step: str, expected: int) -> None:
    assert killed_at(step, "rollback") == -signal.SIGKILL
    must_be_whole(live, {expected})


@pytest.mark.parametrize("step", FOLLOWING)
def test_killed_while_following(live: World, killed_at: Callable[..., int], step: str) -> None:
    assert killed_at(step, "promote", "4", "--reason", "knows the new branch") == -signal.SIGKILL
    must_be_whole(live, {4})


def test_killed_at_any_moment(live: World) -> None:
    moments = random.Random(5)
    for _ in range(4):
        victim = subprocess.Popen(
            [str(Path(sys.executable).with_name("lead-scoring")), "rollback"],
            cwd=live.root,
            env=environment(live.root, live.root),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(moments.uniform(0.3, 4))
        victim.kill()
        victim.wait()
    must_be_whole(live, {1, 2, 3})
