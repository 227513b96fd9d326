"""One training at a time and one a period, whatever asks for it and how often; what was asked and answered is on record once."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from lead_scoring_assets.events.log import Event, EventLog
from lead_scoring_assets.retraining.by_hand import request_retraining
from lead_scoring_assets.retraining.episodes import CAUSE_TAG, EPISODE_TAG, Answer, RunState, answer
from lead_scoring_assets.retraining.records import CLOSED, DECLINED, JOINED, OPENED

if TYPE_CHECKING:
    from lead_scoring_tests.retraining.conftest import World

ACTOR = "retrain_on_cause"
DRIFT, CALENDAR = "retraining-drift-2008-08", "retraining-calendar-2008-09"


@dataclass
class Runs:
    """What Dagster would say; by default it has launched nothing."""

    states: dict[str, RunState] = field(default_factory=dict)
    unfinished: str | None = None

    def at_work(self) -> str | None:
        return self.unfinished

    def state_of(self, episode_id: str) -> RunState:
        return self.states.get(episode_id, "none")


def tick(world: "World", runs: Runs | None = None) -> Answer:
    """One tick of the sensor, in a process of its own."""
    return answer(world.installation, runs or Runs(), ACTOR)


def recorded(world: "World", *kinds: str) -> list[tuple[str, str]]:
    events = world.installation.events.events()
    return [(event.kind, event.event_id) for event in events if not kinds or event.kind in kinds]


@pytest.fixture
def august(world: "World") -> "World":
    """Champion v1 of June; August has closed, and nothing asks."""
    world.deploys(1, "2008-06")
    world.decides("2008-06")
    world.closes("2008-08")
    world.drifts("2008-08", 1, psi=0.02, status="stable")
    return world


@pytest.fixture
def drifting(august: "World") -> "World":
    august.drifts("2008-08", 1, psi=0.31)
    return august


def test_before_the_first_period_closes(world: "World") -> None:
    world.closes("2008-04", is_ingested=False)
    assert tick(world) == Answer("no period has closed yet")


def test_a_cause_opens_an_episode_with_its_evidence(drifting: "World") -> None:
    reason = "1 of 1 features of 2008-08 drifted from champion v1's training window: age (PSI 0.31); n = 1,234"
    assert tick(drifting) == Answer(f"drift: {reason}", DRIFT, "2008-08", {CAUSE_TAG: "drift", EPISODE_TAG: DRIFT})
    assert drifting.installation.events.events() == [
        Event(
            event_id=DRIFT,
            kind=OPENED,
            subject="drift",
            happened_at=drifting.end("2008-08"),
            actor=ACTOR,
            reason=reason,
            evidence={
                "psi": {"age": 0.31},
                "champion_version": 1,
                "windows": 1,
                "period": "2008-08",
                "passed": [],
                "is_repeat": False,
            },
        )
    ]


def test_every_cause_is_on_record_from_the_start(drifting: "World") -> None:
    drifting.performs("2008-08", 1, 0.5)
    drifting.many_labels("2008-08", 1_500)
    assert tick(drifting).episode_id == DRIFT
    assert recorded(drifting) == [
        (OPENED, DRIFT),
        (JOINED, f"{DRIFT}-label_volume"),
        (JOINED, f"{DRIFT}-performance"),
    ]


def test_until_its_run_is_there_it_is_asked_for_under_the_same_id(drifting: "World") -> None:
    answers = [tick(drifting) for _ in range(3)]
    assert {(a.episode_id, a.period) for a in answers} == {(DRIFT, "2008-08")}
    assert len({tuple(a.tags.items()) for a in answers}) == 1
    assert recorded(drifting) == [(OPENED, DRIFT)]


def test_an_episode_outlives_its_cause(drifting: "World") -> None:
    """Who opened it died before launching; by the next tick the cause is gone, and only what joined later is left."""
    tick(drifting)
    drifting.drifts("2008-08", 1, psi=0.02, status="stable")
    assert tick(drifting).episode_id == DRIFT
    drifting.performs("2008-08", 1, 0.5)
    assert tick(drifting).episode_id == DRIFT
    assert recorded(drifting) == [(OPENED, DRIFT), (JOINED, f"{DRIFT}-performance")]
    assert tick(drifting, Runs({DRIFT: "running"})).episode_id is None


def test_it_is_on_record_before_it_is_asked_for(drifting: "World", monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that dies while recording has asked for nothing, and the next one starts afresh."""

    def die(*_: object) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(EventLog, "record", die)
        with pytest.raises(KeyboardInterrupt):
            tick(drifting)
    assert recorded(drifting) == []
    assert tick(drifting).episode_id == DRIFT


def test_while_its_run_is_at_work_nothing_is_asked_for(drifting: "World") -> None:
    tick(drifting)
    told = tick(drifting, Runs({DRIFT: "running"}, "run 1 of retraining is at work"))
    assert told == Answer(f"a training of 2008-08 is under way ({DRIFT})")
    drifting.closes("2008-09")  # also not for the next period, which has a cause of its own
    assert tick(drifting, Runs({DRIFT: "running"})) == told
    assert recorded(drifting) == [(OPENED, DRIFT)]


def test_what_another_run_makes_is_waited_for(drifting: "World") -> None:
    """An arrival has ingested the files and has not measured drift; or a person materialises everything."""
    busy = Runs(unfinished="run 7 of arrival is at work")
    assert tick(drifting, busy) == Answer("run 7 of arrival is at work: what it makes is waited for")
    assert recorded(drifting) == []
    assert tick(drifting).episode_id == DRIFT
    assert tick(drifting, busy).episode_id is None


def test_a_period_whose_files_are_not_ingested_waits(world: "World") -> None:
    world.closes("2008-09", is_ingested=False)
    told = tick(world)
    assert told.episode_id is None
    assert told.reason.startswith("the files of 2008-09 are not ingested yet")
    assert recorded(world, OPENED) == []
    world.closes("2008-09")
    assert tick(world).episode_id == CALENDAR


def test_too_little_to_train_on_is_told_with_numbers(world: "World") -> None:
    world.closes("2008-09", training_leads=0)
    told = tick(world)
    assert told.episode_id is None
    assert told.reason.startswith("insufficient data: 0 of 1 training leads, 0 of 1 converted")
    world.learns_from("2008-09", 1)
    assert tick(world).episode_id == CALENDAR


@pytest.mark.parametrize("verdict", ["promoted", "rejected", "no_candidate"])
def test_a_decided_period_launches_nothing(drifting: "World", verdict: str) -> None:
    drifting.decides("2008-08", verdict, 2)
    drifting.many_labels("2008-08", 1_500)
    told = tick(drifting)
    assert told.episode_id is None
    assert recorded(drifting, OPENED) == []


def test_a_decided_period_says_what_was_decided(drifting: "World") -> None:
    drifting.decides("2008-08", "no_candidate", None)
    told = "2008-08 has been decided (no_candidate: reason of 2008-08); there is cause: drift: 1 of 1 features"
    assert tick(drifting).reason.startswith(told)


def test_the_verdict_closes_the_episode_once(drifting: "World") -> None:
    tick(drifting)
    drifting.decides("2008-08", "rejected", 2)
    for _ in range(2):
        assert tick(drifting, Runs({DRIFT: "succeeded"})).episode_id is None
    closed = drifting.installation.events.events(kind=CLOSED)
    assert [(e.event_id, e.subject, e.actor, e.reason) for e in closed] == [
        (f"{DRIFT}-closed", DRIFT, "promotion_decision", "rejected: reason of 2008-08")
    ]


def test_the_decision_on_another_period_closes_nothing(drifting: "World") -> None:
    tick(drifting)
    drifting.decides("2008-07")
    assert tick(drifting).episode_id == DRIFT
    assert recorded(drifting) == [(OPENED, DRIFT)]


def test_a_failed_training_is_not_repeated_by_itself(drifting: "World") -> None:
    """It would fail again, at every tick. A person looks at it, or the next period tries."""
    tick(drifting)
    failed = Runs({DRIFT: "failed"})
    for _ in range(2):
        told = tick(drifting, failed)
        assert told.episode_id is None
        assert told.reason.startswith(
            "the training of 2008-08 failed: re-execute its run in the UI, or `lead-scoring retrain --reason …`; there "
            "is cause: drift"
        )
    assert recorded(drifting, CLOSED) == [(CLOSED, f"{DRIFT}-closed")]
    drifting.closes("2008-09")
    assert tick(drifting, failed).episode_id == CALENDAR


def test_what_was_never_launched_is_overtaken_by_the_next_period(drifting: "World") -> None:
    tick(drifting)
    drifting.closes("2008-09")
    assert tick(drifting).episode_id == CALENDAR
    [closed] = drifting.installation.events.events(kind=CLOSED)
    assert closed.reason == "overtaken: 2008-09 has closed before the training of 2008-08 began"


def test_there_is_never_more_than_one_open(drifting: "World") -> None:
    world = drifting
    tick(world)
    for period in ("2008-09", "2008-10", "2008-11"):
        world.closes(period)
        tick(world)
        opened, closed = recorded(world, OPENED), recorded(world, CLOSED)
        assert len(opened) == len(closed) + 1


def test_a_rejected_candidate_makes_the_same_drift_wait(drifting: "World") -> None:
    """In September the PSI is as it was: it waits for labels; in the tables there come some, and the pause is over."""
    tick(drifting)
    drifting.decides("2008-08", "rejected", 2)
    drifting.closes("2008-09")
    drifting.drifts("2008-09", 1, psi=0.31)
    told = tick(drifting, Runs({DRIFT: "succeeded"}))
    assert told.episode_id is None
    assert "the candidate of 2008-08 (rejected) had answered it: it asks again when it has grown by 25%" in told.reason
    drifting.labels("2008-09", drifting.end("2008-09"))
    assert tick(drifting, Runs({DRIFT: "succeeded"})).episode_id == "retraining-drift-2008-09"


def test_a_no_is_recorded_once_for_each_reason(august: "World") -> None:
    for n in (3, 4, 700):
        august.many_labels("2008-08", n)  # it counts on, and stays the same reason
        assert tick(august).episode_id is None
    [first] = august.installation.events.events(kind=DECLINED)
    assert (first.subject, first.actor) == ("2008-08", ACTOR)
    assert "3 of 1,500 new labels" in first.reason
    august.drifts("2008-08", 1, status="insufficient_data")
    tick(august)
    august.drifts("2008-08", 1, psi=0.02, status="stable")  # back to the first reason: told again
    for _ in range(2):
        tick(august)
    assert len(recorded(august, DECLINED)) == 3
    august.closes("2008-09")  # the calendar asks, and another period is another matter
    tick(august)
    assert len(recorded(august, DECLINED)) == 3
    assert recorded(august, OPENED) == [(OPENED, CALENDAR)]


def test_an_hour_of_ticks_leaves_one_row(august: "World") -> None:
    for _ in range(20):
        tick(august)
    assert len(august.installation.events.events()) == 1


def test_a_request_trains_a_decided_period_once_more(august: "World") -> None:
    august.decides("2008-08", "rejected", 2)
    request = request_retraining(august.installation, "Mona", "a new feature")
    name = "retraining-by_hand-2008-08"
    told = tick(august)
    assert (told.episode_id, told.tags["lead_scoring/by"]) == (name, "Mona")
    assert "passed by hand: 2008-08 has been decided (rejected: reason of 2008-08)" in told.reason
    [opened] = august.installation.events.events(kind=OPENED)
    assert opened.evidence["request"] == request.request_id
    assert len(opened.evidence["passed"]) == 3  # that it was decided, the cooldown, and the back-off
    # The verdict from before is no answer to it; its run's end is.
    assert tick(august).episode_id == name
    assert recorded(august, CLOSED) == []
    assert tick(august, Runs({name: "succeeded"})).episode_id is None
    assert recorded(august, CLOSED) == [(CLOSED, f"{name}-closed")]
    # Taken up once; the next one is another episode of the same period.
    assert tick(august, Runs({name: "succeeded"})).episode_id is None
    request_retraining(august.installation, "Mona", "another feature")
    assert tick(august, Runs({name: "succeeded"})).episode_id == f"{name}-again-1"


def test_a_request_joins_what_has_not_begun_and_waits_for_what_has(drifting: "World") -> None:
    tick(drifting)
    first = request_retraining(drifting.installation, "Mona", "a new product")
    assert tick(drifting).tags["lead_scoring/by"] == "Mona"
    [joined] = drifting.installation.events.events(kind=JOINED)
    assert (joined.subject, joined.evidence["request"]) == ("by_hand", first.request_id)
    request_retraining(drifting.installation, "Omar", "a new region")
    assert tick(drifting, Runs({DRIFT: "running"})).episode_id is None
    drifting.decides("2008-08", "promoted", 2)
    told = tick(drifting, Runs({DRIFT: "succeeded"}))
    assert (told.episode_id, told.tags["lead_scoring/by"]) == ("retraining-by_hand-2008-08", "Omar")
