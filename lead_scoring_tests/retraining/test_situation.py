"""The facts that a decision sees: those known now, of the newest closed period, from real tables."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from lead_scoring_assets.clock import ReplayClock
from lead_scoring_assets.retraining.decisions import Cause, RetrainingDecision
from lead_scoring_assets.retraining.situation import Situation, decide, look

if TYPE_CHECKING:
    from lead_scoring_tests.retraining.conftest import World

TICK = timedelta(microseconds=1)


def looked(world: "World") -> Situation:
    situation = look(world.installation)
    assert situation is not None
    return situation


def decided(world: "World", cause: Cause) -> RetrainingDecision:
    return decide(cause, world.installation, looked(world))


def test_before_the_first_period_closes_there_is_nothing_to_look_at(world: "World") -> None:
    ReplayClock(world.home.clock_file).move_to(datetime(2008, 6, 1, tzinfo=UTC) - TICK)
    assert look(world.installation) is None
    ReplayClock(world.home.clock_file).move_to(datetime(2008, 6, 1, tzinfo=UTC))
    assert looked(world).period.key == "2008-05"


def test_an_empty_lakehouse_is_a_situation(world: "World") -> None:
    world.closes("2008-09", is_ingested=False)
    situation = looked(world)
    assert (situation.period.key, situation.now) == ("2008-09", world.end("2008-09"))
    assert (situation.has_arrived, situation.champion, list(situation.decisions)) == (False, None, [])
    assert situation.last_trained_at is None
    assert situation.decision_of("2008-09") is None
    assert not world.installation.lakehouse.names()  # asking leaves nothing behind


@pytest.mark.parametrize("cause", ["drift", "label_volume", "performance", "calendar"])
def test_every_cause_can_be_decided_on_an_empty_lakehouse(world: "World", cause: Cause) -> None:
    world.closes("2008-09", is_ingested=False)
    decision = decided(world, cause)
    assert (decision.cause, decision.period, decision.retrain) == (cause, "2008-09", cause == "calendar")
    assert decision.reason


def test_files_of_another_period_do_not_count_as_arrived(world: "World") -> None:
    world.closes("2008-08")
    assert looked(world).has_arrived
    world.closes("2008-09", is_ingested=False)
    assert not looked(world).has_arrived
    world.ingests("2008-09")
    assert looked(world).has_arrived


def test_the_last_training_is_the_newest_that_gave_a_candidate(world: "World") -> None:
    world.closes("2008-09")
    world.decides("2008-08", "rejected", 2)
    world.decides("2008-06", "promoted", 1)
    world.decides("2008-09", "no_candidate", None)
    situation = looked(world)
    assert [decision["period"] for decision in situation.decisions] == ["2008-06", "2008-08", "2008-09"]
    assert situation.last_trained_at == world.end("2008-08")
    found = situation.decision_of("2008-08")
    assert found is not None
    assert found["verdict"] == "rejected"


def test_where_no_candidate_came_of_it_nothing_was_trained(world: "World") -> None:
    world.closes("2008-09")
    world.decides("2008-09", "no_candidate", None)
    assert looked(world).last_trained_at is None


def test_the_champion_is_the_one_of_now(world: "World") -> None:
    world.closes("2008-09")
    world.deploys(1, "2008-08")
    world.deploys(2, "2008-10")
    champion = looked(world).champion
    assert champion is not None
    assert champion.version == 1


def test_labels_count_from_after_the_last_training_until_now(world: "World") -> None:
    world.closes("2008-09")
    world.decides("2008-08")
    since, now = world.end("2008-08"), world.end("2008-09")
    world.labels("2008-08", since - TICK, since)
    world.labels("2008-09", since + TICK, now - TICK, now)
    world.labels("2008-10", now + TICK)
    decision = decided(world, "label_volume")
    assert decision.reason == "3 of 1,500 new labels since the last training at 2008-09-01 (no champion yet)"


def test_all_labels_until_now_count_before_the_first_training(world: "World") -> None:
    world.closes("2008-09")
    world.labels("2008-05", world.end("2008-05"))
    world.labels("2008-10", world.end("2008-09") + TICK)
    assert decided(world, "label_volume").evidence == {"new_labels": 1, "needed": 1_500}


def test_a_corrected_label_is_not_a_new_one(world: "World") -> None:
    world.closes("2008-09")
    world.labels("2008-08", world.end("2008-08"))
    world.labels("2008-09", world.end("2008-09"), revision=2)
    assert decided(world, "label_volume").evidence == {"new_labels": 1, "needed": 1_500}


@pytest.mark.parametrize(("labels", "retrain"), [(1_499, False), (1_500, True)])
def test_label_volume_at_its_border(world: "World", labels: int, retrain: bool) -> None:
    world.closes("2008-09")
    world.many_labels("2008-09", labels)
    assert decided(world, "label_volume").retrain is retrain


def test_drift_is_that_of_the_newest_closed_period(world: "World") -> None:
    world.closes("2008-09")
    world.deploys(1, "2008-06")
    world.drifts("2008-08", 1)
    assert decided(world, "drift").reason == "drift of 2008-09 has not been measured"
    world.drifts("2008-09", 1, psi=0.31)
    decision = decided(world, "drift")
    assert decision.retrain
    assert "age (PSI 0.31); n = 1,234" in decision.reason


def test_drift_from_a_replaced_champion_is_no_cause(world: "World") -> None:
    world.closes("2008-09")
    world.deploys(1, "2008-06")
    world.drifts("2008-09", 1)
    world.deploys(2, "2008-09")
    decision = decided(world, "drift")
    assert not decision.retrain
    assert "measured against v1, and champion v2 has replaced it" in decision.reason


@pytest.mark.parametrize(("auc", "retrain"), [(0.72, False), (0.7199, True)])
def test_a_drop_is_measured_from_the_champions_own_holdout(world: "World", auc: float, retrain: bool) -> None:
    """Of 10 % of 0.80; other models were promised more."""
    world.closes("2008-09")
    world.deploys(1, "2008-06")
    world.promises(7, "2008-05", 0.99)
    world.promises(1, "2008-06", 0.80)
    world.promises(9, "2008-08", 0.99)
    world.performs("2008-09", 1, auc)
    decision = decided(world, "performance")
    assert decision.retrain is retrain
    assert "0.800" in decision.reason


def test_a_champion_whose_period_was_evaluated_anew_has_no_promise(world: "World") -> None:
    world.closes("2008-09")
    world.deploys(1, "2008-06")
    world.promises(2, "2008-06", 0.80)
    world.performs("2008-09", 1, 0.70)
    assert "not on record" in decided(world, "performance").reason


@pytest.mark.parametrize(("period", "retrain"), [("2008-07", False), ("2008-08", True)])
def test_the_calendar_falls_due_after_three_months(world: "World", period: str, retrain: bool) -> None:
    world.decides("2008-05")
    world.closes(period)
    assert decided(world, "calendar").retrain is retrain
