"""What drives a model: closed forms on a model that is known, and planted causes that real models must find."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from lead_scoring_assets.assessment.explanations import FeatureEffect, explain_lead, explain_model, sample_of
from lead_scoring_assets.models.scorer import Scorer
from lead_scoring_assets.plots import dependence_plot, interval_plot, reason_plot
from lead_scoring_tests.models.scorers import RECIPES, REGISTRY, AdditiveScorer, leads, real_scorer

pytestmark = pytest.mark.filterwarnings("error")

KNOWN = AdditiveScorer(
    {
        "visits": lambda visits: 0.5 * visits,
        "age": lambda age: -0.01 * (age.fillna(40) - 40),
        "noise": lambda noise: 0.2 * noise**2,
        "job": lambda job: 0.0 * job.isna(),
    }
)


@pytest.fixture(scope="module", params=sorted(RECIPES))
def scorer(request: pytest.FixtureRequest) -> Scorer:
    return real_scorer(request.param)


def explained(rows: pd.DataFrame) -> dict[str, FeatureEffect]:
    return {effect.feature: effect for effect in explain_model(KNOWN, rows, REGISTRY)}


# A model that is known.


def test_strength_is_the_mean_size_of_contributions() -> None:
    rows = leads(500)
    found = explained(rows)
    sizes = (0.5 * rows["visits"]).abs()
    half = norm.ppf(0.975) * sizes.std(ddof=1) / math.sqrt(500)
    visits = found["visits"]
    assert visits.strength == pytest.approx(sizes.mean())
    assert (visits.low, visits.high) == pytest.approx((sizes.mean() - half, sizes.mean() + half))
    assert sum(effect.share for effect in found.values()) == pytest.approx(1)
    assert list(found) == ["visits", "noise", "age", "job"]
    assert visits.n == 500


def test_the_interval_of_the_strength_holds_the_truth() -> None:
    """95 % of 200 samples less four standard errors, which are 6.2 points."""
    scorer = AdditiveScorer({"visits": lambda visits: 0.5 * (visits - 4)})
    population = leads(20_000, seed=1)
    (truth,) = explain_model(scorer, population, REGISTRY)
    samples = [population.sample(200, random_state=seed) for seed in range(200)]
    found = [explain_model(scorer, rows, REGISTRY)[0] for rows in samples]
    assert np.mean([effect.low <= truth.strength <= effect.high for effect in found]) >= 0.888


def test_directions() -> None:
    found = explained(leads(500))
    assert {name: effect.direction for name, effect in found.items()} == {
        "visits": "rises",
        "age": "falls",
        "noise": "mixed",
        "job": "no effect",
    }
    by_job = AdditiveScorer({"job": lambda job: -1.0 * (job == "student")})
    assert explain_model(by_job, leads(50), REGISTRY)[0].direction == "by category"


def test_dependence_follows_the_contribution() -> None:
    points = explained(pd.DataFrame({"visits": range(1, 21), "age": 1.0, "noise": 1.0, "job": None}))[
        "visits"
    ].dependence
    assert [point.value for point in points] == sorted(point.value for point in points)
    for point in points:
        assert point.effect == pytest.approx(0.5 * point.value)
        assert point.low <= point.effect <= point.high
    assert [point.group for point in points[:2]] == ["1 to 2", "3 to 4"]
    assert len(points) == 10


@given(
    st.lists(st.one_of(st.none(), st.integers(0, 4).map(float), st.floats(-1e6, 1e6)), min_size=1, max_size=60),
    st.sampled_from(["age", "job"]),
)
def test_every_lead_is_in_one_point(values: list[float | None], name: str) -> None:
    given_values = pd.Series(values, dtype=np.float64)
    if name == "job":
        given_values = pd.Series([None if value is None else f"job {value:g}" for value in values], dtype=object)
    effects = np.arange(len(values)) / 7
    scorer = AdditiveScorer({name: lambda column: effects})
    (found,) = explain_model(scorer, pd.DataFrame({name: given_values}), REGISTRY)
    assert sum(point.n for point in found.dependence) == len(values)
    assert sum(point.n * point.effect for point in found.dependence) == pytest.approx(effects.sum(), abs=1e-9)
    missing = [point for point in found.dependence if point.group == "not given"]
    assert sum(point.n for point in missing) == sum(value is None for value in values)
    assert len({point.group for point in found.dependence}) == len(found.dependence) or name == "age"


def test_no_leads_and_one_lead_give_no_made_up_interval() -> None:
    none = explained(leads(0))["visits"]
    assert math.isnan(none.strength)
    assert (none.direction, none.dependence, none.n) == ("no effect", [], 0)
    one = explained(leads(1))["visits"]
    assert one.strength > 0
    assert math.isnan(one.low)
    assert math.isnan(one.high)


def test_a_sample_is_seeded_and_keeps_its_order() -> None:
    rows = leads(300)
    drawn = sample_of(rows, seed=4, rows=100)
    assert (len(drawn), drawn.index.is_unique, drawn.index.is_monotonic_increasing) == (100, True, True)
    assert drawn.equals(sample_of(rows, seed=4, rows=100))
    assert not drawn.index.equals(sample_of(rows, seed=5, rows=100).index)
    assert sample_of(rows, seed=4, rows=300) is rows


# Real models.


def test_real_models_show_what_was_planted(scorer: Scorer) -> None:
    effects = explain_model(scorer, leads(1_000, seed=1), REGISTRY)
    found = {effect.feature: effect for effect in effects}
    assert effects[0].feature == "visits"
    assert effects[-1].feature == "noise"
    assert (found["visits"].direction, found["age"].direction) == ("rises", "falls")
    by_job = {point.group: point for point in found["job"].dependence}
    assert by_job["student"].high < by_job["clerk"].low
    assert found["noise"].high < found["age"].low


def test_contributions_of_one_lead_add_up_to_its_log_odds(scorer: Scorer) -> None:
    rows = leads(200, seed=2)
    probabilities = scorer.probabilities(rows)
    for place in range(len(rows)):
        told = explain_lead(scorer, rows.iloc[[place]], REGISTRY)
        log_odds = math.log(probabilities[place] / (1 - probabilities[place]))
        assert told.base + sum(told.contributions.values()) == pytest.approx(log_odds, abs=1e-5)
        assert told.probability == pytest.approx(probabilities[place], abs=1e-5)
        assert {reason.feature: reason.effect for reason in told.reasons}.items() <= told.contributions.items()


def test_a_lead_is_told_in_words(scorer: Scorer) -> None:
    lead = pd.DataFrame({"visits": [12.0], "age": [None], "noise": [0.0], "job": ["student"]})
    words = [reason.words for reason in explain_lead(scorer, lead, REGISTRY, {"visits": 4.0}).reasons]
    assert words[0].startswith("visits (visits of the web site): 12 (typical 4) raises the odds ")
    assert any(word.startswith("job (who asks): student lowers the odds to ") for word in words)


# What cannot be explained.


@pytest.mark.parametrize("n", [0, 2])
def test_one_lead_is_explained_at_a_time(n: int) -> None:
    with pytest.raises(ValueError, match=f"expected one lead to explain, found {n} rows; choose one by lead_id"):
        explain_lead(KNOWN, leads(n), REGISTRY)


def test_a_feature_that_the_registry_gave_up_still_counts() -> None:
    scorer = AdditiveScorer({"visits": lambda visits: 1.0 + 0 * visits, "gone": lambda gone: 2.0 + 0 * gone})
    lead = pd.DataFrame({"visits": [1.0], "gone": [1.0]})
    told = explain_lead(scorer, lead, REGISTRY)
    assert told.contributions == {"visits": 1.0, "gone": 2.0}
    assert [reason.feature for reason in told.reasons] == ["visits"]
    assert [effect.feature for effect in explain_model(scorer, lead, REGISTRY)] == ["gone", "visits"]


@settings(max_examples=20)
@given(st.floats(-800, 800))
def test_no_log_odds_are_too_large(log_odds: float) -> None:
    scorer = AdditiveScorer({"visits": lambda visits: 0.0 * visits}, base=log_odds)
    told = explain_lead(scorer, pd.DataFrame({"visits": [1.0]}), REGISTRY)
    assert 0 <= told.probability <= 1
    assert (told.probability > 0.5) is (log_odds > 1e-12) or abs(log_odds) < 1e-12


# Pictures.


def test_pictures_take_any_name_and_what_is_not_known() -> None:
    nan = math.nan
    pictures = [
        interval_plot({"a $value$": (1.0, 0.5, 1.5), "$": (0.0, nan, nan)}, "strength", "log odds"),
        reason_plot({f"${place}": place - 10.0 for place in range(20)}, "reasons"),
        dependence_plot({"a $": [("1 to 2", 0.5, 0.1, 0.9), ("not given", 0.1, nan, nan)], "none": []}, "dependence"),
        interval_plot({}, "nothing", "log odds"),
        reason_plot({}, "nothing"),
        dependence_plot({}, "nothing"),
    ]
    assert all("](data:image/svg+xml;base64," in picture for picture in pictures)
    assert len(set(pictures)) == len(pictures)
