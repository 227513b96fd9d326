"""Who gets which arm: the share that was planned, the same for ever, and nothing shared between experiments."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from lead_scoring_assets.errors import ExperimentError
from lead_scoring_assets.experiments.assignment import assign, treatment_share
from lead_scoring_assets.rollout.traffic import Traffic
from lead_scoring_tests.experiments.worlds import PLAN, plan

LEADS = [f"lead {number}" for number in range(20_000)]


def treated(traffic: Traffic) -> set[str]:
    return {lead for lead in LEADS if assign(traffic, lead).arm == "challenger"}


@pytest.mark.parametrize("share_bp", [700, 1_400, 2_800, 5_500, 5_600, 1_000, 5_000])
@pytest.mark.parametrize("exploration_bp", [0, 1_000])
def test_the_realised_share_is_the_planned_one(share_bp: int, exploration_bp: int) -> None:
    traffic = plan(share_bp=share_bp, exploration_bp=exploration_bp).traffic
    assert binomtest(len(treated(traffic)), len(LEADS), treatment_share(traffic)).pvalue > 0.001


def test_two_experiments_share_no_more_leads_than_chance() -> None:
    one, other = treated(plan(salt="one").traffic), treated(plan(salt="other").traffic)
    assert binomtest(len(one & other), len(one), 0.5).pvalue > 0.001


def test_the_explored_are_drawn_one_to_one_whatever_the_share() -> None:
    drawn = [assign(plan(share_bp=1_000, exploration_bp=2_000).traffic, lead) for lead in LEADS]
    explored = [each for each in drawn if each.explored]
    assert binomtest(len(explored), len(LEADS), 0.2).pvalue > 0.001
    assert binomtest(sum(each.arm == "challenger" for each in explored), len(explored), 0.5).pvalue > 0.001


@given(st.integers(1, 9_999), st.integers(0, 10_000), st.text(max_size=20), st.sampled_from(["champion", "process"]))
def test_an_assignment_is_for_good_and_its_propensities_add_up(
    share_bp: int, exploration_bp: int, unit: str, control: str
) -> None:
    experiment = plan(
        share_bp=share_bp,
        exploration_bp=exploration_bp,
        control=control,
        control_version=1 if control == "champion" else None,
    )
    drawn = assign(experiment.traffic, unit)
    assert drawn == assign(experiment.traffic, unit)
    share = experiment.treatment_share
    assert drawn.propensity == (share if drawn.arm == "challenger" else 1 - share)
    assert drawn.arm in ("challenger", control)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"share_bp": 0}, "share: expected 1 to 9,999 basis points"),
        ({"share_bp": 10_000}, "share: expected 1 to 9,999 basis points"),
        ({"exploration_bp": 10_001}, "exploration: expected 0 to 10,000"),
        ({"treatment_version": 1}, "v1 is the champion"),
        ({"control": "process"}, "the process without one"),
        ({"control_version": None}, "the champion with its version"),
    ],
)
def test_an_experiment_that_compares_nothing_is_refused(wrong: dict[str, object], told: str) -> None:
    with pytest.raises(ExperimentError, match=told):
        plan(**wrong)


def test_what_the_api_is_told_is_what_was_planned() -> None:
    traffic = PLAN.traffic
    assert Traffic.from_dict(traffic.to_dict()) == traffic
    assert (traffic.mode, traffic.share_bp, traffic.salt) == ("experiment", PLAN.share_bp, PLAN.salt)
