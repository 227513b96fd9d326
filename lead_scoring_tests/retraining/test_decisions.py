"""Causes for retraining at their exact borders, and the sentence that each yes and each no gives."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lead_scoring_assets.retraining.decisions import (
    RetrainingDecision,
    decide_on_calendar,
    decide_on_drift,
    decide_on_label_volume,
    decide_on_performance,
)
from lead_scoring_assets.settings import Performance

PERIOD = "2008-09"
LIMITS = Performance(minimum_auc=0.60, maximum_relative_auc_drop=0.10)


def drift_row(feature: str = "age", **changes: Any) -> dict[str, Any]:
    row = {
        "model_version": 3,
        "feature": feature,
        "status": "stable",
        "reason": "PSI 0.02 below 0.10",
        "psi": 0.02,
        "psi_debiased": 0.01,
        "n_current": 4_812,
    }
    return {**row, **changes}


def unjudged(feature: str = "age") -> dict[str, Any]:
    reason = "12 of 200 rows needed"
    return drift_row(feature, status="insufficient_data", psi=None, psi_debiased=None, reason=reason, n_current=12)


def drifted(feature: str, psi: float) -> dict[str, Any]:
    return drift_row(feature, status="drift", psi=psi + 0.01, psi_debiased=psi)


def auc_row(**changes: Any) -> dict[str, Any]:
    row = {
        "metric": "auc",
        "model_version": 3,
        "status": "ok",
        "reason": "1,200 labelled leads, 130 converted, label coverage 100%",
        "value": 0.70,
        "low": 0.66,
        "high": 0.74,
        "n": 1_200,
    }
    return {**row, **changes}


def on_performance(promised: float | None = 0.72, **changes: Any) -> RetrainingDecision:
    return decide_on_performance(PERIOD, [auc_row(**changes)], 3, promised, LIMITS)


@pytest.mark.parametrize(
    ("rows", "champion", "told"),
    [
        ([drifted("age", 0.9)], None, "there is no champion to drift away from"),
        ([], 3, "drift of 2008-09 has not been measured"),
        (
            [drifted("age", 0.9)],
            4,
            "drift of 2008-09 was measured against v3, and champion v4 has replaced it",
        ),
        (
            [unjudged("age"), unjudged("job")],
            3,
            "insufficient data: none of 2 features of 2008-09 could be judged (12 of 200 rows needed)",
        ),
        (
            [drift_row("age"), drift_row("job", status="warning", psi=0.2, psi_debiased=0.19), unjudged("loan")],
            3,
            (
                "0 of 2 features of 2008-09 drifted from champion v3's training window; "
                "the largest PSI is 0.19 (job, n = 4,812)"
            ),
        ),
    ],
    ids=["no champion", "not measured", "replaced champion", "insufficient data", "warning only"],
)
def test_drift_says_no(rows: list[dict[str, Any]], champion: int | None, told: str) -> None:
    assert decide_on_drift(PERIOD, rows, champion) == RetrainingDecision("drift", PERIOD, False, told)


def test_one_drifted_feature_is_cause() -> None:
    decision = decide_on_drift(PERIOD, [drift_row("age"), drifted("job", 0.31), unjudged("loan")], 3)
    assert decision.retrain
    assert decision.reason == (
        "1 of 2 features of 2008-09 drifted from champion v3's training window: job (PSI 0.31); n = 4,812"
    )
    assert decision.evidence == {"psi": {"job": 0.31}, "champion_version": 3}


def test_the_strongest_drift_is_told_first() -> None:
    decision = decide_on_drift(PERIOD, [drifted("age", 0.26), drifted("job", 1.5)], 3)
    assert "2 of 2" in decision.reason
    assert "job (PSI 1.50), age (PSI 0.26)" in decision.reason


def test_a_large_psi_alone_is_no_cause() -> None:
    """With few rows PSI is large by chance; the status has weighed that."""
    decision = decide_on_drift(PERIOD, [drift_row(psi=3.0, psi_debiased=2.9)], 3)
    assert not decision.retrain
    assert "2.90 (age" in decision.reason


@pytest.mark.parametrize(("new", "retrain"), [(0, False), (4_999, False), (5_000, True), (5_001, True)])
def test_label_volume_at_its_border(new: int, retrain: bool) -> None:
    decision = decide_on_label_volume(PERIOD, new, 5_000, datetime(2008, 7, 1, tzinfo=UTC), 7)
    assert decision == RetrainingDecision(
        "label_volume",
        PERIOD,
        retrain,
        f"{new:,} of 5,000 new labels since the last training at 2008-07-01 (champion v7)",
        {"new_labels": new, "needed": 5_000},
    )


def test_label_volume_before_the_first_training() -> None:
    decision = decide_on_label_volume(PERIOD, 12, 5_000, None, None)
    assert not decision.retrain
    assert decision.reason == "12 of 5,000 new labels so far, and no model was trained yet (no champion yet)"
    assert decide_on_label_volume(PERIOD, 5_000, 5_000, None, None).retrain


@pytest.mark.parametrize(
    ("value", "low", "high", "retrain"),
    [
        (0.55, 0.51, 0.5999, True),
        (0.55, 0.51, 0.60, False),  # the interval touches the floor
        (0.59, 0.55, 0.63, False),  # the value is below, the interval is not
    ],
)
def test_floor_of_performance(value: float, low: float, high: float, retrain: bool) -> None:
    decision = on_performance(0.60, value=value, low=low, high=high)
    assert decision.retrain is retrain
    assert f"AUC {value:.3f} [{low:.3f}, {high:.3f}], n = 1,200, champion v3" in decision.reason
    assert ("not clearly below the floor 0.60" in decision.reason) is not retrain


@pytest.mark.parametrize(
    ("promised", "value", "high", "retrain"),
    [
        (0.80, 0.72, 0.76, False),  # exactly the maximum: 1 - 0.72 / 0.80 is a trifle more in floating point
        (0.70, 0.63, 0.68, False),
        (0.90, 0.81, 0.85, False),
        (0.80, 0.7199, 0.76, True),
        (0.80, 0.70, 0.7999, True),
        (0.80, 0.70, 0.80, False),  # the interval touches the promise
        (0.80, 0.85, 0.88, False),
        (None, 0.61, 0.65, False),
    ],
)
def test_drop_of_performance(promised: float | None, value: float, high: float, retrain: bool) -> None:
    decision = on_performance(promised, value=value, low=0.60, high=high)
    assert decision.retrain is retrain


def test_a_drop_is_told_with_both_figures() -> None:
    decision = on_performance(0.80, value=0.70, low=0.66, high=0.74)
    assert decision.reason == (
        "AUC 0.700 [0.660, 0.740], n = 1,200, champion v3: 12.5% below its holdout's 0.800, more than 10% allowed"
    )
    assert decision.evidence == {"value": 0.70, "low": 0.66, "high": 0.74, "n": 1_200, "promised_auc": 0.80}


def test_a_drop_within_its_limit_is_told_with_both_figures() -> None:
    assert on_performance(0.72).reason == (
        "AUC 0.700 [0.660, 0.740], n = 1,200, champion v3: not clearly below the floor 0.60, nor clearly fallen by "
        "more than 10% from its holdout's 0.720"
    )


def test_nothing_is_said_about_a_drop_from_an_unknown_promise() -> None:
    decision = on_performance(None)
    assert not decision.retrain
    assert decision.reason.endswith("its holdout's AUC is not on record, so that a drop cannot be judged")
    assert on_performance(None, value=0.5, low=0.4, high=0.59).retrain  # the floor needs no promise


@pytest.mark.parametrize(
    ("rows", "champion", "told"),
    [
        ([auc_row(value=0.1, high=0.2)], None, "there is no champion whose performance could fall"),
        ([], 3, "no lead scored by champion v3 matured in 2008-09"),
        ([auc_row(metric="brier")], 3, "no lead scored by champion v3 matured in 2008-09"),
        ([auc_row(value=0.1, high=0.2)], 4, "no lead scored by champion v4 matured in 2008-09"),
        (
            [auc_row(status="insufficient_data", reason="40 labelled leads; 100 are needed", value=0.1, high=0.2)],
            3,
            "insufficient data on champion v3 in 2008-09: 40 labelled leads; 100 are needed",
        ),
    ],
    ids=["no champion", "nothing matured", "no AUC", "replaced champion", "insufficient data"],
)
def test_performance_says_no(rows: list[dict[str, Any]], champion: int | None, told: str) -> None:
    decision = decide_on_performance(PERIOD, rows, champion, 0.9, LIMITS)
    assert decision == RetrainingDecision("performance", PERIOD, False, told)


def test_performance_of_the_champion_is_found_among_others() -> None:
    rows = [auc_row(model_version=2, value=0.1, high=0.2), auc_row(metric="brier", value=0.1, high=0.1), auc_row()]
    decision = decide_on_performance(PERIOD, rows, 3, 0.72, LIMITS)
    assert not decision.retrain
    assert "AUC 0.700" in decision.reason


@pytest.mark.parametrize(
    ("trained", "now", "months", "retrain"),
    [
        (datetime(2008, 7, 1, tzinfo=UTC), datetime(2008, 10, 1, tzinfo=UTC), 3, True),
        (datetime(2008, 7, 1, tzinfo=UTC) + timedelta(microseconds=1), datetime(2008, 10, 1, tzinfo=UTC), 3, False),
        (datetime(2008, 7, 1, tzinfo=UTC), datetime(2008, 10, 1, tzinfo=UTC) - timedelta(microseconds=1), 3, False),
        (datetime(2008, 11, 1, tzinfo=UTC), datetime(2009, 2, 1, tzinfo=UTC), 3, True),
        (datetime(2009, 2, 28, tzinfo=UTC), datetime(2009, 3, 31, tzinfo=UTC), 1, True),
        (datetime(2008, 1, 1, tzinfo=UTC), datetime(2009, 1, 1, tzinfo=UTC), 12, True),
    ],
)
def test_calendar_at_its_border(trained: datetime, now: datetime, months: int, retrain: bool) -> None:
    assert decide_on_calendar(PERIOD, now, trained, months) == RetrainingDecision(
        "calendar",
        PERIOD,
        retrain,
        f"last trained at {trained:%Y-%m-%d}, due after {months} months; it is {now:%Y-%m-%d}",
    )


def test_calendar_before_the_first_training() -> None:
    decision = decide_on_calendar(PERIOD, datetime(2008, 10, 1, tzinfo=UTC), None, 3)
    assert decision.retrain
    assert decision.reason == "no model was trained yet, due after 3 months at the latest; it is 2008-10-01"
