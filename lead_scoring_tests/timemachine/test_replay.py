"""The closed loop: where the world turns retraining pays, where nothing changes it does not, and nobody beats hindsight."""

import numpy as np
import pytest

from lead_scoring_assets.errors import LeadScoringError, SettingsError
from lead_scoring_assets.timemachine.library import ClosedForm, Library
from lead_scoring_assets.timemachine.loop import play
from lead_scoring_assets.timemachine.policies import AS_SET, CATALOGUE, NEVER, Policy, chosen, parse_policies
from lead_scoring_assets.timemachine.recommendation import recommend
from lead_scoring_assets.timemachine.recorded import Recorded, read_recorded
from lead_scoring_assets.timemachine.replay import Replay, Result, replay
from lead_scoring_assets.timemachine.several import across
from lead_scoring_assets.timemachine.uncertainty import Interval
from lead_scoring_assets.timemachine.watching import Watch
from lead_scoring_tests.timemachine.worlds import TRAINING_COST, settings_of, tables


def by_name(replayed: Replay) -> dict[str, Result]:
    return {result.policy.name: result for result in replayed.results}


def test_where_the_world_turns_retraining_pays(turning_replay: Replay) -> None:
    found = by_name(turning_replay)
    for name in ("monthly", "quarterly", "performance"):
        assert found[name].in_this_history.low_of_all > 0
    # The feature's values stay as they were: who watches only them sees nothing.
    for name in ("PSI 0.2", "PSI 0.5", "alarm"):
        assert found[name].played.trained == found[NEVER].played.trained
        assert found[name].in_this_history.value == 0
    assert turning_replay.oracle_gain > 2_000
    advised = recommend(turning_replay.results, "EUR", "over leads")
    assert advised.is_shown
    assert found[advised.policy.name].share_of_oracle > 0.8
    # One turn cannot be shown to come again.
    assert found["performance"].over_periods.low < 0 < found["performance"].over_periods.high


@pytest.mark.parametrize(("policy", "cause"), [("performance", "performance"), ("outcomes", "concept_drift")])
def test_what_looks_at_outcomes_rings_after_the_turn_and_never_before(
    turning_replay: Replay, steady_replay: Replay, policy: str, cause: str
) -> None:
    played = by_name(turning_replay)[policy].played
    asked = [step.period for step in played.steps if cause in step.causes]
    # Labels of the eleventh month's leads are known a conversion window later.
    assert min(asked) == "2008-11"
    assert by_name(turning_replay)[policy].in_this_history.low_of_all > 0
    assert not [s for s in by_name(steady_replay)[policy].played.steps if cause in s.causes]


def test_in_a_null_world_fixed_thresholds_pay_for_alarms_that_calibrated_ones_do_not_give(
    steady_replay: Replay,
) -> None:
    found = by_name(steady_replay)
    for name in ("alarm", "scores", "outcomes"):
        assert found[name].played.trained == found[NEVER].played.trained
    for name in ("doc_001", "doc_003"):
        assert len(found[name].played.trained) >= 4
        assert found[name].money < found[NEVER].money


def test_scores_that_move_ask_for_a_training() -> None:
    recorded = read_recorded(*tables(months=14, moves_by=0.15), settings_of())
    played = by_name(replay(recorded, chosen(("scores",)), TRAINING_COST))["scores"].played
    assert {step.causes for step in played.steps if step.verdict} == {("by_hand",), ("prediction_drift",)}
    assert len(played.promoted) >= 3


def test_where_nothing_changes_nothing_is_advised(steady_replay: Replay) -> None:
    advised = recommend(steady_replay.results, "EUR", "over leads")
    assert advised.policy.name == NEVER
    assert not advised.is_shown
    found = by_name(steady_replay)
    assert found["monthly"].in_this_history.high_of_all < 0
    assert found["monthly"].money < found["yearly"].money < found[NEVER].money + TRAINING_COST
    assert np.isnan(found["monthly"].share_of_oracle)


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_a_null_world_is_not_taken_for_another(seed: int) -> None:
    names = ("quarterly", "performance", "PSI 0.1")
    recorded = read_recorded(*tables(months=16, leads_a_month=120, seed=seed), settings_of())
    assert not recommend(replay(recorded, chosen(names), TRAINING_COST).results, "EUR", "").is_shown


def test_nobody_beats_hindsight(turning_replay: Replay, steady_replay: Replay) -> None:
    for replayed in (turning_replay, steady_replay):
        assert max(result.money for result in replayed.results) <= replayed.oracle_money + 1e-6
        for result in replayed.results:
            assert len(result.net) == len(replayed.periods) == len(result.played.live)
            assert sum(result.net) == pytest.approx(result.money)


def test_all_begin_with_the_same_model_and_pay_for_each_training(turning_replay: Replay) -> None:
    found = by_name(turning_replay)
    [first] = found[NEVER].played.promoted
    for result in found.values():
        assert result.played.promoted[0] == first
        assert result.in_this_history.value == pytest.approx(result.money - found[NEVER].money)
    free = replay_of(turning_replay, 0.0)
    monthly, paid = by_name(free)["monthly"], found["monthly"]
    assert monthly.money - paid.money == pytest.approx(TRAINING_COST * len(paid.played.trained))


def replay_of(like: Replay, cost: float) -> Replay:
    recorded = read_recorded(*tables(turns_in=10), like.settings)
    return replay(recorded, chosen(("monthly",)), cost)


def test_nothing_of_the_future_is_used(turning_replay: Replay) -> None:
    """A history that is cut off gives the same steps as far as it goes."""
    features, labels = tables(turns_in=10)
    keys = [period.key for period in turning_replay.periods[:16]]
    part = [table.filter(np.isin(table["period"].to_numpy(), keys)) for table in (features, labels)]
    shorter = by_name(replay(read_recorded(*part, turning_replay.settings), CATALOGUE, TRAINING_COST))
    for name, result in by_name(turning_replay).items():
        steps = shorter[name].played.steps
        assert len(steps) >= 13
        assert steps == result.played.steps[: len(steps)]


def test_the_same_again_gives_the_same(steady: Recorded) -> None:
    one, other = (replay(steady, chosen(("quarterly",)), 1.0) for _ in range(2))
    assert [r.net for r in one.results] == [r.net for r in other.results]
    assert [r.over_periods for r in one.results] == [r.over_periods for r in other.results]


def test_a_gate_that_refuses_everyone_leaves_chance() -> None:
    settings = settings_of(**{"minimum_auc: 0.52": "minimum_auc: 0.99"})
    recorded = read_recorded(*tables(months=8, leads_a_month=100), settings)
    replayed = replay(recorded, chosen(("monthly",)), 1.0)
    [never, monthly] = replayed.results
    assert not never.played.promoted
    assert never.played.trained == monthly.played.trained


def test_without_a_person_the_causes_alone_ask(steady: Recorded) -> None:
    library, watch = Library(steady, steady.settings, ClosedForm()), Watch(steady)
    never = Policy("n", "", {"retraining": {"causes": ()}}).applied_to(steady.settings)
    assert not play(library, watch, never, 0, 8, first_model_by_hand=False).trained
    monthly = next(p for p in CATALOGUE if p.name == "monthly").applied_to(steady.settings)
    played = play(library, watch, monthly, 0, 8, first_model_by_hand=False)
    assert {step.causes for step in played.steps if step.verdict} == {("calendar",)}


@pytest.mark.parametrize(
    ("first", "last", "told"),
    [
        ("2008-01", "2008-02", "expected at least 4 periods"),
        ("2011-01", None, "no replay over 2011-01"),
        (None, "2012-01", "found 2008-01 to 2009-12"),
    ],
)
def test_too_little_history_is_told(steady: Recorded, first: str | None, last: str | None, told: str) -> None:
    with pytest.raises(LeadScoringError, match=told):
        replay(steady, chosen((NEVER,)), 1.0, first, last)


def test_a_history_in_which_nothing_can_be_trained_is_told() -> None:
    recorded = read_recorded(*tables(months=8, leads_a_month=5), settings_of())
    with pytest.raises(LeadScoringError, match=r"no model could be trained in .*: insufficient data: \d+ of 60"):
        replay(recorded, chosen((NEVER,)), 1.0)


def test_every_policy_of_the_catalogue_can_be_set(steady: Recorded) -> None:
    for policy in CATALOGUE:
        policy.applied_to(steady.settings)
    assert next(p for p in CATALOGUE if p.name == AS_SET).changes(steady.settings) == {}
    assert len({policy.name for policy in CATALOGUE}) == len(CATALOGUE) >= 12


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("mine: {training: {seed: 1}}", "sets training, expected only retraining, drift"),
        ("mine: {drift: {psi_drift: -1}}", "policy 'mine' cannot be used: drift"),
        ("mine: {drift: {psi: 1}}", "policy 'mine' cannot be used: drift"),
        ("mine: {drift: 3}", "mine.drift must hold settings"),
        ("- mine", "must hold a name and settings"),
        ("mine: [", "is not valid YAML"),
        ("never: {drift: {}}", "which the catalogue holds already"),
    ],
)
def test_a_policy_that_cannot_be_is_refused_in_words(steady: Recorded, text: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        parse_policies(text, "mine.yaml")[0].applied_to(steady.settings)


def test_a_policy_of_ones_own_is_played(steady: Recorded) -> None:
    own = parse_policies("mine: {retraining: {causes: [calendar], calendar_months: 2, calendar_early_days: 0}}", "f")
    replayed = replay(steady, chosen(("mine",), own), 1.0)
    assert [result.policy.name for result in replayed.results] == [NEVER, "mine"]
    assert len(by_name(replayed)["mine"].played.trained) == 11
    with pytest.raises(SettingsError, match="no policy his: expected one of never"):
        chosen(("his",), own)


def test_several_worlds_give_one_advice(turning_replay: Replay, steady_replay: Replay) -> None:
    found = {one.policy.name: one for one in across([turning_replay, steady_replay, turning_replay])}
    one, other = by_name(turning_replay)["monthly"], by_name(steady_replay)["monthly"]
    mean = (2 * one.in_this_history.value + other.in_this_history.value) / 3
    assert found["monthly"].difference.value == pytest.approx(mean)
    assert found["monthly"].by_world == pytest.approx(
        (one.in_this_history.value, other.in_this_history.value, one.in_this_history.value)
    )
    now = by_name(turning_replay)[AS_SET].money - by_name(steady_replay)[AS_SET].money
    assert now != 0
    difference = found["monthly"].against_set
    assert difference is not None
    assert difference.value == pytest.approx(found["monthly"].money - found[AS_SET].money)
    # Three histories that differ so much show nothing.
    assert found["monthly"].difference.low < 0 < found["monthly"].difference.high
    assert found[NEVER].difference == Interval(0.0, 0.0, 0.0, 0.0, 0.0)
    advised = recommend(list(found.values()), "EUR", "over worlds")
    assert not advised.is_shown
    assert "and beat it in 2 of 3 histories." in advised.reasons[0]


def test_without_the_policy_that_is_set_nothing_is_compared_with_it(steady: Recorded) -> None:
    replayed = replay(steady, chosen(("monthly",)), TRAINING_COST)
    assert [result.against_set for result in replayed.results] == [None, None]
    assert across([replayed] * 3)[1].against_set is None


def test_what_is_gained_over_the_rule_that_is_set_is_a_difference_of_money(turning_replay: Replay) -> None:
    found = by_name(turning_replay)
    for result in found.values():
        assert result.against_set is not None
        assert result.against_set.value == pytest.approx(result.money - found[AS_SET].money)
