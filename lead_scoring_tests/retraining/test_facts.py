"""From rows of a table of drift to windows: status decides, which has weighed n and effect."""

from typing import Any

from lead_scoring_assets.retraining.facts import DriftWindow, drift_windows


def row(feature: str = "age", period: str = "2008-09", version: int | None = 3, **changes: Any) -> dict[str, Any]:
    told = {"status": "stable", "reason": "PSI 0.02 below 0.10", "psi": 0.02, "psi_debiased": 0.01, "n_current": 4_812}
    return {"period": period, "model_version": version, "feature": feature, **told, **changes}


def drift(feature: str, psi: float) -> dict[str, Any]:
    return row(feature, status="drift", psi=psi + 0.01, psi_debiased=psi)


def unjudged(feature: str) -> dict[str, Any]:
    return row(feature, status="insufficient_data", psi=None, psi_debiased=None, reason="12 of 200 rows", n_current=12)


def test_what_drifted_is_told_strongest_first() -> None:
    window = DriftWindow.of([row("loan"), drift("age", 0.26), drift("job", 1.5), unjudged("default")])
    assert (window.judged, window.n) == (3, 4_812)
    assert list(window.drifted.items()) == [("job", 1.5), ("age", 0.26)]
    assert window.strongest_psi == 1.5


def test_a_large_psi_alone_is_no_drift() -> None:
    """With few rows PSI is large by chance; the status has weighed that."""
    window = DriftWindow.of([row("age", psi=3.0, psi_debiased=2.9), row("job", status="warning", psi_debiased=0.19)])
    assert (window.drifted, window.strongest_psi) == ({}, None)
    assert window.remark == "the largest PSI is 2.90 (age, n = 4,812)"


def test_where_nothing_could_be_judged_the_reason_is_kept() -> None:
    window = DriftWindow.of([unjudged("age"), unjudged("job")])
    assert (window.judged, window.drifted, window.remark) == (0, {}, "12 of 200 rows")


def test_a_table_without_psi_and_features_is_read_as_well() -> None:
    rows = [
        {"period": "2008-09", "model_version": 3, "status": "drift", "reason": "calibration has moved"},
        {"period": "2008-10", "model_version": 3, "status": "not_computable", "reason": "no label"},
    ]
    [first, second] = drift_windows(rows)
    assert (first.drifted, first.strongest_psi, first.n, first.judged) == ({"scores": None}, None, None, 1)
    assert (second.judged, second.remark) == (0, "no label")


def test_windows_are_one_a_period_and_version_in_order_of_time() -> None:
    rows = [row(period="2008-10"), drift("job", 0.5), row("age"), row(version=2), row(version=None)]
    found = [(window.period, window.model_version, list(window.drifted)) for window in drift_windows(rows)]
    assert found == [("2008-09", 2, []), ("2008-09", 3, ["job"]), ("2008-10", 3, [])]
