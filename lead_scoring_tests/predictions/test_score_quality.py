"""What the checks of the scores find: planted faults by name, and nothing where all is well."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from lead_scoring_assets.contracts.findings import Finding
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.periods import Period
from lead_scoring_assets.predictions.period_scores import SCHEMA, score_live
from lead_scoring_assets.predictions.quality import (
    changes_add_up,
    every_lead_scored_once,
    priorities_are_a_queue,
    reasons_hold,
    scores_are_probabilities,
)
from lead_scoring_assets.promotion.deployments import Deployment, Deployments
from lead_scoring_assets.settings import Home
from lead_scoring_tests.conftest import MakeHome
from lead_scoring_tests.predictions.conftest import OF_JULY, World

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


def score(period: str, lead_id: str, priority: int) -> dict[str, Any]:
    row = {"period": period, "lead_id": lead_id, "created_at": AT, "scored_at": AT, "model_version": 1}
    return {**row, "probability": 1 / (1 + priority), "bucket": "Cool", "priority": priority}


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


# Real scores, and one fault at a time in a copy of them.

Change = Callable[[pd.DataFrame], None]
Judgement = Callable[[Installation, Period], Finding]
AUGUST = "2008-08"


@pytest.fixture(scope="module")
def august(world: World) -> pa.Table:
    scores = score_live(world.house, world.home.settings.calendar.period(AUGUST))
    assert scores is not None
    return scores


def put(world: World, august: pa.Table, change: Change | None = None) -> Period:
    frame = august.to_pandas()
    frame["previous_model_version"] = frame["previous_model_version"].astype("Int64")
    if change:
        change(frame)
    rows = pa.Table.from_pandas(frame, schema=SCHEMA, preserve_index=False)
    world.house.lakehouse.replace_periods("lead_scores", [AUGUST], rows)
    return world.home.settings.calendar.period(AUGUST)


CHECKS = (scores_are_probabilities, priorities_are_a_queue, reasons_hold, changes_add_up, every_lead_scored_once)


@pytest.mark.parametrize("check", CHECKS)
def test_scores_as_they_were_made_pass(world: World, august: pa.Table, check: Judgement) -> None:
    found = check(world.house, put(world, august))
    assert found.passed, found.sentence


def swap(frame: pd.DataFrame) -> None:
    frame.loc[[3, 4], "priority"] = [5, 4]


def twice(frame: pd.DataFrame) -> None:
    frame.loc[5, "priority"] = 5


def another_reason(frame: pd.DataFrame) -> None:
    frame.loc[2, "reason_up_1"] = "because"


def another_probability(frame: pd.DataFrame) -> None:
    """Still the best, so that the queue is in order; but the reasons do not add up to it."""
    frame.loc[0, "probability"] += 1e-4


def another_part(frame: pd.DataFrame) -> None:
    frame.loc[frame["lead_id"] == OF_JULY, "change_by_data"] += 1e-6


def no_number(frame: pd.DataFrame) -> None:
    frame.loc[frame["lead_id"] == OF_JULY, "change_by_model"] = np.nan


def above_one(frame: pd.DataFrame) -> None:
    frame.loc[0, "probability"] = 1.5


@pytest.mark.parametrize(
    ("check", "change", "told"),
    [
        (priorities_are_a_queue, swap, "2 of 153 leads are not at their place"),
        (priorities_are_a_queue, twice, "1 of 153 leads"),
        (reasons_hold, another_reason, "the reasons of 1 of the best"),
        (reasons_hold, another_probability, "do not add up"),
        (changes_add_up, another_part, "1 of 2 changes do not add up"),
        (changes_add_up, no_number, "1 of 2 changes do not add up"),
        (scores_are_probabilities, above_one, "1 of 153 scores"),
    ],
)
def test_a_fault_is_found(world: World, august: pa.Table, check: Judgement, change: Change, told: str) -> None:
    found = check(world.house, put(world, august, change))
    assert not found.passed
    assert told in found.sentence


def test_before_the_first_champion_there_is_nothing_to_judge(world: World) -> None:
    may = world.home.settings.calendar.period("2008-05")
    world.house.lakehouse.replace_periods("lead_scores", ["2008-05"], SCHEMA.empty_table())
    assert all(check(world.house, may).passed for check in CHECKS)
