"""Fairness between groups: fairlearn's figures, closed forms, and alarms in worlds where nothing, or something, differs."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import (
    MetricFrame,
    demographic_parity_difference,
    demographic_parity_ratio,
    equalized_odds_difference,
    false_positive_rate,
    selection_rate,
    true_positive_rate,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from lead_scoring_assets.contracts.columns import Column, Registry
from lead_scoring_assets.evaluation.fairness import AttributeFairness, assess_fairness
from lead_scoring_assets.evaluation.fairness_groups import NOT_GIVEN, groups_of, selected_share
from lead_scoring_assets.evaluation.fairness_intervals import Counts, draw_counts, largest_difference, smallest_ratio
from lead_scoring_assets.evaluation.fairness_thresholds import per_group_thresholds
from lead_scoring_assets.settings import Evaluation, FairnessAttribute

pytestmark = pytest.mark.filterwarnings("error")

TEXT = Column(kind="text", role="sensitive", why="asked for by law")
NUMBER = Column(kind="integer", role="sensitive", why="asked for by law", missing=(-1,))
REGISTRY = Registry(
    {
        "group": TEXT,
        "age": NUMBER,
        "language": Column(kind="text", role="context", why="for the choice of the rep"),
        "source": Column(kind="category", role="feature", why="how it came", categories=("web",)),
    }
)
SETTINGS = Evaluation(bootstrap_samples=200)


def world(
    seed: int | Sequence[int], groups: int, n: int, shift: float = 0.0
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Leads, labels (a fifth not yet known) and scores, which are the true probabilities; the first group is shifted."""
    draws = np.random.default_rng(seed)
    group = draws.integers(0, groups, groups * n)
    scores = 1 / (1 + np.exp(1.5 - draws.normal(0, 1, len(group)) - shift * (group == 0)))
    labels = (draws.random(len(group)) < scores).astype(np.float64)
    labels[draws.random(len(group)) < 0.2] = np.nan
    return pd.DataFrame({"group": np.char.add("g", group.astype(str))}), labels, scores


def assess(rows: pd.DataFrame, labels: np.ndarray, scores: np.ndarray, **changes: float) -> AttributeFairness:
    (found,) = assess_fairness(rows, labels, scores, REGISTRY, SETTINGS.model_copy(update=changes), seed=1)
    return found


# Figures.


@pytest.mark.parametrize("seed", range(5))
def test_the_figures_are_fairlearns(seed: int) -> None:
    rows, labels, scores = world(seed, groups=4, n=300, shift=seed / 4)
    labels = np.nan_to_num(labels)  # fairlearn knows no label that is not known
    found = assess(rows, labels, scores)
    selected = (scores >= np.sort(scores)[::-1][len(scores) // 5 - 1]).astype(int)
    told = {"sensitive_features": rows["group"]}
    rates = {"selection_rate": selection_rate, "tpr": true_positive_rate, "fpr": false_positive_rate}
    frame = MetricFrame(metrics=rates, y_true=labels, y_pred=selected, **told).by_group
    for group in found.groups:
        figures = (group.selection_rate.value, group.true_positive_rate.value, group.false_positive_rate.value)
        assert figures == pytest.approx(tuple(frame.loc[group.group]), abs=1e-12)
    expected = demographic_parity_difference(labels, selected, **told)
    assert found.demographic_parity_difference.value == pytest.approx(expected, abs=1e-12)
    expected = demographic_parity_ratio(labels, selected, **told)
    assert found.demographic_parity_ratio.value == pytest.approx(expected, abs=1e-12)
    expected = equalized_odds_difference(labels, selected, **told)
    assert found.equalised_odds_difference.value == pytest.approx(expected, abs=1e-12)


def test_figures_by_hand() -> None:
    """200 women, 50 of them selected; 300 men, 50 selected; the best 100 of 500 are."""
    rows = pd.DataFrame({"group": ["women"] * 200 + ["men"] * 300})
    scores = np.concatenate([np.repeat([0.9, 0.1], [50, 150]), np.repeat([0.9, 0.1], [50, 250])])
    # Of each group's selected 40 converted, 5 did not, the rest is not known; of the others 20 converted.
    selected = np.repeat([1.0, 0.0, np.nan], [40, 5, 5])
    labels = np.concatenate([selected, np.repeat([1.0, 0.0], [20, 130]), selected, np.repeat([1.0, 0.0], [20, 230])])
    found = assess(rows, labels, scores)
    men, women = found.groups
    assert (men.group, men.n, men.unknown, women.n, women.unknown) == ("men", 300, 5, 200, 5)
    assert (women.selection_rate.value, men.selection_rate.value) == (50 / 200, 50 / 300)
    interval = binomtest(50, 200).proportion_ci(method="wilson")
    assert (women.selection_rate.low, women.selection_rate.high) == pytest.approx((interval.low, interval.high))
    assert (women.true_positive_rate.value, women.true_positive_rate.n) == (40 / 60, 60)
    assert (women.false_positive_rate.value, men.false_positive_rate.value) == (5 / 135, 5 / 235)
    assert women.base_rate.value == 60 / 195
    assert women.mean_score.value == pytest.approx((50 * 0.9 + 150 * 0.1) / 200)
    assert women.calibration_gap.value == pytest.approx((45 * 0.9 + 150 * 0.1 - 60) / 195)
    assert found.demographic_parity_difference.value == pytest.approx(50 / 200 - 50 / 300)
    assert found.demographic_parity_ratio.value == pytest.approx(200 / 300)
    assert found.equalised_odds_difference.value == pytest.approx(5 / 135 - 5 / 235)
    assert (found.demographic_parity_difference.n, found.equalised_odds_difference.n) == (500, 490)
    assert "selected are 16.7% of men (n=300) to 25.0% of women (n=200); difference 0.083 (" in found.sentence


def test_attributes_that_the_settings_name_are_judged_too_in_their_bands() -> None:
    """A feature may be one: it is judged as a sensitive column of the same values would be."""
    rows, labels, scores = world(1, groups=3, n=400, shift=1.0)
    rows = rows.assign(source="web", age=np.random.default_rng(1).integers(20, 80, len(rows)), agent=rows["group"])
    columns = {
        "age": NUMBER.model_copy(update={"role": "feature"}),
        "agent": Column(kind="category", role="feature", why="who calls", categories=("g0", "g1", "g2")),
    }
    registry = Registry({**REGISTRY.lead_columns, **columns})
    named = {"age": FairnessAttribute(bands=(30, 50)), "agent": FairnessAttribute()}
    found = assess_fairness(rows, labels, scores, registry, SETTINGS.model_copy(update={"fairness": named}), seed=1)
    group, age, agent = found
    assert [attribute.attribute for attribute in found] == ["group", "age", "agent"]
    assert [told.group for told in age.groups] == ["under 30", "30 to under 50", "50 and over"]
    assert (agent.groups, agent.verdict) == (group.groups, group.verdict)
    assert agent.demographic_parity_difference == group.demographic_parity_difference


def test_thresholds_for_each_group_are_told_only_where_they_are_asked_for() -> None:
    rows, labels, scores = world(1, groups=2, n=400, shift=1.0)
    assert assess(rows, labels, scores).thresholds is None
    told = assess(rows, labels, scores, group_thresholds=True).thresholds
    assert told == per_group_thresholds(groups_of(rows["group"], TEXT), labels, scores, SETTINGS.capacity_share)


def test_only_sensitive_columns_are_judged() -> None:
    rows, labels, scores = world(0, groups=2, n=200)
    rows = rows.assign(language="en", source="web", age=30)
    found = assess_fairness(rows, labels, scores, REGISTRY, SETTINGS, seed=1)
    assert [attribute.attribute for attribute in found] == ["group", "age"]
    assert assess_fairness(rows[["language", "source"]], labels, scores, REGISTRY, SETTINGS, seed=1) == []


def test_what_is_not_known_yet_moves_no_rate_but_the_selection_rate() -> None:
    rows, labels, scores = world(3, groups=2, n=500)
    before = assess(rows, labels, scores)
    unknown = np.isnan(labels)
    # The groups of leads without a label are exchanged: whoever counts them as not converted gives another rate.
    swapped = rows.assign(group=np.where(unknown, np.where(rows["group"] == "g0", "g1", "g0"), rows["group"]))
    after = assess(swapped, labels, scores)
    for one, other in zip(before.groups, after.groups, strict=True):
        assert one.true_positive_rate == other.true_positive_rate
        assert one.false_positive_rate == other.false_positive_rate
        assert (one.base_rate, one.calibration_gap) == (other.base_rate, other.calibration_gap)
    assert before.groups[0].selection_rate != after.groups[0].selection_rate
    assert before.equalised_odds_difference.value == after.equalised_odds_difference.value


# Selection and groups.


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.floats(0.05, 1), st.randoms(use_true_random=False))
def test_ties_share_the_places_that_are_left(points: list[int], share: float, shuffle: object) -> None:
    scores = np.array(points) / 10
    selected = selected_share(scores, share)
    assert selected.sum() == pytest.approx(max(1, math.floor(share * len(points) + 1e-9)))
    assert ((selected >= 0) & (selected <= 1)).all()
    for score in set(points):  # equal scores, equal chances; nobody passes a better lead
        assert len(set(selected[scores == score / 10])) == 1
    order = np.argsort(-scores)
    assert (np.diff(selected[order]) <= 1e-12).all()
    mixed = np.random.default_rng(len(points)).permutation(len(points))
    assert selected_share(scores[mixed], share).tolist() == selected[mixed].tolist()


def test_the_order_of_rows_changes_nothing() -> None:
    rows, labels, scores = world(7, groups=3, n=200)
    scores = scores.round(1)
    mixed = np.random.default_rng(0).permutation(len(rows))
    one, other = assess(rows, labels, scores), assess(rows.iloc[mixed], labels[mixed], scores[mixed])
    assert one.sentence == other.sentence
    assert one.demographic_parity_difference == other.demographic_parity_difference


def test_who_does_not_tell_is_a_group() -> None:
    told = groups_of(pd.Series(["b", None, "", " ", "a", np.nan]), TEXT)
    assert told.tolist() == ["b", NOT_GIVEN, NOT_GIVEN, NOT_GIVEN, "a", NOT_GIVEN]
    assert told.cat.categories.tolist() == ["a", "b", NOT_GIVEN]
    ages = groups_of(pd.Series([-1, 20, 70, None]), NUMBER, edges=[60, 30])
    assert ages.tolist() == [NOT_GIVEN, "under 30", "60 and over", NOT_GIVEN]


def test_numbers_are_banded_by_edges_or_quartiles() -> None:
    ages = pd.Series(range(20, 60))
    assert groups_of(ages, NUMBER).value_counts(sort=False).to_dict() == {
        "under 29.75": 10,
        "29.75 to under 39.5": 10,
        "39.5 to under 49.25": 10,
        "49.25 and over": 10,
    }
    banded = groups_of(pd.Series([29, 30, 59, 60]), NUMBER, edges=[30, 60])
    assert banded.tolist() == ["under 30", "30 to under 60", "30 to under 60", "60 and over"]
    assert set(groups_of(pd.Series([5, 5, 5]), NUMBER)) == {"all values"}
    assert set(groups_of(pd.Series([None, None]), NUMBER)) == {NOT_GIVEN}
    assert set(groups_of(pd.Series([0, 0, 0, 0, 9]), NUMBER)) == {"all values"}


def test_times_are_banded_by_year() -> None:
    column = Column(kind="timestamp", role="sensitive", why="date of birth")
    born = pd.Series(pd.to_datetime(["1959-12-31", "1960-01-01", None], utc=True))
    assert groups_of(born, column, edges=[1960]).tolist() == ["under 1960", "1960 and over", NOT_GIVEN]


def test_small_groups_are_told_and_left_out() -> None:
    rows, labels, scores = world(2, groups=3, n=300)
    tiny = pd.DataFrame({"group": ["tiny"] * 99})
    found = assess(pd.concat([rows, tiny]), np.append(labels, np.ones(99)), np.append(scores, np.full(99, 0.99)))
    assert found.groups[-1].group == "tiny"
    assert [group.is_compared for group in found.groups] == [True, True, True, False]
    assert found.groups[-1].selection_rate.value == 1.0
    assert found.demographic_parity_difference.value < 0.2
    assert found.sentence.endswith("left out below 100 leads: tiny (n=99)")


def test_one_group_alone_is_insufficient() -> None:
    rows, labels, scores = world(2, groups=1, n=300)
    found = assess(rows, labels, scores)
    assert found.verdict == "insufficient_data"
    assert math.isnan(found.demographic_parity_difference.value)
    assert found.sentence == "group: insufficient data, 1 group(s) can be compared, 2 are needed"


def test_no_lead_at_all_is_insufficient() -> None:
    found = assess(pd.DataFrame({"group": pd.Series([], dtype=object)}), np.empty(0), np.empty(0))
    assert (found.verdict, found.groups) == ("insufficient_data", [])


def test_equalised_odds_need_converted_leads() -> None:
    rows, labels, scores = world(2, groups=2, n=300)
    found = assess(rows, np.where(labels == 1, np.nan, labels), scores)
    assert math.isnan(found.equalised_odds_difference.value)
    assert "equalised odds difference not known" in found.sentence
    assert math.isfinite(found.demographic_parity_difference.value)


# Intervals.


def test_drawing_counts_is_drawing_rows() -> None:
    """Means and covariances of the cells, against resamples of the rows themselves; four standard errors."""
    cells = np.array([[5, 15], [20, 60]])
    samples = 20_000
    drawn = draw_counts(cells, samples, seed=0).reshape(samples, 4)
    rows = np.repeat(np.arange(4), cells.ravel())
    picked = np.random.default_rng(1).choice(rows, (samples, 100))
    slow = np.stack([(picked == cell).sum(axis=1) for cell in range(4)], axis=1)
    assert drawn.sum(axis=1).tolist() == [100] * samples
    assert drawn.mean(axis=0) == pytest.approx(cells.ravel(), abs=4 * 5 / math.sqrt(samples))
    assert np.cov(drawn.T) == pytest.approx(np.cov(slow.T), abs=4 * 25 * math.sqrt(2 * 2 / samples))


def binomial_world(seed: int, rates: np.ndarray, n: int) -> tuple[Counts, Counts]:
    hits = np.random.default_rng(seed).binomial(n, rates)
    cells = np.stack([n - hits, hits], axis=-1)
    drawn = draw_counts(cells, 200, seed).astype(np.float64)
    counts = cells.astype(np.float64)
    return (
        Counts(counts[None, :, 1], counts.sum(axis=-1)[None]),
        Counts(drawn[:, None, :, 1], drawn.sum(axis=-1)[:, None]),
    )


@pytest.mark.parametrize(
    ("rates", "n"),
    [
        ([0.2, 0.2], 100),
        ([0.2] * 8, 100),
        ([0.2] * 8, 1_000),
        ([0.02] * 4, 100),
        ([0.15, 0.25], 500),
        ([0.1, 0.2, 0.3], 200),
        ([0.5, 0.9], 100),
    ],
)
def test_the_interval_holds_the_truth(rates: list[float], n: int) -> None:
    """At least 95 % less four standard errors of 300 worlds, which are 5 points."""
    true = np.array(rates)
    holds = np.zeros(2)
    for seed in range(300):
        counts, drawn = binomial_world(seed, true, n)
        for place, (interval, truth) in enumerate(
            [
                (largest_difference(counts, drawn), true.max() - true.min()),
                (smallest_ratio(counts, drawn), true.min() / true.max()),
            ]
        ):
            value, low, high = interval
            assert low <= value <= high
            holds[place] += low <= truth <= high
    assert (holds / 300 >= 0.90).all(), holds / 300


def test_same_seed_same_interval() -> None:
    rows, labels, scores = world(5, groups=3, n=300, shift=1)
    one, again, other = (
        assess_fairness(rows, labels, scores, REGISTRY, SETTINGS, seed=seed)[0].demographic_parity_difference
        for seed in (1, 1, 2)
    )
    assert one == again
    assert (one.value, one.low != other.low) == (other.value, True)


# Verdicts.


def test_null_worlds_give_hardly_any_alarm() -> None:
    """Five groups of 200 that do not differ: the figure alone passes a limit in nearly every world, on noise."""
    alarms = noise = 0
    for seed in range(100):
        found = assess(*world([1, seed], groups=5, n=200))
        alarms += found.verdict == "gap"
        noise += (
            found.demographic_parity_difference.value > 0.10
            or found.demographic_parity_ratio.value < 0.80
            or found.equalised_odds_difference.value > 0.10
        )
    assert noise > 90
    # Three sets of pairs at 2.5 % each would be 7.5 at the limit itself; without any difference it is about 1.
    assert alarms <= 4


def test_a_real_gap_is_found() -> None:
    found = [assess(*world([2, seed], groups=3, n=500, shift=-1.5)) for seed in range(20)]
    assert [one.verdict for one in found] == ["gap"] * 20
    assert all(one.sentence.startswith("group: gap; selected are ") for one in found)


def test_a_limit_that_is_wide_enough_is_kept() -> None:
    rows, labels, scores = world(4, groups=2, n=3_000)
    assert assess(rows, labels, scores).verdict == "ok"
    assert assess(rows, labels, scores, maximum_fairness_gap=1.0, minimum_fairness_ratio=0.0).verdict == "ok"


def test_a_figure_past_its_limit_within_its_noise_is_not_called_ok() -> None:
    rows, labels, scores = world(4, groups=5, n=150)
    found = assess(rows, labels, scores)
    assert found.demographic_parity_ratio.value < 0.8 < found.demographic_parity_ratio.high
    assert found.verdict == "insufficient_data"
    assert "a figure passes its limit but its interval does not" in found.sentence


# Thresholds by group.


def test_thresholds_by_group_select_alike_and_cost_precision() -> None:
    rows, labels, scores = world(6, groups=2, n=5_000, shift=-1)
    report = per_group_thresholds(groups_of(rows["group"], TEXT), labels, scores, 0.2)
    shifted, other = report.groups
    assert shifted.rate_now < 0.15 < 0.25 < other.rate_now
    assert (shifted.rate_then, other.rate_then) == pytest.approx((0.2, 0.2), abs=1e-3)
    assert shifted.threshold < other.threshold
    assert report.cost.value == pytest.approx(report.precision_then.value - report.precision_now.value)
    assert report.cost.high < 0


def test_nothing_changes_where_groups_are_alike() -> None:
    rows = pd.DataFrame({"group": ["a", "b"] * 100})
    scores, labels = np.repeat(np.arange(100) / 100, 2), np.tile([0.0, 0.0, 1.0, 1.0], 50)
    report = per_group_thresholds(groups_of(rows["group"], TEXT), labels, scores, 0.1)
    assert [(group.threshold, group.rate_now, group.rate_then) for group in report.groups] == [(0.9, 0.1, 0.1)] * 2
    assert (report.cost.value, report.cost.low, report.cost.high) == (0, 0, 0)


def test_the_interval_of_the_cost_is_the_bootstraps() -> None:
    rows, labels, scores = world(9, groups=2, n=1_000, shift=-1)
    report = per_group_thresholds(groups_of(rows["group"], TEXT), labels, scores, 0.2)
    now, then = selected_share(scores, 0.2), np.zeros(len(scores))
    for group in ("g0", "g1"):
        members = (rows["group"] == group).to_numpy()
        then[members] = selected_share(scores[members], 0.2)
    known = ~np.isnan(labels)
    label, now, then = labels[known], now[known], then[known]
    picked = np.random.default_rng(0).integers(0, len(label), (2_000, len(label)))
    drawn = [(then[p] @ label[p]) / then[p].sum() - (now[p] @ label[p]) / now[p].sum() for p in picked]
    half = (report.cost.high - report.cost.low) / 2
    assert half == pytest.approx(1.96 * np.std(drawn), rel=0.1)


@settings(max_examples=50)
@given(st.lists(st.sampled_from(["a", "b", None]), min_size=1, max_size=30), st.data())
def test_any_small_world_gets_a_verdict(groups: list[str | None], data: st.DataObject) -> None:
    n = len(groups)
    labels = np.array(data.draw(st.lists(st.sampled_from([0.0, 1.0, math.nan]), min_size=n, max_size=n)))
    scores = np.array(data.draw(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=n, max_size=n)))
    found = assess(pd.DataFrame({"group": groups}, dtype=object), labels, scores, minimum_group_rows=1)
    assert sum(group.n for group in found.groups) == n
    assert found.verdict in ("ok", "gap", "insufficient_data")
    parity = found.demographic_parity_difference
    assert len(found.groups) < 2 or 0 <= parity.low <= parity.value <= parity.high <= 1
    per_group_thresholds(groups_of(pd.Series(groups, dtype=object), TEXT), labels, scores, 0.2)
