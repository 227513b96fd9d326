"""What calibrated scores say of themselves: against loops over the published formula, and where it must and must not err."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.evaluation.metrics import Metric, auc
from lead_scoring_assets.monitoring.performance.cbpe import CalibratedChances
from lead_scoring_assets.monitoring.performance.expected_labels import estimates, names, reckon
from lead_scoring_assets.monitoring.performance.open_leads import OpenLeads
from lead_scoring_tests.monitoring.performance.worlds import EVEN, World

MANY = 60_000


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lead_scoring_assets.monitoring.performance.expected_labels.RESAMPLES", 40)


@dataclass(frozen=True)
class Said:
    """Chances that are taken at their word."""

    chances: np.ndarray

    def expected(self) -> np.ndarray:
        return self.chances

    def redrawn(self, weights: np.ndarray, draws: np.random.Generator) -> np.ndarray:
        return np.broadcast_to(self.chances, weights.shape)


def of(leads: OpenLeads, estimator: object) -> dict[str, Metric]:
    return {metric.name: metric for metric in estimates(leads, estimator, 0.2, 0)}  # type: ignore[arg-type]


def unlabelled(scores: np.ndarray) -> OpenLeads:
    nothing = np.full(len(scores), np.nan)
    return OpenLeads(1, scores, np.ones(len(scores)), nothing, nothing)


def nannyml_auc(chances: np.ndarray, scores: np.ndarray) -> float:
    """Expected true and false positives above each threshold, and the area by trapezoids, as NannyML documents CBPE."""
    points = [(0.0, 0.0)]
    for threshold in sorted(set(scores), reverse=True):
        called = scores >= threshold
        true_positives, false_positives = chances[called].sum(), (1 - chances[called]).sum()
        points.append((false_positives / (1 - chances).sum(), true_positives / chances.sum()))
    return sum((x1 - x0) * (y0 + y1) / 2 for (x0, y0), (x1, y1) in pairwise(points))


@given(st.lists(st.integers(1, 19).map(lambda k: k / 20), min_size=11, max_size=40), st.floats(0.5, 2))
def test_agrees_with_the_published_formula(said: list[float], power: float) -> None:
    scores = np.array(sorted(said, reverse=True))
    chances = scores**power
    found = of(unlabelled(scores), Said(chances))
    n, total = len(scores), chances.sum()
    assert found["auc"].value == pytest.approx(nannyml_auc(chances, scores), abs=1e-6)
    brier = sum(c * (1 - s) ** 2 + (1 - c) * s**2 for c, s in zip(chances, scores, strict=True)) / n
    assert found["brier"].value == pytest.approx(brier, abs=1e-6)
    assert found["conversion_rate"].value == pytest.approx(total / n, abs=1e-6)
    for name, share, over in (("precision_at_10_percent", 0.1, None), ("recall_at_20_percent", 0.2, total)):
        called = int(share * n)
        border = scores[called - 1]
        # Leads that tie at the border are called with equal chance.
        places = called - (scores > border).sum()
        reached = chances[scores > border].sum() + places * chances[scores == border].mean()
        assert found[name].value == pytest.approx(reached / (over or called), abs=1e-6)


def test_the_names_are_those_of_the_figures() -> None:
    scores = np.linspace(0.9, 0.1, 30)
    assert list(of(unlabelled(scores), Said(scores))) == names(0.2)


def learned(now: World, before: World) -> tuple[OpenLeads, CalibratedChances]:
    leads = now.open(np.random.default_rng(1), MANY)
    return leads, CalibratedChances.learn(leads.scores, before.matured(np.random.default_rng(2), MANY))


@pytest.mark.parametrize("optimism", [0.0, 0.8])
def test_without_a_single_label_it_is_right_while_scores_mean_the_same(optimism: float) -> None:
    """Other leads come (worse and more alike), and scores that promise too much always did."""
    before = replace(EVEN, optimism=optimism)
    leads, estimator = learned(replace(before, log_odds=-2.6, spread=0.5), before)
    found = of(leads, estimator)
    assert found["conversion_rate"].value == pytest.approx(leads.truth.mean(), abs=0.004)
    assert found["auc"].value == pytest.approx(auc(leads.truth, leads.scores).value, abs=0.008)
    assert found["brier"].value == pytest.approx(((leads.scores - leads.truth) ** 2).mean(), abs=0.004)


def test_it_is_blind_to_concept_drift_and_its_error_shows_it() -> None:
    """Scores lose half their meaning: nothing of it is seen, until labels are known."""
    leads, estimator = learned(EVEN, EVEN)
    forgetful = replace(leads, truth=np.random.default_rng(3).permutation(leads.truth))
    found = of(forgetful, estimator)
    assert found["auc"].value == pytest.approx(0.681, abs=0.01)
    assert auc(forgetful.truth, forgetful.scores).value == pytest.approx(0.5, abs=0.01)
    told = {r.error.name: r.error for r in reckon(forgetful, estimator, 0.2, 0)}
    assert told["auc"].low > 0.1
    assert told["conversion_rate"].low <= 0 <= told["conversion_rate"].high


def test_scores_of_exactly_0_and_1_have_chances() -> None:
    matured = EVEN.matured(np.random.default_rng(0), 500)
    extreme = replace(matured, scores=np.round(matured.scores))
    chances = CalibratedChances.learn(np.array([1.0, 0.5, 0.0]), extreme).expected()
    assert np.isfinite(chances).all()
    assert (np.diff(chances) <= 0).all()


def test_fewer_matured_leads_make_it_less_sure() -> None:
    leads = EVEN.open(np.random.default_rng(1), 2_000)
    few, many = (
        of(leads, CalibratedChances.learn(leads.scores, EVEN.matured(np.random.default_rng(2), n)))["conversion_rate"]
        for n in (400, 20_000)
    )
    assert few.high - few.low > 2 * (many.high - many.low)
