"""Figures with their intervals: other people's implementations, closed forms, and coverage by simulation.

A simulated share of 95 % over 2,000 worlds has a standard error of sqrt(0.95 × 0.05 / 2000) = 0.49 percentage points.
Four of these, 2 points, is what the simulations below may be off; a wrong variance is off by more.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, norm
from sklearn.metrics import brier_score_loss, roc_auc_score

from lead_scoring_assets.evaluation.metrics import (
    Metric,
    PairedDifference,
    auc,
    auc_difference,
    brier_difference,
    change,
    evaluate,
    share,
)

pytestmark = pytest.mark.filterwarnings("error")

WORLDS = 2_000
TOLERANCE = 4 * math.sqrt(0.95 * 0.05 / WORLDS)

# A few distinct scores, so that ties are common.
labelled_scores = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 10).map(lambda k: k / 10)), min_size=4, max_size=60
).filter(lambda rows: 2 <= sum(label for label, _ in rows) <= len(rows) - 2)


def arrays(rows: list[tuple[int, float]]) -> tuple[np.ndarray, np.ndarray]:
    labels, scores = np.array(rows, dtype=np.float64).T
    return labels, scores


def figures(labels: np.ndarray, scores: np.ndarray) -> dict[str, Metric]:
    return {metric.name: metric for metric in evaluate(labels, scores)}


def is_nan(figure: Metric | PairedDifference) -> bool:
    return all(math.isnan(value) for value in (figure.value, figure.low, figure.high))


# Other people's implementations and definitions.


@given(labelled_scores)
def test_auc_and_brier_are_scikit_learns(rows: list[tuple[int, float]]) -> None:
    labels, scores = arrays(rows)
    found = figures(labels, scores)
    assert found["auc"].value == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert found["brier"].value == pytest.approx(brier_score_loss(labels, scores), abs=1e-12)
    for metric in found.values():
        assert 0 <= metric.low <= metric.value + 1e-12
        assert metric.value - 1e-12 <= metric.high <= 1


@given(labelled_scores)
def test_auc_and_its_variance_are_delongs_by_definition(rows: list[tuple[int, float]]) -> None:
    """Every pair compared, as in the paper; the interval is cut at 0 and 1."""
    labels, scores = arrays(rows)
    x, y = scores[labels == 1], scores[labels == 0]
    wins = (x[:, None] > y[None, :]) + 0.5 * (x[:, None] == y[None, :])
    variance = wins.mean(axis=1).var(ddof=1) / len(x) + wins.mean(axis=0).var(ddof=1) / len(y)
    half = norm.ppf(0.975) * math.sqrt(variance)
    found = auc(labels, scores)
    assert found.value == pytest.approx(wins.mean(), abs=1e-12)
    assert found.low == pytest.approx(max(0, wins.mean() - half), abs=1e-9)
    assert found.high == pytest.approx(min(1, wins.mean() + half), abs=1e-9)
    assert found.n == len(rows)


@given(labelled_scores, st.integers(0, 2**32))
def test_the_paired_difference_is_delongs_by_definition(rows: list[tuple[int, float]], seed: int) -> None:
    """var(A - B) = var(A) + var(B) - 2 cov(A, B), from the covariance matrices of the paper."""
    labels, one = arrays(rows)
    two = np.random.default_rng(seed).integers(0, 5, len(labels)) / 5
    v10, v01 = [], []
    for scores in (one, two):
        x, y = scores[labels == 1], scores[labels == 0]
        wins = (x[:, None] > y[None, :]) + 0.5 * (x[:, None] == y[None, :])
        v10.append(wins.mean(axis=1))
        v01.append(wins.mean(axis=0))
    s = np.cov(v10) / len(v10[0]) + np.cov(v01) / len(v01[0])
    half = norm.ppf(0.975) * math.sqrt(max(0.0, s[0, 0] + s[1, 1] - 2 * s[0, 1]))
    found = auc_difference(labels, one, two)
    assert found.value == pytest.approx(auc(labels, one).value - auc(labels, two).value, abs=1e-12)
    assert found.high - found.value == pytest.approx(half, abs=1e-7)
    assert found.value - found.low == pytest.approx(half, abs=1e-7)


@given(st.integers(1, 500), st.data())
def test_shares_are_wilsons(n: int, data: st.DataObject) -> None:
    converted = data.draw(st.integers(0, n))
    labels = np.array([1.0] * converted + [0.0] * (n - converted))
    expected = binomtest(converted, n).proportion_ci(method="wilson")
    rate = figures(labels, np.linspace(0.9, 0.1, n))["conversion_rate"]
    assert (rate.value, rate.n) == (converted / n, n)
    assert (rate.low, rate.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilsons_interval_by_hand() -> None:
    """Nobody of n: from 0 to z² / (n + z²), and not from 0 to 0."""
    z2 = norm.ppf(0.975) ** 2
    rate = figures(np.zeros(30), np.full(30, 0.5))["conversion_rate"]
    assert (rate.value, rate.low, rate.high) == pytest.approx((0, 0, z2 / (30 + z2)), abs=1e-12)


def test_auc_by_hand_with_ties() -> None:
    labels = np.array([1.0, 1, 0, 0])
    assert auc(labels, np.array([0.9, 0.5, 0.5, 0.1])).value == (1 + 1 + 0.5 + 1) / 4
    assert auc(labels, np.array([0.5, 0.5, 0.5, 0.5])).value == 0.5
    assert auc(labels, np.array([0.1, 0.2, 0.3, 0.4])).value == 0.0
    assert auc(labels, np.array([0.4, 0.3, 0.2, 0.1])).value == 1.0


def test_brier_and_mean_score_by_hand() -> None:
    found = figures(np.array([1.0, 0, 0, 1]), np.array([0.8, 0.4, 0.0, 0.6]))
    squares = np.array([0.04, 0.16, 0.0, 0.16])
    half = norm.ppf(0.975) * squares.std(ddof=1) / 2
    brier = found["brier"]
    assert (brier.value, brier.low, brier.high) == pytest.approx((0.09, 0.09 - half, 0.09 + half), abs=1e-12)
    assert found["mean_score"].value == pytest.approx(0.45)


@pytest.mark.parametrize(("n", "top"), [(1, 1), (9, 1), (10, 1), (19, 1), (20, 2), (105, 10)])
def test_the_best_tenth(n: int, top: int) -> None:
    labels = np.array([1.0] * top + [0.0] * (n - top))
    found = figures(labels, np.linspace(1, 0, n))["precision_at_10_percent"]
    assert (found.value, found.n) == (1.0, top)
    assert figures(labels[::-1], np.linspace(1, 0, n))["precision_at_10_percent"].value == (1.0 if n == 1 else 0.0)


def test_ties_at_the_border_of_the_best_tenth_go_by_chance() -> None:
    labels = np.array([1.0, 0.0] * 10)
    for rows in (labels, np.sort(labels), np.sort(labels)[::-1]):
        assert figures(rows, np.full(20, 0.5))["precision_at_10_percent"].value == 0.5
    above = np.concatenate([[0.9], np.full(19, 0.5)])
    assert figures(labels, above)["precision_at_10_percent"].value == pytest.approx((1 + 9 / 19) / 2)


# Invariants.


@given(labelled_scores)
def test_auc_knows_the_order_of_scores_only(rows: list[tuple[int, float]]) -> None:
    labels, scores = arrays(rows)
    assert auc(labels, 0.1 + scores**3 / 7) == auc(labels, scores)
    turned = auc(1 - labels, scores)
    assert turned.value == pytest.approx(1 - auc(labels, scores).value, abs=1e-12)
    assert turned.high == pytest.approx(1 - auc(labels, scores).low, abs=1e-12)


@given(labelled_scores, st.integers(0, 2**32))
def test_the_order_of_rows_is_irrelevant(rows: list[tuple[int, float]], seed: int) -> None:
    labels, scores = arrays(rows)
    order = np.random.default_rng(seed).permutation(len(labels))
    found, other = auc(labels, scores), auc(labels[order], scores[order])
    assert (other.value, other.low, other.high) == pytest.approx((found.value, found.low, found.high), abs=1e-12)


@given(labelled_scores, st.integers(0, 2**32))
def test_differences_turn_with_the_models(rows: list[tuple[int, float]], seed: int) -> None:
    labels, one = arrays(rows)
    two = np.random.default_rng(seed).random(len(labels))
    for paired in (auc_difference, brier_difference):
        there, back = paired(labels, one, two), paired(labels, two, one)
        assert (there.value, there.low, there.high) == pytest.approx((-back.value, -back.high, -back.low), abs=1e-12)
        assert paired(labels, one, one) == PairedDifference(0.0, 0.0, 0.0)


# Simulations.


def binormal(rng: np.random.Generator, m: int, k: int, shift: float) -> tuple[np.ndarray, np.ndarray]:
    labels = np.repeat([1.0, 0.0], [m, k])
    return labels, rng.normal(size=m + k) + shift * labels


@pytest.mark.parametrize(("m", "k", "shift"), [(60, 440, 0.9), (30, 220, 0.9), (100, 100, 0.0)])
def test_delongs_interval_covers_the_truth(m: int, k: int, shift: float) -> None:
    """Normal scores: the true AUC is Φ(shift / √2), 0.74 at a shift of 0.9. 12 % conversions, as leads have.

    Known of DeLong's interval: with few converted leads it is a little short (93.9 % with 30 of 250 in 10,000 worlds).
    """
    rng = np.random.default_rng(m)
    truth = norm.cdf(shift / math.sqrt(2))
    found = [auc(*binormal(rng, m, k, shift)) for _ in range(WORLDS)]
    coverage = np.mean([metric.low <= truth <= metric.high for metric in found])
    assert abs(coverage - 0.95) < TOLERANCE
    assert abs(np.mean([metric.value for metric in found]) - truth) < 4 * np.std([m.value for m in found]) / math.sqrt(
        WORLDS
    )


def two_noisy_models(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two models that see the same truth, each through its own noise: equally good, and alike."""
    log_odds = rng.normal(-1.5, 1.0, n)
    labels = (rng.random(n) < 1 / (1 + np.exp(-log_odds))).astype(np.float64)
    one, two = (1 / (1 + np.exp(-log_odds - rng.normal(0, 0.7, n))) for _ in range(2))
    return labels, one, two


def test_of_two_equally_good_models_none_is_called_better() -> None:
    """Type I error of both paired differences: 5 %, and not more often up than down."""
    rng = np.random.default_rng(3)
    worlds = [two_noisy_models(rng, 500) for _ in range(WORLDS)]
    for paired in (auc_difference, brier_difference):
        found = [paired(*world) for world in worlds]
        up, down = np.mean([d.low > 0 for d in found]), np.mean([d.high < 0 for d in found])
        assert abs(up + down - 0.05) < TOLERANCE
        assert abs(up - down) < 4 * math.sqrt(0.05 / WORLDS)


def test_pairing_sees_what_two_intervals_do_not() -> None:
    """The same model and a slightly noisier one, on 2,000 leads: the single intervals overlap, the pair is decided."""
    rng = np.random.default_rng(4)
    labels, one, _ = two_noisy_models(rng, 2_000)
    worse = np.clip(one + rng.normal(0, 0.1, len(one)), 0, 1)
    assert auc(labels, worse).high > auc(labels, one).low
    assert auc_difference(labels, worse, one).high < 0
    assert brier_difference(labels, worse, one).low > 0


def test_brier_and_conversion_rate_cover_the_truth() -> None:
    """Calibrated scores p from a uniform law: expected Brier score E[p(1 - p)] = 1/6, expected rate 1/2."""
    rng = np.random.default_rng(5)
    hits = {"brier": 0, "conversion_rate": 0, "mean_score": 0}
    truth = {"brier": 1 / 6, "conversion_rate": 0.5, "mean_score": 0.5}
    for _ in range(WORLDS):
        scores = rng.random(200)
        found = figures((rng.random(200) < scores).astype(np.float64), scores)
        for name in hits:
            hits[name] += found[name].low <= truth[name] <= found[name].high
    for hit in hits.values():
        assert abs(hit / WORLDS - 0.95) < TOLERANCE


# Input nobody wanted.


@pytest.mark.parametrize("labels", [[], [0.0], [1.0], [0.0, 0.0], [1.0, 1.0, 1.0], [1.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
def test_too_little_for_an_auc_gives_nan(labels: list[float]) -> None:
    y, scores = np.array(labels), np.linspace(0.2, 0.8, len(labels))
    assert is_nan(auc(y, scores))
    assert is_nan(auc_difference(y, scores, scores[::-1]))
    found = figures(y, scores)
    assert all(metric.n >= 0 for metric in found.values())
    assert is_nan(found["brier"]) == is_nan(brier_difference(y, scores, scores[::-1])) == (len(labels) < 2)
    assert is_nan(found["conversion_rate"]) == (len(labels) == 0)


def test_no_leads_give_the_same_names() -> None:
    nothing = figures(np.empty(0), np.empty(0))
    assert list(nothing) == ["auc", "brier", "precision_at_10_percent", "mean_score", "conversion_rate"]
    assert all(is_nan(metric) and metric.n == 0 for metric in nothing.values())


def test_a_score_that_is_no_number_makes_no_interval() -> None:
    labels, scores = np.array([1.0, 1, 0, 0, 0]), np.array([0.9, 0.2, np.nan, 0.1, 0.3])
    for figure in (auc(labels, scores), figures(labels, scores)["brier"], figures(labels, scores)["mean_score"]):
        assert is_nan(figure)
    for paired in (auc_difference, brier_difference):
        assert is_nan(paired(labels, scores, np.nan_to_num(scores)))


@settings(max_examples=20)
@given(st.integers(2, 200), st.integers(2, 200), st.floats(0, 1))
def test_a_model_that_says_the_same_of_everyone_ranks_like_chance(m: int, k: int, score: float) -> None:
    labels = np.repeat([1.0, 0.0], [m, k])
    assert auc(labels, np.full(m + k, score)) == Metric("auc", 0.5, 0.5, 0.5, m + k)


@pytest.mark.parametrize(
    ("after", "before", "low", "high"),
    [
        # Newcombe (1998), Table II, method 10.
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0000),
    ],
)
def test_a_difference_of_shares_has_the_published_interval(
    after: tuple[int, int], before: tuple[int, int], low: float, high: float
) -> None:
    found = change(share("nulls", *before), share("nulls", *after))
    assert found.value == pytest.approx(after[0] / after[1] - before[0] / before[1])
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)
    back = change(share("nulls", *after), share("nulls", *before))
    assert (back.low, back.high) == pytest.approx((-high, -low), abs=5e-5)


def test_a_difference_to_nothing_is_not_known() -> None:
    assert is_nan(change(share("nulls", 0, 0), share("nulls", 1, 2)))
