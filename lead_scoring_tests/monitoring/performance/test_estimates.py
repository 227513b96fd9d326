"""When there is an estimate, when there is not, and that nothing among them is the plain figure of early labels."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from lead_scoring_assets.monitoring.performance import expected_labels
from lead_scoring_assets.monitoring.performance.estimates import (
    SCHEMA,
    estimate_rows,
    learn_cbpe,
    learn_delay_correction,
)
from lead_scoring_assets.monitoring.performance.open_leads import MaturedLeads, OpenLeads
from lead_scoring_assets.settings import Home
from lead_scoring_tests.monitoring.performance.worlds import EVEN

SETTINGS = Home(Path(__file__).resolve().parents[3]).settings
LIMITS = SETTINGS.performance
PERIOD = SETTINGS.calendar.period("2008-09")
LEADS = EVEN.open(np.random.default_rng(0), 1_500)
MATURED = EVEN.matured(np.random.default_rng(1), 2_000)
_FEW = [*np.flatnonzero(MATURED.labels == 1)[:50], *np.flatnonzero(MATURED.labels == 0)[:49]]
NOBODY = MATURED.of(np.zeros(2_000, dtype=bool))


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expected_labels, "RESAMPLES", 40)


def rows_of(leads: OpenLeads, matured: MaturedLeads) -> list[dict[str, object]]:
    return estimate_rows(PERIOD, [leads], matured, SETTINGS)


def test_every_estimate_says_what_it_is() -> None:
    rows = rows_of(LEADS, MATURED)
    assert len(rows) == 2 * len(expected_labels.names(0.2))
    for row in rows:
        assert row["status"] == "ok"
        assert row["low"] <= row["value"] <= row["high"]  # type: ignore[operator]
        assert str(row["assumption"]).startswith("estimated, assumes")
        assert (row["n"], row["as_of"]) == (1_500, PERIOD.end)
        assert row["label_coverage"] == LEADS.label_coverage < 0.5
    assert pa.Table.from_pylist(rows, schema=SCHEMA).num_rows == len(rows)
    assert set().union(*rows) == set(SCHEMA.names)


def test_the_plain_rate_of_early_labels_is_nowhere_among_them() -> None:
    plain = LEADS.converted.mean()
    rates = [row for row in rows_of(LEADS, MATURED) if row["metric"] == "conversion_rate"]
    assert len(rates) == 2
    assert all(row["low"] > plain for row in rates)  # type: ignore[operator]


def test_the_same_again_is_the_same() -> None:
    assert rows_of(LEADS, MATURED) == rows_of(LEADS, MATURED)


@pytest.mark.parametrize(
    ("leads", "matured", "lacks"),
    [
        (LEADS, NOBODY, {"delay_corrected", "cbpe"}),
        (EVEN.open(np.random.default_rng(0), 99), MATURED, {"delay_corrected", "cbpe"}),
        (EVEN.open(np.random.default_rng(0), 1_500, oldest=1.0), MATURED, {"delay_corrected"}),  # hardly one is known
        (replace(LEADS, labels=np.full(1_500, np.nan)), MATURED, {"delay_corrected"}),
        (LEADS, MATURED.of(MATURED.labels == 0), {"delay_corrected", "cbpe"}),
        (LEADS, MATURED.of(MATURED.labels == 1), {"cbpe"}),
        (LEADS, MATURED.of(np.isin(np.arange(2_000), _FEW)), {"cbpe"}),
        (LEADS, MATURED, set()),
    ],
)
def test_too_little_is_an_answer(leads: OpenLeads, matured: MaturedLeads, lacks: set[str]) -> None:
    rows = rows_of(leads, matured)
    assert {row["estimator"] for row in rows if row["status"] == "insufficient_data"} == lacks
    for row in rows:
        if row["status"] == "insufficient_data":
            assert "value" not in row
            assert "needed" in str(row["reason"])


def test_what_one_class_cannot_give_is_not_computable() -> None:
    """Everybody converts at once: there is a rate, and no AUC."""
    n = 200
    leads = OpenLeads(1, np.linspace(0.9, 0.1, n), np.full(n, 9.0), np.ones(n), np.ones(n))
    matured = replace(MATURED, labels=np.ones(2_000), delays_days=np.zeros(2_000))
    rows = {r["metric"]: r for r in rows_of(leads, matured) if r["estimator"] == "delay_corrected"}
    assert (rows["conversion_rate"]["status"], rows["conversion_rate"]["value"]) == ("ok", 1.0)
    assert rows["auc"]["status"] == "not_computable"
    assert "value" not in rows["auc"]


def test_outcomes_in_lots_do_not_tell_how_long_one_takes() -> None:
    """The same world, told in a file a month: each conversion is known at its month's end, and so is every open one's."""
    due = 30 * np.ceil(MATURED.known_on_days / 30)
    in_lots = replace(MATURED, known_on_days=due, delays_days=MATURED.delays_days + due - MATURED.known_on_days)
    found = learn_delay_correction(LEADS, in_lots, LIMITS)
    assert (found.estimator, found.status) == (None, "insufficient_data")
    assert "became known in 4 lots; 20 are needed" in found.reason


def test_more_conversions_than_leads_are_no_estimate() -> None:
    """Everybody has converted after five days, when others would have to a fifth."""
    n = 400
    leads = OpenLeads(1, np.linspace(0.9, 0.1, n), np.full(n, 5.0), np.ones(n), np.ones(n))
    rows = {row["metric"]: row for row in rows_of(leads, MATURED) if row["estimator"] == "delay_corrected"}
    assert {row["status"] for row in rows.values()} == {"not_computable"}
    assert not any("value" in row for row in rows.values())
    assert "more than there are leads" in str(rows["conversion_rate"]["reason"])


def test_nobody_open_no_rows() -> None:
    assert estimate_rows(PERIOD, [], MATURED, SETTINGS) == []


def test_a_young_version_is_calibrated_by_its_forerunners_until_it_has_leads_of_its_own() -> None:
    young = replace(LEADS, model_version=2)
    assert "2,000 of all versions' matured leads" in learn_cbpe(young, MATURED, LIMITS).reason
    grown = replace(MATURED, versions=np.repeat([1, 2], 1_000))
    assert "1,000 of its own matured leads" in learn_cbpe(young, grown, LIMITS).reason


def test_few_known_conversions_make_few_groups() -> None:
    few = replace(LEADS, labels=np.where(np.cumsum(LEADS.converted) <= 22, LEADS.labels, np.nan))
    assert "22 known to have converted" in learn_delay_correction(few, MATURED, LIMITS).reason
    assert "in 4 group(s)" in learn_delay_correction(few, MATURED, LIMITS).reason
