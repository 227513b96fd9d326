"""What people do to a version: taken live, approved by another, rejected for good, rolled back; each on the record."""

from dataclasses import replace

import pytest

from lead_scoring_assets.errors import PromotionError
from lead_scoring_assets.models.registry import DEVELOPMENT, PRODUCTION, STAGING, ModelRegistry
from lead_scoring_assets.promotion import transitions
from lead_scoring_assets.promotion.deployments import Deployments
from lead_scoring_assets.promotion.following import KIND, follow
from lead_scoring_tests.promotion.worlds import NOW, World


def propose(world: World, number: int, requested_by: str | None = None) -> None:
    proposal = replace(world.version(number), action="proposed", requested_by=requested_by)
    assert Deployments(world.house.lakehouse).record(proposal)


def roll_back(world: World) -> int:
    return transitions.roll_back(world.house, "mona", "").version


# By hand.


def test_a_version_is_taken_live_by_hand_with_a_reason(world: World) -> None:
    world.promote(1, 2)
    done = transitions.promote(world.house, 4, "mona", "v2 forgets the branch in Al Ain")
    assert (world.live(), done.actor, done.effective_at, done.champion_version) == (4, "mona", NOW, 2)
    assert Deployments(world.house.lakehouse).champion_at(NOW) == done


@pytest.mark.parametrize(
    ("number", "reason", "told"),
    [
        (4, " ", "only with a reason"),
        (9, "because", "there is no version v9"),
        (2, "because", "v2 cannot be promoted by hand: .* found it in production"),
        (3, "because", "v3 does not load"),
    ],
)
def test_what_cannot_be_taken_live_is_refused(world: World, number: int, reason: str, told: str) -> None:
    world.promote(1, 2)
    world.damage(3)
    with pytest.raises(PromotionError, match=told):
        transitions.promote(world.house, number, "mona", reason)
    assert world.live() == 2


def test_what_a_person_rejected_never_goes_live(world: World) -> None:
    world.promote(1)
    transitions.reject(world.house, 2, "mona", "learned from a broken export")
    for take_live in (transitions.promote, transitions.approve):
        with pytest.raises(PromotionError, match="v2 was rejected"):
            take_live(world.house, 2, "omar", "but I like it")
    assert not Deployments(world.house.lakehouse).record(world.version(2))  # nor by the gate, decided again
    assert world.live() == 1


# Approval.


def test_another_person_approves(world: World) -> None:
    world.promote(1)
    propose(world, 2, requested_by="mona")
    with pytest.raises(PromotionError, match="at the request of mona, expected another person"):
        transitions.approve(world.house, 2, "mona", "")
    assert world.live() == 1
    assert transitions.approve(world.house, 2, "omar", "").requested_by is None
    assert world.live() == 2
    assert not Deployments(world.house.lakehouse).record(replace(world.version(2), action="proposed"))


def test_a_comparison_that_is_out_of_date_is_not_approved(world: World) -> None:
    world.promote(1, 2)
    propose(world, 3)
    assert roll_back(world) == 1
    with pytest.raises(PromotionError, match="v3 met v2, expected v1, which is live now"):
        transitions.approve(world.house, 3, "omar", "")
    propose(world, 3)  # decided again, against what is live
    assert transitions.approve(world.house, 3, "omar", "").version == 3


@pytest.mark.parametrize("number", [1, 4])
def test_only_who_waits_in_staging_is_approved(world: World, number: int) -> None:
    world.promote(1)
    propose(world, 2)
    with pytest.raises(PromotionError, match=f"v{number} cannot be approved: expected it in staging"):
        transitions.approve(world.house, number, "omar", "")


# Rollback.


def test_rolling_back_goes_to_the_version_before(world: World) -> None:
    world.promote(1, 2, 3)
    assert roll_back(world) == 2
    assert world.live() == 2
    assert roll_back(world) == 1  # not back to v3, which was rolled back from
    with pytest.raises(PromotionError, match="no earlier version to go back to from v1"):
        roll_back(world)
    assert world.live() == 1


def test_rolling_back_skips_what_is_damaged(world: World) -> None:
    world.promote(1, 2, 3)
    world.damage(2)
    assert roll_back(world) == 1


def test_with_nothing_that_loads_what_is_live_stays_and_each_problem_is_named(world: World) -> None:
    world.promote(1, 2)
    world.damage(1)
    with pytest.raises(PromotionError, match=r"v1: model file .*recipe\.json was changed"):
        roll_back(world)
    assert world.live() == 2


def test_before_the_first_there_is_nothing_to_roll_back(world: World) -> None:
    with pytest.raises(PromotionError, match="no version is live"):
        roll_back(world)


def test_a_version_named_by_a_person_may_be_gone_back_to_again(world: World) -> None:
    world.promote(1, 2, 3)
    roll_back(world)
    transitions.promote(world.house, 3, "mona", "it was the export, not the model")
    transitions.promote(world.house, 4, "mona", "newer")
    assert roll_back(world) == 3


def test_deciding_the_same_period_again_does_not_undo_a_rollback(world: World) -> None:
    world.promote(1, 2, 3)
    roll_back(world)
    for number in (1, 2, 3):
        assert not Deployments(world.house.lakehouse).record(world.version(number))
    assert world.live() == 2


# What follows.


def test_each_step_is_an_event_with_who_and_why(world: World) -> None:
    world.promote(1, 2)
    transitions.reject(world.house, 3, "omar", "learned from a broken export")
    roll_back(world)
    follow(world.house)
    events = {event.event_id: event for event in world.house.events.events(kind=KIND)}
    assert sorted(events) == [f"model-lifecycle-{i}" for i in range(4)]
    told = [(events[key].evidence["action"], events[key].subject, events[key].actor) for key in sorted(events)]
    assert told[2:] == [("rejected", "v3", "omar"), ("rolled_back", "v1", "mona")]
    assert events["model-lifecycle-2"].reason == "learned from a broken export"


def test_the_aliases_and_tags_follow_and_are_repaired(world: World) -> None:
    registry = ModelRegistry(world.house.home)
    world.promote(1, 2)
    propose(world, 3)
    assert follow(world.house) is None

    def seen() -> tuple[int | None, ...]:
        return tuple(registry.aliased(alias) for alias in (PRODUCTION, STAGING, DEVELOPMENT))

    assert seen() == (2, 3, 5)
    assert registry.archived_versions() == {1}
    registry.client.set_registered_model_alias(registry.name, PRODUCTION, "5")
    registry.client.delete_registered_model_alias(registry.name, STAGING)
    registry.client.set_model_version_tag(registry.name, "2", "archived", "true")
    assert follow(world.house) is None
    assert (seen(), registry.archived_versions()) == ((2, 3, 5), {1})
    transitions.approve(world.house, 3, "omar", "")
    follow(world.house)
    assert (seen(), registry.archived_versions()) == ((3, None, 5), {1, 2})


def test_a_registry_that_does_not_follow_is_told_and_stops_nothing(world: World) -> None:
    world.promote(1, 2)
    registry = ModelRegistry(world.house.home)
    registry.client.delete_model_version(registry.name, "1")
    roll_back(world)
    assert "MLflow could not follow" in str(follow(world.house))
    assert world.live() == 1


# By a rollout.


def test_a_version_is_proposed_by_hand_and_rolled_out(world: World) -> None:
    world.promote(1)
    assert transitions.propose(world.house, 3, "mona", "for the new branch").action == "proposed"
    assert Deployments(world.house.lakehouse).lifecycle().staging == 3
    done = transitions.roll_out(world.house, 3, "a sensor", "48 hours at 50 %")
    assert (world.live(), done.action, done.champion_version) == (3, "rolled_out", 1)
    world.damage(2)
    with pytest.raises(PromotionError, match="v2 does not load"):
        transitions.propose(world.house, 2, "mona", "for the new branch")


def test_who_goes_back_by_himself_names_what_he_leaves(world: World) -> None:
    world.promote(1, 2)
    with pytest.raises(PromotionError, match="v1 was to be left, expected it live, found v2: it is left already"):
        transitions.roll_back(world.house, "a guardrail", "errors", only_from=1)
    assert transitions.roll_back(world.house, "a guardrail", "errors", only_from=2).version == 1
