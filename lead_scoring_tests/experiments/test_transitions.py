"""An experiment's life: what may follow what, what stands in the way, and that a verdict is carried out once."""

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lead_scoring_assets.errors import ExperimentError
from lead_scoring_assets.experiments import transitions
from lead_scoring_assets.experiments.records import Action, Experiments, Step
from lead_scoring_assets.lakehouse.tables import Lakehouse
from lead_scoring_assets.rollout.records import Rollouts
from lead_scoring_assets.rollout.states import Rollout
from lead_scoring_assets.rollout.traffic import traffic_now
from lead_scoring_tests.experiments.houses import House
from lead_scoring_tests.experiments.worlds import PLAN, START

ACTIONS: tuple[Action, ...] = ("planned", "started", "concluded", "blocked", "stopped")


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House.make(tmp_path / "a home")


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(ACTIONS), max_size=6))
def test_the_states_follow_the_machine(tmp_path_factory: pytest.TempPathFactory, actions: list[Action]) -> None:
    leads_to = {
        None: {"planned": "draft"},
        "draft": {"started": "running", "stopped": "stopped"},
        "running": {"concluded": "concluded", "blocked": "blocked", "stopped": "stopped"},
        "blocked": {"stopped": "stopped"},
    }
    experiments, state = Experiments(Lakehouse(tmp_path_factory.mktemp("tables") / "lakehouse")), None
    for number, action in enumerate(actions):
        step = Step(PLAN, action, START + timedelta(days=number), "test", "why")
        after = leads_to.get(state, {}).get(action)
        if after is None:
            with pytest.raises(ExperimentError, match=f"cannot be {action}: expected .*, found"):
                experiments.append(step)
        else:
            experiments.append(step)
            state = after
    assert [status.state for status in experiments.all()] == ([state] if state else [])
    if state == "running":
        assert experiments.running() is not None


def test_what_was_settled_is_read_back_as_it_was(house: House) -> None:
    settled = house.plan(transitions.Wanted(2, control="process", unit="rep", exploration=0.05, age_days=14))
    status = Experiments(house.installation.lakehouse).find("v2-against-process")
    assert (status.experiment, status.state, status.started_at) == (settled, "draft", None)
    assert (settled.exploration_bp, settled.age_days, settled.control_version) == (500, 14, None)


def test_each_experiment_has_a_name_and_a_salt_of_its_own(house: House) -> None:
    first = house.started()
    transitions.stop(house.installation, first.experiment_id, "Mona", "again")
    second = house.plan()
    assert (first.experiment_id, second.experiment_id) == ("v2-against-champion", "v2-against-champion-2")
    assert first.salt != second.salt


def test_while_it_runs_the_api_draws_by_it_and_no_longer(house: House) -> None:
    experiment = house.started()
    champion, challenger, traffic, _ = traffic_now(house.installation)
    assert champion is not None
    assert challenger is not None
    assert (champion.version, challenger.version, traffic) == (1, 2, experiment.traffic)
    transitions.stop(house.installation, experiment.experiment_id, "Mona", "enough")
    assert traffic_now(house.installation).traffic.mode == "shadow"


def test_two_experiments_do_not_run_at_once(house: House) -> None:
    house.started()
    other = house.plan()
    with pytest.raises(ExperimentError, match="'v2-against-champion' runs, expected none"):
        transitions.start(house.installation, other.experiment_id, "Omar", "me too")


def test_none_starts_beside_a_rollout(house: House) -> None:
    experiment, rollouts = house.plan(), Rollouts(house.installation.lakehouse)
    rollout = Rollout("rollout-2-1", 2, 1, "canary", 1, 500, START, START, "Mona")
    rollouts.append(rollout, "started", START, "Mona", "why")
    with pytest.raises(ExperimentError, match=r"canary at 5 %.*expected no rollout"):
        transitions.start(house.installation, experiment.experiment_id, "Mona", "go")


def test_none_starts_against_another_champion_than_was_planned(house: House) -> None:
    experiment = house.plan()
    house.deploy(3, "promoted_by_hand")
    with pytest.raises(ExperimentError, match="v3 is live, expected v1"):
        transitions.start(house.installation, experiment.experiment_id, "Mona", "go")


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (transitions.Wanted(9), "v9 was never proposed or live, expected one of v1, v2"),
        (transitions.Wanted(1), "v1 is the champion"),
        (transitions.Wanted(2, experiment_id="Größer!"), "expected a name of small letters"),
        (transitions.Wanted(4), "v4 was rejected"),
    ],
)
def test_what_cannot_be_compared_is_not_planned(house: House, wanted: transitions.Wanted, told: str) -> None:
    if wanted.treatment_version == 4:
        house.deploy(4, "rejected")
    with pytest.raises(ExperimentError, match=told):
        house.plan(wanted)
    assert Experiments(house.installation.lakehouse).all() == []


def test_a_name_is_taken_once(house: House) -> None:
    house.plan(transitions.Wanted(2, experiment_id="mine"))
    with pytest.raises(ExperimentError, match="'mine' cannot be planned: expected a name that no experiment has yet"):
        house.plan(transitions.Wanted(2, experiment_id="mine"))


def test_it_is_stopped_with_a_reason(house: House) -> None:
    experiment = house.started()
    with pytest.raises(ExperimentError, match="ended with a reason"):
        transitions.stop(house.installation, experiment.experiment_id, "Mona", " ")
    with pytest.raises(ExperimentError, match="expected one of"):
        transitions.stop(house.installation, "another", "Mona", "why")
    assert transitions.stop(house.installation, experiment.experiment_id, "Mona", "why").state == "stopped"


def test_what_is_said_is_kept_once(house: House) -> None:
    name = house.plan().experiment_id
    assert transitions.note_feedback(house.installation, name, "Omar", "better order")
    assert not transitions.note_feedback(house.installation, name, "Omar", " better order ")
    assert transitions.note_feedback(house.installation, name, "Mona", "better order")
    with pytest.raises(ExperimentError, match="found nothing"):
        transitions.note_feedback(house.installation, name, "Omar", "")
