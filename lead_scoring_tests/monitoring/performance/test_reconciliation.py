"""Estimates against what came: when, of which leads, and what the record says."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.monitoring.performance import expected_labels
from lead_scoring_assets.monitoring.performance.estimates import estimate_rows
from lead_scoring_assets.monitoring.performance.open_leads import OpenLeads
from lead_scoring_assets.monitoring.performance.reconciliation import (
    SCHEMA,
    errors_by_period,
    matured_estimates,
    reconcile,
    track_record,
)
from lead_scoring_assets.periods import Cadence, PeriodCalendar
from lead_scoring_assets.settings import Home
from lead_scoring_tests.monitoring.performance.worlds import EVEN

SETTINGS = Home(Path(__file__).resolve().parents[3]).settings
THEN, NOW = (SETTINGS.calendar.period(key) for key in ("2008-09", "2008-11"))
LEADS = EVEN.open(np.random.default_rng(0), 1_500)
MATURED = EVEN.matured(np.random.default_rng(1), 2_000)


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expected_labels, "RESAMPLES", 100)


def said_of(leads: OpenLeads) -> list[dict[str, Any]]:
    rows = estimate_rows(THEN, [leads], MATURED, SETTINGS)
    return [{"value": None, "low": None, "high": None, **row} for row in rows]


@given(st.sampled_from(["day", "week", "month"]), st.integers(1, 90))
def test_every_estimate_is_reconciled_once_when_its_last_label_is_known(cadence: Cadence, window_days: int) -> None:
    calendar = PeriodCalendar(cadence, datetime(2024, 1, 1, tzinfo=UTC))  # a Monday
    periods = [calendar.containing(calendar.start)]
    while len(periods) < 100:
        periods.append(calendar.next(periods[-1]))
    done = [(past, period) for period in periods for past in matured_estimates(calendar, period, window_days)]
    window = timedelta(days=window_days)
    assert [past for past, _ in done] == [past for past in periods if past.end + window <= periods[-1].end]
    assert all(period.start < past.end + window <= period.end for past, period in done)


def test_what_was_said_against_what_came() -> None:
    said = said_of(LEADS)
    rows = reconcile(NOW, said, [LEADS], MATURED, SETTINGS)
    assert [(r["estimator"], r["metric"], r["estimate"]) for r in rows] == [
        (r["estimator"], r["metric"], r["value"]) for r in said
    ]
    for row in rows:
        assert row["status"] == "ok"
        assert row["error"] == pytest.approx(row["estimate"] - row["truth"])  # type: ignore[operator]
        assert row["error_low"] < row["error_high"]  # type: ignore[operator]
        assert row["is_covered"] == (row["error_low"] <= 0 <= row["error_high"])  # type: ignore[operator]
        assert (row["estimated_in"], row["period"], row["label_coverage"]) == ("2008-09", "2008-11", 1.0)
    rate = next(row for row in rows if row["metric"] == "conversion_rate")
    assert rate["truth"] == pytest.approx(LEADS.truth.mean())
    assert rate["truth_low"] < rate["truth"] < rate["truth_high"]  # type: ignore[operator]
    assert set().union(*rows) == set(SCHEMA.names)
    assert pa.Table.from_pylist(rows, schema=SCHEMA).num_rows == len(rows)


def test_an_estimate_that_is_wrong_is_not_covered() -> None:
    """The labels that come are those of other leads: what was known then and what came do not fit."""
    turned = replace(LEADS, truth=1 - LEADS.truth)
    rows = reconcile(NOW, said_of(LEADS), [turned], MATURED, SETTINGS)
    assert not any(row["is_covered"] for row in rows if row["metric"] in ("conversion_rate", "auc"))


@pytest.mark.parametrize(
    ("then_open", "reason"),
    [
        ([], "not in lead_scores any more"),
        ([replace(LEADS, truth=np.where(np.arange(1_500) == 7, np.nan, LEADS.truth))], "1,499 of 1,500 leads labelled"),
        ([replace(LEADS, model_version=9)], "not in lead_scores any more"),
    ],
)
def test_without_every_label_there_is_no_truth(then_open: list[OpenLeads], reason: str) -> None:
    rows = reconcile(NOW, said_of(LEADS), then_open, MATURED, SETTINGS)
    assert rows
    for row in rows:
        assert row["status"] == "insufficient_data"
        assert reason in str(row["reason"])
        assert "truth" not in row


def test_what_was_learned_from_may_be_gone() -> None:
    rows = reconcile(NOW, said_of(LEADS), [LEADS], MATURED.of(np.zeros(2_000, dtype=bool)), SETTINGS)
    assert {row["status"] for row in rows} == {"insufficient_data"}
    assert "not there any more" in str(rows[0]["reason"])


def test_what_was_not_said_is_not_reconciled() -> None:
    said = [{**row, "status": "insufficient_data"} for row in said_of(LEADS)]
    assert reconcile(NOW, said, [LEADS], MATURED, SETTINGS) == []


def test_one_class_in_the_end_has_no_auc() -> None:
    none = replace(LEADS, truth=np.zeros(1_500))
    rows = {
        r["metric"]: r for r in reconcile(NOW, said_of(LEADS), [none], MATURED, SETTINGS) if r["estimator"] == "cbpe"
    }
    assert (rows["auc"]["status"], rows["conversion_rate"]["truth"]) == ("not_computable", 0.0)


def told(
    estimator: str, period: str, error: float, is_covered: bool, n: int = 10, status: str = "ok"
) -> dict[str, Any]:
    row = {"estimator": estimator, "estimated_in": period, "error": error, "is_covered": is_covered, "n": n}
    return {**row, "metric": "auc", "status": status}


def test_the_record_is_the_mean_error_and_the_share_that_was_covered() -> None:
    rows = [
        told("cbpe", "2008-05", 0.01, True),
        told("cbpe", "2008-06", 0.03, False),
        told("cbpe", "2008-07", 0.02, True),
    ]
    rows += [told("cbpe", "2008-08", 9.0, False, status="insufficient_data")]
    (record,) = track_record(rows)
    assert record.mean_error.value == pytest.approx(0.02)
    assert record.mean_error.high - record.mean_error.value == pytest.approx(1.959964 * 0.01 / np.sqrt(3))
    assert (record.covered.value, record.covered.n) == (2 / 3, 3)
    assert record.sentence == "cbpe auc: mean error +0.0200 [+0.0087, +0.0313], 67% of 3 covered"
    assert track_record([]) == []


def test_errors_by_period_are_those_of_the_model_with_most_leads() -> None:
    rows = [
        told("cbpe", "2008-06", 0.5, True, n=90),
        told("cbpe", "2008-06", 0.1, True, n=4),
        told("cbpe", "2008-05", 0.2, True),
    ]
    keys, errors = errors_by_period(rows, "auc")
    assert keys == ["2008-05", "2008-06"]
    assert errors["cbpe"] == [0.2, 0.5]
    assert np.isnan(errors["delay_corrected"]).all()
    assert errors_by_period(rows, "brier")[0] == []
