"""Concept drift: P(y | x) changed or not, whatever P(x) did. Worlds of which the truth is known."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import expit

from lead_scoring_assets.monitoring.drift.concept import RATE, SCORE, measure_concept
from lead_scoring_assets.monitoring.drift.groups import feature_groupings, group_numbers
from lead_scoring_assets.monitoring.drift.measure import measure_drift
from lead_scoring_assets.monitoring.drift.outcomes import OutcomeDrift, Outcomes
from lead_scoring_assets.monitoring.drift.reference import build_reference
from lead_scoring_assets.settings import Performance, Watching

pytestmark = pytest.mark.filterwarnings("error")

WATCHING = Watching()
NEEDED = Performance(minimum_rows=100, minimum_positives=20)
FEATURES = [f"f{i}" for i in range(8)]
EFFECTS = np.array([0.8, -0.6, 0.5, 0.4, 0, 0, 0, 0])
BASE = -2.2
Leads = tuple[pd.DataFrame, Outcomes]


def leads(
    n: int, seed: int, *, effects: Any = EFFECTS, base: float = BASE, mean: float = 0.0, model: Any = EFFECTS
) -> Leads:
    """Leads whose outcomes follow `effects`, scored by a model that believes in `model`."""
    rng = np.random.default_rng(seed)
    x = rng.normal(mean, 1, (n, len(effects)))
    labels = (rng.random(n) < expit(base + x @ effects)).astype(float)
    return pd.DataFrame(x, columns=FEATURES), Outcomes(labels, expit(BASE + x @ model), n)


def judge(then: Leads, now: Leads) -> dict[str, OutcomeDrift]:
    groupings = feature_groupings(then[0], now[0], FEATURES, [])
    return {row.feature: row for row in measure_concept(then[1], now[1], groupings, WATCHING, NEEDED, 0.01)}


def loud(found: dict[str, OutcomeDrift]) -> set[str]:
    return {name for name, row in found.items() if row.status in ("drift", "warning")}


def changed(**effects: float) -> Any:
    return np.array([effects.get(name, effect) for name, effect in zip(FEATURES, EFFECTS, strict=True)])


# Which family speaks.


def test_outcomes_that_follow_otherwise_are_concept_drift_and_no_data_drift() -> None:
    then, now = leads(5_000, 0), leads(5_000, 1, effects=changed(f0=-0.8))
    found = judge(then, now)
    assert found["f0"].status == "drift"
    assert (
        max((row for row in found.values() if row.feature in FEATURES), key=lambda row: row.effect or 0) is found["f0"]
    )
    assert "f0" in found["f0"].reason
    drifts = measure_drift(build_reference(then[0], FEATURES, []), now[0])
    assert {drift.status for drift in drifts} == {"ok"}


def test_leads_of_another_kind_are_data_drift_and_no_concept_drift() -> None:
    then, now = leads(5_000, 0), leads(5_000, 1, mean=0.7)
    assert loud(judge(then, now)) == set()
    drifts = measure_drift(build_reference(then[0], FEATURES, []), now[0])
    assert {drift.status for drift in drifts} == {"drift"}


def test_a_rate_that_moved_for_all_alike_is_told_as_the_rate_and_nothing_else() -> None:
    found = judge(leads(8_000, 0), leads(8_000, 1, base=BASE + 0.6))
    assert loud(found) == {RATE}
    assert found[RATE].effect == pytest.approx(0.6, abs=0.15)


def test_scores_that_say_less_are_told_by_the_score() -> None:
    found = judge(leads(8_000, 0), leads(8_000, 1, effects=EFFECTS * 0.4))
    assert SCORE in loud(found)


def test_a_model_that_was_wrong_on_its_holdout_already_has_not_drifted() -> None:
    """Its calibration is another matter; a mistake of the model that stays the same is no change of the world."""
    wrong = EFFECTS * 1.6
    for seed in range(0, 40, 2):
        assert loud(judge(leads(4_000, seed, model=wrong), leads(4_000, seed + 1, model=wrong))) == set()


# Rates and power.


@pytest.mark.parametrize(
    "world",
    [
        pytest.param(lambda n, seed: leads(n, seed), id="nothing changed"),
        pytest.param(lambda n, seed: leads(n, seed, mean=0.5), id="other leads, right model"),
        pytest.param(lambda n, seed: leads(n, seed, mean=-0.5), id="fewer conversions, right model"),
    ],
)
@pytest.mark.parametrize(("n", "runs"), [(300, 40), (2_000, 60), (100_000, 2)])
def test_false_alarms(world: Callable[[int, int], Leads], n: int, runs: int) -> None:
    """Stated: at most 1 % over the rate, the scores and all features together."""
    needed = Performance(minimum_rows=100, minimum_positives=5)
    rung = 0
    for run in range(runs):
        then, now = leads(n, 2 * run), world(n, 2 * run + 1)
        groupings = feature_groupings(then[0], now[0], FEATURES, [])
        found = measure_concept(then[1], now[1], groupings, WATCHING, needed, 0.01)
        rung += any(row.status in ("drift", "warning") for row in found)
    assert stats.binom.sf(rung - 1, runs, 0.01) > 0.001


@pytest.mark.parametrize(
    ("n", "change", "speaks", "power"),
    [
        (1_000, {"effects": changed(f0=-0.8)}, "f0", 0.9),
        (5_000, {"effects": changed(f4=0.6)}, "f4", 0.9),
        (5_000, {"base": BASE + 0.6}, RATE, 0.9),
    ],
)
def test_power(n: int, change: dict[str, Any], speaks: str, power: float) -> None:
    heard = sum(speaks in loud(judge(leads(n, 2 * i), leads(n, 2 * i + 1, **change))) for i in range(20))
    assert heard / 20 >= power


def test_a_change_that_does_not_matter_is_none_however_many_leads() -> None:
    found = judge(leads(400_000, 0), leads(400_000, 1, effects=changed(f4=0.1), base=BASE + 0.08))
    assert loud(found) == set()
    assert (found["f4"].p_value or 1) < 1e-6


def test_coverage_of_the_effects_interval() -> None:
    """Two groups that moved by 0 and by 0.8: with equal weights the standard deviation is 0.4."""
    inside = 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        group = rng.random((2, 3_000)) < 0.5
        then, now = (Outcomes((rng.random(3_000) < 0.5).astype(float), np.full(3_000, 0.5), 3_000) for _ in range(2))
        now.labels[group[1]] = rng.random(group[1].sum()) < expit(0.8)
        frames = [pd.DataFrame({"g": np.where(column, "a", "b")}) for column in group]
        [row] = [
            row
            for row in measure_concept(then, now, feature_groupings(*frames, [], ["g"]), WATCHING, NEEDED, 0.01)
            if row.feature == "g"
        ]
        assert row.low is not None
        assert row.high is not None
        inside += row.low <= 0.4 <= row.high
    assert inside / 150 >= 0.85  # the one-step estimate shrinks so large a shift a little


def test_groups_do_not_depend_on_the_order_of_rows() -> None:
    then, now = leads(2_000, 0), leads(2_000, 1, effects=changed(f0=-0.8))
    order = np.random.default_rng(0).permutation(2_000)
    shuffled = (now[0].iloc[order], Outcomes(now[1].labels[order], now[1].scores[order], 2_000))
    for name, row in judge(then, now).items():
        assert judge(then, shuffled)[name].effect == pytest.approx(row.effect, abs=1e-9)


# Input nobody wanted.


@pytest.mark.parametrize(
    ("now", "status"),
    [
        (Outcomes(np.empty(0), np.empty(0), 0), "insufficient_data"),
        (Outcomes(np.zeros(1), np.full(1, 0.5), 1), "insufficient_data"),
        (Outcomes(np.zeros(500), np.full(500, 0.5), 500), "insufficient_data"),
        (Outcomes(np.tile([0.0, 1.0], 250), np.full(500, math.nan), 500), "not_computable"),
        (Outcomes(np.tile([0.0, 1.0], 250), np.full(500, 0.5), 1_000), "insufficient_data"),
    ],
)
def test_too_little_is_said_so_for_every_question(now: Outcomes, status: str) -> None:
    enough = leads(500, 0)[1]
    for then, later, told in ((enough, now, ""), (now, enough, "holdout")):
        found = measure_concept(
            then, later, {"f0": group_numbers(then.scores, later.scores, 4)}, WATCHING, NEEDED, 0.01
        )
        assert [row.feature for row in found] == [RATE, SCORE, "f0"]
        assert {row.status for row in found} == {status}
        assert all(told in row.reason and row.effect is None for row in found)


def test_a_feature_with_one_value_says_nothing_and_stops_nobody() -> None:
    then, now = leads(2_000, 0), leads(2_000, 1)
    for frame in (then[0], now[0]):
        frame["f7"] = math.nan
    found = judge(then, now)
    assert found["f7"].status == "insufficient_data"
    assert {row.status for name, row in found.items() if name != "f7"} == {"ok"}
    assert set(found) == {RATE, SCORE, *FEATURES}


def test_labels_that_are_not_known_yet_are_no_drift() -> None:
    """Who converts says so after weeks, who does not after days: the labels known so far would look like a fallen rate."""
    then, now = leads(2_000, 0), leads(2_000, 1)
    known = now[1].labels == 0
    early = Outcomes(now[1].labels[known], now[1].scores[known], 2_000)
    assert loud(judge(then, (now[0][known], early))) == set()
