"""The whole way in a real home: tables in, champion out; whatever breaks, exactly one version is in production."""

import itertools
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lead_scoring_assets.errors import PromotionError
from lead_scoring_assets.lakehouse.tables import Lakehouse
from lead_scoring_assets.promotion import transitions
from lead_scoring_assets.rollout import conducting, looking
from lead_scoring_assets.rollout.records import Rollouts
from lead_scoring_assets.rollout.states import Step
from lead_scoring_tests.rollout.homes import BEGIN, DAY, RolloutHome
from lead_scoring_tests.rollout.ways import look, to_half, to_the_canary, to_the_top


def test_from_staging_to_production(quick: RolloutHome) -> None:
    to_the_top(quick)
    assert quick.traffic() == (2, None, "champion_only", 0)
    [*_, last] = quick.deployments().steps()
    assert (last.action, last.actor) == ("rolled_out", "a look")
    assert "approved by lina" in last.reason
    quick.answers(300, quick.rollout, first=20_000)
    quick.now += 2 * DAY
    assert look(quick).next.state == "done"
    assert looking.look(quick.house, "a look") == "no rollout is running, and no candidate waits in staging"
    rows = Rollouts(quick.house.lakehouse).rows()
    states = ["shadow", "canary", "canary", "canary", "held", "waiting_for_approval"]
    assert [row["state"] for row in rows] == [*states, "waiting_for_approval", "watching", "done"]
    assert [event.subject for event in quick.house.events.events(kind="rollout")] == ["rollout-1-v2"] * len(rows)


def test_looking_twice_changes_nothing(quick: RolloutHome) -> None:
    to_the_canary(quick)
    before = Rollouts(quick.house.lakehouse).rows()
    for _ in range(3):
        assert look(quick).next == quick.rollout
    assert Rollouts(quick.house.lakehouse).rows() == before


def test_a_canary_that_fails_gets_no_leads_any_more(quick: RolloutHome) -> None:
    to_half(quick)
    quick.answers(600, quick.rollout, errors=60, first=30_000)
    quick.now += timedelta(hours=1)
    step = look(quick)
    assert (step.next.state, quick.live()) == ("rolled_back", 1)
    assert step.reason.startswith("errors:")
    assert quick.traffic() == (1, None, "champion_only", 0)
    told = looking.look(quick.house, "a look")
    assert told == "v2 waits in staging and was taken back by its rollout: `lead-scoring rollout start` tries again"


def test_a_new_champion_that_fails_gives_way(quick: RolloutHome) -> None:
    to_the_top(quick)
    quick.answers(300, quick.rollout, errors=30, first=40_000)
    step = look(quick)
    assert (step.effect, step.next.state, quick.live()) == ("go_back", "rolled_back", 1)
    [*_, last] = quick.deployments().steps()
    assert (last.action, last.champion_version) == ("rolled_back", 2)
    assert "rollout-1-v2: errors:" in last.reason


def test_two_who_see_one_fault_go_back_once(quick: RolloutHome) -> None:
    to_the_top(quick)
    transitions.roll_back(quick.house, "guardrail", "errors", only_from=2)
    with pytest.raises(PromotionError, match="v2 was to be left, expected it live, found v1"):
        transitions.roll_back(quick.house, "another one", "errors", only_from=2)
    step = look(quick)
    assert (step.effect, step.next.state, quick.live()) == ("none", "rolled_back", 1)
    assert "guardrail" not in step.reason
    assert "errors" in step.reason


@pytest.mark.parametrize("ends", ["watching", "rolled_back"])
def test_a_process_that_dies_before_any_commit_is_finished_by_the_next(
    quick: RolloutHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    if ends == "watching":
        to_half(quick)
        quick.set("business_from_percent: 50", "business_from_percent: 100")
        conducting.approve(quick.house, "lina", "")
        quick.now += 2 * DAY
    else:
        to_the_top(quick)
        quick.answers(300, quick.rollout, errors=30, first=40_000)
    live = {"watching": 2, "rolled_back": 1}[ends]
    for commit in itertools.count():
        copied = RolloutHome(Path(shutil.copytree(quick.root, tmp_path / f"dies at {commit}" / "home")), quick.now)
        has_died = False
        with monkeypatch.context() as patched:
            patched.setattr(Lakehouse, "append", dies_before(commit, Lakehouse.append))
            try:
                looking.look(copied.house, "who dies")
            except KeyboardInterrupt:
                has_died = True
        assert copied.live() in (1, 2)
        assert copied.traffic()[0] == copied.live()
        looking.look(copied.house, "the next")
        assert (copied.live(), copied.rollout.state) == (live, ends)
        steps, rows = copied.deployments().steps(), Rollouts(copied.house.lakehouse).rows()
        assert [step.action for step in steps].count("rolled_out") == 1
        assert [row["state"] for row in rows].count(ends) == 1
        assert [row["sequence"] for row in rows] == list(range(len(rows)))
        assert len(copied.house.events.events(kind="rollout")) == len(rows)
        if not has_died:
            break
    # The table of deployments, its event, the table of rollouts, its event, at least.
    assert commit >= 4


def dies_before(commit: int, append: Callable[..., Any]) -> Callable[..., Any]:
    """An `append` that works so many times."""
    left = iter(range(commit))

    def dying(*told: Any, **more: Any) -> Any:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return append(*told, **more)

    return dying


def test_two_who_look_at_once_move_it_once(quick: RolloutHome) -> None:
    assert look(quick).next.state == "shadow"
    quick.shadows(2, 250)
    quick.now += 14 * DAY
    with ThreadPoolExecutor(3) as pool:
        steps = list(pool.map(lambda who: looking.look(quick.house, who), ("one", "two", "three")))
    assert all(isinstance(step, Step) and step.next.share_bp == 500 for step in steps)
    assert [row["state"] for row in Rollouts(quick.house.lakehouse).rows()] == ["shadow", "canary"]


def test_a_candidate_that_does_not_load_is_taken_back(quick: RolloutHome) -> None:
    to_half(quick)
    quick.set("business_from_percent: 50", "business_from_percent: 100")
    conducting.approve(quick.house, "lina", "")
    quick.now += 2 * DAY
    quick.damage(2)
    step = look(quick)
    assert (step.next.state, quick.live()) == ("rolled_back", 1)
    assert step.reason.startswith("it cannot go live: v2 does not load")


def test_where_there_is_no_way_back_that_is_told_at_every_look(quick: RolloutHome) -> None:
    to_the_top(quick)
    quick.damage(1)
    quick.answers(300, quick.rollout, errors=30, first=40_000)
    for _ in range(2):
        step = look(quick)
        assert (step.next.state, quick.live()) == ("watching", 2)
        assert "but there is no earlier version to go back to from v2" in step.reason


# What is started by itself.


def test_by_itself_nothing_starts_unless_the_gate_asks_for_rollouts(home: RolloutHome) -> None:
    home.propose(2)
    assert looking.look(home.house, "a look") == (
        "no rollout is running, and gate.approval is automatic: a person starts one"
    )


def comparison_is_old(home: RolloutHome) -> None:
    home.deployments().append(home.step(3, "promoted", effective_at=BEGIN + DAY))


def experiment_runs(home: RolloutHome) -> None:
    import pyarrow as pa

    row = {"sequence": 0, "experiment_id": "march", "state": "running", "treatment_version": 2}
    home.house.lakehouse.append("experiments", pa.Table.from_pylist([row]))


def nothing_is_live(home: RolloutHome) -> None:
    (home.root / "data" / "lakehouse" / "deployments").rename(home.root / "data" / "gone")
    home.deployments().append(home.step(2, "proposed"))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (comparison_is_old, "v2 met v1 and v3 is live now: the comparison is out of date. Decide 2008-06 again"),
        (experiment_runs, "experiment march is running"),
        (nothing_is_live, "nothing is live to compare it with: `lead-scoring approve 2`"),
    ],
)
def test_why_a_candidate_is_not_started(quick: RolloutHome, change: Callable[[RolloutHome], None], told: str) -> None:
    change(quick)
    found = looking.look(quick.house, "a look")
    assert isinstance(found, str)
    assert told in found
    assert Rollouts(quick.house.lakehouse).rows() == []


def test_where_rollouts_are_asked_for_nobody_approves_all_of_it_at_once(quick: RolloutHome) -> None:
    with pytest.raises(PromotionError, match="v2 goes live by a rollout, expected no approval of all of it at once"):
        transitions.approve(quick.house, 2, "lina", "")
    nothing_is_live(quick)
    assert transitions.approve(quick.house, 2, "lina", "").went_live
