"""Groups: who belongs where, and that a group's figures are those of its leads alone."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.evaluation.metrics import evaluate
from lead_scoring_assets.evaluation.segments import FIGURES, SegmentMetric, by_segment
from lead_scoring_assets.settings import Evaluation
from lead_scoring_tests.evaluation.worlds import calibrated

SETTINGS = Evaluation(bootstrap_samples=100, minimum_group_rows=50)


def group_sizes(found: list[SegmentMetric]) -> dict[str, int]:
    return {metric.group: metric.rows for metric in found}


def test_a_group_that_the_model_cannot_rank_is_found() -> None:
    """Scores of the groups from `web` rank; those of `fair` are shuffled."""
    rng = np.random.default_rng(0)
    labels, scores = calibrated(rng, 2_000)
    source = np.where(np.arange(2_000) % 2 == 0, "web", "fair")
    scores[source == "fair"] = rng.permutation(scores[source == "fair"])
    found = by_segment(pd.DataFrame({"source": source}), ["source"], labels, scores, SETTINGS, 1)
    assert [(m.group, m.metric.name) for m in found] == [(g, name) for g in ("fair", "web") for name in FIGURES]
    area = {m.group: m.metric for m in found if m.metric.name == "auc"}
    assert area["fair"].high < area["web"].low
    assert area["fair"].low < 0.5 < area["fair"].high
    for metric in evaluate(labels[source == "web"], scores[source == "web"]):
        same = [m.metric.value for m in found if m.group == "web" and m.metric.name == metric.name]
        assert same in ([], [pytest.approx(metric.value, abs=1e-12)])


def test_small_groups_say_so_and_missing_values_are_a_group() -> None:
    labels, scores = calibrated(np.random.default_rng(1), 300)
    source = ["web"] * 49 + ["fair"] * 50 + [None] * 201
    found = by_segment(pd.DataFrame({"source": source}), ["source"], labels, scores, SETTINGS, 1)
    assert list(group_sizes(found)) == ["fair", "web", "not given"]
    small = [m for m in found if m.group == "web"]
    assert [m.metric.name for m in small] == list(FIGURES)
    assert all(m.status == "insufficient_data" and m.rows == m.metric.n == 49 for m in small)
    assert all(np.isnan([m.metric.value, m.metric.low, m.metric.high]).all() for m in small)
    assert {m.status for m in found if m.group != "web"} == {"ok"}


@given(st.lists(st.one_of(st.integers(-3, 3).map(float), st.just(np.nan)), min_size=1, max_size=60))
def test_numbers_fall_into_quarters_that_hold_every_lead_once(numbers: list[float]) -> None:
    values = np.array(numbers)
    n = len(values)
    found = by_segment(pd.DataFrame({"age": values}), ["age"], np.zeros(n), np.zeros(n), Evaluation(), 1)
    sizes = group_sizes(found)
    assert sum(sizes.values()) == n
    assert sizes.get("not given", 0) == np.isnan(values).sum()
    assert len(sizes) <= 5


def test_quarters_are_named_by_their_borders() -> None:
    frame = pd.DataFrame({"age": np.arange(1, 101), "same": 7.0, "is_new": [True, False] * 50})
    found = by_segment(frame, ["age", "same", "is_new"], np.zeros(100), np.zeros(100), Evaluation(), 1)
    assert {(m.column, m.group): m.rows for m in found} == {
        ("age", "up to 25.75"): 25,
        ("age", "above 25.75 up to 50.5"): 25,
        ("age", "above 50.5 up to 75.25"): 25,
        ("age", "above 75.25"): 25,
        ("same", "up to 7"): 100,
        ("is_new", "False"): 50,
        ("is_new", "True"): 50,
    }


def test_categories_without_leads_are_no_group() -> None:
    frame = pd.DataFrame({"source": pd.Categorical(["web"] * 60, categories=["web", "fair"])})
    found = by_segment(frame, ["source"], *calibrated(np.random.default_rng(2), 60), SETTINGS, 1)
    assert group_sizes(found) == {"web": 60}
