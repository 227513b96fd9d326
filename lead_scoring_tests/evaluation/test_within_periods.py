"""Figures within periods: against brute force over pairs, and intervals against many simulated worlds."""

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.evaluation.metrics import auc, auc_difference
from lead_scoring_assets.evaluation.within_periods import (
    auc_within,
    auc_within_difference,
    blocks_of,
    captured_within,
)

LEADS = st.lists(
    st.tuples(st.sampled_from(["2008-01", "2008-02", "2009-01"]), st.booleans(), st.integers(0, 5)), max_size=40
)


def arrays(leads: list[tuple[str, bool, int]]) -> tuple[list[str], np.ndarray, np.ndarray]:
    return (
        [period for period, *_ in leads],
        np.array([float(label) for _, label, _ in leads]),
        np.array([score / 10 for *_, score in leads]),
    )


@given(LEADS)
def test_it_is_the_share_of_pairs_within_a_period_that_are_ranked_rightly(leads: list[tuple[str, bool, int]]) -> None:
    periods, labels, scores = arrays(leads)
    right = pairs = 0.0
    for key in set(periods):
        inside = [(y, s) for p, y, s in zip(periods, labels, scores, strict=True) if p == key]
        won, lost = ([s for y, s in inside if y == side] for side in (1, 0))
        if min(len(won), len(lost)) >= 2:
            right += sum((a > b) + (a == b) / 2 for a in won for b in lost)
            pairs += len(won) * len(lost)
    found = auc_within(blocks_of(periods), labels, scores)
    if pairs:
        assert found.value == pytest.approx(right / pairs)
        assert 0 <= found.low <= found.value <= found.high <= 1
    else:
        assert np.isnan([found.value, found.low, found.high]).all()
        assert found.n == 0


def drawn(seed: int, rates: tuple[float, ...] = (0.1, 0.5), n: int = 150, shift: float = 1.0) -> tuple[np.ndarray, ...]:
    """Months with rates of their own, in which converted leads score higher by `shift` on average."""
    draws = np.random.default_rng(seed)
    rate = np.repeat(rates, n)
    labels = (draws.random(len(rate)) < rate).astype(float)
    periods = np.repeat([f"m{month}" for month in range(len(rates))], n)
    return periods, labels, draws.normal(size=len(rate)) + shift * labels, draws.normal(size=len(rate)) + shift * labels


def test_knowing_which_month_is_good_helps_over_all_leads_and_not_within_a_month() -> None:
    periods, labels, scores, _ = drawn(1)
    blocks = blocks_of(list(periods))
    knowing = scores + 3 * (periods == "m1")
    assert auc(labels, knowing).value > auc(labels, scores).value + 0.03
    assert auc_within(blocks, labels, knowing).value == pytest.approx(auc_within(blocks, labels, scores).value)


def test_one_period_is_the_plain_figure_with_its_interval() -> None:
    _, labels, scores, other = drawn(2, rates=(0.4,))
    blocks = blocks_of(["m"] * len(labels))
    plain, within = auc(labels, scores), auc_within(blocks, labels, scores)
    assert (within.value, within.low, within.high) == pytest.approx((plain.value, plain.low, plain.high))
    plain_difference = auc_difference(labels, scores, other)
    within_difference = auc_within_difference(blocks, labels, scores, other)
    assert vars(within_difference) == pytest.approx(vars(plain_difference))


def test_the_intervals_hold_the_truth_as_often_as_they_say() -> None:
    truth = NormalDist().cdf(1 / np.sqrt(2))
    held = unequal = 0
    for seed in range(400):
        periods, labels, scores, other = drawn(seed)
        blocks = blocks_of(list(periods))
        found = auc_within(blocks, labels, scores)
        held += found.low <= truth <= found.high
        difference = auc_within_difference(blocks, labels, scores, other)  # of two scores that are equally good
        unequal += not difference.low <= 0 <= difference.high
    # Within three and a half standard errors of 95 % and 5 %.
    assert held / 400 == pytest.approx(0.95, abs=0.038)
    assert unequal / 400 == pytest.approx(0.05, abs=0.038)


@given(LEADS.filter(bool), st.sampled_from([0.2, 0.5, 1.0]))
def test_the_best_of_each_period_are_called(leads: list[tuple[str, bool, int]], share: float) -> None:
    periods, labels, scores = arrays(leads)
    scores = scores + np.arange(len(scores)) / 1_000  # no ties
    reached, called = 0.0, 0
    for key in set(periods):
        inside = sorted(((s, y) for p, y, s in zip(periods, labels, scores, strict=True) if p == key), reverse=True)
        best = max(1, int(share * len(inside) + 1e-9))
        reached, called = reached + sum(y for _, y in inside[:best]), called + best
    found = captured_within(blocks_of(periods), labels, {"a": scores}, share, 100, 1)
    assert found.called_share == pytest.approx(called / len(leads))
    if labels.sum():
        assert found.value["a"] == pytest.approx(reached / labels.sum())
        assert found.lift("a").value == pytest.approx(found.value["a"] / found.called_share)
    else:
        assert np.isnan(found.metric("a").value)
        assert np.isnan(found.metric("a").low)


def test_what_is_captured_has_an_interval_that_holds_the_truth_and_no_difference_where_there_is_none() -> None:
    months, share = (0.1, 0.5), 0.2
    huge = drawn(9_999, rates=months, n=200_000)
    truth = captured_within(blocks_of(list(huge[0])), huge[1], {"a": huge[2]}, share, 1, 1).value["a"]
    held = unequal = 0
    for seed in range(150):
        periods, labels, scores, other = drawn(seed, rates=months)
        both = {"a": scores, "b": other}
        found = captured_within(blocks_of(list(periods)), labels, both, share, 200, seed)
        metric, difference = found.metric("a"), found.difference("a", "b")
        held += metric.low <= truth <= metric.high
        unequal += not difference.low <= 0 <= difference.high
    assert held / 150 > 0.89
    assert unequal / 150 < 0.11


def test_the_same_seed_gives_the_same_intervals_and_equal_scores_do_not_differ() -> None:
    periods, labels, scores, _ = drawn(3)
    blocks = blocks_of(list(periods))
    one, two = (captured_within(blocks, labels, {"a": scores, "b": scores * 2}, 0.2, 200, 7) for _ in range(2))
    assert one.metric("a") == two.metric("a")
    assert vars(one.difference("a", "b")) == {"value": 0.0, "low": 0.0, "high": 0.0}


def test_months_of_equal_size_are_resampled_independently() -> None:
    _, labels, scores, _ = drawn(4, rates=(0.3,))
    alone = captured_within(blocks_of(["m"] * len(labels)), labels, {"a": scores}, 0.2, 2_000, 1)
    twice = captured_within(
        blocks_of(["m0"] * len(labels) + ["m1"] * len(labels)),
        np.tile(labels, 2),
        {"a": np.tile(scores, 2)},
        0.2,
        2_000,
        1,
    )
    assert twice.value == pytest.approx(alone.value)
    assert twice.drawn["a"].std() / alone.drawn["a"].std() == pytest.approx(np.sqrt(0.5), rel=0.1)
