"""One training a period, whatever asks for it and how often; what was asked and answered is on record once."""

from typing import TYPE_CHECKING

import pytest

from lead_scoring_assets.events.log import Event, EventLog
from lead_scoring_assets.retraining.decisions import Cause, RetrainingDecision
from lead_scoring_assets.retraining.episodes import CLOSED, JOINED, OPENED, Answer, answer, episode_id
from lead_scoring_assets.retraining.situation import look

if TYPE_CHECKING:
    from lead_scoring_tests.retraining.conftest import World

ACTOR = "retrain_on_drift"


def yes(period: str = "2008-09", cause: Cause = "drift", reason: str = "age drifted, PSI 0.31") -> RetrainingDecision:
    return RetrainingDecision(cause, period, True, reason, {"psi": {"age": 0.31}})


def no(period: str = "2008-09", cause: Cause = "drift") -> RetrainingDecision:
    return RetrainingDecision(cause, period, False, "0 of 15 features drifted")


def tick(world: "World", decision: RetrainingDecision) -> Answer:
    """One tick of a sensor, in a process of its own."""
    installation = world.installation
    situation = look(installation)
    assert situation is not None
    return answer(decision, situation, installation.events, ACTOR)


def recorded(world: "World") -> list[tuple[str, str]]:
    return [(event.kind, event.event_id) for event in world.installation.events.events()]


@pytest.fixture
def september(world: "World") -> "World":
    world.closes("2008-09")
    return world


def test_the_id_names_cause_and_period() -> None:
    assert episode_id(yes()) == "retraining-drift-2008-09"
    assert episode_id(yes(reason="told otherwise")) == episode_id(yes())
    assert len({episode_id(d) for d in (yes(), yes("2008-10"), yes(cause="calendar"))}) == 3


def test_a_no_launches_and_records_nothing(september: "World") -> None:
    assert tick(september, no()) == Answer(None, "0 of 15 features drifted")
    assert recorded(september) == []


def test_a_cause_opens_an_episode_with_its_evidence(september: "World") -> None:
    assert tick(september, yes()) == Answer("retraining-drift-2008-09", "age drifted, PSI 0.31")
    assert september.installation.events.events() == [
        Event(
            event_id="retraining-drift-2008-09",
            kind=OPENED,
            subject="drift",
            happened_at=september.end("2008-09"),
            actor=ACTOR,
            reason="age drifted, PSI 0.31",
            evidence={"psi": {"age": 0.31}, "period": "2008-09"},
        )
    ]


def test_the_same_cause_asks_with_the_same_id_at_every_tick(september: "World") -> None:
    """Also what a process that died between recording and launching does when it is back: Dagster launches an id once."""
    answers = [tick(september, yes(reason=f"PSI 0.3{i}")) for i in range(3)]
    assert {a.episode_id for a in answers} == {"retraining-drift-2008-09"}
    assert [a.reason for a in answers] == ["PSI 0.30", "PSI 0.31", "PSI 0.32"]
    assert recorded(september) == [(OPENED, "retraining-drift-2008-09")]


def test_it_is_on_record_before_it_is_asked_for(september: "World", monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that dies while recording has asked for nothing, and the next one starts afresh."""

    def die(*_: object) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(EventLog, "record", die)
        with pytest.raises(KeyboardInterrupt):
            tick(september, yes())
    assert recorded(september) == []
    assert tick(september, yes()).episode_id == "retraining-drift-2008-09"


def test_another_cause_in_the_same_period_joins(september: "World") -> None:
    tick(september, yes())
    joining = yes(cause="label_volume", reason="1,600 of 1,500 new labels")
    for _ in range(2):
        assert tick(september, joining) == Answer(
            None, "retraining-drift-2008-09 already asks for a training of 2008-09; 1,600 of 1,500 new labels"
        )
    assert recorded(september) == [
        (OPENED, "retraining-drift-2008-09"),
        (JOINED, "retraining-label_volume-2008-09-joined"),
    ]
    joined = september.installation.events.events(kind=JOINED)[0]
    assert joined.evidence["episode"] == "retraining-drift-2008-09"
    assert tick(september, yes()).episode_id == "retraining-drift-2008-09"  # who opened it goes on asking


def test_a_period_whose_files_are_not_ingested_waits(world: "World") -> None:
    """A training of it would learn from the period before, and the period would count as decided."""
    world.closes("2008-09", is_ingested=False)
    assert tick(world, yes()) == Answer(None, "the files of 2008-09 are not ingested yet; age drifted, PSI 0.31")
    assert recorded(world) == []
    world.ingests("2008-09")
    assert tick(world, yes()).episode_id == "retraining-drift-2008-09"


@pytest.mark.parametrize("verdict", ["promoted", "rejected", "no_candidate"])
def test_a_decided_period_launches_nothing(september: "World", verdict: str) -> None:
    september.decides("2008-09", verdict)
    told = f"2008-09 has been decided ({verdict}: reason of 2008-09); age drifted, PSI 0.31"
    assert tick(september, yes()) == Answer(None, told)
    assert tick(september, no()) == Answer(None, "0 of 15 features drifted")
    assert recorded(september) == []


def test_the_verdict_closes_the_episode_once(september: "World") -> None:
    tick(september, yes())
    september.decides("2008-09", "rejected")
    for _ in range(2):
        assert tick(september, yes()).episode_id is None
    closed = september.installation.events.events(kind=CLOSED)
    assert [(e.event_id, e.subject, e.actor, e.reason) for e in closed] == [
        (
            "retraining-drift-2008-09-closed",
            "retraining-drift-2008-09",
            "promotion_decision",
            "rejected: reason of 2008-09",
        )
    ]
    assert len(recorded(september)) == 2


def test_any_causes_no_closes_what_was_answered(september: "World") -> None:
    tick(september, yes())
    september.decides("2008-09")
    tick(september, no(cause="performance"))
    assert (CLOSED, "retraining-drift-2008-09-closed") in recorded(september)


def test_the_decision_on_another_period_closes_nothing(september: "World") -> None:
    tick(september, yes())
    september.decides("2008-08")
    assert tick(september, yes()).episode_id == "retraining-drift-2008-09"
    assert recorded(september) == [(OPENED, "retraining-drift-2008-09")]


@pytest.mark.parametrize("is_answered", [True, False])
def test_the_same_cause_in_a_later_period_launches_again(september: "World", is_answered: bool) -> None:
    """Also where the training of the earlier period failed and never came to a decision."""
    tick(september, yes())
    if is_answered:
        september.decides("2008-09", "rejected")
    september.closes("2008-10")
    assert tick(september, yes("2008-10")).episode_id == "retraining-drift-2008-10"
    opened = [e.event_id for e in september.installation.events.events(kind=OPENED)]
    assert opened == ["retraining-drift-2008-09", "retraining-drift-2008-10"]


def test_several_open_episodes_are_each_closed_by_their_own_verdict(september: "World") -> None:
    tick(september, yes())
    september.closes("2008-10")
    tick(september, yes("2008-10"))
    september.decides("2008-10")
    tick(september, no("2008-10"))
    assert [e.subject for e in september.installation.events.events(kind=CLOSED)] == ["retraining-drift-2008-10"]
    september.decides("2008-09", "rejected")
    tick(september, no("2008-10"))
    assert {e.subject: e.reason for e in september.installation.events.events(kind=CLOSED)} == {
        "retraining-drift-2008-09": "rejected: reason of 2008-09",
        "retraining-drift-2008-10": "promoted: reason of 2008-10",
    }
