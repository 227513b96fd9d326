"""The textbook test against SciPy's; its intervals never contradict it and cover what they promise."""

from math import inf, isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, chi2_contingency
from scipy.stats.contingency import relative_risk

from lead_scoring_assets.evaluation.metrics import Metric
from lead_scoring_assets.experiments.one_look import Counts, chi_square, difference, lift


@st.composite
def counts(draw: st.DrawFn) -> Counts:
    control, treatment = draw(st.integers(1, 2_000)), draw(st.integers(1, 2_000))
    return Counts(control, draw(st.integers(0, control)), treatment, draw(st.integers(0, treatment)))


@given(counts())
def test_the_p_value_is_that_of_pearson_without_yates(seen: Counts) -> None:
    table = [
        [seen.treatment_conversions, seen.treatment - seen.treatment_conversions],
        [seen.control_conversions, seen.control - seen.control_conversions],
    ]
    if 0 in np.sum(table, axis=0):
        assert chi_square(seen) == 1
    else:
        assert chi_square(seen) == pytest.approx(chi2_contingency(table, correction=False).pvalue, abs=1e-9)


@given(counts())
def test_the_intervals_exclude_no_effect_exactly_when_the_test_does(seen: Counts) -> None:
    p_value = chi_square(seen)
    if abs(p_value - 0.05) < 1e-6:
        return
    for interval in (difference(seen), lift(seen)):
        assert (p_value < 0.05) == (not interval.low <= 0 <= interval.high)
        if not isnan(interval.value) and interval.value != inf:
            assert interval.low <= interval.value + 1e-9
            assert interval.value <= interval.high + 1e-9


@given(counts())
def test_exchanging_the_arms_turns_both_over(seen: Counts) -> None:
    turned = Counts(seen.treatment, seen.treatment_conversions, seen.control, seen.control_conversions)
    one, other = difference(seen), difference(turned)
    assert one.low == pytest.approx(-other.high, abs=1e-6)
    if seen.control_conversions and seen.treatment_conversions:
        assert 1 + lift(seen).low == pytest.approx(1 / (1 + lift(turned).high), rel=1e-4)


def test_for_large_counts_it_is_the_log_ratio_interval() -> None:
    ends = relative_risk(7_000, 50_000, 6_000, 50_000).confidence_interval()
    found = lift(Counts(50_000, 6_000, 50_000, 7_000))
    assert found.value == pytest.approx(1 / 6)
    assert (found.low, found.high) == (pytest.approx(ends.low - 1, abs=2e-4), pytest.approx(ends.high - 1, abs=2e-4))


@pytest.mark.parametrize(
    ("seen", "value"),
    [(Counts(300, 0, 300, 5), inf), (Counts(300, 5, 300, 0), -1.0), (Counts(300, 0, 300, 0), None)],
)
def test_nobody_converted_on_a_side(seen: Counts, value: float | None) -> None:
    found = lift(seen)
    assert isnan(found.value) if value is None else found.value == value
    assert found.low == -1 or found.low > 0
    assert found.high == inf or found.high < 0


def test_an_empty_arm_has_no_figures() -> None:
    seen = Counts(0, 0, 10, 3)
    assert isnan(chi_square(seen))
    assert isnan(difference(seen).low)
    assert isnan(lift(seen).value)


@pytest.mark.parametrize(
    ("control", "treatment", "n"), [(0.02, 0.05, 300), (0.125, 0.15, 300), (0.02, 0.02, 300), (0.5, 0.55, 100)]
)
def test_the_intervals_cover_the_truth_in_94_to_96_of_100_experiments(control: float, treatment: float, n: int) -> None:
    """Exactly, by adding up the chance of every outcome, and not by drawing some."""

    def covers(interval: Metric, truth: float) -> bool:
        return interval.low <= truth <= interval.high

    chances = binom.pmf(np.arange(n + 1), n, control), binom.pmf(np.arange(n + 1), n, treatment)
    of_lift = of_difference = total = 0.0
    # Every other outcome of the treatment is as good as all of them, and half the work.
    for x_0, x_1 in ((a, b) for a in range(n + 1) for b in range(a % 2, n + 1, 2)):
        weight = chances[0][x_0] * chances[1][x_1]
        if weight > 2e-6:
            seen = Counts(n, x_0, n, x_1)
            total += weight
            of_lift += weight * covers(lift(seen), treatment / control - 1)
            of_difference += weight * covers(difference(seen), treatment - control)
    assert 0.94 <= of_lift / total <= 0.96
    assert 0.94 <= of_difference / total <= 0.96
