"""Why one lead has its score: exact, by the model of its day or a named one, and refused in words."""

from math import exp

import pytest

from lead_scoring_assets.errors import ScoringError
from lead_scoring_assets.predictions.model import named_model
from lead_scoring_assets.predictions.one_lead import explain_one
from lead_scoring_tests.predictions.conftest import OF_JULY, OF_MAY, World


@pytest.mark.parametrize(("model", "version"), [(None, 2), ("1", 1), ("production", 2)])
def test_the_contributions_add_up_to_the_score(world: World, model: str | None, version: int) -> None:
    found = explain_one(world.house, OF_JULY, model, compare=False)
    assert (found.version, found.period, found.comparison) == (version, "2008-08", None)
    rows = world.features("2008-08").query("lead_id == @OF_JULY")
    [probability] = named_model(world.house, str(version)).scorer.probabilities(rows)
    log_odds = found.explanation.base + sum(found.explanation.contributions.values())
    assert 1 / (1 + exp(-log_odds)) == pytest.approx(probability, abs=1e-5)
    assert found.explanation.probability == pytest.approx(probability, abs=1e-5)
    assert found.values["age"] == 20.0  # its newest row, not the first


def test_the_surrogate_is_compared_only_when_asked_for(world: World) -> None:
    found = explain_one(world.house, OF_MAY, None, compare=True)
    assert found.comparison is not None
    assert set(found.comparison.surrogate.effects) == set(found.explanation.contributions)
    assert 0 <= found.comparison.agreement <= 1
    again = explain_one(world.house, OF_MAY, None, compare=True)
    assert again.comparison == found.comparison


def test_a_lead_that_is_not_there_or_came_before_any_model_is_told(world: World) -> None:
    with pytest.raises(ScoringError, match="no lead 'nobody' in lead_features"):
        explain_one(world.house, "nobody", None, compare=False)
    with pytest.raises(ScoringError, match="no model was live when this lead came: name one with --model"):
        explain_one(world.house, "L0005", None, compare=False)
