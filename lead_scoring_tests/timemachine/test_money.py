"""Who is worked, against the product's own figure; hindsight, against trying every schedule."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.evaluation.bootstrap import observed
from lead_scoring_assets.evaluation.ranking import among_best, leads_at
from lead_scoring_assets.timemachine.money import Purse, oracle, worked
from lead_scoring_assets.timemachine.recorded import Recorded


@given(
    st.lists(st.tuples(st.integers(0, 5), st.floats(0, 100)), min_size=1, max_size=40),
    st.floats(0.01, 1.0),
)
def test_the_best_share_is_worked_and_ties_share_the_border(leads: list[tuple[int, float]], share: float) -> None:
    scores, values = (np.array(part, dtype=np.float64) for part in zip(*leads, strict=True))
    places = leads_at(share, len(leads))
    shares = worked(scores, places)
    assert shares.sum() == pytest.approx(places)
    assert shares.min() >= 0
    assert shares.max() <= 1 + 1e-12
    expected = observed(among_best(share)(values, scores), len(leads))
    assert float(shares @ values) == pytest.approx(expected, abs=1e-6)


def test_without_a_model_chance_chooses(steady: Recorded) -> None:
    purse = Purse(steady)
    values = steady.values[steady.arrivals(3)]
    assert purse.earned(3, None) == pytest.approx(values.sum() * 40 / 200)


def tried(earned: np.ndarray, cost: float) -> float:
    """The best of all schedules: at each period's end keep the model, or take the one that is new."""
    periods = earned.shape[1]
    best = -np.inf
    for takes in product((False, True), repeat=periods - 1):
        live, money = 0, earned[0, 0]
        for period in range(1, periods):
            if takes[period - 1]:
                live = period
                money -= cost
            money += earned[live, period]
        best = max(best, money) if np.isfinite(money) else best
    return float(best)


@given(st.integers(2, 7), st.floats(0, 5), st.integers(0, 10_000), st.sets(st.integers(0, 5)))
def test_hindsight_is_the_best_of_all_schedules(periods: int, cost: float, seed: int, refused: set[int]) -> None:
    draws = np.random.default_rng(seed)
    earned = np.full((periods, periods), np.nan)
    for period in range(periods):
        earned[: period + 1, period] = draws.uniform(0, 10, period + 1)
    for place in refused:
        if place + 1 < periods:
            earned[place + 1, :] = np.nan
    best = oracle(earned, cost)
    assert sum(best.net) == pytest.approx(tried(earned, cost))
    assert len(best.net) == len(best.live) == periods
    assert set(best.trained) == {live for live in best.live if live is not None}
    assert not set(best.trained) & refused
