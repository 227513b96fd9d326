"""The Dagster shell: it costs nothing without an experiment, reads one that runs, carries its verdict out, and says why."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pyarrow.compute as pc
import pytest

from lead_scoring_assets.definitions import build_definitions
from lead_scoring_assets.experiments import quality, transitions
from lead_scoring_assets.experiments.looking import look, next_reading, why_overtaken
from lead_scoring_assets.experiments.records import Experiments
from lead_scoring_assets.experiments.results import TABLE
from lead_scoring_assets.experiments.sensors import advance_experiments
from lead_scoring_assets.experiments.transitions import Wanted
from lead_scoring_assets.resources import InstallationResource
from lead_scoring_assets.rollout.traffic import Traffic, traffic_now
from lead_scoring_tests.experiments.houses import House
from lead_scoring_tests.experiments.worlds import START, world

LATE = datetime(2026, 4, 1, tzinfo=UTC)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House.make(tmp_path / "a home")


def read(house: House) -> dg.ExecuteInProcessResult:
    definitions = build_definitions({"installation": InstallationResource(root=str(house.home.root))})
    job = definitions.resolve_job_def("experiment_reading")
    with dg.DagsterInstance.ephemeral() as instance:
        return job.execute_in_process(instance=instance)


def told(result: dg.ExecuteInProcessResult) -> dict[str, object]:
    [event] = result.get_asset_materialization_events()
    return {name: value.value for name, value in event.materialization.metadata.items()}


def checks(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {check.check_name: check.passed for check in result.get_asset_check_evaluations()}


def tick(house: House) -> dg.RunRequest | dg.SkipReason:
    found = advance_experiments(
        dg.build_sensor_context(resources={"installation": InstallationResource(root=str(house.home.root))})
    )
    assert isinstance(found, dg.RunRequest | dg.SkipReason)
    return found


def test_without_an_experiment_nothing_is_done(house: House) -> None:
    result = read(house)
    assert told(result)["status"] == "no experiment runs"
    assert checks(result) == {"sample_ratio_fits": True, "enough_leads_counted": True}
    assert not house.installation.lakehouse.exists(TABLE)
    assert tick(house).skip_message == "no experiment runs"  # type: ignore[union-attr]


def test_one_that_runs_without_answers_waits(house: House) -> None:
    experiment = house.started()
    assert told(read(house))["status"] == "no answer has been logged yet (table served_predictions)"
    assert experiment.experiment_id in str(tick(house))


def test_a_winner_is_concluded_and_nothing_goes_live(house: House) -> None:
    experiment = house.started()
    house.fill(world(experiment, 9_000, 40, 0.125, 0.19))
    request = tick(house)
    assert isinstance(request, dg.RunRequest)
    assert request.run_key == tick(house).run_key  # type: ignore[union-attr]
    result = read(house)
    found = told(result)
    assert (found["verdict"], found["state"], found["is_new"]) == ("PROMOTE_TREATMENT", "concluded", True)
    assert "gradual_rollout: **open**" in str(found["checklist"])
    assert "base64," in str(found["over_days"])
    assert checks(result) == {"sample_ratio_fits": True, "enough_leads_counted": True}
    experiments = Experiments(house.installation.lakehouse)
    status = experiments.find(experiment.experiment_id)
    assert (status.state, status.last.verdict) == ("concluded", "PROMOTE_TREATMENT")
    rows = house.installation.lakehouse.read(TABLE)
    assert rows.num_rows == len(set(rows["metric"].to_pylist()))
    # Again, and much later: it is over, and what it showed at its end does not change.
    house.later(60)
    assert told(read(house))["status"] == "no experiment runs"
    assert house.installation.lakehouse.read(TABLE).equals(rows)
    assert look(house.installation, status).decision == look(house.installation, status).decision
    assert look(house.installation, status).decision.reason == status.last.reason
    assert tick(house).skip_message == "no experiment runs"  # type: ignore[union-attr]


def test_a_reading_is_kept_once_for_the_same_data(house: House) -> None:
    experiment = house.started()
    house.fill(world(experiment, 2_000, 40, 0.125, 0.13))
    assert told(read(house))["is_new"] is True
    assert told(read(house))["is_new"] is False
    first = next_reading(house.installation)
    house.later(1)
    assert next_reading(house.installation) != first
    assert told(read(house))["is_new"] is True
    assert Experiments(house.installation.lakehouse).running() is not None


def test_a_sample_ratio_that_does_not_fit_blocks_and_fails_the_check(house: House) -> None:
    experiment = house.started()
    tables = world(experiment, 4_000, 40, 0.125, 0.3)
    lost = pc.and_(pc.equal(tables.served["arm"], "champion"), pc.equal(pc.utf8_length(tables.served["lead_id"]), 8))
    house.fill(replace(tables, served=tables.served.filter(pc.invert(lost))))
    result = read(house)
    assert checks(result)["sample_ratio_fits"] is False
    assert told(result)["state"] == "blocked"
    status = Experiments(house.installation.lakehouse).find(experiment.experiment_id)
    assert (status.state, status.last.verdict) == ("blocked", "BLOCKED")
    assert "do NOT fit" in quality.sample_ratio_fits(house.installation).sentence


def test_who_was_exposed_is_told_before_the_first_label(house: House) -> None:
    experiment = house.started()
    house.fill(replace(world(experiment, 2_000, 5, 0.125, 0.125), labels=None))
    name, _ = next_reading(house.installation)
    assert name is not None
    assert name.endswith("labels-none")
    result = read(house)
    found = told(result)
    assert (found["verdict"], found["units_exposed"], found["leads_counted_control"]) == ("CONTINUE_TEST", 2_000, 0)
    assert "no label is known yet" in str(found["warnings"])
    assert checks(result) == {"sample_ratio_fits": True, "enough_leads_counted": True}
    told_of = {row["metric"]: row for row in house.installation.lakehouse.read(TABLE).to_pylist()}
    assert told_of["sample_ratio"]["n_treatment"] + told_of["sample_ratio"]["n_control"] == 2_000


def test_a_sample_ratio_that_does_not_fit_blocks_before_the_first_label(house: House) -> None:
    experiment = house.started()
    tables = world(experiment, 4_000, 40, 0.125, 0.125)
    lost = pc.and_(pc.equal(tables.served["arm"], "champion"), pc.equal(pc.utf8_length(tables.served["lead_id"]), 8))
    house.fill(replace(tables, served=tables.served.filter(pc.invert(lost)), labels=None))
    assert told(read(house))["state"] == "blocked"


@pytest.mark.parametrize(("known_before", "is_due"), [(datetime(2026, 2, 1, tzinfo=UTC), False), (LATE, True)])
def test_too_few_leads_are_a_warning_once_there_should_be_enough(
    house: House, known_before: datetime, is_due: bool
) -> None:
    experiment = house.started()
    tables = world(experiment, 300, 40, 0.125, 0.125)
    house.fill(replace(tables, labels=tables.labels.filter(pc.less(tables.labels["label_known_at"], known_before))))
    result = read(house)
    assert checks(result) == {"sample_ratio_fits": True, "enough_leads_counted": not is_due}
    assert told(result)["verdict"] == "CONTINUE_TEST"


def test_labels_are_believed_up_to_the_end_of_their_newest_period(house: House) -> None:
    experiment = house.started()
    house.fill(world(experiment, 300, 5, 0.125, 0.125))
    found = look(house.installation, Experiments(house.installation.lakehouse).all()[0])
    assert found.labels_until == datetime(2026, 3, 1, tzinfo=UTC)
    assert found.as_of == datetime(2026, 4, 1, tzinfo=UTC)
    assert found.evidence.days == (found.as_of - START).days


def test_another_champion_ends_it_at_once_because_the_control_is_no_longer_the_same(house: House) -> None:
    experiment = house.started()
    house.deploy(3, "promoted_by_hand")
    request = tick(house)
    assert isinstance(request, dg.RunRequest)
    found = told(read(house))
    assert found["state"] == "blocked"
    assert "v3 is live" in str(found["status"])
    assert "no longer v1" in Experiments(house.installation.lakehouse).find(experiment.experiment_id).last.reason
    assert tick(house).skip_message == "no experiment runs"  # type: ignore[union-attr]


def test_a_treatment_that_a_person_rejected_ends_it_with_the_reason(house: House) -> None:
    experiment = house.started()
    house.deploy(2, "rejected")
    assert traffic_now(house.installation)[1:3] == (None, Traffic())
    request = tick(house)
    assert isinstance(request, dg.RunRequest)
    assert told(read(house))["state"] == "blocked"
    last = Experiments(house.installation.lakehouse).find(experiment.experiment_id).last
    assert last.reason == "v2 was rejected by test: made up. Plan another."


def test_against_the_process_it_matters_to_nobody_who_is_champion(house: House) -> None:
    experiment = house.plan(Wanted(1, control="process"))
    transitions.start(house.installation, experiment.experiment_id, "Mona", "does a score help at all?")
    champion, challenger, traffic, _ = traffic_now(house.installation)
    assert champion is not None
    assert challenger is not None
    assert (champion.version, challenger.version, traffic) == (1, 1, experiment.traffic)
    house.deploy(3, "promoted_by_hand")
    running = Experiments(house.installation.lakehouse).running()
    assert running is not None
    assert why_overtaken(house.installation, running) is None
    assert traffic_now(house.installation).challenger == challenger
