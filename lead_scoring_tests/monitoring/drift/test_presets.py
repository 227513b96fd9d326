"""Policies of thresholds: the documents' own numbers, what they say of the same row, and which of them acts."""

from dataclasses import asdict
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.monitoring.drift.measure import measure_drift
from lead_scoring_assets.monitoring.drift.presets import PRESETS, acting, alarms, judge_row
from lead_scoring_assets.monitoring.drift.reference import build_reference
from lead_scoring_assets.monitoring.drift.summary import severity_of_share
from lead_scoring_assets.settings import DriftPolicy, Watching

DOCUMENTS = [name for name in PRESETS if name != "recommended"]


def row(**measured: Any) -> dict[str, Any]:
    return {"feature": "age", "kind": "numeric", "status": "ok", "reason": "calm", **measured}


def test_every_policy_that_settings_can_name_is_there_and_loads() -> None:
    assert set(PRESETS) == set(get_args(DriftPolicy))
    assert all(Watching(policy=name).policy == name == PRESETS[name].name for name in PRESETS)


@pytest.mark.parametrize(
    ("policy", "measured", "level"),
    [
        ("doc_000", {"psi": 0.20}, "ok"),
        ("doc_000", {"psi": 0.21}, "drift"),
        ("doc_000", {"psi": 0.05, "js_distance": 0.21}, "drift"),
        ("doc_000", {"null_rate_change_pp": 5.1}, "drift"),
        ("doc_001", {"psi": 0.09}, "ok"),
        ("doc_001", {"psi": 0.11}, "warning"),
        ("doc_001", {"psi": 0.26}, "drift"),
        ("doc_001", {"psi": 0.51}, "critical"),
        ("doc_001", {"psi": 0.05, "kl_divergence": 0.11}, "drift"),
        ("doc_001", {"psi": 0.05, "ks_p_value": 0.049}, "drift"),
        ("doc_001", {"psi": 0.05, "kind": "categorical", "ks_p_value": 0.001, "chi_square_p_value": 0.06}, "ok"),
        ("doc_001", {"psi": 0.05, "kind": "categorical", "chi_square_p_value": 0.04}, "drift"),
        ("doc_003", {"psi": 0.21}, "drift"),
        ("doc_003", {"psi": 0.41}, "critical"),
        ("doc_003", {"psi": 0.05, "ks_statistic": 0.11}, "drift"),
        ("doc_003", {"psi": 0.41, "kind": "categorical"}, None),
        ("doc_003", {"kind": "score", "ks_statistic": 0.05, "mean_shift_percent": -11.0}, "drift"),
        ("doc_003", {"kind": "score", "ks_statistic": 0.05, "bin_correlation": 0.89}, "drift"),
        ("doc_003", {"kind": "score", "ks_statistic": 0.21}, "critical"),
        ("doc_001", {"kind": "score", "ks_statistic": 0.9}, None),
    ],
)
def test_the_documents_numbers(policy: DriftPolicy, measured: dict[str, Any], level: str | None) -> None:
    assert judge_row(PRESETS[policy], row(**measured)).level == level


def test_the_calibrated_alarm_is_the_rows_own_status() -> None:
    assert [judge_row(PRESETS["recommended"], row(status=s)).level for s in ("ok", "warning", "drift")] == [
        "ok",
        "warning",
        "drift",
    ]
    assert judge_row(PRESETS["recommended"], row(status="drift", calibrated_status="ok")).level == "ok"


@pytest.mark.parametrize("policy", list(PRESETS))
@pytest.mark.parametrize("status", ["insufficient_data", "not_computable"])
def test_what_could_not_be_judged_is_no_all_clear(policy: DriftPolicy, status: str) -> None:
    alarm = alarms(PRESETS[policy], [row(status=status, reason="too few", psi=None)])
    assert (alarm.would_alarm, alarm.n_judged) == (False, 0)
    assert "no all-clear" in alarm.reason
    assert "no all-clear" in alarms(PRESETS[policy], []).reason


@pytest.mark.parametrize("policy", DOCUMENTS)
def test_a_figure_that_is_no_number_is_not_compared(policy: DriftPolicy) -> None:
    assert judge_row(PRESETS[policy], row(psi=float("nan"), js_distance=None)).level is None


@pytest.mark.parametrize(
    ("share", "severity"),
    [(0, "LOW"), (0.01, "MEDIUM"), (0.2, "MEDIUM"), (0.21, "HIGH"), (0.5, "HIGH"), (0.51, "CRITICAL")],
)
def test_severity_by_drifted_share(share: float, severity: str) -> None:
    assert severity_of_share(share) == severity


@given(st.lists(st.floats(0, 0.39), min_size=1, max_size=20))
def test_an_alarm_counts_what_it_names(psi: list[float]) -> None:
    alarm = alarms(PRESETS["doc_003"], [row(feature=f"f{i}", psi=value) for i, value in enumerate(psi)])
    drifted = [f"f{i}" for i, value in enumerate(psi) if value > 0.2]
    assert alarm.drifted == tuple(drifted)
    assert alarm.would_alarm == bool(drifted)
    assert alarm.severity == severity_of_share(len(drifted) / len(psi))
    assert all(name in alarm.reason for name in drifted)


def test_one_critical_figure_is_critical_among_many_calm_ones() -> None:
    rows = [row(feature=f"f{i}", psi=0.01) for i in range(20)] + [row(psi=0.6)]
    assert alarms(PRESETS["doc_001"], rows).severity == "CRITICAL"
    assert alarms(PRESETS["doc_000"], rows).severity == "MEDIUM"


def test_the_policy_that_acts_decides_the_status_and_the_calibrated_one_stays_readable() -> None:
    rows = [row(psi=0.3), row(feature="job", psi=0.01, status="drift"), row(feature="x", status="insufficient_data")]
    calibrated = acting("recommended", rows)
    assert [(r["status"], r["calibrated_status"]) for r in calibrated] == [
        ("ok", "ok"),
        ("drift", "drift"),
        ("insufficient_data", "insufficient_data"),
    ]
    by_document = acting("doc_001", rows)
    assert [r["status"] for r in by_document] == ["drift", "ok", "insufficient_data"]
    assert [r["calibrated_status"] for r in by_document] == [r["status"] for r in rows]
    assert by_document[0]["reason"] == "by doc_001: psi 0.3 > 0.25"
    # What recommended would have said is not lost by another policy acting.
    assert alarms(PRESETS["recommended"], by_document).drifted == ("job",)
    assert rows[0] == row(psi=0.3)


def test_in_a_world_without_drift_the_documents_alarm_and_the_calibrated_one_does_not() -> None:
    """The reason why it is the calibrated one that acts: 8 features, 200 rows, nothing has moved."""
    rng = np.random.default_rng(0)
    names = [f"f{i}" for i in range(8)]
    rang = dict.fromkeys(PRESETS, 0)
    for _ in range(20):
        then, now = (pd.DataFrame(rng.normal(size=(n, 8)), columns=names) for n in (1_000, 200))
        rows = [asdict(drift) for drift in measure_drift(build_reference(then, names, []), now)]
        for name, preset in PRESETS.items():
            rang[name] += alarms(preset, rows).would_alarm
    assert rang["recommended"] == 0
    assert rang["doc_001"] >= 5
    assert rang["doc_003"] >= 5
