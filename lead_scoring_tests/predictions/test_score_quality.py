"""Everybody scored once a period, and the worklist of a period, also where a corrected lead is in two periods."""

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from lead_scoring_assets.errors import LeadScoringError
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.predictions.quality import every_lead_scored_once
from lead_scoring_assets.predictions.scoring import SCHEMA
from lead_scoring_assets.predictions.worklist import best_leads
from lead_scoring_assets.promotion.deployments import Deployment, Deployments
from lead_scoring_assets.settings import Home
from lead_scoring_tests.conftest import MakeHome

AT = datetime(2008, 8, 3, tzinfo=UTC)
FIRST, SECOND = "2008-08", "2008-09"


@pytest.fixture
def house(make_home: MakeHome) -> Installation:
    """A champion since July; "twice" came in August and was corrected in September."""
    house = Installation(Home(make_home("scores")))
    house.lakehouse.root.mkdir(parents=True)
    live = house.settings.calendar.period("2008-07").end
    Deployments(house.lakehouse).record(Deployment(1, live, "2008-07", "m-1", "f-1", "gate", "first"))
    features = [feature(FIRST, "twice", 30), feature(FIRST, "once", 40), feature(SECOND, "twice", 50)]
    write(house, "lead_features", features)
    write(house, "lead_scores", [score(FIRST, "twice", 1), score(FIRST, "once", 2), score(SECOND, "twice", 1)])
    return house


def feature(period: str, lead_id: str, age: float) -> dict[str, Any]:
    return {
        "period": period,
        "lead_id": lead_id,
        "age": age,
        "job": "student",
        "marital": "single",
        "education": "tertiary",
    }


def score(period: str, lead_id: str, rank: int) -> dict[str, Any]:
    row = {"period": period, "lead_id": lead_id, "created_at": AT, "scored_at": AT, "model_version": 1}
    return {**row, "probability": 1 / (1 + rank), "bucket": "Cool", "rank": rank}


def write(house: Installation, table: str, rows: list[dict[str, Any]], *periods: str) -> None:
    schema = SCHEMA if table == "lead_scores" else None
    house.lakehouse.replace_periods(table, periods or [FIRST, SECOND], pa.Table.from_pylist(rows, schema=schema))


def test_a_corrected_lead_is_scored_once_in_each_of_its_periods(house: Installation) -> None:
    for key, n in ((FIRST, 2), (SECOND, 1)):
        finding = every_lead_scored_once(house, house.settings.calendar.period(key))
        assert finding.passed
        assert finding.sentence == f"{n} scores for {n} leads to score (champion v1)"


@pytest.mark.parametrize(
    "scores",
    [
        [],
        [score(FIRST, "twice", 1)],
        [score(FIRST, "twice", 1), score(FIRST, "twice", 2)],
        [score(FIRST, "twice", 1), score(FIRST, "stranger", 2)],
        [score(FIRST, "twice", 1), score(FIRST, "once", 2), score(FIRST, "once", 3)],
    ],
)
def test_a_lead_that_is_missing_twice_or_strange_is_found(house: Installation, scores: list[dict[str, Any]]) -> None:
    write(house, "lead_scores", scores, FIRST)
    assert not every_lead_scored_once(house, house.settings.calendar.period(FIRST)).passed


def test_before_the_first_champion_nobody_is_scored(house: Installation) -> None:
    write(house, "lead_features", [feature("2008-06", "early", 20)], "2008-06")
    june = house.settings.calendar.period("2008-06")
    finding = every_lead_scored_once(house, june)
    assert (finding.passed, finding.sentence) == (True, "0 scores for 0 leads to score (no champion yet)")
    write(house, "lead_scores", [score("2008-06", "early", 1)], "2008-06")
    assert not every_lead_scored_once(house, june).passed


def test_the_worklist_of_a_period_tells_what_was_known_then(house: Installation) -> None:
    assert [(row["lead_id"], row["age"]) for row in best_leads(house, FIRST, 5)] == [("twice", 30), ("once", 40)]
    assert [(row["lead_id"], row["age"]) for row in best_leads(house, None, 5)] == [("twice", 50)]
    with pytest.raises(LeadScoringError, match="no lead of 2008-12 has been scored"):
        best_leads(house, "2008-12", 5)
