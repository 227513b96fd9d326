"""May a candidate go live: floors, borders, what cannot be computed, and what repeated small losses add up to."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.evaluation.metrics import Metric, PairedDifference
from lead_scoring_assets.promotion.gate import Comparison, compare, decide_promotion
from lead_scoring_assets.settings import Home

GATE = Home(Path(__file__).resolve().parents[2]).settings.gate.model_copy(
    update={"minimum_auc": 0.6, "maximum_brier": 0.25, "auc_tolerance": 0.02, "brier_tolerance": 0.001}
)
NAN = math.nan


def auc(value: float) -> Metric:
    return Metric("auc", value, value - 0.03, value + 0.03, 1_234)


def brier(value: float) -> Metric:
    return Metric("brier", value, value - 0.01, value + 0.01, 1_234)


def against(auc_difference: float, brier_difference: float) -> Comparison:
    def spread(value: float) -> PairedDifference:
        return PairedDifference(value, value - 0.5, value + 0.5)

    return Comparison(7, spread(auc_difference), spread(brier_difference))


def verdict(auc_value: float, brier_value: float, comparison: Comparison | None, gate: object = GATE) -> str:
    return decide_promotion(auc(auc_value), brier(brier_value), comparison, gate).verdict  # type: ignore[arg-type]


@pytest.mark.parametrize("comparison", [None, against(0.1, -0.1)])
@pytest.mark.parametrize(
    ("auc_value", "brier_value", "expected"),
    [
        (0.6, 0.25, "promoted"),  # exactly at both floors
        (np.nextafter(0.6, 0), 0.25, "rejected"),
        (0.6, np.nextafter(0.25, 1), "rejected"),
        (0.99, 0.01, "promoted"),
        (0.59, 0.26, "rejected"),
        (NAN, 0.1, "rejected"),
        (0.9, NAN, "rejected"),
        (NAN, NAN, "rejected"),
    ],
)
def test_floors_hold_with_and_without_a_champion(
    auc_value: float, brier_value: float, expected: str, comparison: Comparison | None
) -> None:
    assert verdict(auc_value, brier_value, comparison) == expected


@pytest.mark.parametrize(
    ("auc_difference", "brier_difference", "expected"),
    [
        (0.0, 0.0, "promoted"),
        (0.05, -0.01, "promoted"),
        (-0.02, 0.001, "promoted"),  # exactly at both tolerances
        (np.nextafter(-0.02, -1), 0.001, "rejected"),
        (-0.02, np.nextafter(0.001, 1), "rejected"),
        (0.3, 0.002, "rejected"),  # a better ranking does not excuse worse probabilities
        (-0.03, -0.1, "rejected"),  # nor the other way round
        (NAN, 0.0, "rejected"),
        (0.0, NAN, "rejected"),
        (NAN, NAN, "rejected"),
    ],
)
def test_tolerances_against_the_champion(auc_difference: float, brier_difference: float, expected: str) -> None:
    assert verdict(0.8, 0.1, against(auc_difference, brier_difference)) == expected


numbers = st.one_of(st.just(NAN), st.floats(-1, 1))


@given(numbers, numbers, st.one_of(st.none(), st.tuples(numbers, numbers)))
def test_promoted_means_that_every_condition_held(
    auc_value: float, brier_value: float, differences: tuple[float, float] | None
) -> None:
    expected = auc_value >= 0.6 and brier_value <= 0.25
    if differences is not None:
        expected = expected and differences[0] >= -0.02 and differences[1] <= 0.001
    found = verdict(auc_value, brier_value, None if differences is None else against(*differences))
    assert found == ("promoted" if expected else "rejected")


def test_without_tolerance_equal_is_enough_and_less_is_not() -> None:
    strict = GATE.model_copy(update={"auc_tolerance": 0.0, "brier_tolerance": 0.0})
    assert verdict(0.8, 0.1, against(0.0, 0.0), strict) == "promoted"
    assert verdict(0.8, 0.1, against(-1e-9, 0.0), strict) == "rejected"
    assert verdict(0.8, 0.1, against(0.0, 1e-9), strict) == "rejected"


# Reasons.


@pytest.mark.parametrize(
    ("auc_value", "brier_value", "comparison", "expected"),
    [
        (
            0.8123,
            0.1,
            None,
            "there is no champion and the floors hold (AUC 0.812 [0.782, 0.842], Brier 0.1000, n = 1,234)",
        ),
        (
            0.55,
            0.3,
            None,
            (
                "AUC 0.550 is below the floor 0.600; Brier 0.3000 is above 0.2500 "
                "(AUC 0.550 [0.520, 0.580], Brier 0.3000, n = 1,234)"
            ),
        ),
        (
            0.8,
            0.1,
            against(0.0123, -0.0045),
            (
                "not worse against champion v7 on the same 1,234 rows: AUC +0.0123 [-0.4877, +0.5123], "
                "Brier -0.0045 [-0.5045, +0.4955]"
            ),
        ),
        (
            0.8,
            0.1,
            against(-0.0301, 0.0),
            (
                "ranks worse than allowed (0.020) against champion v7 on the same 1,234 rows: "
                "AUC -0.0301 [-0.5301, +0.4699], Brier +0.0000 [-0.5000, +0.5000]"
            ),
        ),
        (
            0.8,
            0.1,
            against(0.0, 0.02),
            (
                "its probabilities are worse than allowed (0.0010) against champion v7 on the same 1,234 rows: "
                "AUC +0.0000 [-0.5000, +0.5000], Brier +0.0200 [-0.4800, +0.5200]"
            ),
        ),
    ],
)
def test_the_reason_holds_the_numbers(
    auc_value: float, brier_value: float, comparison: Comparison | None, expected: str
) -> None:
    assert decide_promotion(auc(auc_value), brier(brier_value), comparison, GATE).reason == expected


def test_what_could_not_be_computed_is_said() -> None:
    assert "AUC nan" in decide_promotion(auc(NAN), brier(0.1), None, GATE).reason
    assert "AUC +nan" in decide_promotion(auc(0.8), brier(0.1), against(NAN, 0.0), GATE).reason


# The comparison.


def test_the_comparison_is_candidate_minus_champion() -> None:
    labels = np.array([1.0, 1, 0, 0])
    good, bad = np.array([0.9, 0.8, 0.1, 0.2]), np.array([0.1, 0.2, 0.9, 0.8])
    found = compare(3, labels, good, bad)
    assert (found.champion_version, found.auc.value) == (3, 1.0)
    assert found.brier.value == pytest.approx(0.025 - 0.725)
    assert verdict(0.8, 0.1, found) == "promoted"
    assert verdict(0.8, 0.1, compare(3, labels, bad, good)) == "rejected"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("labels", [[], [1.0], [0.0, 0.0, 0.0]])
def test_rows_that_cannot_compare_two_models_promote_none(labels: list[float]) -> None:
    scores = np.linspace(0.1, 0.9, len(labels))
    assert verdict(0.8, 0.1, compare(3, np.array(labels), scores, scores)) == "rejected"


# The ratchet: each candidate meets the champion of the day, so tolerated losses add up.


def live_auc_after(retrainings: int, auc_loss: float, brier_loss: float, gate: object) -> float:
    live_auc, live_brier = 0.85, 0.10
    for _ in range(retrainings):
        if verdict(live_auc - auc_loss, live_brier + brier_loss, against(-auc_loss, brier_loss), gate) == "promoted":
            live_auc, live_brier = live_auc - auc_loss, live_brier + brier_loss
    return live_auc


def test_with_the_shipped_tolerances_a_model_that_is_worse_in_both_never_goes_live() -> None:
    """AUC may lose 0.02, Brier nothing: a model that loses a little of each is stopped by its Brier score."""
    shipped = Home(Path(__file__).resolve().parents[2]).settings.gate
    assert (shipped.auc_tolerance, shipped.brier_tolerance) == (0.02, 0.0)
    assert live_auc_after(10, 0.02, 1e-6, shipped) == 0.85


def test_losses_of_ranking_alone_add_up_to_the_floor() -> None:
    """Known limit of a simple gate: where the Brier score does not get worse, 0.02 a time goes down to the floor."""
    shipped = Home(Path(__file__).resolve().parents[2]).settings.gate
    assert live_auc_after(3, 0.02, 0.0, shipped) == pytest.approx(0.79)
    floor = live_auc_after(100, 0.02, 0.0, shipped)
    assert shipped.minimum_auc <= floor < shipped.minimum_auc + 0.02


def test_without_tolerance_there_is_no_ratchet() -> None:
    strict = GATE.model_copy(update={"auc_tolerance": 0.0, "brier_tolerance": 0.0})
    assert live_auc_after(100, 1e-6, 0.0, strict) == live_auc_after(100, 0.0, 1e-6, strict) == 0.85
