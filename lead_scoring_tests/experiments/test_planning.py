"""The planner: the documents' own numbers, the relations that any planner keeps, and what it says of a plan that cannot work."""

from math import ceil, inf

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lead_scoring_assets.errors import ExperimentError
from lead_scoring_assets.experiments.planning import (
    Question,
    design_effect,
    plan_experiment,
    power,
    power_always_valid,
    smallest_lift,
    units_always_valid,
    units_for_one_look,
)
from lead_scoring_assets.experiments.words import plan_in_words

FIVE_PERCENT = Question(0.125, 0.05)
QUESTIONS = st.builds(
    Question, st.floats(0.01, 0.4), st.floats(0.02, 1.0), st.floats(0.05, 0.95), st.floats(0.5, 0.95), st.just(0.05)
)


def test_what_the_documents_ask_for_needs_44_888_leads_in_each_arm() -> None:
    assert units_for_one_look(FIVE_PERCENT) == 2 * 44_888
    assert power(FIVE_PERCENT, 2 * 1_000) == pytest.approx(0.06, abs=0.005)


@pytest.mark.parametrize(("share", "expected"), [(0.5, 0.84), (0.1, 0.42)])
def test_what_a_split_costs(share: float, expected: float) -> None:
    assert power(Question(0.125, 0.05, share), 100_000) == pytest.approx(expected, abs=0.005)


def test_a_thousand_in_each_arm_find_a_third_more_at_the_least() -> None:
    assert 0.33 <= smallest_lift(FIVE_PERCENT, 2_000) <= 0.36


@given(QUESTIONS)
def test_the_units_are_the_fewest_that_have_the_power(question: Question) -> None:
    units = units_for_one_look(question)
    assume(units > 10)
    assert power(question, units) >= question.power
    assert power(question, units - 2) < question.power


@given(QUESTIONS, st.integers(100, 1_000_000))
def test_the_smallest_lift_has_the_power_and_the_next_smaller_has_not(question: Question, units: int) -> None:
    found = smallest_lift(question, units)
    assume(found != inf)
    at = Question(question.base_rate, found, question.share, question.power)
    below = Question(question.base_rate, found * 0.999, question.share, question.power)
    assert power(below, units) < question.power <= power(at, units) + 1e-9


@settings(max_examples=20)
@given(QUESTIONS)
def test_looking_every_day_costs_units_and_not_many(question: Question) -> None:
    one, many = units_for_one_look(question), units_always_valid(question)
    assume(one > 200)
    # Non-converted leads say nothing to it: the more convert, the more it costs.
    assert 1 <= many / one <= 2.4 / (1 - question.treated_rate) + 0.3
    assert power_always_valid(question, many) >= question.power


def test_one_look_has_the_power_that_was_planned() -> None:
    question = Question(0.125, 0.2, 0.3)
    random, units = np.random.default_rng(3), units_for_one_look(question)
    treated = random.binomial(units, question.share, 20_000)
    control = units - treated
    a, b = random.binomial(treated, question.treated_rate), random.binomial(control, question.base_rate)
    pooled = (a + b) / units
    found = (a / treated - b / control) / np.sqrt(pooled * (1 - pooled) * (1 / treated + 1 / control)) > 1.959964
    assert found.mean() == pytest.approx(0.8, abs=0.02)


def test_a_plan_that_cannot_work_says_so_and_what_could() -> None:
    found = plan_experiment(FIVE_PERCENT, 90.0, 30, maximum_days=180, minimum_units=1_000)
    assert not found.can_work
    told = "\n".join(plan_in_words(found, is_by_rep=False))
    assert "44,888 leads of the control" in told
    assert "minimum_units" not in told
    assert "CANNOT WORK within 180 days" in told
    assert f"{found.reachable_lift:+.1%}" in told
    could = plan_experiment(Question(0.125, found.reachable_lift * 1.01), 90.0, 30, 180, 1_000)
    assert could.can_work
    assert "CANNOT" not in "\n".join(plan_in_words(could, is_by_rep=False))


@pytest.mark.parametrize("share", [0.5, 0.2, 0.01])
def test_a_plan_has_the_smallest_sample_in_both_arms_and_waits_for_the_last_lead(share: float) -> None:
    found = plan_experiment(Question(0.3, 2.0, share), 100.0, 30, 10_000, minimum_units=1_000)
    assert min(found.per_arm(found.units)) >= 1_000
    assert found.days == ceil(found.units / 100) + 30


def test_a_plan_whose_size_is_set_by_policy_says_so() -> None:
    """Else "enough to find it, and CANNOT WORK" could not be understood."""
    found = plan_experiment(Question(0.5, 0.33), 8.3, 30, maximum_days=180, minimum_units=1_000)
    told = "\n".join(plan_in_words(found, is_by_rep=False))
    assert (found.units_one_look, found.can_work) == (2_000, False)
    assert "chance alone would ask for fewer: experiments.minimum_units wants 1,000 in each arm" in told


@given(st.floats(1, 500), st.floats(-0.1, 1))
def test_leads_that_are_alike_count_for_less(leads_a_rep: float, correlation: float) -> None:
    assert 1 <= design_effect(leads_a_rep, correlation) <= max(leads_a_rep, 1)


def test_drawn_by_rep_a_plan_needs_more_leads_and_one_look() -> None:
    by_lead = plan_experiment(Question(0.125, 0.3), 100.0, 30, 10_000, 1_000)
    by_rep = plan_experiment(Question(0.125, 0.3), 100.0, 30, 10_000, 1_000, inflation=design_effect(50, 0.05))
    assert by_rep.units == by_rep.units_one_look == ceil(by_lead.units_one_look * 3.45)
    assert by_rep.reachable_lift > smallest_lift(Question(0.125, 0.3), by_rep.units_reachable)
    assert "looked at every day" not in "\n".join(plan_in_words(by_rep, is_by_rep=True))


@pytest.mark.parametrize(
    "wrong",
    [{"base_rate": 0.0}, {"base_rate": 12.5}, {"lift": 0.0}, {"lift": 9.0}, {"share": 1.0}, {"lift": float("nan")}],
)
def test_a_question_that_cannot_be_is_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(ExperimentError, match=next(iter(wrong))):
        Question(**{"base_rate": 0.125, "lift": 0.05, **wrong})


def test_without_leads_nothing_can_be_planned() -> None:
    with pytest.raises(ExperimentError, match="leads that come in"):
        plan_experiment(FIVE_PERCENT, 0.0, 30, 180, 1_000)
