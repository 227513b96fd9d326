"""The checks of performance, on tables that hold what each is there for, and just not."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.monitoring.performance import estimates, matured, quality, reconciliation
from lead_scoring_assets.monitoring.performance.worked import figures_at_work
from lead_scoring_assets.periods import Period
from lead_scoring_assets.settings import Evaluation, Home, Performance
from lead_scoring_tests.conftest import MakeHome

PERIOD = "2008-10"
MONTHS = ("2008-05", "2008-06", "2008-07", "2008-08", "2008-09", PERIOD)


def house_with(home: Path, **settings: str) -> Installation:
    text = (home / "lead_scoring.yaml").read_text()
    for name, value in settings.items():
        text, changed = re.subn(rf"^  {name}: \S+ ", f"  {name}: {value} ", text, flags=re.MULTILINE)
        assert changed == 1
    (home / "lead_scoring.yaml").write_text(text)
    return Installation(Home(home))


@pytest.fixture(scope="module")
def house(make_home: MakeHome) -> Installation:
    return house_with(make_home("performance"), minimum_recall="0.70", reference_days="100")


@pytest.fixture(scope="module")
def threshold_house(make_home: MakeHome) -> Installation:
    """Where leads of at least 6 % are worked."""
    return house_with(make_home("threshold"), minimum_recall="0.70", operating_threshold="0.06")


def performance(house: Installation, *rows: dict[str, Any]) -> Period:
    default = {
        "period": PERIOD,
        "model_version": 7,
        "metric": "auc",
        "value": 0.7,
        "low": 0.68,
        "high": 0.72,
        "n": 5_000,
    }
    default |= {"positives": 500, "label_coverage": 1.0, "status": "ok", "reason": "so many"}
    table = pa.Table.from_pylist([default | row for row in rows], schema=matured.SCHEMA)
    house.lakehouse.replace_periods("model_performance", MONTHS, table)
    return house.settings.calendar.period(PERIOD)


def converted(positives: int, n: int, period: str = PERIOD) -> dict[str, Any]:
    return {"period": period, "metric": "conversion_rate", "value": positives / n, "positives": positives, "n": n}


@pytest.mark.parametrize(("low", "high", "passes"), [(0.66, 0.699, False), (0.68, 0.70, True), (0.69, 0.73, True)])
def test_a_recall_that_is_clearly_below_its_floor(house: Installation, low: float, high: float, passes: bool) -> None:
    recall = {"metric": "recall_at_20_percent", "value": (low + high) / 2, "low": low, "high": high}
    found = quality.recall_is_enough(house, performance(house, recall, {"metric": "auc"}))
    assert found.passed is passes
    assert "recall at 20%" in found.sentence
    assert "floor 0.70" in found.sentence


def cohort_of(reached: int, conversions: int, settings: Evaluation) -> list[dict[str, Any]]:
    """Rows of a cohort of which so many conversions were scored at 6 % exactly, the others just below."""
    labels = np.append(np.ones(conversions), np.zeros(conversions))
    scores = np.where(np.arange(2 * conversions) < reached, 0.06, np.nextafter(0.06, 0))
    more = figures_at_work(labels, scores, settings.model_copy(update={"bootstrap_samples": 100}), 0)
    cohort = matured.Cohort(7, len(labels), labels, scores)
    return matured.measure(cohort, Performance(), PERIOD, datetime(2008, 11, 1, tzinfo=UTC), more)


@pytest.mark.parametrize(
    ("reached", "conversions", "passes"),
    [(6_900, 10_000, False), (7_100, 10_000, True), (690, 1_000, True), (600, 1_000, False), (40, 60, True)],
)
def test_the_recall_from_the_operating_threshold_is_judged_where_there_is_one(
    threshold_house: Installation, reached: int, conversions: int, passes: bool
) -> None:
    rows = cohort_of(reached, conversions, threshold_house.settings.evaluation)
    found = quality.recall_is_enough(threshold_house, performance(threshold_house, *rows))
    assert found.passed is passes
    assert f"v7: recall from 0.06 {reached / conversions:.3f} [" in found.sentence
    assert found.sentence.endswith(f"n = {conversions:,} (floor 0.70)")
    assert [row["value"] for row in rows if row["metric"] == "called_from_0.06"] == [reached / (2 * conversions)]


def test_a_cohort_that_was_measured_from_another_threshold_is_not_judged(threshold_house: Installation) -> None:
    settings = threshold_house.settings.evaluation.model_copy(update={"operating_threshold": 0.05})
    found = quality.recall_is_enough(threshold_house, performance(threshold_house, *cohort_of(100, 1_000, settings)))
    told = "recall from 0.06 has not been measured: materialise model_performance again (floor 0.70)"
    assert (found.passed, found.sentence) == (True, told)


def test_too_little_is_no_alarm_and_said(house: Installation) -> None:
    row = {"low": 0.1, "high": 0.2, "status": "insufficient_data"}
    period = performance(house, row, row | {"metric": "recall_at_20_percent"})
    for found in (quality.ranks_well_enough(house, period), quality.recall_is_enough(house, period)):
        assert found.passed
        assert "insufficient data (so many)" in found.sentence


@pytest.mark.parametrize(
    ("rate", "n", "passes"),
    [
        (0.112, 40_000, False),  # against 12.5 %: 10.4 % fewer
        (0.113, 40_000, True),  # 9.6 % fewer
        (0.112, 2_000, True),  # as much, and so few that chance could have done it
        (0.0, 40_000, False),
        (0.2, 40_000, True),
        (0.0, 50, True),  # too few to say
    ],
)
def test_conversions_that_clearly_dropped(house: Installation, rate: float, n: int, passes: bool) -> None:
    before = [converted(2_500, 20_000, month) for month in ("2008-07", "2008-08", "2008-09")]
    too_old = [converted(0, 20_000, "2008-05")]  # not in the reference any more
    found = quality.conversions_hold(house, performance(house, *before, *too_old, converted(round(rate * n), n)))
    assert found.passed is passes
    assert "before 7,500 of 60,000" in found.sentence


def test_the_first_matured_cohort_has_nothing_to_fall_from(house: Installation) -> None:
    found = quality.conversions_hold(house, performance(house, converted(1, 5_000)))
    assert found.passed
    assert found.sentence == "insufficient data: 1 of 5,000 converted, before 0 of 0"
    assert quality.conversions_hold(house, performance(house)).passed
    odd = quality.conversions_hold(house, performance(house, converted(49, 80, "2008-09"), converted(220, 3_598)))
    assert odd.sentence == "insufficient data: 220 of 3,598 converted, before 49 of 80"


def test_labels_that_are_missing_are_found(house: Installation) -> None:
    assert not quality.labels_cover_cohort(house, performance(house, {"label_coverage": 0.98})).passed
    found = quality.labels_cover_cohort(house, performance(house, {"metric": "rate_in_tenth_1", "n": 9}, {}))
    assert found.sentence == "5,000 scored leads, all labelled"


@pytest.mark.parametrize(("high", "passes"), [(0.59, False), (0.61, True)])
def test_an_estimate_that_is_clearly_below_the_floor(house: Installation, high: float, passes: bool) -> None:
    row = {"period": PERIOD, "model_version": 7, "estimator": "cbpe", "metric": "auc", "value": 0.57, "low": 0.55}
    row |= {"high": high, "n": 900, "status": "ok"}
    missing = {**row, "estimator": "delay_corrected", "status": "insufficient_data", "reason": "few"}
    table = pa.Table.from_pylist([row, missing], schema=estimates.SCHEMA)
    house.lakehouse.replace_periods(estimates.ESTIMATES, [PERIOD], table)
    found = quality.estimated_to_rank_well_enough(house, house.settings.calendar.period(PERIOD))
    assert found.passed is passes
    assert "v7 cbpe: estimated AUC 0.570" in found.sentence


def reconciled(house: Installation, *errors: tuple[float, float, float], status: str = "ok") -> Period:
    rows = [
        {"period": PERIOD, "estimated_in": "2008-08", "model_version": 7, "estimator": "cbpe", "metric": "auc"}
        | {
            "estimate": 0.7,
            "truth": 0.7 - error,
            "error": error,
            "error_low": low,
            "error_high": high,
            "status": status,
        }
        for error, low, high in errors
    ]
    table = pa.Table.from_pylist(rows, schema=reconciliation.SCHEMA)
    house.lakehouse.replace_periods(reconciliation.RECONCILIATION, [PERIOD], table)
    return house.settings.calendar.period(PERIOD)


def test_an_error_beyond_its_interval_is_told(house: Installation) -> None:
    found = quality.errors_within_their_intervals(house, reconciled(house, (0.10, 0.05, 0.15), (0.0, -0.05, 0.05)))
    assert not found.passed
    assert found.sentence == ("v7 cbpe auc of 2008-08: estimated 0.700, came 0.600, error +0.100 [+0.050, +0.150]")
    assert found.numbers == {"reconciled": 2, "broken": 1}


def test_one_of_many_errors_may_be_a_little_beyond(house: Installation) -> None:
    """0.051 from 0 with a half width of 0.05: alone it tells, among eight it does not."""
    alone, other = (0.051, 0.001, 0.101), (0.0, -0.05, 0.05)
    assert not quality.errors_within_their_intervals(house, reconciled(house, alone)).passed
    assert quality.errors_within_their_intervals(house, reconciled(house, alone, *[other] * 7)).passed


def test_nothing_reconciled_nothing_broken(house: Installation) -> None:
    for period in (reconciled(house), reconciled(house, (0.9, 0.8, 1.0), status="insufficient_data")):
        assert quality.errors_within_their_intervals(house, period).sentence == "no estimate could be reconciled"
