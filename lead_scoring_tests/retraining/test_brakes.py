"""What holds a training back, at its borders, and what it says."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.retraining.brakes import Brake, back_off_days, find_brakes, rejected_in_a_row
from lead_scoring_assets.retraining.facts import CandidateVerdict, Judgement, TrainingData
from lead_scoring_tests.retraining.worlds import DAY, NOW, facts, policy, promoted, rejected

TICK = timedelta(microseconds=1)
ENOUGH = TrainingData(10_000, 100, 500, 20)
VERDICTS: list[CandidateVerdict] = ["promoted", "awaiting_approval", "rejected", "superseded", "taken_back"]


def names(*brakes: Brake) -> list[str]:
    return [brake.name for brake in brakes]


def test_nothing_holds_back_where_nothing_is_known() -> None:
    assert find_brakes(facts(), policy()) == ()
    assert find_brakes(facts(training_data=ENOUGH), policy()) == ()


@pytest.mark.parametrize(("ago", "holds"), [(7 * DAY - TICK, True), (7 * DAY, False), (0 * DAY, True)])
def test_cooldown_at_its_border(ago: timedelta, holds: bool) -> None:
    brakes = find_brakes(facts(judgements=[promoted(NOW - ago)]), policy())
    assert names(*brakes) == (["cooldown"] if holds else [])
    assert all(brake.until == NOW - ago + 7 * DAY for brake in brakes)


def test_cooldown_in_words() -> None:
    [brake] = find_brakes(facts(judgements=[promoted(NOW - 3 * DAY)]), policy())
    assert brake.reason == "cooldown: the last training was judged at 2008-09-28, 3 of 7 days ago; until 2008-10-05"


@pytest.mark.parametrize(("ago", "holds"), [(14 * DAY - TICK, True), (14 * DAY, False)])
def test_back_off_after_one_rejected_candidate(ago: timedelta, holds: bool) -> None:
    brakes = find_brakes(facts(judgements=[rejected(NOW - ago)]), policy())
    assert names(*brakes) == (["back_off"] if holds else [])


def test_back_off_in_words() -> None:
    [brake] = find_brakes(facts(judgements=[rejected(NOW - 40 * DAY), rejected(NOW - 10 * DAY)]), policy())
    assert brake.reason == "back-off: the last 2 candidates were rejected, 10 of 28 days ago; until 2008-10-19"
    assert brake.until == NOW + 18 * DAY


def test_by_a_clock_that_was_set_back_nothing_is_some_days_less_than_none_ago() -> None:
    for brake in find_brakes(facts(judgements=[rejected(NOW + 100 * DAY)]), policy()):
        assert "by the clock is still to come (it is 2008-10-01; has it been set back?); until 2009-01-" in brake.reason
        assert "days ago" not in brake.reason


def test_both_are_told_where_both_hold() -> None:
    assert names(*find_brakes(facts(judgements=[rejected(NOW)]), policy())) == ["cooldown", "back_off"]


@given(rejections=st.integers(0, 200), first=st.integers(0, 100), more=st.integers(0, 1_000))
def test_back_off_doubles_up_to_its_limit(rejections: int, first: int, more: int) -> None:
    days = back_off_days(rejections, first, first + more)
    assert 0 <= days <= first + more
    if rejections == 0:
        assert days == 0
    else:
        assert back_off_days(rejections + 1, first, first + more) == min(2 * days, first + more)
        assert days >= first


@given(verdicts=st.lists(st.sampled_from(VERDICTS), max_size=12))
def test_only_failures_since_the_last_success_count(verdicts: list[CandidateVerdict]) -> None:
    known = facts(judgements=[Judgement(str(i), NOW, verdict) for i, verdict in enumerate(verdicts)])
    since = verdicts[::-1].index("promoted") if "promoted" in verdicts else len(verdicts)
    expected = [v for v in verdicts[len(verdicts) - since :] if v in ("rejected", "taken_back")]
    assert rejected_in_a_row(known) == len(expected)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (None, []),
        (ENOUGH, []),
        (TrainingData(9_999, 100, 500, 20), ["insufficient data: 9,999 of 10,000 training leads"]),
    ],
)
def test_what_the_training_would_refuse_is_not_asked_for(data: TrainingData | None, told: list[str]) -> None:
    assert [brake.reason for brake in find_brakes(facts(training_data=data), policy())] == told


def test_what_is_under_way_and_what_was_answered() -> None:
    known = facts(is_ingested=False, in_flight="a training is under way", answered="2008-09 has been decided")
    assert [(brake.name, brake.reason) for brake in find_brakes(known, policy())] == [
        ("not_ingested", "the files of 2008-09 are not ingested yet"),
        ("in_flight", "a training is under way"),
        ("period_answered", "2008-09 has been decided"),
    ]
