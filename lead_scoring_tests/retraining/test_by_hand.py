"""A request is on record with who, when and why, or it is refused in words; asked twice it is one."""

from typing import TYPE_CHECKING

import dagster as dg
import pytest

from lead_scoring_assets.errors import RetrainingError
from lead_scoring_assets.events.log import Event
from lead_scoring_assets.resources import InstallationResource
from lead_scoring_assets.retraining.by_hand import request_retraining
from lead_scoring_assets.retraining.jobs import retrain
from lead_scoring_assets.retraining.records import REQUESTED

if TYPE_CHECKING:
    from lead_scoring_tests.retraining.conftest import World


@pytest.fixture
def september(world: "World") -> "World":
    world.closes("2008-09")
    return world


def requests(world: "World") -> list[Event]:
    return world.installation.events.events(kind=REQUESTED)


def test_who_when_and_why_are_on_record(september: "World") -> None:
    for _ in range(2):  # pressed twice
        request_retraining(september.installation, "Mona", " a new product ")
    [event] = requests(september)
    assert (event.actor, event.reason, event.happened_at) == ("Mona", "a new product", september.end("2008-09"))


@pytest.mark.parametrize("reason", ["", "  ", "\n\t"])
def test_without_a_reason_it_is_refused(september: "World", reason: str) -> None:
    with pytest.raises(RetrainingError, match="needs a reason, found none: say why"):
        request_retraining(september.installation, "Mona", reason)
    assert requests(september) == []


def test_before_the_first_period_closes_it_is_refused(world: "World") -> None:
    world.closes("2008-04", is_ingested=False)
    with pytest.raises(RetrainingError, match="no period has closed yet"):
        request_retraining(world.installation, "Mona", "a new product")


def test_too_little_data_is_told_before_anything_waits_for_it(world: "World") -> None:
    world.closes("2008-09", training_leads=0)
    with pytest.raises(RetrainingError, match="2008-09 cannot be trained on: insufficient data: 0 of 1 training leads"):
        request_retraining(world.installation, "Mona", "a new product")
    assert requests(world) == []


def test_a_second_person_is_told_who_was_first(september: "World") -> None:
    request_retraining(september.installation, "Mona", "a new product")
    with pytest.raises(RetrainingError, match=r"Mona has asked for a training already \(a new product\)"):
        request_retraining(september.installation, "Omar", "a new region")


def test_the_job_of_the_ui_leaves_the_same_record(september: "World") -> None:
    resources = {"installation": InstallationResource(root=str(september.home.root))}
    config = {"ops": {"ask_for_training": {"config": {"reason": "a new product", "by": "Mona"}}}}
    assert retrain.execute_in_process(run_config=config, resources=resources).success
    with dg.DagsterInstance.ephemeral() as instance:
        empty = {"ops": {"ask_for_training": {"config": {"reason": ""}}}}
        failed = retrain.execute_in_process(
            run_config=empty, resources=resources, instance=instance, raise_on_error=False
        )
    assert not failed.success
    [event] = requests(september)
    assert (event.actor, event.reason) == ("Mona", "a new product")
