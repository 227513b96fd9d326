"""What people do to a rollout, and what is refused in words."""

from collections.abc import Callable

import pytest

from lead_scoring_assets.errors import PromotionError, RolloutError
from lead_scoring_assets.rollout import conducting
from lead_scoring_assets.rollout.records import Rollouts
from lead_scoring_tests.rollout.homes import DAY, RolloutHome


def test_each_step_is_a_row_and_an_event(home: RolloutHome) -> None:
    home.propose(2, requested_by="omar")
    conducting.start(home.house, 2, "mona", "it is better")
    home.now += DAY
    conducting.abort(home.house, "lina", "sales reports wrong numbers")
    rows = Rollouts(home.house.lakehouse).rows()
    assert [(row["sequence"], row["action"], row["state"], row["actor"]) for row in rows] == [
        (0, "started", "shadow", "mona"),
        (1, "aborted", "rolled_back", "lina"),
    ]
    assert (rows[0]["requested_by"], rows[1]["at"] - rows[0]["at"]) == ("omar", DAY)
    events = home.house.events.events(kind=conducting.KIND)
    assert [(event.subject, event.reason) for event in events] == [
        ("rollout-1-v2", "it is better"),
        ("rollout-1-v2", "sales reports wrong numbers"),
    ]


def test_one_rollout_at_a_time_and_the_next_has_a_name_of_its_own(home: RolloutHome) -> None:
    home.propose(2)
    first = conducting.start(home.house, 2, "mona", "it is better")
    with pytest.raises(
        RolloutError, match=r"v2 is in the shadow \(rollout-1-v2\), expected no rollout that is running"
    ):
        conducting.start(home.house, 3, "mona", "this one, too")
    conducting.abort(home.house, "mona", "later")
    second = conducting.start(home.house, 2, "mona", "now")
    assert (first.rollout_id, second.rollout_id) == ("rollout-1-v2", "rollout-2-v2")


def nothing_is_live(home: RolloutHome) -> None:
    conducting.begin(home.house, Rollouts(home.house.lakehouse), 2, "mona", "r", is_fast=False)


REFUSED: list[tuple[Callable[[RolloutHome], object], str]] = [
    (lambda home: conducting.start(home.house, 2, "mona", " "), "started by hand only with a reason"),
    (lambda home: conducting.start(home.house, 1, "mona", "r"), "v1 cannot be proposed: .* found it in production"),
    (lambda home: conducting.start(home.house, 9, "mona", "r"), "there is no version v9"),
    (lambda home: conducting.approve(home.house, "lina", ""), "no rollout is running, expected one"),
    (lambda home: conducting.abort(home.house, "lina", "r"), "no rollout is running, expected one"),
]


@pytest.mark.parametrize(("ask", "told"), REFUSED)
def test_what_cannot_be_is_refused_in_words(home: RolloutHome, ask: Callable[[RolloutHome], object], told: str) -> None:
    home.propose(2)
    with pytest.raises((RolloutError, PromotionError), match=told):
        ask(home)
    assert Rollouts(home.house.lakehouse).rows() == []


def test_a_rejected_version_is_not_rolled_out(home: RolloutHome) -> None:
    home.deployments().append(home.step(2, "rejected"))
    with pytest.raises(PromotionError, match="v2 was rejected"):
        conducting.start(home.house, 2, "mona", "but I like it")


def test_without_a_champion_there_is_nothing_to_stand_beside(home: RolloutHome) -> None:
    (home.root / "data" / "lakehouse" / "deployments").rename(home.root / "data" / "gone")
    with pytest.raises(RolloutError, match="nothing is live, expected a champion"):
        nothing_is_live(home)


@pytest.mark.parametrize(("by", "told"), [("omar", "asked for the training of"), ("mona", "started the rollout of")])
def test_another_person_approves(home: RolloutHome, by: str, told: str) -> None:
    home.propose(2, requested_by="omar")
    conducting.start(home.house, 2, "mona", "it is better", is_fast=True)
    with pytest.raises(RolloutError, match=f"{by} {told} v2, expected another person"):
        conducting.approve(home.house, by, "")
    assert conducting.approve(home.house, "lina", "").approvers == ("lina",)
    assert home.rollout.approvers == ("lina",)
    assert Rollouts(home.house.lakehouse).rows()[-1]["reason"] == "5 % approved"


def test_what_asks_for_nothing_is_not_approved(home: RolloutHome) -> None:
    home.propose(2)
    conducting.start(home.house, 2, "mona", "it is better")
    with pytest.raises(RolloutError, match="needs no approval now"):
        conducting.approve(home.house, "lina", "")


def test_an_abort_needs_a_reason_and_a_candidate(home: RolloutHome) -> None:
    home.propose(2)
    conducting.start(home.house, 2, "mona", "it is better")
    with pytest.raises(RolloutError, match="aborted only with a reason"):
        conducting.abort(home.house, "mona", "")
    home.deployments().append(home.step(2, "rolled_out"))
    with pytest.raises(RolloutError, match="v2 is live, expected a candidate: `lead-scoring rollback`"):
        conducting.abort(home.house, "mona", "too late")


def test_an_event_that_a_killed_process_left_out_is_told_by_the_next(home: RolloutHome) -> None:
    home.propose(2)
    rollouts = Rollouts(home.house.lakehouse)
    conducting.start(home.house, 2, "mona", "it is better")
    rollouts.append(home.rollout, "approved", home.now, "lina", "looked at it")
    assert len(home.house.events.events(kind=conducting.KIND)) == 1
    conducting.tell(home.house, rollouts)
    conducting.tell(home.house, rollouts)
    assert [event.actor for event in home.house.events.events(kind=conducting.KIND)] == ["mona", "lina"]
