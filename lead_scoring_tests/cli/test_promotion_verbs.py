"""The verbs about what is live, in process: what they print, what they refuse, and who is named."""

import json
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lead_scoring_assets.cli import main
from lead_scoring_assets.models.registry import ModelRegistry
from lead_scoring_assets.promotion.deployments import Deployments
from lead_scoring_assets.promotion.following_later import FOLLOWERS, follow_later, told_within
from lead_scoring_assets.promotion.people import person
from lead_scoring_tests.conftest import MakeHome
from lead_scoring_tests.promotion.worlds import NOW, World, make_world


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


def enter(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    for name in ("LEAD_SCORING_HOME", "DAGSTER_HOME"):
        monkeypatch.setenv(name, str(folder))


@pytest.fixture
def world(make_home: MakeHome, monkeypatch: pytest.MonkeyPatch) -> World:
    world = make_world(make_home("promotion-verbs"), versions=4)
    (world.root / "data" / "clock.json").write_text(json.dumps({"now": NOW.isoformat()}))
    enter(world.root, monkeypatch)
    return world


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["rollback"], "`lead-scoring materialize`"),
        (["promote", "1", "--reason", "x"], "there is no version v1"),
        (["approve", "1"], "there is no version v1"),
        (["reject", "1"], "there is no version v1"),
    ],
)
def test_before_anything_was_prepared_each_verb_says_what_to_do(
    make_home: MakeHome, monkeypatch: pytest.MonkeyPatch, words: list[str], told: str
) -> None:
    home = make_home("promotion-verbs-bare")
    enter(home, monkeypatch)
    answer = run(*words)
    assert answer.exit_code == 2, answer.output
    assert told in answer.output
    assert "Traceback" not in answer.output
    assert not (home / "data" / "mlflow").exists()  # asking makes nothing


@pytest.mark.parametrize("words", [["promote"], ["approve"], ["reject"], ["promote", "newest"], ["promote", "0"]])
def test_a_version_is_always_named(words: list[str]) -> None:
    assert run(*words).exit_code == 2


def test_a_rollback_does_not_need_mlflow_and_says_how_far_it_has_followed(world: World) -> None:
    world.promote(1, 2)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    settings = world.root / "lead_scoring.yaml"
    settings.write_text(settings.read_text().replace("tracking_uri: null ", f"tracking_uri: {address} "))
    done = run("rollback")
    assert done.exit_code == 0, done.output
    assert (world.live(), "v1 is live since" in done.output) == (1, True)
    assert "what is live is as recorded" in done.output.lower()  # it failed, or is still being tried
    assert told_within(FOLLOWERS[-1], 120).startswith("MLflow could not follow; the next command tries again.")
    settings.write_text(settings.read_text().replace(f"tracking_uri: {address} ", "tracking_uri: null "))
    follower = follow_later(world.house)
    assert "takes seconds more" in told_within(follower, 0)  # a new interpreter has not even begun
    assert told_within(follower, 120) == "MLflow's aliases stand where the record stands."
    assert ModelRegistry(world.house.home).production_version() == 1


def test_a_model_store_that_is_gone_is_not_taken_for_a_new_one(world: World) -> None:
    world.promote(1, 2)
    settings = world.root / "lead_scoring.yaml"
    # Another file, because this process keeps the store open that it had.
    elsewhere = f"sqlite:///{world.root}/other.db"
    settings.write_text(settings.read_text().replace("tracking_uri: null ", f"tracking_uri: {elsewhere} "))
    told = "".join(run("models").output.split())
    assert f"{elsewhere}holdsnoversion,thoughv2islive".replace(" ", "") in told


def test_a_day_of_decisions(world: World) -> None:
    world.promote(1, 2)
    refused = run("promote", "3")
    assert (refused.exit_code, "add --reason" in refused.output) == (2, True)
    done = run("promote", "3", "--reason", "knows [the] new branch", "--by", "Mona Haddad")
    assert done.exit_code == 0, done.output
    assert "v3 is live since 2009-01-01 00:00 UTC: knows [the] new branch (by Mona Haddad)" in done.output
    done = run("reject", "4", "--reason", "learned from a broken export")
    assert "v4 is archived and stays so: learned from a broken export" in done.output
    done = run("rollback")
    assert "v2 is live since" in done.output
    assert "rolled back (from v3 back to v2)" in done.output
    assert FOLLOWERS[-1].wait() == 0  # nobody else waits for it to the end
    steps = Deployments(world.house.lakehouse).steps()
    assert [step.actor for step in steps[2:]] == ["Mona Haddad", person(), person()]
    registry = ModelRegistry(world.house.home)
    assert (registry.production_version(), registry.archived_versions()) == (2, {1, 3, 4})
