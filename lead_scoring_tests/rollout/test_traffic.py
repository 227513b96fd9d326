"""Who answers which leads: as the tables say, sticky, and a ramp only adds leads."""

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.errors import RolloutError
from lead_scoring_assets.experiments.records import SCHEMA
from lead_scoring_assets.lots import lot
from lead_scoring_assets.promotion.lifecycle import Action
from lead_scoring_assets.rollout import conducting
from lead_scoring_assets.rollout.records import Rollouts
from lead_scoring_assets.rollout.traffic import Traffic, traffic_now
from lead_scoring_tests.rollout.homes import BEGIN, DAY, RolloutHome
from lead_scoring_tests.rollout.worlds import POLICY


def put(home: RolloutHome, **changes: Any) -> None:
    """Where the running rollout stands from now on."""
    rollouts = Rollouts(home.house.lakehouse)
    rollouts.append(replace(home.rollout, **changes), "moved", home.now, "a test", "because")


def next_up(home: RolloutHome) -> tuple[int, ...]:
    return tuple(step.version for step in traffic_now(home.house).next_up)


def test_the_candidate_in_staging_is_the_shadow(home: RolloutHome) -> None:
    assert home.traffic() == (1, None, "champion_only", 0)
    home.propose(2)
    assert home.traffic() == (1, 2, "shadow", 0)


def test_a_rollout_says_who_gets_what(home: RolloutHome) -> None:
    home.propose(2)
    conducting.start(home.house, 2, "mona", "it is better")
    assert home.traffic() == (1, 2, "shadow", 0)
    assert next_up(home) == (2,)
    put(home, state="canary", step=1, share_bp=500)
    assert home.traffic() == (1, 2, "canary", 500)
    traffic = traffic_now(home.house).traffic
    assert (traffic.salt, traffic.rollout_id) == ("rollout-1-v2", "rollout-1-v2")
    put(home, state="held", step=3, share_bp=5_000)
    assert home.traffic() == (1, 2, "canary", 5_000)
    home.propose(3)  # a newer candidate waits, and changes nothing but who may come next
    assert home.traffic() == (1, 2, "canary", 5_000)
    assert next_up(home) == (3,)
    put(home, state="rolled_back", share_bp=0)
    assert home.traffic() == (1, 3, "shadow", 0)


def test_what_was_taken_back_is_not_even_the_shadow(home: RolloutHome) -> None:
    home.propose(2)
    conducting.start(home.house, 2, "mona", "it is better")
    conducting.abort(home.house, "mona", "wrong numbers")
    assert home.traffic() == (1, None, "champion_only", 0)
    conducting.start(home.house, 2, "mona", "mended")
    assert home.traffic() == (1, 2, "shadow", 0)


def test_a_candidate_that_has_taken_over_is_alone(home: RolloutHome) -> None:
    home.propose(2)
    conducting.start(home.house, 2, "mona", "it is better")
    put(home, state="canary", step=3, share_bp=5_000)
    home.deployments().append(home.step(2, "rolled_out", effective_at=home.now + DAY))
    assert home.traffic() == (2, None, "champion_only", 0)  # the rollout's own row is still to come
    put(home, state="watching", step=4, share_bp=10_000)
    assert home.traffic() == (2, None, "champion_only", 0)


@pytest.mark.parametrize("found", [{"state": "shadow"}, {"state": "held", "step": 3, "share_bp": 5_000}])
@pytest.mark.parametrize("action", ["rolled_back", "promoted_by_hand"])
def test_without_the_champion_that_it_met_a_candidate_gets_no_leads(
    home: RolloutHome, found: dict[str, Any], action: Action
) -> None:
    """Before anybody has looked at the rollout."""
    assert home.deployments().record(home.step(2, "promoted"))
    home.propose(3)
    conducting.start(home.house, 3, "mona", "it is better")
    put(home, **found)
    home.deployments().append(home.step(1, action, effective_at=home.now + DAY))
    assert home.traffic() == (1, None, "champion_only", 0)


def test_a_new_champion_that_is_rolled_back_is_gone_at_once(home: RolloutHome) -> None:
    """Although its rollout still says 100 %: a guardrail must not wait for the next look at a rollout."""
    home.propose(2)
    conducting.start(home.house, 2, "mona", "it is better")
    put(home, state="watching", step=4, share_bp=10_000)
    home.deployments().append(home.step(2, "rolled_out", effective_at=home.now + DAY))
    home.deployments().append(home.step(1, "rolled_back", effective_at=home.now + 2 * DAY))
    assert home.traffic() == (1, None, "champion_only", 0)


def test_a_candidate_that_a_person_rejected_gets_no_leads(home: RolloutHome) -> None:
    home.propose(2)
    conducting.start(home.house, 2, "mona", "it is better")
    put(home, state="canary", step=1, share_bp=500)
    home.deployments().append(home.step(2, "rejected"))
    assert home.traffic() == (1, None, "champion_only", 0)


@given(st.text(min_size=1, max_size=20), st.integers(1, 50))
def test_a_larger_share_holds_the_smaller_one(lead: str, number: int) -> None:
    salt = f"rollout-{number}-v8"
    got = [lot(salt, lead) < 100 * percent for percent in POLICY.steps_percent]
    assert got == sorted(got)
    assert got[-1]


def test_two_rollouts_begin_with_other_leads() -> None:
    first, second = ({i for i in range(20_000) if lot(f"rollout-{n}-v8", str(i)) < 1_000} for n in (1, 2))
    assert len(first & second) / len(first) == pytest.approx(0.1, abs=0.03)


# An experiment and a rollout exclude each other.

EXPERIMENT = {
    "sequence": 0, "experiment_id": "march", "action": "started", "state": "running", "salt": "march-1", "unit": "lead",
    "control": "champion", "control_version": 1, "treatment_version": 2, "share_bp": 5_000, "exploration_bp": 100,
    "at": BEGIN,
}  # fmt: skip


def test_while_an_experiment_runs_no_rollout_begins(home: RolloutHome) -> None:
    home.propose(2)
    home.house.lakehouse.append("experiments", pa.Table.from_pylist([EXPERIMENT]))
    told = Traffic("experiment", 5_000, "march-1", experiment_id="march", exploration_bp=100)
    assert traffic_now(home.house).traffic == told
    assert home.traffic()[:2] == (1, 2)
    with pytest.raises(RolloutError, match="experiment march is running, expected none beside a rollout"):
        conducting.start(home.house, 2, "mona", "it is better")
    over = {**EXPERIMENT, "sequence": 1, "action": "stopped", "state": "stopped"}
    home.house.lakehouse.append("experiments", pa.Table.from_pylist([over]))
    conducting.start(home.house, 2, "mona", "it is better")


def started(home: RolloutHome, **told: Any) -> None:
    home.house.lakehouse.append("experiments", pa.Table.from_pylist([EXPERIMENT | told], schema=SCHEMA))


@pytest.mark.parametrize(
    ("steps", "is_over"),
    [
        ([(3, "promoted_by_hand")], True),
        ([(2, "promoted_by_hand")], True),
        ([(2, "rejected")], True),
        ([(3, "proposed")], False),
        ([(3, "promoted_by_hand"), (1, "rolled_back")], False),  # the control is live again
    ],
)
def test_an_experiment_draws_nobody_once_it_is_overtaken(
    home: RolloutHome, steps: list[tuple[int, Action]], is_over: bool
) -> None:
    home.propose(2)
    started(home)
    for number, action in steps:
        home.deployments().append(home.step(number, action, effective_at=home.now + DAY))
    assert home.traffic()[2] == ("champion_only" if is_over else "experiment")


def test_against_the_process_it_ends_when_its_own_version_is_taken_back_and_not_for_what_was_before(
    home: RolloutHome,
) -> None:
    assert home.deployments().record(home.step(2, "promoted"))
    home.deployments().append(home.step(1, "rolled_back", effective_at=home.now + DAY))
    home.now += 2 * DAY
    started(home, control="process", control_version=None, at=home.now)
    assert home.traffic() == (1, 2, "experiment", 5_000)
    for number, action in ((2, "promoted_by_hand"), (1, "rolled_back")):
        home.deployments().append(home.step(number, action, effective_at=home.now + DAY))  # type: ignore[arg-type]
    assert home.traffic() == (1, None, "champion_only", 0)
