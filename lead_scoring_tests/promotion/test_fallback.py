"""A damaged model: the one before it goes live, scoring goes on, and people are told, once."""

import json
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from lead_scoring_assets.alerts.models import alerts_on_models
from lead_scoring_assets.errors import LakehouseError
from lead_scoring_assets.promotion import transitions
from lead_scoring_assets.promotion.deployments import Deployments
from lead_scoring_assets.promotion.fallback import live_scorer
from lead_scoring_tests.promotion.worlds import NOW, World, leads


def version_for(world: World, moment: datetime = NOW) -> int | None:
    live = live_scorer(world.house, moment)
    return live.deployment.version if live else None


def test_a_whole_model_is_live_and_nothing_is_recorded(world: World) -> None:
    world.promote(1, 2)
    live = live_scorer(world.house, NOW)
    assert live is not None
    assert live.deployment.version == 2
    assert np.isfinite(live.scorer.probabilities(leads())).all()
    assert len(Deployments(world.house.lakehouse).steps()) == 2


def test_before_the_first_nobody_scores(world: World) -> None:
    assert live_scorer(world.house, NOW) is None


def test_a_damaged_model_falls_back_once_and_raises_one_critical_alert(world: World) -> None:
    world.promote(1, 2, 3)
    world.damage(3)
    assert [version_for(world) for _ in range(3)] == [2, 2, 2]
    newest = Deployments(world.house.lakehouse).newest()
    assert newest is not None
    assert (newest.version, newest.action, newest.champion_version) == (2, "fell_back", 3)
    assert len(Deployments(world.house.lakehouse).steps()) == 4
    [alert] = alerts_on_models(world.house.events)
    assert (alert.level, alert.subject) == ("critical", "v2")
    assert "v2 is live in place of v3" in alert.message
    assert "recipe.json was changed since training" in alert.message


def test_the_period_that_began_with_the_damaged_model_is_scored_by_its_stand_in(world: World) -> None:
    world.promote(1, 2, 3)
    began = world.version(3).effective_at
    world.damage(3)
    assert version_for(world, began) == 2
    assert Deployments(world.house.lakehouse).champion_at(began).version == 3  # type: ignore[union-attr]  # as it was
    assert version_for(world, began) == 2


def test_it_falls_further_when_the_stand_in_is_damaged_as_well(world: World) -> None:
    world.promote(1, 2, 3)
    world.damage(2)
    world.damage(3)
    assert version_for(world) == 1
    world.damage(1)
    with pytest.raises(LakehouseError, match="no earlier version to go back to from v1"):
        live_scorer(world.house, NOW)
    assert world.live() == 1


def test_a_stand_in_that_is_damaged_later_falls_back_in_its_turn(world: World) -> None:
    world.promote(1, 2, 3)
    world.damage(3)
    assert version_for(world) == 2
    world.damage(2)
    assert version_for(world) == 1
    assert [a.level for a in alerts_on_models(world.house.events)] == ["critical", "critical"]


def test_a_damaged_model_of_the_past_is_told_and_history_is_not_rewritten(world: World) -> None:
    world.promote(1, 2, 3)
    world.damage(2)
    with pytest.raises(LakehouseError, match="was changed since training"):
        live_scorer(world.house, world.version(2).effective_at)
    assert world.live() == 3


def test_a_fallback_of_before_does_not_stand_in_for_a_deployment_of_now(world: World) -> None:
    world.promote(1, 2, 3)
    world.damage(3)
    assert version_for(world) == 2
    file = Path(world.root / "data" / world.version(3).bundle / "recipe.json")
    file.write_bytes(file.read_bytes()[:-1])  # mended
    assert json.loads(file.read_text())
    transitions.promote(world.house, 3, "mona", "mended")
    world.damage(3)
    assert version_for(world) == 2
    assert world.live() == 2


def test_a_rollback_is_a_warning(world: World) -> None:
    world.promote(1, 2)
    transitions.roll_back(world.house, "mona", "complaints")
    assert [(a.level, a.alert_id) for a in alerts_on_models(world.house.events)] == [
        ("warning", "alert-model-lifecycle-2")
    ]
