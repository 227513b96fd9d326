"""The judgements on what is live notice a damaged champion, a stand-in, and a sequence that comes twice."""

import pyarrow as pa

from lead_scoring_assets.promotion.deployments import SCHEMA, TABLE, Deployments
from lead_scoring_assets.promotion.fallback import live_scorer
from lead_scoring_assets.promotion.quality import champion_loads, one_production
from lead_scoring_tests.promotion.worlds import NOW, World


def test_a_damaged_champion_fails_until_something_stands_in(world: World) -> None:
    house = world.house
    end = house.settings.calendar.period("2008-06")
    assert champion_loads(house, end).sentence == "no champion yet"
    world.promote(1, 2)
    assert champion_loads(house, end).sentence == "champion v2 (trained 2008-06) loads and scores as trained"
    world.damage(2)
    found = champion_loads(house, end)
    assert not found.passed
    assert "recipe.json was changed since training" in found.sentence
    live_scorer(house, NOW)
    found = champion_loads(house, end)
    assert found.passed
    assert found.sentence.endswith("Since then v1 (trained 2008-05) loads and scores as trained")
    world.damage(1)
    assert not champion_loads(house, end).passed


def test_one_production_and_each_sequence_once(world: World) -> None:
    house = world.house
    period = house.settings.calendar.period("2008-06")
    assert one_production(house, period).passed
    world.promote(1, 2)
    assert one_production(house, period).sentence == (
        "1 versions in production, 1 expected; 0 of 2 sequences come twice"
    )
    twice = {"sequence": 1, **vars(Deployments(house.lakehouse).history()[1])}
    house.lakehouse.append(TABLE, pa.Table.from_pylist([twice], schema=SCHEMA))
    found = one_production(house, period)
    assert (found.passed, found.sentence[-35:]) == (False, "expected; 1 of 3 sequences come twice"[-35:])
