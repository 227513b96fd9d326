"""Business figures of planted cohorts: they add up, count nobody as lost who is not, and say when they cannot tell."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.monitoring.business import kpis
from lead_scoring_assets.monitoring.business.cohort import BusinessCohort
from lead_scoring_assets.monitoring.business.over_time import external_factors
from lead_scoring_assets.settings import NamedDays, Settings, parse_settings
from lead_scoring_tests.monitoring.business.worlds import BUCKETS, cohort, with_open_leads

SHIPPED = Path(__file__).resolve().parents[3] / "lead_scoring.yaml"
SETTINGS = parse_settings(SHIPPED.read_text(encoding="utf-8"), "lead_scoring.yaml")
QUICK = SETTINGS.model_copy(update={"evaluation": SETTINGS.evaluation.model_copy(update={"bootstrap_samples": 200})})
PERIOD = SETTINGS.calendar.period("2009-04")
History = list[tuple[float, int]]


def figures(
    world: BusinessCohort, history: History | None = None, settings: Settings = QUICK
) -> dict[tuple[str, str], dict[str, Any]]:
    rows = kpis.measure(world, history or [], PERIOD, settings)
    found = {(row["bucket"], row["kpi"]): row for row in rows}
    assert len(found) == len(rows), "a figure is told twice"
    assert {name for row in rows for name in row} == set(kpis.SCHEMA.names)
    return found


def with_business(**changes: Any) -> Settings:
    return QUICK.model_copy(update={"business": QUICK.business.model_copy(update=changes)})


@given(st.integers(0, 400), st.integers(0, 2**32 - 1))
def test_buckets_and_funnel_add_up(n: int, seed: int) -> None:
    found = figures(cohort(np.random.default_rng(seed), n))
    for name in ("leads", "conversions"):
        assert sum(found[bucket, name]["value"] for bucket in BUCKETS) == found["all", name]["value"]
    if not n:
        return

    def all_of(kpi: str) -> float:
        return float(found["all", f"funnel_{kpi}"]["value"] or 0)

    assert sum(found[bucket, "share_of_leads"]["value"] for bucket in BUCKETS) == pytest.approx(1)
    if found["all", "funnel_contacted"]["status"] == "ok":
        assert all_of("leads") == all_of("not_contacted") + all_of("contacted")
        assert all_of("contacted") == all_of("undecided") + all_of("disqualified") + all_of("qualified")
    assert all_of("qualified") == all_of("lost") + all_of("customers")
    revenue = sum(found[bucket, "revenue"]["value"] or 0 for bucket in BUCKETS if (bucket, "revenue") in found)
    assert revenue == pytest.approx(found["all", "revenue"]["value"] or 0)
    for row in found.values():
        if row["value"] is not None and row["low"] is not None:
            assert row["low"] <= row["value"] + 1e-12
            assert row["high"] is None or row["value"] <= row["high"] + 1e-12
        assert row["status"] == "ok" or row["reason"]


def test_a_lead_whose_label_is_not_known_is_never_a_lost_one() -> None:
    matured = cohort(np.random.default_rng(4), 800)
    found = figures(with_open_leads(matured, 100), [(100, 1_000)] * 6)
    for kpi in ("conversions", "conversion_rate", "revenue_per_lead", "vs_baseline", "conversion_trend"):
        assert (found["all", kpi]["value"], found["all", kpi]["status"]) == (None, "insufficient_data")
    assert all(found[bucket, "lift"]["value"] is None for bucket in BUCKETS)
    assert found["all", "prioritisation_working"]["value"] is None
    assert found["all", "conversions"]["label_coverage"] == 700 / 800


def test_planted_lift_is_found_and_none_is_not() -> None:
    better = figures(cohort(np.random.default_rng(5), 2_000))
    assert better["all", "prioritisation_working"]["value"] == 1
    assert better["Hot", "lift"]["low"] > 1
    assert better["Cold", "lift"]["high"] < 1
    same = figures(cohort(np.random.default_rng(5), 2_000, (0.15,) * 4))
    assert same["all", "prioritisation_working"]["value"] == 0
    assert same["Hot", "lift"]["low"] < 1 < same["Hot", "lift"]["high"]


def test_a_point_above_one_is_not_enough() -> None:
    world = cohort(np.random.default_rng(6), 200, (0.22, 0.2, 0.2, 0.2))
    found = figures(world)
    lifted = found["Hot", "lift"]
    assert lifted["value"] > 1 > lifted["low"]
    assert found["all", "prioritisation_working"]["value"] == 0


def test_revenue_per_lead_is_over_all_leads_and_the_mean_deal_over_wins() -> None:
    world = cohort(np.random.default_rng(7), 3_000)
    found = figures(world)
    total, wins = np.nansum(world.deal_values), world.labels.sum()
    per_lead, per_win = found["all", "revenue_per_lead"], found["all", "deal_value_per_win"]
    assert per_lead["value"] == pytest.approx(total / 3_000)
    assert (per_win["value"], per_win["n"]) == (pytest.approx(total / wins), wins)
    assert per_lead["currency"] == per_win["currency"] == "AED"
    # The resampled interval is about as wide as that of the central limit theorem.
    spread = 1.96 * np.nan_to_num(world.deal_values).std() / np.sqrt(3_000)
    assert per_lead["high"] - per_lead["low"] == pytest.approx(2 * spread, rel=0.25)


def test_amounts_of_several_currencies_are_not_added_and_missing_ones_are_told() -> None:
    world = cohort(np.random.default_rng(8), 500)
    currencies = world.currencies.copy()
    currencies[np.flatnonzero(world.labels)[0]] = "USD"
    mixed = figures(replace(world, currencies=currencies))["all", "revenue_per_lead"]
    assert (mixed["status"], mixed["value"]) == ("not_computable", None)
    assert "AED, USD" in mixed["reason"]
    values = world.deal_values.copy()
    values[np.flatnonzero(world.labels)[:3]] = np.nan
    told = figures(replace(world, deal_values=values))["all", "revenue"]
    assert "lower bound" in told["reason"]
    none = figures(replace(world, deal_values=np.full(500, np.nan)))["all", "revenue"]
    assert (none["status"], none["reason"]) == ("not_computable", "no conversion has a deal value")


def test_better_buckets_are_contacted_sooner_and_without_reps_nobody_knows() -> None:
    world = cohort(np.random.default_rng(9), 8_000)
    found = figures(world)
    hours = [found[bucket, "hours_to_contact"] for bucket in BUCKETS]
    assert [row["value"] for row in hours] == sorted(row["value"] for row in hours)
    assert hours[0]["high"] < hours[-1]["low"]
    silent = figures(replace(world, contact_hours=np.full(8_000, np.nan)))
    for kpi in ("hours_to_contact", "funnel_contacted", "contacted_share"):
        assert silent["all", kpi]["status"] == "insufficient_data"
        assert silent["all", kpi]["value"] is None
    assert silent["all", "funnel_customers"]["value"] == world.labels.sum()


def test_a_small_bucket_says_so() -> None:
    found = figures(cohort(np.random.default_rng(10), 40))
    assert found["Hot", "conversion_rate"]["status"] == "insufficient_data"
    assert "30 are needed" in found["Hot", "conversion_rate"]["reason"]
    assert found["all", "conversion_rate"]["status"] == "ok"


def test_fifteen_percent_more_reaches_the_goal() -> None:
    world = cohort(np.random.default_rng(11), 8_000)
    wins = int(world.labels.sum())
    baseline = [(wins / 1.15, 8_000)] * 3
    reached = figures(world, baseline)
    assert reached["all", "vs_baseline"]["value"] == pytest.approx(0.15)
    assert reached["all", "goal_reached"]["value"] == 1
    assert figures(world, baseline, with_business(conversion_goal=0.16))["all", "goal_reached"]["value"] == 0
    assert figures(world, baseline[:2])["all", "goal_reached"]["status"] == "insufficient_data"
    agreed = figures(world, [], with_business(baseline_conversion_rate=wins / 8_000 / 1.2))
    assert agreed["all", "vs_baseline"]["value"] == pytest.approx(0.2)


def test_the_trend_is_told_over_the_newest_cohorts() -> None:
    world = cohort(np.random.default_rng(12), 2_000)
    rate = world.labels.mean()
    falling = [(2_000 * rate * (1.8 - 0.1 * step), 2_000) for step in range(8)]
    found = figures(world, falling)["all", "conversion_trend"]
    assert found["high"] < 0
    assert found["reason"].startswith("falling")
    assert figures(world, falling[:2])["all", "conversion_trend"]["status"] == "insufficient_data"
    # What lies further back than `trend_periods` is another story.
    assert figures(world, [(10, 2_000)] * 30 + falling)["all", "conversion_trend"]["n"] == 2_000 * 12


def test_history_is_that_of_earlier_periods_only() -> None:
    rows = [
        {"period": period, "bucket": bucket, "kpi": kpi, "status": "ok", "value": value, "n": n}
        for period, bucket, kpi, value, n in [
            ("2009-05", "all", "conversions", 9.0, 90),
            ("2009-02", "all", "conversions", 2.0, 20),
            ("2009-01", "all", "conversions", 1.0, 10),
            ("2009-01", "Hot", "conversions", 7.0, 70),
            ("2009-01", "all", "leads", 8.0, 80),
            ("2009-03", "all", "conversions", 0.0, 0),
        ]
    ]
    assert kpis.counted_before(rows, "2009-04") == [(1.0, 10), (2.0, 20)]


def test_named_days_are_told_where_they_fall_into_the_cohort() -> None:
    world = cohort(np.random.default_rng(13), 10)  # created in March 2009
    days = [
        NamedDays(name="fair", first=date(2009, 3, 30), last=date(2009, 4, 3)),
        NamedDays(name="feast", first=date(2009, 4, 1), last=date(2009, 4, 2)),
        NamedDays(name="frost", first=date(2009, 2, 1), last=date(2009, 3, 1)),
    ]
    found = {kpi.name: kpi.value for kpi in external_factors(world, days)}
    assert found == {"external: fair 2009-03-30": 2, "external: frost 2009-02-01": 1}
