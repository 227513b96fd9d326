"""One recipe on folds: the mean against counting pairs, intervals against simulated worlds, what a failure says."""

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.errors import TrainingError
from lead_scoring_assets.evaluation.metrics import auc
from lead_scoring_assets.models.recipe import Recipe
from lead_scoring_assets.models.search.cross_validation import CrossValidation
from lead_scoring_assets.models.search.folds import Fold

pytestmark = pytest.mark.filterwarnings("error")

RECIPE = Recipe("logistic", {"C": 1}, "none", 1)
NEVER = lambda aucs: None  # noqa: E731


class FirstColumn:
    """A fitted model whose margin is the matrix' first column, whatever it was fitted on."""

    def margins(self, matrix: np.ndarray) -> np.ndarray:
        return matrix[:, 0].astype(np.float64)


def validation(scores: np.ndarray, labels: np.ndarray, tests: Sequence[np.ndarray]) -> CrossValidation:
    folds = [Fold(train=np.arange(0), test=test) for test in tests]
    matrix = scores[:, None].astype(np.float32)
    return CrossValidation(matrix, labels, ["q"], folds, lambda *_: FirstColumn())


@given(seed=st.integers(0, 2**32 - 1), sizes=st.lists(st.integers(8, 30), min_size=1, max_size=4))
def test_the_mean_is_the_share_of_pairs_within_a_fold_that_are_ranked_rightly(seed: int, sizes: list[int]) -> None:
    rng = np.random.default_rng(seed)
    n = sum(sizes)
    scores, labels = rng.integers(0, 6, n).astype(float), rng.integers(0, 2, n).astype(float)
    tests = np.split(np.arange(n), np.cumsum(sizes)[:-1])
    for test in tests:
        labels[test[:4]] = (0, 1, 0, 1)
    right = pairs = 0.0
    for test in tests:
        for i in test:
            for j in test:
                if labels[i] > labels[j]:
                    pairs += 1
                    right += 1.0 if scores[i] > scores[j] else 0.5 if scores[i] == scores[j] else 0.0
    measured = validation(scores, labels, tests).measure(RECIPE, NEVER)
    assert measured.auc.value == pytest.approx(right / pairs)
    assert measured.auc.n == n
    assert np.concatenate(measured.margins).tolist() == scores.tolist()


def test_intervals_hold_the_truth_as_often_as_they_promise() -> None:
    """600 worlds of three folds whose conversion rates differ; the true AUC is Φ(d/√2). Two paired scores, too."""
    shift, rates, size = 0.8, (0.05, 0.15, 0.4), 250
    true = NormalDist().cdf(shift / np.sqrt(2))
    rng = np.random.default_rng(5)
    tests = np.split(np.arange(3 * size), 3)
    worlds, held, held_difference, above = 600, 0, 0, 0
    for _ in range(worlds):
        labels = np.concatenate([(np.arange(size) < rate * size) for rate in rates]).astype(float)
        common = rng.normal(size=3 * size)
        one, other = (shift * labels + 0.8 * common + 0.6 * rng.normal(size=3 * size) for _ in range(2))
        two_scores = [validation(scores, labels, tests) for scores in (one, other)]
        measured, second = (v.measure(RECIPE, NEVER) for v in two_scores)
        difference = two_scores[0].difference(measured.margins, second.margins)
        assert difference.value == pytest.approx(measured.auc.value - second.auc.value)
        held += measured.auc.low <= true <= measured.auc.high
        held_difference += difference.low <= 0 <= difference.high
        above += difference.low > 0
    error = np.sqrt(0.05 * 0.95 / worlds)
    assert abs(held / worlds - 0.95) < 4 * error
    assert abs(held_difference / worlds - 0.95) < 4 * error
    assert above / worlds < 0.025 + 4 * np.sqrt(0.025 * 0.975 / worlds)


def test_a_model_that_knows_everything_keeps_an_interval_inside_0_and_1() -> None:
    labels = np.array([0.0, 0, 1, 1] * 4)
    measured = validation(labels, labels, np.split(np.arange(16), 2)).measure(RECIPE, NEVER)
    assert (measured.auc.value, measured.auc.high) == (1, 1)
    assert measured.fold_aucs == (1, 1)


def test_an_interval_that_is_cut_at_1_counts_with_its_whole_half() -> None:
    """Turned round, the same folds are cut at 0 on the other side: their intervals have to mirror each other."""
    labels = np.array([0.0] * 9 + [1] * 3)
    scores = np.array([0.0, 1, 2, 3, 4, 5, 6, 7, 9, 8, 10, 11])
    twice, tests = np.concatenate([labels, labels]), np.split(np.arange(24), 2)
    both = np.concatenate([scores, np.arange(12) % 5])
    upright, turned = (validation(side * both, twice, tests).measure(RECIPE, NEVER).auc for side in (1, -1))
    assert auc(labels, scores).high == 1
    assert turned.value == pytest.approx(1 - upright.value)
    assert (turned.low, turned.high) == pytest.approx((1 - upright.high, 1 - upright.low))
    halves = [max(m.high - m.value, m.value - m.low) for m in (auc(twice[t], both[t]) for t in tests)]
    assert upright.value - upright.low == pytest.approx(np.hypot(*halves) / 2)


def test_each_fold_is_fitted_on_its_own_rows_in_their_order() -> None:
    seen = []

    def fit(recipe: Recipe, matrix: np.ndarray, labels: np.ndarray, feature_types: Sequence[str]) -> FirstColumn:
        seen.append((matrix[:, 0].tolist(), labels.tolist(), list(feature_types)))
        return FirstColumn()

    labels = np.array([0.0, 1, 0, 1, 0, 1, 0, 1])
    folds = [Fold(np.array([0, 1]), np.arange(2, 8)), Fold(np.array([0, 1, 3]), np.arange(4, 8))]
    matrix = np.arange(8, dtype=np.float32)[:, None]
    CrossValidation(matrix, labels, ["q"], folds, fit).measure(RECIPE, NEVER)
    assert seen == [([0, 1], [0, 1], ["q"]), ([0, 1, 3], [0, 1, 1], ["q"])]


def test_it_stops_where_it_is_told_to_and_says_why() -> None:
    labels = np.array([0.0, 0, 1, 1] * 3)
    told = []

    def give_up(aucs: tuple[float, ...]) -> str | None:
        told.append(len(aucs))
        return "enough" if len(aucs) == 2 else None

    measured = validation(labels, labels, np.split(np.arange(12), 3)).measure(RECIPE, give_up)
    assert (told, measured.given_up, len(measured.margins), measured.auc.n) == ([1, 2], "enough", 2, 8)


def test_margins_that_are_no_numbers_are_refused() -> None:
    labels = np.array([0.0, 0, 1, 1])
    with pytest.raises(TrainingError, match="logistic gives margins that are not finite"):
        validation(np.array([0, 1, np.nan, 2]), labels, [np.arange(4)]).measure(RECIPE, NEVER)
