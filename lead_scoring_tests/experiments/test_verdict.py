"""The verdict as a truth table: every way to each of the four, and that each says why with its numbers."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.evaluation.metrics import Metric
from lead_scoring_assets.experiments.always_valid import AlwaysValid
from lead_scoring_assets.experiments.figures import Figure
from lead_scoring_assets.experiments.sample_ratio import check_sample_ratio
from lead_scoring_assets.experiments.verdict import Evidence, decide_experiment
from lead_scoring_assets.rollout.guards import Guard
from lead_scoring_tests.experiments.worlds import PLAN, plan

SOUND, LOST = check_sample_ratio(10_000, 10_100, 0.5), check_sample_ratio(20_000, 22_000, 0.5)
FINE = (Guard("errors", "ok", "0.1 % errors"), Guard("latency", "ok", "P95 9 ms"))
SLOW = (FINE[0], Guard("latency", "violated", "P95 900 ms"))
BETTER, WORSE = AlwaysValid(1.3, 1.1, 1.5, 0.001), AlwaysValid(0.8, 0.7, 0.9, 0.001)
OPEN, HOPELESS = AlwaysValid(1.1, 0.9, 1.3, 0.5), AlwaysValid(1.0, 0.9, 1.1, 0.9)


def revenue(low: float, high: float) -> Figure:
    nothing = Metric("revenue_per_lead", 1.0, 0.5, 1.5, 5_000)
    return Figure("revenue_per_lead", nothing, nothing, Metric("difference", (low + high) / 2, low, high, 10_000))


RICHER, POORER = (revenue(-1.0, 5.0),), (revenue(-5.0, -1.0),)


def evidence(**changes: Any) -> Evidence:
    found = Evidence(20.0, 3_000, 3_000, 800, 0, SOUND, OPEN, None, FINE, RICHER)
    return replace(found, **changes)


WHOLE = {"control": 6_500, "treatment": 6_500, "conversions": 1_700}
NOBODY = {**WHOLE, "conversions": 0, "sequence": AlwaysValid(float("nan"), 0.0, float("inf"), 1.0)}
YOUNG = {"control": 0, "treatment": 0, "sequence": AlwaysValid(float("nan"), 0.0, float("inf"), 1.0)}


@pytest.mark.parametrize(
    ("found", "verdict", "told"),
    [
        ({}, "CONTINUE_TEST", "1.100 times as often [0.900, 1.300]"),
        ({"sequence": BETTER}, "PROMOTE_TREATMENT", "1.300 times as often [1.100, 1.500]"),
        ({"sequence": BETTER, "secondary": ()}, "PROMOTE_TREATMENT", "no business figure"),
        ({"sequence": BETTER, "secondary": POORER}, "CONTINUE_TEST", "worse: revenue_per_lead"),
        ({"sequence": BETTER, "secondary": POORER, **WHOLE}, "KEEP_CONTROL", "worse: revenue_per_lead"),
        ({"sequence": WORSE}, "KEEP_CONTROL", "it is worse"),
        ({"sequence": HOPELESS}, "KEEP_CONTROL", "20.0% that were planned are out of reach"),
        (WHOLE, "KEEP_CONTROL", "all 13,000 planned leads were counted without a winner"),
        # Leads without conversions say nothing of which arm converts more, however many they are.
        (NOBODY, "CONTINUE_TEST", "counted, but 0 conversions where the plan expected 1,788, so that it goes on"),
        ({**NOBODY, "conversions_too_late": 1_600}, "CONTINUE_TEST", "1,600 more became known after the 30 days"),
        ({**WHOLE, "conversions": 893}, "CONTINUE_TEST", "893 conversions where the plan expected 1,788"),
        ({**WHOLE, "conversions": 894}, "KEEP_CONTROL", "all 13,000 planned leads were counted without a winner"),
        ({"sequence": BETTER, "control": 999}, "CONTINUE_TEST", "999 leads of the control and 3,000"),
        ({"sequence": BETTER, "days": 13.0}, "CONTINUE_TEST", "13 of at least 14 days"),
        ({"sequence": WORSE, "control": 200, "treatment": 200, "days": 3.0}, "KEEP_CONTROL", "it is worse"),
        (YOUNG, "CONTINUE_TEST", "no lead is 30 days past its first answer"),
        ({"guards": SLOW}, "KEEP_CONTROL", "latency: P95 900 ms"),
        ({"guards": SLOW, "sequence": BETTER}, "KEEP_CONTROL", "latency: P95 900 ms"),
        ({"guards": SLOW, **YOUNG}, "KEEP_CONTROL", "latency: P95 900 ms"),
        ({"sample_ratio": LOST, "sequence": BETTER}, "BLOCKED", "do NOT fit the plan"),
        ({"sample_ratio": LOST, "guards": SLOW}, "BLOCKED", "do NOT fit the plan"),
        ({"sample_ratio": LOST, **YOUNG}, "BLOCKED", "do NOT fit the plan"),
    ],
)
def test_the_truth_table(found: dict[str, Any], verdict: str, told: str) -> None:
    decision = decide_experiment(evidence(**found), PLAN)
    assert decision.verdict == verdict
    assert told in decision.reason
    assert decision.ends_it == (verdict != "CONTINUE_TEST")


SURE, UNSURE = Metric("difference", 0.03, 0.01, 0.05, 40), Metric("difference", 0.03, -0.01, 0.07, 40)
FEW = Metric("difference", float("nan"), float("nan"), float("nan"), 6)


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        ({"by_rep": SURE}, "CONTINUE_TEST"),  # before the planned end nobody looks
        ({"by_rep": SURE, **WHOLE}, "PROMOTE_TREATMENT"),
        ({"by_rep": UNSURE, **WHOLE}, "KEEP_CONTROL"),
        ({"by_rep": FEW, **WHOLE}, "CONTINUE_TEST"),
    ],
)
def test_drawn_by_rep_it_is_read_once_at_its_end(found: dict[str, Any], verdict: str) -> None:
    assert decide_experiment(evidence(sequence=None, **found), plan(unit="rep")).verdict == verdict


RATIOS = st.sampled_from([SOUND, LOST])
SEQUENCES = st.sampled_from([BETTER, WORSE, OPEN, HOPELESS])
GUARDS = st.sampled_from([FINE, SLOW, ()])


@given(
    RATIOS,
    SEQUENCES,
    GUARDS,
    st.sampled_from([RICHER, POORER, ()]),
    st.integers(0, 10_000),
    st.integers(0, 10_000),
    st.floats(0, 90),
)
def test_nothing_is_promoted_without_every_condition(
    ratio: Any, sequence: Any, guards: Any, secondary: Any, control: int, treatment: int, days: float
) -> None:
    found = Evidence(days, control, treatment, 800, 0, ratio, sequence, None, guards, secondary)
    decision = decide_experiment(found, PLAN)
    assert decision.reason
    may_be = (
        ratio is SOUND
        and sequence is BETTER
        and guards is not SLOW
        and secondary is not POORER
        and min(control, treatment) >= PLAN.minimum_units
        and days >= PLAN.minimum_days
    )
    assert (decision.verdict == "PROMOTE_TREATMENT") == may_be
    assert (decision.verdict == "BLOCKED") == (ratio is LOST)


def test_the_checklist_goes_from_significance_to_the_gradual_rollout() -> None:
    decision = decide_experiment(evidence(sequence=BETTER, feedback=["Omar: better order"]), PLAN)
    assert [check.point for check in decision.checklist] == [
        "sample_ratio",
        "guardrails",
        "sample_size",
        "duration",
        "significance",
        "business_metrics",
        "sales_feedback",
        "gradual_rollout",
    ]
    assert decision.answer("sales_feedback") == "yes"
    assert decision.answer("gradual_rollout") == "open"
    assert "lead-scoring rollout start 2" in decision.checklist[-1].sentence
    assert all(check.sentence for check in decision.checklist)
    unasked = decide_experiment(evidence(), PLAN)
    assert unasked.answer("sales_feedback") == "open"
    assert unasked.answer("gradual_rollout") == "no"
