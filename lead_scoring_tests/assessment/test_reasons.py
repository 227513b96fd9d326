"""Contributions in plain words: the right features, the right figures, and the same words one by one and in a batch."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.assessment.reasons import Reason, reasons_columns, reasons_schema, top_reasons, typical_values
from lead_scoring_assets.assessment.wording import effect_words, label, many_effect_words, value_of, value_words
from lead_scoring_assets.contracts.aggregates import Aggregate
from lead_scoring_assets.contracts.columns import Column, Registry

pytestmark = pytest.mark.filterwarnings("error")

REGISTRY = Registry(
    {
        "age": Column(kind="integer", role="feature", why="life stage", missing=(-1,)),
        "balance": Column(kind="number", role="feature", why="money that could be deposited, EUR"),
        "job_title": Column(
            kind="category",
            role="feature",
            why="who asks; students do not buy",
            categories=("student", "=1+1", "other"),
        ),
    },
    activity_types=("web_visit",),
    aggregates={
        "website_visits": Aggregate(measure="count", days=30, why="visits"),
        "days_since_last_visit": Aggregate(measure="days_since_last", days=90, why="how warm the lead is"),
    },
)
COLUMNS = ["age", "balance", "website_visits", "days_since_last_visit", "job_title"]
LEAD = {"age": 42, "balance": 1506.4, "website_visits": 12.0, "days_since_last_visit": None, "job_title": "student"}
TYPICAL = {"website_visits": 3.0, "age": 42.0}


def told(contributions: list[float], k: int = 3) -> list[str]:
    found = top_reasons(np.array(contributions), LEAD, COLUMNS, REGISTRY, TYPICAL, k)
    return [reason.words for reason in found]


def test_the_strongest_up_then_the_strongest_down() -> None:
    log = math.log
    assert told([log(1.2), log(0.5), log(1.8), log(0.9), log(3), 5.0], k=2) == [
        "job title (who asks): student raises the odds 3 times",
        "website visits in 30 days: 12 (typical 3) raises the odds 1.8 times",
        "balance (money that could be deposited): 1,506 lowers the odds to 50 %",
        "days since last visit: none in 90 days lowers the odds to 90 %",
    ]


def test_the_base_is_no_reason_and_neither_is_what_does_nothing() -> None:
    assert told([0.0, 0.0099, -0.0099, 0.0, 0.0, 9.0]) == []
    assert told([0.01, 0.0, 0.0, 0.0, 0.0, 0.0]) == ["age (life stage): 42 (typical) raises the odds 1.01 times"]


def test_a_reason_holds_its_figures() -> None:
    (reason,) = top_reasons(np.array([0, 0, math.log(2), 0, 0, 0.0]), LEAD, COLUMNS, REGISTRY)
    assert reason == Reason(
        "website_visits", 12.0, math.log(2), "website visits in 30 days: 12 raises the odds 2 times"
    )
    assert reason.factor == pytest.approx(2)
    (reason,) = top_reasons(np.array([0, 0, 0, -1.0, 0, 0]), LEAD, COLUMNS, REGISTRY)
    assert reason.value is None


def test_equal_effects_keep_the_order_of_columns() -> None:
    found = top_reasons(np.full(6, 0.5), LEAD, COLUMNS, REGISTRY)
    assert [reason.feature for reason in found] == COLUMNS[:3]


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (1.011, "raises the odds 1.01 times"),
        (1.094, "raises the odds 1.09 times"),
        (1.096, "raises the odds 1.1 times"),
        (1.83, "raises the odds 1.8 times"),
        (9.94, "raises the odds 9.9 times"),
        (9.96, "raises the odds 10 times"),
        (57.4, "raises the odds 57 times"),
        (100.4, "raises the odds 100 times"),
        (1e9, "raises the odds more than 100 times"),
        (0.99, "lowers the odds to 99 %"),
        (0.333, "lowers the odds to 33 %"),
        (0.006, "lowers the odds to 1 %"),
        (0.004, "lowers the odds to less than 1 %"),
        (1e-12, "lowers the odds to less than 1 %"),
    ],
)
def test_effects_in_words(factor: float, words: str) -> None:
    assert effect_words(math.log(factor)) == words
    assert many_effect_words(np.array([math.log(factor)])).tolist() == [words]


def test_one_effect_is_said_as_among_many() -> None:
    effects = np.concatenate([np.linspace(-10, 10, 40_001), [0.0, -0.0, -1e4, 1e4]])
    assert [*map(effect_words, effects.tolist())] == many_effect_words(effects).tolist()


@given(st.floats(-1e4, 1e4).filter(lambda effect: abs(effect) >= math.log(1.01)))
def test_words_never_contradict_the_effect(effect: float) -> None:
    words = effect_words(effect)
    figure = float(words.replace("more than ", "").replace("less than ", "").split()[3 if effect > 0 else 4])
    assert words.startswith("raises the odds " if effect > 0 else "lowers the odds to ")
    if "than" not in words:
        assert figure == pytest.approx(math.exp(effect) * (1 if effect > 0 else 100), rel=0.05, abs=0.5 * (effect < 0))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("age", 42.0, "age (life stage): 42"),
        ("age", None, "age (life stage): not given"),
        ("balance", 0.0, "balance (money that could be deposited): 0"),
        ("balance", -0.0, "balance (money that could be deposited): 0"),
        ("balance", 1234567.8, "balance (money that could be deposited): 1,234,568"),
        ("balance", 0.001, "balance (money that could be deposited): about 0"),
        ("balance", 3.14159, "balance (money that could be deposited): 3.14"),
        ("balance", -12.34, "balance (money that could be deposited): -12.3"),
        ("balance", 1e300, "balance (money that could be deposited): very large"),
        ("job_title", "=1+1", "job title (who asks): =1+1"),
        ("job_title", "a\nb\t\x00c", "job title (who asks): a b c"),
        ("job_title", "x" * 99, "job title (who asks): " + "x" * 59 + "…"),
        ("website_visits", None, "website visits in 30 days: none in 30 days"),
    ],
)
def test_values_in_words(name: str, value: float | str | None, words: str) -> None:
    assert value_words(name, value, REGISTRY, {}) == words


@pytest.mark.parametrize("value", [None, np.nan, pd.NA, pd.NaT, math.inf, "many"])
def test_what_is_no_number_is_not_given(value: object) -> None:
    assert value_of(value, is_numeric=True) is None


def test_labels_tell_what_is_counted() -> None:
    assert label("website_visits", REGISTRY) == "website visits in 30 days"
    assert label("days_since_last_visit", REGISTRY) == "days since last visit"


def test_typical_is_the_median_of_what_is_given() -> None:
    frame = pd.DataFrame({"age": [1, 2, None, 90], "balance": [None] * 4, "job_title": ["student"] * 4})
    assert typical_values(frame, REGISTRY) == {"age": 2.0}


def test_another_shape_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"expected 5 contributions and the base for each row, found the shape \(1, 5\)"
    ):
        top_reasons(np.zeros(5), LEAD, COLUMNS, REGISTRY)
    with pytest.raises(ValueError, match="expected contributions for 1 rows of features, found 2"):
        reasons_columns(np.zeros((2, 6)), pd.DataFrame([LEAD]), COLUMNS, REGISTRY)


leads = st.fixed_dictionaries(
    {
        "age": st.one_of(st.none(), st.integers(15, 110)),
        "balance": st.one_of(st.none(), st.floats(-1e6, 1e6), st.just(math.inf)),
        "website_visits": st.one_of(st.none(), st.integers(0, 50).map(float)),
        "days_since_last_visit": st.one_of(st.none(), st.integers(0, 90).map(float)),
        "job_title": st.one_of(st.none(), st.sampled_from(["student", "=1+1", "other", "unseen"])),
    }
)
# A few distinct effects, so that ties and effects too small to tell are common.
effects = st.sampled_from([0.0, 0.005, -0.005, 0.3, -0.3, 1.0, -1.0, 7.0, -7.0, math.nan])


@given(st.lists(st.tuples(leads, st.lists(effects, min_size=6, max_size=6)), max_size=12), st.integers(1, 7))
def test_a_batch_says_what_is_said_of_each_lead(rows: list[tuple[dict[str, object], list[float]]], k: int) -> None:
    frame = pd.DataFrame([lead for lead, _ in rows], columns=COLUMNS, dtype=object)
    contributions = np.array([effect for _, effect in rows], dtype=np.float64).reshape(-1, 6)
    # An index of its own: rows go by place.
    frame.index = pd.Index(range(100, 100 + len(frame)))[::-1]
    batch = reasons_columns(contributions, frame, COLUMNS, REGISTRY, TYPICAL, k)
    assert batch.schema == reasons_schema(k)
    for place, found in enumerate(batch.to_pylist()):
        one = top_reasons(contributions[place], frame.iloc[place].to_dict(), COLUMNS, REGISTRY, TYPICAL, k)
        up, down = ([r.words for r in one if (r.effect > 0) is raises] for raises in (True, False))
        expected = up + [None] * (k - len(up)) + down + [None] * (k - len(down))
        assert list(found.values()) == expected
        by_hand = [name for name, effect in zip(COLUMNS, contributions[place], strict=False) if effect > math.log(1.01)]
        assert len(up) == min(k, len(by_hand))


@given(st.permutations(range(5)))
def test_reasons_do_not_depend_on_the_order_of_columns(order: list[int]) -> None:
    contributions = np.array([0.9, -0.8, 0.7, -0.6, 0.5])
    named = [COLUMNS[place] for place in order]
    found = top_reasons(np.append(contributions[order], 1.0), LEAD, named, REGISTRY)
    assert found == top_reasons(np.append(contributions, 1.0), LEAD, COLUMNS, REGISTRY)
