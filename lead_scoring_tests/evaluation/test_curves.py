"""Curves: scikit-learn's, and their areas are the figures."""

import numpy as np
import pytest
from hypothesis import given
from sklearn.metrics import precision_recall_curve, roc_curve

from lead_scoring_assets.evaluation.bootstrap import observed
from lead_scoring_assets.evaluation.curves import gains, precision_recall, roc
from lead_scoring_assets.evaluation.ranking import area_under_roc, average_precision
from lead_scoring_assets.plots import gains_plot, precision_recall_plot, roc_plot
from lead_scoring_tests.evaluation.worlds import arrays, calibrated, labelled_scores


@given(labelled_scores)
def test_curves_are_scikit_learns(rows: list[tuple[int, float]]) -> None:
    labels, scores = arrays(rows)
    across, up, _ = roc_curve(labels, scores, drop_intermediate=False)
    found = roc(labels, scores)
    assert found.across == pytest.approx(across)
    assert found.up == pytest.approx(up)
    precision, recall, _ = precision_recall_curve(labels, scores)
    found = precision_recall(labels, scores)
    assert found.across == pytest.approx(recall[-2::-1])
    assert found.up == pytest.approx(precision[-2::-1])


@given(labelled_scores)
def test_areas_are_the_figures(rows: list[tuple[int, float]]) -> None:
    labels, scores = arrays(rows)
    n, rate = len(labels), labels.mean()
    curve = roc(labels, scores)
    area = observed(area_under_roc(labels, scores), n)
    assert np.trapezoid(curve.up, curve.across) == pytest.approx(area)
    curve = precision_recall(labels, scores)
    steps = np.diff(curve.across, prepend=0.0) @ curve.up
    assert steps == pytest.approx(observed(average_precision(labels, scores), n))
    # Gains: half of the converted come by themselves, the rest is AUC.
    curve = gains(labels, scores)
    assert np.trapezoid(curve.up, curve.across) == pytest.approx(rate / 2 + (1 - rate) * area)
    assert (curve.across[0], curve.up[0], curve.across[-1], curve.up[-1]) == (0, 0, 1, 1)


def test_without_a_converted_lead_there_is_no_roc() -> None:
    found = roc(np.zeros(3), np.array([0.1, 0.2, 0.3]))
    assert np.isnan(found.up).all()
    assert found.across == pytest.approx([0, 1 / 3, 2 / 3, 1])


def test_curves_can_be_drawn() -> None:
    labels, scores = calibrated(np.random.default_rng(0), 300)
    for draw, curve in ((roc_plot, roc), (gains_plot, gains)):
        points = curve(labels, scores)
        assert draw(points.across, points.up, "title").startswith("![title](data:image/svg+xml;base64,")
    points = precision_recall(labels, scores)
    assert precision_recall_plot(points.across, points.up, labels.mean(), "title").startswith("![title](")
