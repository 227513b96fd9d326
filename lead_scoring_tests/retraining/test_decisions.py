"""The whole decision: any cause asks, any brake refuses, a person passes patience; and no cause asks without end."""

import itertools
import math
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.retraining.brakes import PASSED_BY_A_PERSON, find_brakes
from lead_scoring_assets.retraining.causes import Policy, find_causes
from lead_scoring_assets.retraining.decisions import RetrainingDecision, decide_retraining
from lead_scoring_assets.retraining.facts import (
    CandidateVerdict,
    Facts,
    Judgement,
    MaturedAuc,
    Request,
    TrainingData,
)
from lead_scoring_assets.settings import RetrainingCause
from lead_scoring_tests.retraining.worlds import DAY, NOW, calm, drifted, facts, policy, promoted, rejected

CAUSES: tuple[RetrainingCause, ...] = get_args(RetrainingCause)
REQUEST = Request("r-1", "Mona", "a new product")
POOR = MaturedAuc("ok", "enough", 0.5, 0.45, 0.55, 900)

judgements = st.builds(
    lambda ages, verdicts: [
        Judgement(f"p{i}", NOW - age * DAY, verdict)
        for i, (age, verdict) in enumerate(zip(sorted(ages, reverse=True), verdicts, strict=False))
    ],
    st.lists(st.integers(0, 120), max_size=6),
    st.lists(st.sampled_from(get_args(CandidateVerdict)), min_size=6, max_size=6),
)
any_facts = st.builds(
    facts,
    drift=st.lists(st.sampled_from([drifted("2008-08"), drifted(), calm()]), max_size=3),
    concept_drift=st.sampled_from([[], [drifted()]]),
    performance=st.sampled_from([None, POOR]),
    new_labels=st.integers(0, 10_000),
    judgements=judgements,
    first_live_at=st.sampled_from([None, NOW - 20 * DAY, NOW - 200 * DAY]),
    training_data=st.sampled_from([None, TrainingData(9_999, 99, 499, 19), TrainingData(10_000, 100, 500, 20)]),
    request=st.sampled_from([None, REQUEST]),
    is_ingested=st.booleans(),
    in_flight=st.sampled_from([None, "a training is under way"]),
    answered=st.sampled_from([None, "2008-09 has been decided"]),
)
any_policy = st.builds(
    lambda causes, urgent, **numbers: policy(
        causes=causes, urgent_causes=[c for c in urgent if c in causes], **numbers
    ),
    causes=st.lists(st.sampled_from(CAUSES), unique=True),
    urgent=st.lists(st.sampled_from(CAUSES), unique=True, max_size=2),
    cooldown_days=st.integers(0, 30),
    drift_windows=st.integers(1, 3),
)


@given(known=any_facts, rules=any_policy)
def test_yes_exactly_when_something_asks_and_nothing_holds(known: Facts, rules: Policy) -> None:
    decision = decide_retraining(known, rules)
    asked = [finding.cause for finding in find_causes(known, rules) if finding.is_given]
    holding = {brake.name for brake in find_brakes(known, rules)}
    if known.request:
        holding -= PASSED_BY_A_PERSON
    elif set(asked) & set(rules.retraining.urgent_causes):
        holding -= {"back_off"}
    assert decision.retrain is bool(asked and not holding)
    # Every trigger is on record, not only the one that was looked at first; and every refusal says something.
    assert [trigger.cause for trigger in decision.triggers] == asked
    assert decision.reason
    assert decide_retraining(known, rules) == decision


@given(known=any_facts, rules=any_policy)
def test_a_brake_that_is_told_holds_until_then_and_no_longer(known: Facts, rules: Policy) -> None:
    for brake in find_brakes(known, rules):
        if brake.until is not None:
            assert brake.until > known.now
            later = Facts(**{**vars(known), "now": brake.until})
            assert brake.name not in {other.name for other in find_brakes(later, rules)}


def test_all_triggers_are_told() -> None:
    decision = decide_retraining(facts(drift=[drifted()], performance=POOR), policy(drift_windows=1))
    assert decision.retrain
    assert [trigger.cause for trigger in decision.triggers] == ["drift", "performance", "calendar"]
    assert decision.reason.startswith("drift: 1 of 2 features of 2008-09 drifted")
    assert "; performance: AUC 0.500" in decision.reason


def test_a_refusal_tells_what_holds_and_what_had_asked() -> None:
    known = facts(performance=POOR, judgements=[promoted(NOW - 3 * DAY)], answered="2008-09 has been decided")
    decision = decide_retraining(known, policy(causes=("performance",)))
    assert not decision.retrain
    assert decision.reason == (
        "2008-09 has been decided; cooldown: the last training was judged at 2008-09-28, 3 of 7 days ago; until "
        "2008-10-05; there is cause: performance: AUC 0.500 [0.450, 0.550], n = 900, champion v3: clearly below the floor "
        "0.60"
    )


def test_no_cause_tells_what_each_of_them_said() -> None:
    decision = decide_retraining(facts(drift=[calm()]), policy(causes=("drift", "label_volume")))
    assert decision.reason == (
        "drift: 0 of 2 features of 2008-09 drifted from champion v3's training window; the largest PSI is 0.02 (job, "
        "n = 4,812); label volume: 0 of 5,000 new labels so far, and no model was trained yet (champion v3)"
    )
    assert "no cause is watched" in decide_retraining(facts(), policy(causes=())).reason


def test_a_person_passes_patience_and_that_is_told() -> None:
    known = facts(judgements=[rejected(NOW - DAY)], answered="2008-09 has been decided", request=REQUEST)
    decision = decide_retraining(known, policy())
    assert decision.retrain
    assert [brake.name for brake in decision.passed] == ["period_answered", "cooldown", "back_off"]
    assert decision.reason.startswith("by hand: Mona: a new product; ")
    assert "; passed by hand: cooldown: the last training was judged at 2008-09-30" in decision.reason


@pytest.mark.parametrize(
    ("changes", "brake"),
    [
        ({"in_flight": "a training is under way"}, "in_flight"),
        ({"is_ingested": False}, "not_ingested"),
        ({"training_data": TrainingData(9_999, 100, 500, 20)}, "minimum_data"),
    ],
)
def test_a_person_does_not_pass_what_is_impossible_or_doubles_it(changes: dict[str, Any], brake: str) -> None:
    decision = decide_retraining(facts(request=REQUEST, **changes), policy())
    assert not decision.retrain
    assert [holding.name for holding in decision.brakes] == [brake]


@pytest.mark.parametrize(("urgent", "retrain"), [((), False), (("performance",), True), (("drift",), False)])
def test_only_an_urgent_cause_passes_the_back_off(urgent: tuple[str, ...], retrain: bool) -> None:
    known = facts(performance=POOR, judgements=[rejected(NOW - 10 * DAY)])
    assert decide_retraining(known, policy(urgent_causes=urgent)).retrain is retrain
    too_soon = facts(performance=POOR, judgements=[rejected(NOW - 6 * DAY)])
    assert not decide_retraining(
        too_soon, policy(urgent_causes=urgent)
    ).retrain  # nobody but a person passes the cooldown


def test_the_kind_of_an_answer_knows_no_numbers() -> None:
    def kind(labels: int) -> tuple[str, ...]:
        return decide_retraining(facts(new_labels=labels), policy(causes=("label_volume",))).kind

    assert kind(1) == kind(4_999) != kind(5_000)


def days(
    rules: Policy, n_days: int, psi: Sequence[float], verdict: CandidateVerdict = "rejected", window: int = 90
) -> Iterator[tuple[int, RetrainingDecision]]:
    """A daily cadence: every day's leads are measured against the same champion, and every candidate gets `verdict`."""
    windows, judged, last = [], list[Judgement](), 0
    for day in range(n_days):
        key = f"{day:05d}"
        windows.append(drifted(key, psi[day]) if psi[day] else calm(key))
        known = facts(
            now=NOW + day * DAY,
            period=key,
            drift=windows[-window:],
            judgements=judged,
            new_labels=100 * (day - last),
            answered="decided" if judged and judged[-1].period == key else None,
        )
        decision = decide_retraining(known, rules)
        yield day, decision
        if decision.retrain:
            judged, last = [*judged, Judgement(key, known.now, verdict)], day


def test_drift_that_persists_for_thirty_windows_asks_once() -> None:
    """The product's settings. Without re-basing and back-off it would be 29 trainings."""
    rules = policy(causes=("drift",))
    assert [day for day, decision in days(rules, 30, [0.4] * 30) if decision.retrain] == [1]
    impatient = policy(causes=("drift",), cooldown_days=0, backoff_days=0, backoff_days_at_most=0)
    again = Policy(**{**vars(impatient), "conversion_window": timedelta()})
    assert sum(decision.retrain for _, decision in days(again, 30, [0.4] * 30)) == 29


@given(
    psi=st.lists(st.sampled_from([0.0, 0.3, 0.3, 0.4, 0.6, 1.2, 5.0]), min_size=30, max_size=120),
    cooldown=st.integers(0, 20),
    backoff=st.integers(0, 20),
)
def test_no_drift_can_train_without_end(psi: list[float], cooldown: int, backoff: int) -> None:
    """However it comes and goes and grows. Each training needs a cause that is new: grown drift (by a quarter each time),
    labels of another conversion window, or drift that the candidate before had not met; and the pauses double."""
    rules = policy(
        causes=("drift",), drift_windows=1, cooldown_days=cooldown, backoff_days=backoff, backoff_days_at_most=56
    )
    asked = [day for day, decision in days(rules, len(psi), psi) if decision.retrain]
    pauses = [after - before for before, after in itertools.pairwise(asked)]
    for rejections, pause in enumerate(pauses, start=1):
        assert pause >= max(cooldown, min(backoff * 2 ** (rejections - 1), 56))
    for before, after in itertools.pairwise(asked):
        assert psi[after] > psi[before] * 1.25 or after - before >= 30


@given(level=st.floats(0.26, 10), growth=st.floats(0.05, 1), n_days=st.integers(30, 200))
def test_drift_that_stays_asks_once_a_conversion_window(level: float, growth: float, n_days: int) -> None:
    rules = policy(causes=("drift",), drift_growth=growth, cooldown_days=0, backoff_days=0, backoff_days_at_most=0)
    asked = [day for day, decision in days(rules, n_days, [level] * n_days) if decision.retrain]
    assert len(asked) == 1 + (n_days - 2) // 30


@given(rate=st.floats(1.0, 1.2))
def test_drift_that_grows_asks_as_often_as_it_has_grown(rate: float) -> None:
    psi = [0.3 * rate**day for day in range(29)]
    rules = policy(causes=("drift",), drift_windows=1, cooldown_days=0, backoff_days=0, backoff_days_at_most=0)
    asked = sum(decision.retrain for _, decision in days(rules, 29, psi))
    assert asked <= 1 + math.log(psi[-1] / psi[0]) / math.log(1.25)


def test_a_cause_that_training_cures_asks_again_at_once_when_it_is_back() -> None:
    """Accepted: the champion is another one, so is what it is measured against, and nothing backs off."""
    rules = policy(causes=("drift",), drift_windows=1)
    asked = [day for day, decision in days(rules, 30, [0.4] * 30, verdict="promoted") if decision.retrain]
    assert asked == [0, 7, 14, 21, 28]  # the same champion on purpose: only the cooldown is left
