"""What a shadow showed: figures by hand and by peers, no harm where there is none, and harm that is planted."""

from dataclasses import replace
from math import isnan, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from lead_scoring_assets.evaluation.metrics import Floats
from lead_scoring_assets.rollout import shadow
from lead_scoring_assets.rollout.shadow import Analysis, Shadowed, analyse_shadow
from lead_scoring_assets.settings import Performance
from lead_scoring_tests.rollout.worlds import POLICY, latencies

LIMITS = Performance(minimum_rows=100, minimum_positives=20)


def analyse(shadowed: Shadowed, best_share: float = 0.2, **policy: Any) -> Analysis:
    return analyse_shadow(shadowed, POLICY.model_copy(update=policy), LIMITS, 200, best_share)


def status(found: Analysis, name: str) -> str:
    return next(guard.status for guard in found.guards if guard.name == name)


BY_HAND = Shadowed(
    requests=8,
    outcomes={"scored": 5, "failed": 1, "timeout": 1, "dropped": 1},
    champion=np.array([0.1, 0.2, 0.3, 0.4, 0.5]),
    shadow=np.array([0.2, 0.1, 0.3, 0.6, 0.5]),
    labels=np.array([0.0, 1.0, 0.0, 1.0, nan]),
    matured=5,
    champion_ms=np.array([1.0, 2.0, 3.0]),
    shadow_ms=np.array([2.0, 4.0, 6.0]),
    offline=np.array([0.2, 0.4]),
)


def test_figures_computed_by_hand() -> None:
    found = analyse(BY_HAND, best_share=0.4)
    alike, ranks = found.alike, found.ranks
    assert (alike.n, alike.mean_difference.value) == (5, pytest.approx(0.04))  # (0.1 - 0.1 + 0 + 0.2 + 0) / 5
    assert alike.mean_absolute_difference == pytest.approx(0.08)
    assert alike.correlation.value == pytest.approx(0.11 / np.sqrt(0.10 * 0.172))
    assert alike.spearman == pytest.approx(0.8)  # two swaps of neighbours: 1 - 6 · 4 / (5 · 24)
    assert alike.kendall == pytest.approx(0.6)  # 8 pairs in the same order, 2 in the other
    assert alike.jaccard_of_best == 1  # the best two are the same, in another order
    assert alike.largest_gap == pytest.approx(0.2)
    # Of four pairs of a converted lead and another one the champion has 3 right, the shadow 2: 0.1 < 0.2, 0.1 < 0.3.
    assert (ranks.champion.value, ranks.shadow.value) == (0.75, 0.5)
    assert isnan(ranks.difference.value)  # four leads have no interval
    assert (ranks.n, ranks.positives, ranks.label_coverage) == (4, 2, 0.8)
    assert (found.coverage.value, found.coverage.n) == (5 / 8, 8)
    assert (found.shadow_answers.n, found.shadow_answers.errors) == (7, 2)  # a full queue is not the shadow's error
    assert found.shadow_answers.p95.value == pytest.approx(5.8)
    assert found.recommendation == "wait"
    assert "62.50% of 8 requests have a shadow score" in found.reason


scores = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=4, max_size=60)


@given(scores)
def test_likeness_is_what_scipy_says(pairs: list[tuple[float, float]]) -> None:
    champion, candidate = (np.round(np.array(part), 2) for part in zip(*pairs, strict=True))
    alike = analyse(Shadowed(champion=champion, shadow=candidate)).alike
    assert alike.n == len(pairs)
    assert alike.largest_gap == pytest.approx(stats.ks_2samp(champion, candidate).statistic)
    if np.ptp(champion) and np.ptp(candidate):
        peers = (stats.spearmanr, stats.kendalltau, stats.pearsonr)
        ours = (alike.spearman, alike.kendall, alike.correlation.value)
        assert ours == pytest.approx([peer(champion, candidate).statistic for peer in peers], abs=1e-9)
        ends = stats.pearsonr(champion, candidate).confidence_interval(0.95)
        if not isnan(alike.correlation.low) and abs(alike.correlation.value) < 0.999:
            assert (alike.correlation.low, alike.correlation.high) == pytest.approx((ends.low, ends.high), abs=1e-9)
    else:
        assert isnan(alike.kendall)


@given(scores, st.floats(0.01, 0.99))
def test_the_best_of_both_are_a_share_and_of_one_model_all(pairs: list[tuple[float, float]], share: float) -> None:
    champion, candidate = (np.array(part) for part in zip(*pairs, strict=True))
    if np.ptp(champion) and np.ptp(candidate):
        assert 0 <= analyse(Shadowed(champion=champion, shadow=candidate), share).alike.jaccard_of_best <= 1
        assert analyse(Shadowed(champion=champion, shadow=champion), share).alike.jaccard_of_best == 1


def world(seed: int, n: int = 3_000, noise: float = 1.0, labelled: bool = True, shift: float = 0.0) -> Shadowed:
    """Leads with one true score; both models see it with noise of their own, the shadow with `noise` times as much."""
    draws = np.random.default_rng(seed)
    truth = draws.normal(0, 1, n)
    labels: Floats = (draws.random(n) < 1 / (1 + np.exp(2.2 - truth))).astype(np.float64)

    def seen(extra: float) -> Floats:
        return 1 / (1 + np.exp(2.2 - truth - draws.normal(0, extra, n)))

    return Shadowed(
        requests=n,
        outcomes={"scored": n},
        champion=seen(0.5),
        shadow=np.clip(seen(0.5 * noise) + shift, 0, 1),
        labels=labels if labelled else np.full(n, nan),
        matured=n if labelled else 0,
        champion_ms=latencies(draws, n),
        shadow_ms=latencies(draws, n),
        offline=np.clip(1 / (1 + np.exp(2.2 - draws.normal(0, np.hypot(1, 0.5 * noise), n))), 0, 1),
    )


def test_an_equal_shadow_may_go_on() -> None:
    ends = [analyse(world(seed, n=1_500)).recommendation for seed in range(40)]
    # Each of three guards errs with 2.5 % at most, and that beyond a margin: more than four of forty would be a fault.
    assert ends.count("go_on") >= 36


def test_it_is_judged_by_what_is_known_before_labels_have_matured() -> None:
    found = analyse(world(1, labelled=False))
    assert status(found, "ranking") == "insufficient_data"
    assert isnan(found.ranks.difference.value)
    assert found.recommendation == "go_on"


def test_a_shadow_that_ranks_worse_is_taken_back() -> None:
    found = analyse(world(2, noise=8.0), maximum_offline_gap=1.0)
    assert status(found, "ranking") == "violated"
    assert found.recommendation == "take_back"
    labels, candidate = world(2, noise=8.0).labels, world(2, noise=8.0).shadow
    assert found.ranks.shadow.value == pytest.approx(roc_auc_score(labels, candidate))


def test_many_leads_are_judged_by_the_closed_form_and_it_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    many = world(3, n=4_000, noise=2.0)
    resampled = analyse(many).ranks.difference
    monkeypatch.setattr(shadow, "_MANY_LEADS", 3_999)
    closed = analyse(many).ranks.difference
    assert closed.value == pytest.approx(resampled.value)
    assert (closed.low, closed.high) == pytest.approx((resampled.low, resampled.high), abs=0.005)


def test_unlike_scores_alone_take_nothing_back() -> None:
    """A better model differs from the champion: correlation is told, and holds nothing back."""
    better = world(4)
    unlike = replace(better, champion=np.random.default_rng(0).permutation(better.champion))
    found = analyse(unlike, minimum_correlation=0.95)
    assert found.alike.correlation.value < 0.1
    assert "below 0.95, which holds nothing back" in found.reason
    assert found.recommendation == "go_on"


def test_scores_unlike_those_on_the_holdout_hold_it() -> None:
    found = analyse(world(5, shift=0.2))
    assert status(found, "scores") == "held"
    assert found.recommendation == "wait"
    assert status(analyse(replace(world(5), offline=np.empty(0))), "scores") == "insufficient_data"


@pytest.mark.parametrize("outcome", ["failed", "timeout", "not_finite"])
def test_a_shadow_that_does_not_answer_is_taken_back(outcome: str) -> None:
    failing = replace(world(6), outcomes={"scored": 2_850, outcome: 150})
    assert analyse(failing).recommendation == "take_back"
    assert analyse(replace(failing, outcomes={"scored": 2_850, "dropped": 150})).recommendation == "go_on"


def test_a_slow_shadow_is_taken_back() -> None:
    slow = replace(world(7), shadow_ms=latencies(np.random.default_rng(1), 3_000, 90.0))
    assert analyse(slow).recommendation == "take_back"


def test_nothing_is_no_comparison() -> None:
    found = analyse(Shadowed())
    assert (found.alike.n, found.recommendation) == (0, "wait")
    assert {guard.status for guard in found.guards} == {"insufficient_data"}
    assert [guard.name for guard in found.guards if guard.holds] == ["errors", "latency"]
    for one in (0.1, 0.2, 0.5):  # of which a mean is not always exactly that
        constant = analyse(Shadowed(champion=np.full(50, one), shadow=np.linspace(0, 1, 50)))
        assert isnan(constant.alike.correlation.value)
