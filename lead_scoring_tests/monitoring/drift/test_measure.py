"""Drift: closed forms, invariants, planted faults, worlds without drift, power, and input nobody wanted."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from lead_scoring_assets.monitoring.drift.measure import (
    FeatureDrift,
    benjamini_hochberg,
    chi_square_two_sample,
    expected_psi_under_no_drift,
    jensen_shannon_distance,
    kolmogorov_smirnov,
    measure_drift,
    minimum_effect_p_value,
    population_stability_index,
    summarise_drift,
)
from lead_scoring_assets.monitoring.drift.reference import build_reference

pytestmark = pytest.mark.filterwarnings("error")

two_windows = (
    st.integers(2, 15)
    .flatmap(lambda bins: st.tuples(*[st.lists(st.integers(0, 5_000), min_size=bins, max_size=bins).filter(any)] * 2))
    .map(lambda pair: (np.array(pair[0]), np.array(pair[1])))
)
seeds = st.integers(0, 2**32 - 1)


def measure_one(reference: object, current: object, *, categorical: bool = False, **options: float) -> FeatureDrift:
    before, now = pd.DataFrame({"x": reference}), pd.DataFrame({"x": current})
    state = build_reference(before, [] if categorical else ["x"], ["x"] if categorical else [])
    return measure_drift(state, now, **options)[0]  # type: ignore[arg-type]


# Closed forms and other people's implementations.


def test_psi_of_two_bins_is_its_closed_form() -> None:
    assert population_stability_index([60, 40], [50, 50], smoothing=0) == pytest.approx(0.1 * math.log(1.5), abs=1e-12)
    p, q = 60.5 / 101, 50.5 / 101
    expected = (q - p) * math.log(q / p) + (p - q) * math.log((1 - q) / (1 - p))
    assert population_stability_index([60, 40], [50, 50]) == pytest.approx(expected, abs=1e-12)


def test_bins_that_are_empty_in_both_windows_change_nothing() -> None:
    assert population_stability_index([60, 0, 40, 0], [5, 0, 5, 0]) == population_stability_index([60, 40], [5, 5])


def test_mass_out_of_range_is_counted() -> None:
    """15 % of ten equal bins moved above the maximum: the last grows from 0.1 to 0.235, the others shrink to 0.085."""
    reference = np.arange(100_000.0)
    current = np.concatenate([np.repeat(reference[::100], 17), np.full(3_000, 1e9)])
    drift = measure_one(reference, current)
    closed_form = 9 * 0.015 * math.log(0.1 / 0.085) + 0.135 * math.log(2.35)
    assert drift.psi == pytest.approx(closed_form, abs=2e-4)  # smoothing moves the fourth digit
    assert drift.out_of_range_share == pytest.approx(0.15, abs=1e-12)
    assert drift.status == "warning"


@settings(max_examples=60)
@given(two_windows)
def test_distances_agree_with_scipy(windows: tuple[np.ndarray, np.ndarray]) -> None:
    a, b = windows
    p, q = (a + 0.5)[a + b > 0], (b + 0.5)[a + b > 0]
    p, q = p / p.sum(), q / q.sum()
    assert population_stability_index(a, b) == pytest.approx(stats.entropy(p, q) + stats.entropy(q, p), abs=1e-9)
    # The root turns rounding of 1e-16 into 1e-8, so the squares are compared.
    expected = jensenshannon(a / a.sum(), b / b.sum(), base=2)
    assert jensen_shannon_distance(a, b) ** 2 == pytest.approx(np.nan_to_num(expected) ** 2, abs=1e-9)


@settings(max_examples=60)
@given(two_windows.map(lambda pair: (pair[0] + 5_000, pair[1] + 5_000)))
def test_chi_square_agrees_with_scipy(windows: tuple[np.ndarray, np.ndarray]) -> None:
    table = np.stack(windows)
    expected = stats.chi2_contingency(table, correction=False)
    ours = chi_square_two_sample(*windows)
    assert ours.statistic == pytest.approx(expected.statistic, rel=1e-9, abs=1e-9)
    assert ours.p_value == pytest.approx(expected.pvalue, rel=1e-9, abs=1e-12)
    assert ours.degrees_of_freedom == expected.dof
    assert ours.cramers_v == pytest.approx(stats.contingency.association(table, method="cramer"), abs=1e-9)


def test_small_bins_are_pooled_before_the_chi_square() -> None:
    ours = chi_square_two_sample([50, 40, 3, 2, 4], [60, 30, 4, 3, 2])
    assert ours.degrees_of_freedom == 2
    assert ours.statistic == pytest.approx(stats.chi2_contingency([[50, 40, 9], [60, 30, 9]]).statistic, abs=1e-9)


def test_a_pool_that_is_still_small_joins_the_smallest_bin() -> None:
    ours = chi_square_two_sample([50, 40, 20, 1], [60, 30, 20, 2])
    assert ours.degrees_of_freedom == 2
    assert ours.statistic == pytest.approx(stats.chi2_contingency([[50, 40, 21], [60, 30, 22]]).statistic, abs=1e-9)


def test_nothing_to_compare_is_no_evidence() -> None:
    for table in ([3, 1], [2, 2]), ([500, 0], [300, 0]):
        ours = chi_square_two_sample(*table)
        assert (ours.statistic, ours.degrees_of_freedom, ours.p_value, ours.cramers_v) == (0, 0, 1, 0)
        assert minimum_effect_p_value(ours, 300, 300, minimum_effect_psi=0.02) == 1


@settings(max_examples=40)
@given(seeds, st.booleans())
def test_kolmogorov_smirnov_agrees_with_scipy(seed: int, tied: bool) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=rng.integers(20, 400)), rng.normal(0.2, 1, size=rng.integers(20, 400))
    a, b = (a.round(1), b.round(1)) if tied else (a, b)
    state = build_reference(pd.DataFrame({"x": a}), ["x"], [])
    ours = kolmogorov_smirnov(state.columns[0].sorted_values, b)
    assert ours is not None
    assert ours.statistic == pytest.approx(stats.ks_2samp(a, b).statistic, abs=1e-9)
    assert ours.p_value == pytest.approx(stats.ks_2samp(a, b, method="asymp").pvalue, abs=1e-9)


def test_the_asymptotic_ks_p_value_is_close_to_the_exact_one() -> None:
    rng = np.random.default_rng(5)
    for _ in range(50):
        a, b = rng.normal(size=200), rng.normal(0.1, 1, size=200)
        ours = kolmogorov_smirnov(a, b)
        assert ours is not None
        assert ours.p_value == pytest.approx(stats.ks_2samp(a, b, method="exact").pvalue, abs=0.03)


def test_benjamini_hochberg_is_the_step_up_rule() -> None:
    p = [0.041, 0.001, 0.039, 0.008, 0.042, 0.06, 0.074, 0.205]
    expected = [0.0672, 0.008, 0.0672, 0.032, 0.0672, 0.08, 8 * 0.074 / 7, 0.205]
    assert benjamini_hochberg(p) == pytest.approx(expected, abs=1e-12)
    assert benjamini_hochberg([]) == []


def test_a_minimum_effect_of_zero_is_the_plain_test() -> None:
    test = chi_square_two_sample([500, 300, 200], [460, 320, 220])
    p_value = minimum_effect_p_value(test, 1_000, 1_000, minimum_effect_psi=0)
    assert p_value == pytest.approx(test.p_value, rel=1e-9)


def test_extreme_windows_give_a_p_value_not_nan() -> None:
    test = chi_square_two_sample([10**9, 0], [0, 10**9])
    assert minimum_effect_p_value(test, 10**9, 10**9, minimum_effect_psi=0.02) == 0
    test = chi_square_two_sample([10**9, 10**9], [10**9, 10**9])
    assert minimum_effect_p_value(test, 2 * 10**9, 2 * 10**9, minimum_effect_psi=0.02) == pytest.approx(1)


def test_a_window_without_rows_has_no_distance() -> None:
    for distance in (population_stability_index, jensen_shannon_distance, chi_square_two_sample):
        with pytest.raises(ValueError, match="found 0 in the reference, 3 in the current"):
            distance([0, 0], [1, 2])


# Invariants.


@given(two_windows)
def test_psi_is_symmetric_and_not_negative(windows: tuple[np.ndarray, np.ndarray]) -> None:
    a, b = windows
    assert population_stability_index(a, b) >= 0
    assert population_stability_index(a, b) == pytest.approx(population_stability_index(b, a), rel=1e-9, abs=1e-15)


@given(two_windows)
def test_js_lies_between_0_and_1_and_is_1_only_without_overlap(windows: tuple[np.ndarray, np.ndarray]) -> None:
    a, b = windows
    distance = jensen_shannon_distance(a, b)
    assert 0 <= distance <= 1
    assert (distance == pytest.approx(1, abs=1e-12)) == (not np.any(a * b))


@given(two_windows)
def test_identical_counts_have_no_distance(windows: tuple[np.ndarray, np.ndarray]) -> None:
    a, _ = windows
    assert population_stability_index(a, a) == 0
    assert jensen_shannon_distance(a, a) == 0
    assert chi_square_two_sample(a, a).statistic == 0


@given(two_windows, seeds)
def test_the_order_of_the_bins_does_not_matter(windows: tuple[np.ndarray, np.ndarray], seed: int) -> None:
    a, b = windows
    order = np.random.default_rng(seed).permutation(len(a))
    for distance in (population_stability_index, jensen_shannon_distance):
        assert distance(a, b) == pytest.approx(distance(a[order], b[order]), rel=1e-9, abs=1e-7)
    assert (
        chi_square_two_sample(a, b).degrees_of_freedom == chi_square_two_sample(a[order], b[order]).degrees_of_freedom
    )


@settings(max_examples=50)
@given(two_windows)
def test_a_minimum_effect_is_never_easier_to_show_than_any_effect(windows: tuple[np.ndarray, np.ndarray]) -> None:
    test = chi_square_two_sample(*windows)
    n, m = windows[0].sum(), windows[1].sum()
    p_values = [minimum_effect_p_value(test, n, m, minimum_effect_psi=psi) for psi in (0.0, 0.02, 0.1)]
    assert p_values == sorted(p_values)


def messy_frame(rng: np.random.Generator, rows: int) -> pd.DataFrame:
    number = rng.integers(-30, 30, rows).astype(float)
    number[rng.random(rows) < 0.1] = np.nan
    number[rng.random(rows) < 0.05] = np.inf
    return pd.DataFrame({"number": number, "city": np.minimum(rng.zipf(1.5, rows), 10**6).astype(str)})


@settings(max_examples=15)
@given(seeds)
def test_the_order_of_the_rows_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    before, now = messy_frame(rng, 300), messy_frame(rng, 250)
    shuffled = build_reference(before.sample(frac=1, random_state=1), ["number"], ["city"])
    expected = measure_drift(build_reference(before, ["number"], ["city"]), now)
    assert measure_drift(shuffled, now.sample(frac=1, random_state=2)) == expected


@settings(max_examples=15)
@given(seeds)
def test_a_frame_has_not_drifted_from_itself(seed: int) -> None:
    frame = messy_frame(np.random.default_rng(seed), 300)
    for drift in measure_drift(build_reference(frame, ["number"], ["city"]), frame):
        assert (drift.psi, drift.js_distance, drift.chi_square, drift.status) == (0, 0, 0, "ok")
        assert drift.null_rate_change_pp == 0


@settings(max_examples=15)
@given(seeds)
def test_an_increasing_transform_of_both_windows_changes_no_number_but_the_distance_travelled(seed: int) -> None:
    rng = np.random.default_rng(seed)
    before, now = rng.integers(-30, 30, 400).astype(float), rng.integers(-28, 33, 300).astype(float)
    plain, cubed = measure_one(before, now), measure_one(before**3 + 1, now**3 + 1)
    assert plain.wasserstein_sd != cubed.wasserstein_sd
    assert plain == replace(cubed, wasserstein_sd=plain.wasserstein_sd)
    assert measure_one(before * 8 + 1, now * 8 + 1).wasserstein_sd == pytest.approx(plain.wasserstein_sd, rel=1e-9)


# Planted faults.


def leads(rng: np.random.Generator, rows: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "score": rng.beta(2, 6, rows),
            "company_size": rng.lognormal(3, 1.5, rows),
            "calls": rng.poisson(3, rows).astype(float),
            "source": rng.choice(["web", "referral", "event", "ads"], rows, p=[0.5, 0.3, 0.15, 0.05]),
        }
    )


def share_of(column: str, share: float, value: Any) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda frame: frame.assign(
        **{column: frame[column].where(np.arange(len(frame)) >= share * len(frame), value)}
    )


FAULTS: dict[str, tuple[str, Callable[[pd.DataFrame], pd.DataFrame], str, float]] = {
    "wrong unit": ("score", lambda f: f.assign(score=f.score * 50), "drift", 0.8),
    "offset": ("score", lambda f: f.assign(score=f.score + 1000), "drift", 0.8),
    "scores shrunk": ("score", lambda f: f.assign(score=f.score * 0.25), "drift", 0.6),
    "constant": ("score", lambda f: f.assign(score=0.2), "drift", 0.8),
    "nulls": ("calls", share_of("calls", 0.3, np.nan), "drift", 0.3),
    "infinities": ("calls", share_of("calls", 0.3, np.inf), "drift", 0.3),
    "text": ("calls", lambda f: f.assign(calls="n/a"), "drift", 0.9),
    "out of range below": ("company_size", share_of("company_size", 0.3, -1.0), "drift", 0.2),
    "new category": ("source", share_of("source", 0.3, "partner"), "drift", 0.3),
    "vanished category": ("source", lambda f: f.assign(source=f.source.replace("referral", "web")), "drift", 0.3),
    "categories renamed": ("source", lambda f: f.assign(source=f.source.str.upper()), "drift", 0.99),
    "null categories": ("source", share_of("source", 0.3, None), "drift", 0.3),
    "skewed column grows by 75 %": (
        "company_size",
        lambda f: f.assign(company_size=f.company_size * 1.75),
        "warning",
        0.1,
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found_and_only_there(fault: str) -> None:
    column, plant, status, least_js_distance = FAULTS[fault]
    rng = np.random.default_rng(11)
    state = build_reference(leads(rng, 4_000), ["score", "company_size", "calls"], ["source"])
    for drift in measure_drift(state, plant(leads(rng, 3_000))):
        assert drift.status == (status if drift.feature == column else "ok"), drift
        assert drift.js_distance is not None
        assert (drift.js_distance > least_js_distance) == (drift.feature == column)


def test_the_side_facts_of_a_fault_are_exact() -> None:
    rng = np.random.default_rng(12)
    state = build_reference(leads(rng, 4_000), ["score", "calls"], ["source"])
    plant = leads(rng, 3_000).pipe(share_of("calls", 0.3, np.nan)).pipe(share_of("source", 0.2, "partner"))
    score, calls, source = measure_drift(state, plant.assign(score=plant.score + 1_000))
    assert score.out_of_range_share == 1
    assert score.ks_statistic == pytest.approx(1)
    assert calls.null_rate_change_pp == pytest.approx(30)
    assert calls.null_rate_change_low_pp < 30 < calls.null_rate_change_high_pp
    assert source.new_category_share == pytest.approx(0.2)
    assert (source.ks_statistic, source.out_of_range_share, calls.new_category_share) == (None, None, None)


@pytest.mark.parametrize("window", ["reference", "current"])
def test_one_outlier_does_not_hide_drift(window: str) -> None:
    rng = np.random.default_rng(13)
    before, now = rng.normal(size=2_000), rng.normal(1, 1, size=2_000)
    without = measure_one(before, now)
    (before if window == "reference" else now)[0] = 1e6
    drift = measure_one(before, now)
    assert drift.status == without.status == "drift"
    assert drift.psi == pytest.approx(without.psi, rel=0.01)


def test_a_constant_reference_sees_other_values_come() -> None:
    drift = measure_one([-1.0] * 1_000, [-1.0] * 340 + list(range(660)))
    assert drift.status == "drift"
    assert drift.ks_statistic == pytest.approx(0.66)


def test_a_loss_of_the_lone_value_is_seen() -> None:
    rng = np.random.default_rng(14)
    before = np.where(rng.random(5_000) < 0.82, -1, rng.integers(1, 400, 5_000))
    now = np.where(rng.random(5_000) < 0.60, -1, rng.integers(1, 400, 5_000))
    drift = measure_one(before, now)
    closed_form = 0.22 * math.log(0.82 / 0.60) + 0.22 * math.log(0.40 / 0.18)
    assert drift.psi_debiased == pytest.approx(closed_form, abs=0.05)


def test_a_column_of_identifiers_drifts_when_its_format_does_not_when_its_rows_are_new() -> None:
    rng = np.random.default_rng(15)
    before, now = rng.integers(0, 100_000, 20_000).astype(str), rng.integers(0, 100_000, 20_000).astype(str)
    calm = measure_one(before, now, categorical=True)
    assert calm.new_category_share == pytest.approx(math.exp(-0.2), abs=0.01)
    assert calm.status == "ok"
    assert calm.psi_debiased == pytest.approx(0, abs=0.001)
    assert measure_one(before, np.char.add("id-", now), categorical=True).status == "drift"


def test_newcomers_of_a_long_tail_are_no_drift_in_a_small_window_either() -> None:
    """About 82 % of rows are new; a window of 400 rows has its own scatter of 8 rows around that."""
    rng = np.random.default_rng(22)
    state = build_reference(pd.DataFrame({"id": rng.integers(0, 100_000, 20_000)}), [], ["id"])
    runs = [measure_drift(state, pd.DataFrame({"id": rng.integers(0, 100_000, 400)}))[0] for _ in range(60)]
    assert np.std([known(drift.new_category_share) for drift in runs]) > 0.01
    assert max(known(drift.psi) for drift in runs) == 0


def test_a_new_category_is_seen_beside_a_long_tail() -> None:
    rng = np.random.default_rng(16)
    before, now = (np.minimum(rng.zipf(1.6, 5_000), 10**6).astype(str).astype(object) for _ in range(2))
    assert measure_one(before, now, categorical=True).status == "ok"
    now[:1_000] = "a source that nobody announced"
    assert measure_one(before, now, categorical=True).status == "drift"


# Worlds without drift: what the alarm may cost.


def calm_world(rng: np.random.Generator, rows: int) -> pd.DataFrame:
    """Twelve features of the shapes that lead data has; every call draws from the same distribution."""
    return pd.DataFrame(
        {
            "normal": rng.normal(size=rows),
            "lognormal": rng.lognormal(sigma=1.5, size=rows),
            "heavy_tail": rng.standard_cauchy(rows),
            "mostly_minus_one": np.where(rng.random(rows) < 0.82, -1, rng.integers(1, 400, rows)),
            "count": rng.poisson(2, rows),
            "flag": rng.integers(0, 2, rows),
            "year": rng.integers(0, 25, rows),
            "third_missing": np.where(rng.random(rows) < 0.3, np.nan, rng.uniform(size=rows)),
            "three_levels": rng.choice(["a", "b", "c"], rows, p=[0.7, 0.25, 0.05]),
            "twelve_levels": rng.choice([f"job {i}" for i in range(12)], rows, p=np.arange(1, 13) / 78),
            "long_tail": np.minimum(rng.zipf(1.6, rows), 10**6),
            "two_hundred_levels": rng.integers(0, 200, rows),
        }
    )


CALM_CATEGORIES = ["three_levels", "twelve_levels", "long_tail", "two_hundred_levels"]
CALM_NUMBERS = [str(name) for name in calm_world(np.random.default_rng(0), 1) if name not in CALM_CATEGORIES]


@pytest.fixture(scope="module", params=[500, 5_000])
def calm_runs(request: pytest.FixtureRequest) -> list[list[FeatureDrift]]:
    """150 (n = 500) or 120 (n = 5,000) measurements without drift, each with a reference of its own."""
    runs = []
    for run in range(150 if request.param == 500 else 120):
        rng = np.random.default_rng([request.param, run])
        state = build_reference(calm_world(rng, request.param), CALM_NUMBERS, CALM_CATEGORIES)
        runs.append(measure_drift(state, calm_world(rng, request.param)))
    return runs


def share_of_runs(runs: list[list[FeatureDrift]], fires: Callable[[FeatureDrift], bool]) -> float:
    return float(np.mean([any(fires(drift) for drift in run) for run in runs]))


def known(value: float | None) -> float:
    assert value is not None
    return value


def test_the_alarm_is_quiet_without_drift(calm_runs: list[list[FeatureDrift]]) -> None:
    """Stated bound: at most 1 % of runs of 12 features raise the calibrated alarm at all, let alone a status."""
    assert share_of_runs(calm_runs, lambda drift: known(drift.minimum_effect_p_value) <= 0.01) <= 0.01
    assert share_of_runs(calm_runs, lambda drift: drift.status != "ok") == 0


def test_the_usual_rules_are_not_quiet_without_drift(calm_runs: list[list[FeatureDrift]]) -> None:
    """Otherwise the test above would prove nothing about this world."""
    assert share_of_runs(calm_runs, lambda drift: known(drift.chi_square_p_value) < 0.05) > 0.3
    assert share_of_runs(calm_runs, lambda drift: drift.ks_p_value is not None and drift.ks_p_value < 0.05) > 0.1


def test_plain_p_values_are_uniform_without_drift(calm_runs: list[list[FeatureDrift]]) -> None:
    """At least 1,320 tests at 5 %: standard error 0.6 points. Equal levels near the rare limit are left out."""
    p_values = [known(d.chi_square_p_value) for run in calm_runs for d in run if d.feature != "two_hundred_levels"]
    assert np.mean(np.array(p_values) < 0.05) == pytest.approx(0.05, abs=0.017)
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.03)


def test_debiased_psi_is_around_zero_without_drift(calm_runs: list[list[FeatureDrift]]) -> None:
    by_feature = pd.DataFrame([[drift.psi_debiased for drift in run] for run in calm_runs])
    by_feature.columns = pd.Index([drift.feature for drift in calm_runs[0]])
    standard_error = by_feature.std() / math.sqrt(len(by_feature))
    bias = by_feature.mean().drop("two_hundred_levels")
    assert (bias.abs() < 4.5 * standard_error.drop("two_hundred_levels") + 0.002).all()
    # Choosing categories by their reference count costs at most 0.64 / 10, well under the warning limit.
    assert by_feature["two_hundred_levels"].max() < 0.1


def test_expected_psi_is_the_mean_without_drift() -> None:
    rng = np.random.default_rng(17)
    for bins, n, m in [(10, 500, 500), (10, 5_000, 500), (50, 5_000, 5_000)]:
        shares = np.full(bins, 1 / bins)
        psi = [
            population_stability_index(a, b)
            for a, b in zip(rng.multinomial(n, shares, 1_000), rng.multinomial(m, shares, 1_000), strict=True)
        ]
        assert np.mean(psi) == pytest.approx(expected_psi_under_no_drift(bins, n, m), rel=0.07)


def test_the_minimum_effect_test_keeps_its_level_at_the_minimum_effect() -> None:
    """True PSI exactly 0.02 in ten bins: 2,000 runs reject at 5 % in 5 %, standard error 0.5 points."""
    rng = np.random.default_rng(18)
    tilt = np.linspace(-1, 1, 10)

    def shares(strength: float) -> np.ndarray:
        return np.asarray(np.exp(strength * tilt) / np.exp(strength * tilt).sum())

    def true_psi(strength: float) -> float:
        p, q = shares(0), shares(strength)
        return float(np.sum((q - p) * np.log(q / p)))

    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if true_psi(middle) < 0.02 else (low, middle)
    rejected = [
        minimum_effect_p_value(chi_square_two_sample(a, b), 5_000, 5_000, minimum_effect_psi=0.02) < 0.05
        for a, b in zip(
            rng.multinomial(5_000, shares(0), 2_000), rng.multinomial(5_000, shares(low), 2_000), strict=True
        )
    ]
    assert np.mean(rejected) == pytest.approx(0.05, abs=0.02)


def test_trivial_drift_in_a_million_rows_is_not_an_alarm() -> None:
    rng = np.random.default_rng(19)
    drift = measure_one(rng.normal(size=500_000), rng.normal(0.02, 1, size=500_000))
    assert known(drift.adjusted_p_value) < 1e-6
    assert known(drift.minimum_effect_p_value) > 0.99
    assert drift.status == "ok"


# Power.


def shifted_runs(shift: float, rows: int, runs: int) -> list[FeatureDrift]:
    """The drift of one shifted feature among twelve."""
    found = []
    for run in range(runs):
        rng = np.random.default_rng([rows, run, 20])
        before, now = rng.normal(size=(rows, 12)), rng.normal(size=(rows, 12))
        now[:, 0] += shift
        names = [f"x{i}" for i in range(12)]
        found.append(
            measure_drift(
                build_reference(pd.DataFrame(before, columns=names), names, []), pd.DataFrame(now, columns=names)
            )[0]
        )
    return found


@pytest.mark.parametrize(("rows", "least"), [(500, 0.85), (5_000, 1.0)])
def test_a_shift_of_half_a_standard_deviation_is_reported(rows: int, least: float) -> None:
    """Power is 0.94 (n = 500) and 1.00 (n = 5,000) in 100 and 40 runs."""
    runs = shifted_runs(0.5, rows, 40 if rows == 500 else 10)
    assert np.mean([drift.status in ("warning", "drift") for drift in runs]) >= least
    assert np.mean([known(drift.psi_debiased) for drift in runs]) == pytest.approx(0.24, abs=0.03)


def test_a_shift_of_a_quarter_raises_the_alarm_but_not_a_status() -> None:
    """Its true PSI is 0.06: real, beyond the minimum effect, and below the warning limit. Power is 0.96 in 150 runs."""
    runs = shifted_runs(0.25, 5_000, 20)
    assert np.mean([known(drift.minimum_effect_p_value) <= 0.01 for drift in runs]) >= 0.8
    assert {drift.status for drift in runs} == {"ok"}
    assert "stays below the warning limit 0.1" in runs[0].reason


def test_a_shift_of_one_standard_deviation_is_drift() -> None:
    assert {drift.status for drift in shifted_runs(1.0, 500, 10)} == {"drift"}


# Verdicts and their limits.


def test_both_p_values_are_adjusted_for_the_number_of_features() -> None:
    rng = np.random.default_rng(23)
    before, now = leads(rng, 1_000), leads(rng, 1_000)
    now["score"] += 0.03
    now["calls"] += rng.poisson(0.3, 1_000)
    state = build_reference(before, ["score", "company_size", "calls"], ["source"])
    together = measure_drift(state, now)
    alone = [measure_drift(replace(state, columns=(column,)), now)[0] for column in state.columns]
    for name in ("adjusted_p_value", "minimum_effect_p_value"):
        raw, adjusted = ([known(getattr(drift, name)) for drift in drifts] for drifts in (alone, together))
        assert adjusted == benjamini_hochberg(raw)
        assert adjusted != raw
    assert [known(drift.adjusted_p_value) for drift in alone] == [drift.chi_square_p_value for drift in together]


def test_the_limits_are_inclusive_and_the_reason_names_them() -> None:
    rng = np.random.default_rng(21)
    before, now = rng.normal(size=3_000), rng.normal(0.6, 1, size=3_000)
    debiased = known(measure_one(before, now).psi_debiased)
    at_limit = measure_one(before, now, psi_drift=debiased)
    above = measure_one(before, now, psi_drift=np.nextafter(debiased, 1))
    calm = measure_one(before, now, psi_warning=np.nextafter(debiased, 1), psi_drift=1.0)
    assert (at_limit.status, above.status, calm.status) == ("drift", "warning", "ok")
    assert f"{at_limit.psi:.3f}" in at_limit.reason
    assert f"{at_limit.psi_expected_without_drift:.2g}" in at_limit.reason
    assert "3000 reference and 3000 current rows" in at_limit.reason


def test_a_drift_that_may_be_trivial_is_not_a_warning() -> None:
    """Something moved, by a debiased PSI over the limit; but a true PSI of 0.02 does that in 1 of 50 runs."""
    drift = measure_one(["a", "b"] * 100, ["a"] * 134 + ["b"] * 66, categorical=True)
    assert known(drift.adjusted_p_value) < 0.01 < known(drift.minimum_effect_p_value) < 0.05
    assert known(drift.psi_debiased) > 0.10
    assert drift.status == "ok"


def test_a_large_psi_without_evidence_is_not_a_warning() -> None:
    drift = measure_one(np.arange(200.0), np.arange(200.0) * 0.9, false_discovery_rate=1e-30)
    assert drift.status == "ok"
    assert "is not established" in drift.reason


def test_too_few_rows_in_either_window_is_an_answer_of_its_own() -> None:
    enough, too_few = np.arange(200.0), np.arange(199.0)
    assert measure_one(enough, enough).status == "ok"
    for before, now in [(enough, too_few), (too_few, enough)]:
        drift = measure_one(before, now)
        assert drift.status == "insufficient_data"
        assert f"found {len(before)} in the reference and {len(now)} in the current data" in drift.reason
        assert drift.psi is None


# Input nobody wanted.

GOOD = np.arange(1_000.0)
BAD_COLUMNS: dict[str, tuple[object, str]] = {
    "constant": ([3.0] * 1_000, "drift"),
    "all null": ([np.nan] * 1_000, "drift"),
    "all None": ([None] * 1_000, "drift"),
    "all infinite": ([np.inf, -np.inf] * 500, "drift"),
    "huge": ([1e308, -1e308] * 500, "drift"),
    "lists": ([[1], {}] * 500, "drift"),
    "dates": (pd.date_range("2024-01-01", periods=1_000), "drift"),
    "text": (["?"] * 1_000, "drift"),
    "nullable integers": (pd.array([*range(999), None], dtype="Int64"), "ok"),
    "numbers as text": (GOOD.astype(str), "ok"),
    "numbers as categories": (pd.Categorical(GOOD), "ok"),
    "complex": (GOOD.astype(complex), "drift"),
}


@pytest.mark.parametrize("bad", BAD_COLUMNS)
def test_a_bad_number_column_stops_nothing(bad: str) -> None:
    values, status = BAD_COLUMNS[bad]
    state = build_reference(pd.DataFrame({"bad": GOOD, "good": GOOD}), ["bad", "good"], [])
    drifts = measure_drift(state, pd.DataFrame({"bad": values, "good": GOOD}))
    assert [drift.status for drift in drifts] == [status, "ok"]
    as_reference = build_reference(pd.DataFrame({"bad": values, "good": GOOD}), ["bad"], ["good"])
    assert measure_drift(as_reference, pd.DataFrame({"bad": GOOD, "good": GOOD}))[1].status == "ok"


@pytest.mark.parametrize("bad", BAD_COLUMNS)
def test_a_bad_category_column_stops_nothing(bad: str) -> None:
    values, _ = BAD_COLUMNS[bad]
    frame = pd.DataFrame({"bad": values, "good": GOOD})
    own = measure_drift(build_reference(frame, ["good"], ["bad"]), frame)
    assert own[0].status == "ok"
    assert own[1].status == ("not_computable" if pd.isna(frame["bad"]).all() else "ok")
    other = build_reference(pd.DataFrame({"bad": ["a", "b"] * 500}), [], ["bad"])
    assert measure_drift(other, frame)[0].status == "drift"


def test_a_hundred_thousand_categories_are_measured() -> None:
    names = np.arange(100_000).astype(str)
    drift = measure_one(["a", "b"] * 500, names, categorical=True)
    assert drift.status == "drift"
    assert drift.new_category_share == 1
    assert measure_one(names, names, categorical=True).psi == 0


@pytest.mark.parametrize("rows", [0, 1])
def test_an_empty_or_one_row_window_is_insufficient(rows: int) -> None:
    frame = pd.DataFrame({"x": GOOD, "c": ["a", "b"] * 500})
    state = build_reference(frame, ["x"], ["c"])
    for minimum_rows in (200, 0):
        statuses = {drift.status for drift in measure_drift(state, frame.head(rows), minimum_rows=minimum_rows)}
        assert statuses == ({"insufficient_data"} if rows < max(minimum_rows, 1) else {"ok"})


def test_what_cannot_be_computed_says_why() -> None:
    before = pd.DataFrame({"null": [None] * 300, "gone": range(300), "twice": range(300), "fine": range(300)})
    state = build_reference(before, ["null", "gone", "twice", "fine", "never"], [])
    now = pd.concat([before[["null", "twice", "fine"]], before[["twice"]]], axis=1)
    null, gone, twice, fine, never = measure_drift(state, now)
    assert [d.status for d in (null, gone, twice, never)] == ["not_computable"] * 4
    assert fine.status == "ok"
    assert null.reason == "The reference holds no usable value of null in 300 rows."
    assert gone.reason == "gone is missing from the current data."
    assert twice.reason == "twice appears 2 times in the current data."
    assert never.reason == "The reference holds no usable value of never in 0 rows."


def test_an_empty_reference_and_a_frame_without_columns_are_answered() -> None:
    empty = build_reference(pd.DataFrame(), ["x"], ["c"])
    assert {drift.status for drift in measure_drift(empty, pd.DataFrame())} == {"not_computable"}
    assert measure_drift(build_reference(pd.DataFrame(), [], []), pd.DataFrame()) == []


# Summary.


def verdicts(n_drift: int, n_warning: int, n_ok: int, n_unknown: int = 0) -> list[FeatureDrift]:
    measured = replace(measure_one(GOOD, GOOD), psi_debiased=0.01)
    return [
        *[replace(measured, feature=f"d{i}", status="drift", psi_debiased=0.3 + i) for i in range(n_drift)],
        *[replace(measured, status="warning", psi_debiased=0.15)] * n_warning,
        *[measured] * n_ok,
        *[measure_one(GOOD, GOOD[:5])] * n_unknown,
    ]


@pytest.mark.parametrize(
    ("drifted", "fine", "severity"),
    [(0, 5, "LOW"), (1, 99, "MEDIUM"), (1, 4, "MEDIUM"), (21, 79, "HIGH"), (1, 1, "HIGH"), (51, 49, "CRITICAL")],
)
def test_severity_follows_the_share_that_drifted(drifted: int, fine: int, severity: str) -> None:
    assert summarise_drift(verdicts(drifted, 0, fine)).severity == severity


def test_the_summary_counts_only_what_could_be_assessed() -> None:
    summary = summarise_drift(verdicts(2, 1, 1, n_unknown=6))
    assert (summary.n_features, summary.n_assessed, summary.n_drifted, summary.n_warned) == (10, 4, 2, 1)
    assert summary.share_drifted == 0.5
    assert (summary.max_psi_debiased, summary.max_psi_feature) == (1.3, "d1")
    assert summary.sentence == (
        "2 of 4 assessed features drifted and 1 warned (HIGH); the largest debiased PSI is 1.300 (d1); "
        "6 of 10 could not be assessed."
    )


def test_a_few_calm_features_are_no_all_clear_for_the_rest() -> None:
    few, half = summarise_drift(verdicts(0, 0, 4, n_unknown=5)), summarise_drift(verdicts(0, 0, 5, n_unknown=5))
    assert (few.status, few.severity) == ("insufficient_data", "UNKNOWN")
    assert few.sentence.endswith("5 of 9 could not be assessed, which is too many to say that nothing moved.")
    assert (half.status, half.severity) == ("ok", "LOW")
    # What was seen to move has moved, whatever else is not known.
    assert summarise_drift(verdicts(1, 0, 0, n_unknown=9)).status == "drift"


def test_a_summary_of_nothing_claims_nothing() -> None:
    for drifts in ([], verdicts(0, 0, 0, n_unknown=3)):
        summary = summarise_drift(drifts)
        assert (summary.n_assessed, summary.severity, summary.max_psi_debiased) == (0, "UNKNOWN", None)
        assert "says nothing about drift" in summary.sentence
