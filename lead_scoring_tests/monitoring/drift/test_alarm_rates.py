"""What the calibrated alarm costs and what it sees, by simulation: the contract that settings and README state."""

import numpy as np
import pytest
from scipy.stats import binom

from lead_scoring_assets.monitoring.drift.verdict import FeatureDrift
from lead_scoring_tests.monitoring.drift.null_worlds import alarmed, measure_world

SIZES = (200, 500, 5_000, 100_000, 1_000_000)
RUNS = 300
STATED_RATE = 0.01


def runs(n: int, seed: int, count: int = RUNS, **world: float) -> list[list[FeatureDrift]]:
    return [measure_world(np.random.default_rng([n, seed, run]), n, **world) for run in range(count)]


@pytest.fixture(scope="module", params=[0.0, 0.02], ids=["nothing moves", "weeks differ by 0.02 sd"])
def calm(request: pytest.FixtureRequest) -> dict[int, list[list[FeatureDrift]]]:
    return {n: runs(n, 1, wobble_sd=request.param) for n in SIZES}


def most_alarms(count: int) -> int:
    """More than so many alarms among `count` runs come at the stated rate in one of a thousand simulations."""
    return int(binom.isf(0.001, count, STATED_RATE))


def test_at_most_one_window_in_a_hundred_raises_any_alarm_without_cause(
    calm: dict[int, list[list[FeatureDrift]]],
) -> None:
    for n, worlds in calm.items():
        fired = sum(any(map(alarmed, world)) for world in worlds)
        assert fired <= most_alarms(len(worlds)), (n, fired)
        assert not any(drift.status == "drift" for world in worlds for drift in world)
    # And over all sizes together, where chance has less room.
    fired = sum(any(map(alarmed, world)) for worlds in calm.values() for world in worlds)
    assert fired <= STATED_RATE * RUNS * len(SIZES)


def test_the_usual_rules_do_not_hold_that_rate(calm: dict[int, list[list[FeatureDrift]]]) -> None:
    """Otherwise the test above would prove nothing about these worlds."""
    for n, worlds in calm.items():
        by_p = np.mean([any((drift.chi_square_p_value or 0) < 0.05 for drift in world) for world in worlds])
        assert by_p > 0.3, n
    by_psi = np.mean([any((drift.psi or 0) > 0.2 for drift in world) for world in calm[200]])
    assert by_psi > 0.05


def test_where_nothing_but_chance_moves_corrected_p_values_alone_fail_in_large_windows() -> None:
    worlds = runs(1_000_000, 2, 40, wobble_sd=0.02)
    assert np.mean([any((d.adjusted_p_value or 0) <= 0.01 for d in world) for world in worlds]) > 0.9
    assert not any(alarmed(drift) for world in worlds for drift in world)


@pytest.mark.parametrize(("n", "shift", "least"), [(5_000, 0.25, 0.95), (100_000, 0.25, 0.999), (500, 0.5, 0.9)])
def test_a_shift_is_seen_with_the_stated_power(n: int, shift: float, least: float) -> None:
    found = np.mean([alarmed(world[0]) for world in runs(n, 3, shift=shift)])
    # In 300 runs a power of `least` gives less than this once in a thousand simulations.
    assert found >= binom.ppf(0.001, RUNS, least) / RUNS, found


def test_an_alarm_on_one_feature_is_none_on_the_others() -> None:
    """At false discovery rate q at most the share q of alarms is false, on average."""
    worlds = runs(5_000, 4, shift=0.5)
    false = np.mean([np.mean([alarmed(drift) for drift in world[1:]]) for world in worlds])
    assert false <= 0.01
