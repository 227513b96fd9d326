"""Ranking figures: scikit-learn's, definitions written out, and the order of rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import average_precision_score, roc_auc_score

from lead_scoring_assets.evaluation.bootstrap import observed
from lead_scoring_assets.evaluation.ranking import (
    among_best,
    area_under_roc,
    average_precision,
    leads_at,
    precision_at,
    recall_at,
)
from lead_scoring_tests.evaluation.worlds import arrays, binormal, labelled_scores

SHARES = (0.05, 0.1, 0.2, 0.5, 1.0)


def weights_for(n: int, seed: int, samples: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=samples).astype(np.float64)


@given(labelled_scores, st.integers(0, 2**32))
def test_weighted_areas_are_scikit_learns(rows: list[tuple[int, float]], seed: int) -> None:
    labels, scores = arrays(rows)
    weights = weights_for(len(labels), seed)
    areas, precisions = area_under_roc(labels, scores)(weights), average_precision(labels, scores)(weights)
    for weight, area, precision in zip(weights, areas, precisions, strict=True):
        converted = float(weight @ labels)
        if 0 < converted < weight.sum():
            assert area == pytest.approx(roc_auc_score(labels, scores, sample_weight=weight), abs=1e-12)
            assert precision == pytest.approx(average_precision_score(labels, scores, sample_weight=weight), abs=1e-12)
        else:
            assert np.isnan(area)
            assert np.isnan(precision) == (converted == 0)


@given(labelled_scores, st.integers(0, 2**32), st.sampled_from(SHARES))
def test_the_best_are_taken_one_by_one_and_the_last_group_by_chance(
    rows: list[tuple[int, float]], seed: int, best: float
) -> None:
    """Each lead written out as often as it was drawn; of a group that does not fit, each has the same chance."""
    labels, scores = arrays(rows)
    worth = labels * np.random.default_rng(seed).integers(1, 9, len(labels))
    weights = weights_for(len(labels), seed)
    places = leads_at(best, len(labels))
    expected = []
    for weight in weights:
        drawn = np.repeat(np.arange(len(labels)), weight.astype(int))
        chance = [
            np.clip((places - (scores[drawn] > scores[i]).sum()) / (scores[drawn] == scores[i]).sum(), 0, 1)
            for i in drawn
        ]
        expected.append(sum(chance * worth[drawn]))
    assert among_best(best)(worth, scores)(weights) == pytest.approx(expected, abs=1e-9)


def test_many_leads_of_which_few_are_called() -> None:
    """Only the top is looked at, also when a resample leaves out far more of it than chance does."""
    n = 3_000
    labels, scores = binormal(np.random.default_rng(0), n)
    order = np.argsort(-scores)
    weights = np.ones((2, n))
    weights[1, order[:2_900]] = 0.0
    expected = [labels[order[:30]].sum(), labels[order[2_900:2_930]].sum()]
    assert list(among_best(0.01)(labels, scores)(weights)) == expected


@pytest.mark.parametrize(
    ("n", "share", "places"), [(1, 0.05, 1), (19, 0.1, 1), (20, 0.1, 2), (100, 0.29, 29), (0, 0.5, 0)]
)
def test_whole_leads_are_called(n: int, share: float, places: int) -> None:
    assert leads_at(share, n) == places


@given(labelled_scores, st.sampled_from(SHARES))
def test_precision_and_recall_hang_together(rows: list[tuple[int, float]], best: float) -> None:
    labels, scores = arrays(rows)
    n = len(labels)
    precision, recall = (observed(figure(best)(labels, scores), n) for figure in (precision_at, recall_at))
    assert precision * leads_at(best, n) == pytest.approx(recall * labels.sum())
    assert 0 <= precision <= 1
    assert 0 <= recall <= 1


def test_a_model_that_says_the_same_of_all_is_random_order() -> None:
    labels, scores = np.repeat([1.0, 0.0], [30, 170]), np.full(200, 0.3)
    for best in (0.05, 0.1, 0.2):
        assert observed(precision_at(best)(labels, scores), 200) == pytest.approx(0.15)
        assert observed(recall_at(best)(labels, scores), 200) == pytest.approx(best)
    assert observed(area_under_roc(labels, scores), 200) == 0.5
    assert observed(average_precision(labels, scores), 200) == pytest.approx(0.15)


def test_a_perfect_and_a_reversed_model() -> None:
    labels = np.repeat([1.0, 0.0], [30, 170])
    perfect, reversed_ = labels + 0.0, 1 - labels
    assert observed(area_under_roc(labels, perfect), 200) == observed(average_precision(labels, perfect), 200) == 1
    assert observed(area_under_roc(labels, reversed_), 200) == 0
    assert observed(recall_at(0.1)(labels, perfect), 200) == pytest.approx(20 / 30)


def test_the_area_of_normal_scores_is_the_closed_form() -> None:
    labels, scores = binormal(np.random.default_rng(1), 200_000)
    assert observed(area_under_roc(labels, scores), 200_000) == pytest.approx(norm.cdf(0.9 / np.sqrt(2)), abs=0.006)


@given(labelled_scores, st.integers(0, 2**32))
def test_the_order_of_rows_is_irrelevant(rows: list[tuple[int, float]], seed: int) -> None:
    labels, scores = arrays(rows)
    order = np.random.default_rng(seed).permutation(len(labels))
    for figure in (area_under_roc, average_precision, precision_at(0.2), recall_at(0.2)):
        found, other = (observed(figure(y, s), len(y)) for y, s in ((labels, scores), (labels[order], scores[order])))
        assert other == pytest.approx(found, abs=1e-12)
