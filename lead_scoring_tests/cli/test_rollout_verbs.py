"""The verb `rollout`, in process: what it prints, what it refuses, who is named."""

import json
import subprocess
from dataclasses import replace

import pytest
from click.testing import CliRunner, Result

from lead_scoring_assets.cli import main
from lead_scoring_assets.promotion import following, following_later
from lead_scoring_assets.rollout import conducting
from lead_scoring_tests.rollout.conftest import home, made_models  # noqa: F401  # fixtures
from lead_scoring_tests.rollout.homes import BEGIN, RolloutHome
from lead_scoring_tests.rollout.test_traffic import started


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["rollout", *words], terminal_width=200)


@pytest.fixture
def entered(home: RolloutHome, monkeypatch: pytest.MonkeyPatch) -> RolloutHome:  # noqa: F811
    (home.root / "data" / "clock.json").write_text(json.dumps({"now": BEGIN.isoformat()}))
    monkeypatch.chdir(home.root)
    for name in ("LEAD_SCORING_HOME", "DAGSTER_HOME"):
        monkeypatch.setenv(name, str(home.root))
    # MLflow has no part in what is asked here, and takes seconds.
    monkeypatch.setattr(following, "follow", lambda installation: None)
    home.propose(2, requested_by="omar")
    return home


def test_start_approve_abort_and_what_is_shown(entered: RolloutHome) -> None:
    assert "no rollout yet: `lead-scoring rollout start VERSION --reason …`" in run("show").output
    started = run("start", "2", "--by", "mona", "--reason", "knows [the] new branch", "--fast-track")
    assert started.exit_code == 0, started.output
    assert started.output.startswith("v2 is in the shadow (rollout-1-v2)")
    approved = run("approve", "--by", "lina", "--reason", "looked")
    assert approved.exit_code == 0, approved.output
    assert "approved by lina: v2 is in the shadow (rollout-1-v2)" in approved.output
    assert "it moves within 30 seconds if its time is up" in approved.output
    assert run("abort", "--by", "lina", "--reason", "wrong numbers").exit_code == 0
    shown = run("show").output
    assert "v2 is rolled back (rollout-1-v2), beside v1" in shown
    for line in (
        "started by mona: knows [the] new branch",
        "approved by lina: looked",
        "aborted by lina: wrong numbers",
    ):
        assert line in shown
    rows = json.loads(run("show", "--json").output)
    assert [row["action"] for row in rows] == ["started", "approved", "aborted"]
    assert (rows[0]["is_fast"], rows[0]["requested_by"], rows[0]["evidence"]) == (True, "omar", {})
    assert entered.traffic() == (1, None, "champion_only", 0)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["start", "2"], "only with a reason"),
        (["start", "7", "--reason", "r"], "there is no version v7"),
        (["approve"], "no rollout is running"),
        (["abort", "--reason", "r"], "no rollout is running"),
    ],
)
def test_what_cannot_be_is_one_message_and_exit_code_2(entered: RolloutHome, words: list[str], told: str) -> None:
    refused = run(*words)
    assert refused.exit_code == 2
    assert told in refused.output
    assert "Traceback" not in refused.output


def test_the_plan_prints_a_calendar(entered: RolloutHome) -> None:
    planned = run("plan", "--from", "2026-03-02", "--leads-a-day", "400").output
    for cell in ("shadow", "weeks 1-2", "canary 50 %", "2026-03-18", "then approval of 100 %", "watching"):
        assert cell in planned
    assert "2009-01-15" in run("plan").output
    assert run("plan", "--leads-a-day", "0").exit_code == 2


@pytest.mark.parametrize("verb", ["start", "show", "approve", "abort", "plan"])
def test_every_verb_explains_itself_with_an_example(verb: str) -> None:
    assert "Example: lead-scoring rollout" in run(verb, "--help").output


@pytest.mark.parametrize("is_experiment", [False, True])
@pytest.mark.parametrize("words", ["promote 1 --reason now", "rollback", "reject 2", "reject 4"])
def test_whoever_changes_a_model_is_told_which_comparison_that_ends(
    entered: RolloutHome, monkeypatch: pytest.MonkeyPatch, words: str, is_experiment: bool
) -> None:
    monkeypatch.setattr(following_later, "follow_later", lambda installation: subprocess.Popen(["true"]))
    entered.deployments().append(entered.step(3, "promoted"))
    if is_experiment:
        started(entered, control_version=3)
    else:
        conducting.start(entered.house, 2, "mona", "knows the new branch")
    if words == "reject 4":  # a newer candidate, which has no part in it
        entered.deployments().append(replace(entered.step(3, "proposed"), version=4))
    done = CliRunner().invoke(main, words.split(), terminal_width=200)
    assert done.exit_code == 0, done.output
    name = "experiment march" if is_experiment else "rollout-1-v2"
    assert (f"remark: this ends {name}" in done.output) == (words != "reject 4")
