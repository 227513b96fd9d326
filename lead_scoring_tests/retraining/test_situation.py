"""The facts that a decision sees: those known now, of the newest closed period, from real tables."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lead_scoring_assets.clock import ReplayClock
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.models.training_set import HOLDOUT, TRAIN
from lead_scoring_assets.promotion.deployments import Deployment, Deployments
from lead_scoring_assets.promotion.lifecycle import Action
from lead_scoring_assets.retraining.causes import Cause, Finding, Policy, find_causes
from lead_scoring_assets.retraining.facts import Facts, TrainingData
from lead_scoring_assets.retraining.situation import Situation, count_training_data, gather, look
from lead_scoring_assets.settings import Home

if TYPE_CHECKING:
    from lead_scoring_tests.retraining.conftest import World

TICK = timedelta(microseconds=1)
SPLITS = (TRAIN, HOLDOUT)


def looked(world: "World") -> Situation:
    situation = look(world.installation)
    assert situation is not None
    return situation


def gathered(world: "World") -> Facts:
    return gather(world.installation, looked(world))


def found(world: "World", cause: Cause) -> Finding:
    """What a cause says to the facts in the tables."""
    findings = find_causes(gathered(world), Policy.of(world.home.settings))
    return next(finding for finding in findings if finding.cause == cause)


def judged(world: "World") -> list[tuple[str, str]]:
    return [(judgement.period, judgement.verdict) for judgement in looked(world).judgements]


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
    assert situation.judgements == []
    assert situation.decision_of("2008-09") is None
    assert not world.installation.lakehouse.names()  # asking leaves nothing behind


def test_every_cause_can_be_found_on_an_empty_lakehouse(world: "World") -> None:
    world.closes("2008-09", is_ingested=False)
    findings = find_causes(gathered(world), Policy.of(world.home.settings))
    assert [finding.cause for finding in findings] == list(world.home.settings.retraining.causes)
    assert [finding.cause for finding in findings if finding.is_given] == ["calendar"]
    period = looked(world).period
    assert count_training_data(world.installation, period) == TrainingData(0, 0, 0, 0)


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
    assert judged(world) == [("2008-06", "promoted"), ("2008-08", "rejected")]
    assert situation.judgements[-1].judged_at == world.end("2008-08")
    decision = situation.decision_of("2008-08")
    assert decision is not None
    assert decision["verdict"] == "rejected"


def test_where_no_candidate_came_of_it_nothing_was_trained(world: "World") -> None:
    world.closes("2008-09")
    world.decides("2008-09", "no_candidate", None)
    assert looked(world).judgements == []


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
    finding = found(world, "label_volume")
    assert finding.reason == "3 of 1,500 new labels since the last training at 2008-09-01 (no champion yet)"


def test_all_labels_until_now_count_before_the_first_training(world: "World") -> None:
    world.closes("2008-09")
    world.labels("2008-05", world.end("2008-05"))
    world.labels("2008-10", world.end("2008-09") + TICK)
    assert found(world, "label_volume").evidence == {"new_labels": 1, "needed": 1_500}


def test_a_corrected_label_is_not_a_new_one(world: "World") -> None:
    world.closes("2008-09")
    world.labels("2008-08", world.end("2008-08"))
    world.labels("2008-09", world.end("2008-09"), revision=2)
    assert found(world, "label_volume").evidence == {"new_labels": 1, "needed": 1_500}


@pytest.mark.parametrize(("labels", "is_cause"), [(1_499, False), (1_500, True)])
def test_label_volume_at_its_border(world: "World", labels: int, is_cause: bool) -> None:
    world.closes("2008-09")
    world.many_labels("2008-09", labels)
    assert found(world, "label_volume").is_given is is_cause


def test_drift_is_that_of_the_newest_closed_period(world: "World") -> None:
    world.closes("2008-09")
    world.deploys(1, "2008-06")
    world.drifts("2008-08", 1)
    assert found(world, "drift").reason == "drift of 2008-09 has not been measured"
    world.drifts("2008-09", 1, psi=0.31)
    finding = found(world, "drift")
    assert finding.is_given
    assert "age (PSI 0.31); n = 1,234" in finding.reason


def test_drift_from_a_replaced_champion_is_no_cause(world: "World") -> None:
    world.closes("2008-09")
    world.deploys(1, "2008-06")
    world.drifts("2008-09", 1)
    world.deploys(2, "2008-09")
    finding = found(world, "drift")
    assert not finding.is_given
    assert "measured against v1, and champion v2 has replaced it" in finding.reason


@pytest.mark.parametrize(("auc", "is_cause"), [(0.72, False), (0.7199, True)])
def test_a_drop_is_measured_from_the_champions_own_holdout(world: "World", auc: float, is_cause: bool) -> None:
    """Of 10 % of 0.80; other models were promised more."""
    world.closes("2008-09")
    world.deploys(1, "2008-06")
    world.promises(7, "2008-05", 0.99)
    world.promises(1, "2008-06", 0.80)
    world.promises(9, "2008-08", 0.99)
    world.performs("2008-09", 1, auc)
    finding = found(world, "performance")
    assert finding.is_given is is_cause
    assert "0.800" in finding.reason


def test_a_champion_whose_period_was_evaluated_anew_has_no_promise(world: "World") -> None:
    world.closes("2008-09")
    world.deploys(1, "2008-06")
    world.promises(2, "2008-06", 0.80)
    world.performs("2008-09", 1, 0.70)
    assert "not on record" in found(world, "performance").reason


@pytest.mark.parametrize(("period", "is_cause"), [("2008-07", False), ("2008-08", True)])
def test_the_calendar_falls_due_after_three_months(world: "World", period: str, is_cause: bool) -> None:
    world.decides("2008-05")
    world.closes(period)
    assert found(world, "calendar").is_given is is_cause


def test_the_first_champion_went_live_when_it_did(world: "World") -> None:
    world.closes("2008-09")
    assert gathered(world).first_live_at is None
    world.deploys(1, "2008-06")
    world.deploys(2, "2008-08")
    assert gathered(world).first_live_at == world.end("2008-06")


@pytest.mark.parametrize(
    ("actions", "verdict"),
    [
        ([], "awaiting_approval"),
        (["proposed", "approved"], "promoted"),
        (["proposed", "rejected"], "rejected"),
        (["promoted_by_hand"], "promoted"),
    ],
)
def test_what_people_said_of_a_candidate_is_its_verdict(world: "World", actions: list[Action], verdict: str) -> None:
    world.closes("2008-09")
    world.deploys(1, "2008-06")
    world.decides("2008-08", "awaiting_approval", 2)
    for action in actions:
        step = Deployment(2, world.end("2008-09"), "2008-08", "m-2", "f-2", "Mona", "so be it", action)
        Deployments(world.installation.lakehouse).record(step)
    assert judged(world) == [("2008-08", verdict)]


def test_a_candidate_that_was_rolled_back_was_taken_back(world: "World") -> None:
    world.closes("2008-09")
    for version, period in ((1, "2008-06"), (2, "2008-08")):
        world.deploys(version, period)
        world.decides(period, "promoted", version)
    assert judged(world) == [("2008-06", "promoted"), ("2008-08", "promoted")]
    deployments = Deployments(world.installation.lakehouse)
    deployments.append(Deployment(1, world.end("2008-09"), "2008-06", "m-1", "f-1", "Mona", "back", "rolled_back"))
    assert judged(world) == [("2008-06", "promoted"), ("2008-08", "taken_back")]
    champion = gathered(world).champion
    assert champion is not None
    assert champion.version == 1


@pytest.mark.parametrize("table", ["concept_drift", "prediction_drift"])
def test_other_drift_is_read_where_it_is_measured(world: "World", table: Cause) -> None:
    world.closes("2008-09")
    world.deploys(1, "2008-06")
    assert "has not been measured" in found(world, table).reason
    world.drifts("2008-09", 1, psi=0.4, table=table)
    assert found(world, table).is_given
    assert not found(world, "drift").is_given


def test_windows_are_those_of_the_champion_up_to_now(world: "World") -> None:
    world.closes("2008-09")
    world.deploys(1, "2008-05")
    world.deploys(2, "2008-06")
    for period, version in (("2008-06", 1), ("2008-07", 2), ("2008-08", 2), ("2008-09", 1), ("2008-10", 2)):
        world.drifts(period, version)
    windows = [(window.period, window.model_version) for window in gathered(world).drift]
    assert windows == [("2008-07", 2), ("2008-08", 2), ("2008-09", 1)]


def test_training_data_is_what_a_training_set_would_hold(short_home: Path) -> None:
    """Counted in the tables of a real history, period by period, against the rows that were trained and judged on."""
    installation = Installation(Home(short_home))
    periods = installation.settings.calendar.through(installation.settings.calendar.period("2008-09"))
    sets = installation.lakehouse.read("training_set", columns=["period", "split", "label"]).to_pylist()
    for period in periods:
        rows = {
            split: [r["label"] for r in sets if (r["period"], r["split"]) == (period.key, split)] for split in SPLITS
        }
        expected = TrainingData(*(n for split in SPLITS for n in (len(rows[split]), sum(rows[split]))))
        assert count_training_data(installation, period) == expected
    assert expected.rows > 800  # the last one is no empty comparison
