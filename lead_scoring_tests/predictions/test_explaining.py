"""Reasons of the best leads: how many get them, that they add up, and that a sum which does not is refused."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.assessment.reasons import reasons_schema
from lead_scoring_assets.contracts.columns import Column, Registry
from lead_scoring_assets.errors import ScoringError
from lead_scoring_assets.models.bundle import load_scorer
from lead_scoring_assets.models.calibration import Calibrator
from lead_scoring_assets.predictions.explaining import TOLERANCE, explain, explained_leads, worst_gap
from lead_scoring_tests.predictions.conftest import World

REGISTRY = Registry({"age": Column(kind="number", role="feature", why="life stage")})


class Linear:
    """Two features, of which the registry knows one; `wrong` is added to every sum."""

    columns = ("age", "gone")

    def __init__(self, wrong: float = 0.0) -> None:
        self.wrong = wrong

    def probabilities(self, frame: pd.DataFrame) -> np.ndarray:
        odds = frame["age"] * 0.1 - frame["gone"] - 1.0
        return np.asarray(1 / (1 + np.exp(-odds)))

    def contributions(self, frame: pd.DataFrame) -> np.ndarray:
        base = np.full(len(frame), -1.0 + self.wrong)
        return np.column_stack([frame["age"] * 0.1, -frame["gone"], base])


FRAME = pd.DataFrame({"age": [10.0, 0.0, -10.0], "gone": [2.0, 0.0, 1.0]})


@given(st.integers(0, 10**6), st.floats(0.001, 1))
def test_as_many_are_explained_as_are_worked_and_a_screen_of_them_at_least(leads: int, share: float) -> None:
    n = explained_leads(leads, share)
    assert n <= min(leads, 20_000)
    assert n >= min(leads, 20)
    assert n >= min(share * leads, 20_000) - 1e-6
    assert n <= max(20, share * leads + 1)


@pytest.mark.parametrize("version", [1, 2])
def test_contributions_add_up_to_the_log_odds(world: World, version: int) -> None:
    scorer = load_scorer(world.home.data / f"m-{version}")
    frame = world.features("2008-06")
    assert worst_gap(scorer.contributions(frame), scorer.probabilities(frame)) <= TOLERANCE


@pytest.mark.parametrize("algorithm", ["lightgbm", "logistic"])
def test_so_do_those_of_the_other_learners(own_world: World, algorithm: str) -> None:
    own_world.trains(5, algorithm, lambda rows: rows["age"] < 50, Calibrator(1.3, 0.2))
    scorer = load_scorer(own_world.home.data / "m-5")
    frame = own_world.features("2008-06")
    assert worst_gap(scorer.contributions(frame), scorer.probabilities(frame)) <= TOLERANCE


@given(st.lists(st.floats(-30, 30), min_size=1, max_size=20), st.floats(-1e-3, 1e-3))
def test_the_gap_is_what_was_added_to_the_sums(odds: list[float], added: float) -> None:
    p = 1 / (1 + np.exp(-np.array(odds)))
    gap = worst_gap(np.column_stack([np.array(odds), np.full(len(odds), added)]), p)
    assert gap <= abs(added) + 1e-9
    inside = np.array(odds) < 5  # above, rounding is allowed for
    if inside.any():
        assert gap >= abs(added) - 1e-9


def test_nothing_can_be_compared_at_0_and_1_and_what_is_no_number_is_the_worst() -> None:
    assert worst_gap(np.array([[800.0, 0.0]]), np.array([1.0])) == 0
    assert worst_gap(np.empty((0, 3)), np.empty(0)) == 0
    assert worst_gap(np.array([[np.nan, 0.0]]), np.array([0.5])) == math.inf


def test_reasons_are_told_of_features_that_the_registry_knows() -> None:
    told = explain(FRAME, Linear().probabilities(FRAME), Linear(), REGISTRY, {"age": 5.0}).to_pylist()  # type: ignore[arg-type]
    assert told[0]["reason_up_1"] == "age (life stage): 10 (typical 5) raises the odds 2.7 times"
    assert told[0]["reason_down_1"] is None  # `gone` lowers them, and nobody knows any more what it was
    assert set(told[1].values()) == {None}
    assert str(told[2]["reason_down_1"]).startswith("age (life stage): -10")


@pytest.mark.parametrize("wrong", [2e-5, -2e-5, np.nan])
def test_reasons_that_do_not_add_up_are_refused(wrong: float) -> None:
    with pytest.raises(ScoringError, match="do not add up"):
        explain(FRAME, Linear().probabilities(FRAME), Linear(wrong), REGISTRY, {})  # type: ignore[arg-type]


def test_nobody_needs_no_reasons() -> None:
    told = explain(FRAME.head(0), np.empty(0), Linear(), REGISTRY, {})  # type: ignore[arg-type]
    assert told.num_rows == 0
    assert told.schema == reasons_schema()
