"""Walking forward: nothing of the future is used, frozen is frozen, planted worlds are recognised for what they are."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.backtesting.figures import ALL, Figure, describe, figures_of
from lead_scoring_assets.backtesting.judged_periods import judged_periods
from lead_scoring_assets.backtesting.walk_forward import POLICIES, Walked, training_settings, walk_forward
from lead_scoring_assets.errors import LeadScoringError, TrainingError
from lead_scoring_assets.models.candidate import train_candidate
from lead_scoring_assets.models.encoder import Encoder
from lead_scoring_assets.models.training_set import TrainingWindow, build_training_set
from lead_scoring_assets.periods import PeriodCalendar
from lead_scoring_tests.backtesting.worlds import (
    CONVERSION_WINDOW,
    World,
    moments,
    replaced,
    settings_of,
    world,
)


@pytest.fixture(scope="module")
def steady() -> World:
    return world()


@pytest.fixture(scope="module")
def steady_walk(steady: World) -> Walked:
    return steady.walk()


@pytest.fixture(scope="module")
def turning() -> World:
    return world(turns_in=7)


@pytest.fixture(scope="module")
def turning_walk(turning: World) -> Walked:
    return turning.walk()


def overall(walked: Walked, of: World) -> dict[tuple[str, str], Figure]:
    return {(f.policy, f.figure): f for f in figures_of(walked, of.settings) if f.period == ALL}


# What is known when.


@pytest.mark.parametrize("months_before_the_end", [2, 5])
def test_nothing_known_after_a_model_was_trained_moves_its_scores(
    turning: World, turning_walk: Walked, months_before_the_end: int
) -> None:
    period = turning.judged[-months_before_the_end]
    moment = period.start  # the models that score this period were trained then
    late_label = moments(turning.labels, "label_known_at") > moment
    late_lead = moments(turning.features, "known_at") > period.end
    assert late_label.sum() > 100
    assert late_lead.sum() > 100
    labels = replaced(
        turning.labels, "label", np.where(late_label, 1, 0) ^ moments(turning.labels, "label").astype(int)
    )
    # And every label that was known is corrected right after the models were trained.
    known = turning.labels.filter(pa.array(~late_label))
    corrected = replaced(known, "label", 1 - moments(known, "label"))
    just_after = np.full(known.num_rows, moment + timedelta(microseconds=1))
    labels = pa.concat_tables([labels, replaced(corrected, "label_known_at", just_after)])
    moved = np.where(late_lead, moments(turning.features, "x") + 3, moments(turning.features, "x"))
    told = turning.walk(labels=labels, features=replaced(turning.features, "x", moved))
    so_far = turning_walk.periods <= period.key
    for policy in POLICIES:
        assert (told.scores[policy][so_far] == turning_walk.scores[policy][so_far]).all()
    # The trap can spring: what comes later has changed.
    assert (told.scores["sliding"][~so_far] != turning_walk.scores["sliding"][~so_far]).any()
    assert (told.labels != turning_walk.labels).any()


def test_a_frozen_model_is_trained_once_and_no_later_lead_or_label_moves_a_score(
    turning: World, turning_walk: Walked
) -> None:
    [first] = turning_walk.trained["frozen"]
    assert first == turning_walk.trained["expanding"][0]
    trained_at = turning.settings.calendar.period(first).end
    late = moments(turning.labels, "label_known_at") > trained_at
    flipped = np.where(late, 1 - moments(turning.labels, "label"), moments(turning.labels, "label"))
    told = turning.walk(labels=replaced(turning.labels, "label", flipped))
    assert (told.scores["frozen"] == turning_walk.scores["frozen"]).all()
    assert (told.scores["expanding"] != turning_walk.scores["expanding"]).any()
    # Nor does it go by the day: over all months together a lead with more of the feature never scores less.
    leads = turning.features.to_pandas().sort_values("lead_id")
    x = leads["x"].to_numpy()[leads["period"] >= turning_walk.periods[0]]
    assert np.diff(turning_walk.scores["frozen"][np.argsort(x)]).min() > -1e-9
    assert np.diff(turning_walk.scores["sliding"][np.argsort(x)]).min() < -0.1


def month_of(of: World, key: str) -> int:
    calendar = of.settings.calendar
    return len(calendar.through(calendar.period(key))) - 1


@pytest.mark.parametrize(("policy", "months"), [("expanding", None), ("sliding", 3)])
def test_scores_are_those_of_the_model_that_the_product_trains(
    steady: World, steady_walk: Walked, policy: str, months: int | None
) -> None:
    period, settings = steady.judged[-1], steady.settings
    before = settings.calendar.previous(period)
    window = TrainingWindow.of(before, CONVERSION_WINDOW, months)
    rows = build_training_set(before, window, steady.features, steady.labels, settings.registry).to_pandas()
    encoder = Encoder.from_registry(settings.registry)
    found = train_candidate(rows, encoder, settings, None, lambda words: None)
    leads = steady.features.to_pandas().query("period == @period.key").sort_values("lead_id")
    expected = found.calibrator.probabilities(found.learner.margins(encoder.encode(leads)))
    is_last = steady_walk.periods == period.key
    assert is_last.sum() == len(leads)
    assert steady_walk.scores[policy][is_last] == pytest.approx(expected, abs=1e-12)  # type: ignore[index]


def test_labels_count_as_they_are_known_at_the_end_and_a_corrected_lead_counts_once(steady: World) -> None:
    last = steady.judged[-1]
    chosen = "lead-13-0007"
    row = steady.features.filter(pa.compute.equal(steady.features["lead_id"], chosen))
    again = replaced(replaced(row, "known_at", np.array([last.end])), "x", np.array([99.0]))
    label = steady.labels.filter(pa.compute.equal(steady.labels["lead_id"], chosen))
    other = np.array([1 - label["label"][0].as_py()])
    corrected = replaced(replaced(label, "label", other), "label_known_at", np.array([steady.as_of]))
    tick = replaced(label, "label_known_at", np.array([steady.as_of + timedelta(microseconds=1)]))
    plain = steady.walk(policies=["frozen"])
    told = steady.walk(
        policies=["frozen"],
        features=pa.concat_tables([again, steady.features]),
        labels=pa.concat_tables([tick, corrected, steady.labels]),
    )
    assert (told.scores["frozen"] == plain.scores["frozen"]).all()
    assert (told.labels != plain.labels).sum() == 1


def test_leads_without_a_label_are_counted_and_left_out_of_the_figures(steady: World, steady_walk: Walked) -> None:
    last = pa.compute.starts_with(steady.labels["lead_id"], "lead-13-000")
    told = steady.walk(labels=steady.labels.filter(pa.compute.invert(last)))
    assert told.unlabelled == 10
    assert len(told.labels) == len(steady_walk.labels) - 10


# Planted worlds.


def test_after_a_turn_the_sliding_window_beats_the_frozen_model_and_the_expanding_one(
    turning: World, turning_walk: Walked
) -> None:
    found = overall(turning_walk, turning)
    assert found["sliding", "brier"].difference_high < 0
    for figure in ("auc_within_periods", "captured_at_capacity"):
        assert found["sliding", figure].difference_low > 0
        assert found["sliding", figure].value > found["expanding", figure].value


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_in_a_world_that_stays_as_it_is_more_leads_do_no_harm(seed: int) -> None:
    of = world(months=12, seed=seed)
    found = overall(of.walk(), of)
    assert found["expanding", "auc_within_periods"].difference_high >= 0
    assert found["expanding", "brier"].difference < 0.002
    assert found["expanding", "brier"].value < found["sliding", "brier"].value + 0.002
    # What is promised comes: x and its slope give AUC and rate, whatever the seed.
    assert found["expanding", "auc_within_periods"].value == pytest.approx(0.81, abs=0.03)
    rate = found["expanding", "conversion_rate"].value
    assert found["expanding", "mean_score"].value == pytest.approx(rate, abs=0.04)


# The same again.


def test_the_same_rows_in_any_order_give_the_same_figures(turning: World, turning_walk: Walked) -> None:
    draws = np.random.default_rng(0)
    features, labels = (t.take(draws.permutation(t.num_rows)) for t in (turning.features, turning.labels))
    told = turning.walk(features=features, labels=labels)
    assert repr(figures_of(told, turning.settings)) == repr(figures_of(turning_walk, turning.settings))


def test_a_policy_is_scored_alike_alone_and_in_company(turning: World, turning_walk: Walked) -> None:
    alone = turning.walk(policies=["sliding"])
    assert (alone.scores["sliding"] == turning_walk.scores["sliding"]).all()
    assert all(np.isnan(figure.difference) for figure in figures_of(alone, turning.settings))


def test_without_frozen_the_first_policy_is_what_the_other_is_compared_with(
    turning: World, turning_walk: Walked
) -> None:
    both, all_three = overall(turning.walk(policies=["sliding", "expanding"]), turning), overall(turning_walk, turning)
    for figure in ("auc_within_periods", "auc", "brier", "captured_at_capacity"):
        found = both["sliding", figure]
        assert (found.against, both["expanding", figure].against) == ("expanding", "")
        assert found.difference_low < found.difference < found.difference_high
        through_frozen = all_three["sliding", figure].difference - all_three["expanding", figure].difference
        assert found.difference == pytest.approx(through_frozen)


def test_where_training_is_refused_the_last_model_is_kept_and_all_policies_judge_the_same_leads() -> None:
    of = world(months=13, empty=(6,))
    told = of.walk(window_months=1)
    lengths = {len(scores) for scores in told.scores.values()}
    assert lengths == {len(told.labels)}
    # Two months later a window of one month has nobody left to learn from but a few, and the next is scored all the same.
    since = [p.key for p in of.judged[:-1] if p.key >= told.trained["sliding"][0]]
    refused = sorted(set(since) - set(told.trained["sliding"]))
    assert refused
    first = of.settings.calendar.period(max(told.trained[policy][0] for policy in POLICIES))
    assert sorted(set(told.periods)) == [p.key for p in of.judged if p > first and month_of(of, p.key) != 6]
    after = of.settings.calendar.next(of.settings.calendar.period(refused[0])).key
    assert after in told.periods


# Too little, and other periods.


def test_too_little_is_said_in_words(steady: World) -> None:
    with pytest.raises(TrainingError, match=r"expected a model of each policy.* 0 of 60 training leads"):
        steady.walk(judged=steady.judged[:1])
    many = settings_of(lambda text: text.replace("minimum_rows: 60", "minimum_rows: 99999"))
    with pytest.raises(TrainingError, match=r"frozen: 2009-01: insufficient data: [\d,]+ of 99,999 training leads"):
        walk_forward(steady.features, steady.labels, many, steady.judged, steady.as_of)


@given(days=st.integers(1, 90), months=st.integers(1, 40))
def test_leads_are_judged_when_the_last_of_their_period_has_matured_and_not_before(days: int, months: int) -> None:
    calendar = PeriodCalendar("month", datetime(2008, 5, 1, tzinfo=UTC))
    newest = calendar.containing(calendar.start + timedelta(days=30.4 * months))
    conversion_window = timedelta(days=days)
    matured = [p for p in calendar.through(newest)[1:] if p.end + conversion_window <= newest.end]
    if not matured:
        with pytest.raises(LeadScoringError, match="found none"):
            judged_periods(calendar, conversion_window, newest, None, None)
        return
    assert judged_periods(calendar, conversion_window, newest, None, None) == matured
    last = matured[-1].key
    assert judged_periods(calendar, conversion_window, newest, last, last) == matured[-1:]


@pytest.mark.parametrize(
    ("first", "last", "told"),
    [
        (None, "2009-12", "no backtest over 2008-06 to 2009-12: .* found up to 2009-11"),
        ("2009-09", "2009-08", "no backtest over 2009-09 to 2009-08"),
        ("2009-12", None, "no backtest over 2009-12 and later: .* found none"),
        ("May", None, "'May' is not one of this system's periods"),
    ],
)
def test_periods_that_cannot_be_judged_are_named(first: str | None, last: str | None, told: str) -> None:
    calendar = PeriodCalendar("month", datetime(2008, 5, 1, tzinfo=UTC))
    with pytest.raises(LeadScoringError, match=told):
        judged_periods(calendar, timedelta(days=31), calendar.period("2009-12"), first, last)


# How models are trained, and what is told.


def test_without_tuning_one_recipe_is_fitted_and_an_algorithm_can_be_named() -> None:
    settings = settings_of()
    assert training_settings(settings, None, is_tuned=True) == settings
    assert training_settings(settings, None, is_tuned=False).training.tuning.trials == 1
    plain = training_settings(settings, "xgboost", is_tuned=False).training
    assert (plain.algorithms, plain.tuning.trials, plain.tuning.folds) == (("xgboost",), 1, 2)
    assert settings.training.algorithms == ("logistic",)


def test_algorithms_are_not_the_same_model(steady: World, steady_walk: Walked) -> None:
    trees = World(**{**vars(steady), "settings": training_settings(steady.settings, "xgboost", is_tuned=False)})
    told = trees.walk(policies=["frozen"])
    assert len(np.unique(told.scores["frozen"])) < len(np.unique(steady_walk.scores["frozen"])) / 2


def test_known_scores_give_known_figures() -> None:
    """Two months; expanding knows everything, frozen has it backwards, and the best fifth is called in each month."""
    labels = np.tile([1.0, 0.0, 1.0, 0.0, 0.0], 40)
    walked = Walked(
        periods=np.repeat(np.array(["2008-01", "2008-02"], dtype=object), 100),
        labels=labels,
        scores={"frozen": 0.9 - 0.8 * labels, "expanding": 0.1 + 0.8 * labels},
        trained={"frozen": ["2007-11"], "expanding": ["2007-11", "2007-12"]},
        unlabelled=0,
    )
    settings = settings_of()
    figures = figures_of(walked, settings)
    found = {(f.policy, f.figure): f for f in figures if f.period == ALL}
    assert {(f.leads, f.converted) for f in found.values()} == {(200, 80)}
    for figure, frozen, expanding in (
        ("auc_within_periods", 0.0, 1.0),
        ("auc", 0.0, 1.0),
        ("brier", 0.81, 0.01),
        ("mean_score", 0.4 * 0.1 + 0.6 * 0.9, 0.4 * 0.9 + 0.6 * 0.1),
        ("conversion_rate", 0.4, 0.4),
        ("captured_at_capacity", 0.0, 0.5),  # 40 of the 80 can be called
        ("lift_at_capacity", 0.0, 2.5),
    ):
        assert found["frozen", figure].value == pytest.approx(frozen)
        assert found["expanding", figure].value == pytest.approx(expanding)
    assert found["expanding", "brier"].difference == pytest.approx(-0.8)
    assert found["expanding", "captured_at_capacity"].difference == pytest.approx(0.5)
    by_month = [f for f in figures if f.period == "2008-02" and f.figure == "brier"]
    assert [(f.policy, f.leads, f.value) for f in by_month] == [
        ("frozen", 100, pytest.approx(0.81)),
        ("expanding", 100, pytest.approx(0.01)),
    ]
    told = describe(figures, walked, settings, 3)
    assert "200 leads that arrived 2008-01 to 2008-02, 80 converted (40.0%)." in told
    assert "expanding: trained 2007-11 to 2007-12 (2 models), on all matured leads" in told
    assert "-0.800 [" in told


def test_figures_that_the_leads_cannot_give_are_not_made_up() -> None:
    walked = Walked(
        periods=np.array(["2008-01"] * 3, dtype=object),
        labels=np.zeros(3),
        scores={"frozen": np.full(3, 0.5), "sliding": np.full(3, 0.4)},
        trained={"frozen": ["2007-11"], "sliding": ["2007-11"]},
        unlabelled=0,
    )
    figures = figures_of(walked, settings_of())
    found = {(f.policy, f.figure): f for f in figures if f.period == ALL}
    for figure in ("auc_within_periods", "auc", "captured_at_capacity", "lift_at_capacity"):
        assert np.isnan(found["sliding", figure].value)
        assert np.isnan(found["sliding", figure].difference)
    assert "not known" in describe(figures, walked, settings_of(), 3)
