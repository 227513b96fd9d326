"""The asset over real tables: leads of eight months, of which the youngest have not matured, and reps who call some."""

import re
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from lead_scoring_assets import definitions  # first: it silences dagster's notes on the parts used on purpose
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.monitoring.business import quality
from lead_scoring_assets.resources import InstallationResource
from lead_scoring_assets.settings import Home
from lead_scoring_tests.conftest import MakeHome

dg = pytest.importorskip("dagster")
TIMESTAMP = pa.timestamp("us", tz="UTC")
MONTHS = [f"2008-{month:02}" for month in range(5, 13)]
N = 4_000
WINDOW = timedelta(days=30)


@pytest.fixture(scope="module")
def truth() -> dict[str, Any]:
    """Who came when, converted, and was called when."""
    rng = np.random.default_rng(21)
    start = datetime.fromisoformat("2008-05-01T00:00:01+00:00")
    born = [start + timedelta(days=float(day)) for day in np.sort(rng.uniform(0, 244.9, N))]
    score = rng.uniform(0, 1, N)
    won = rng.random(N) < score / 2
    days = rng.uniform(2, 25, N)
    decided = won | (rng.random(N) < 0.5)
    return {"born": born, "score": score, "won": won, "days": days, "decided": decided, "called": rng.random(N) < 0.6}


@pytest.fixture(scope="module")
def house(make_home: MakeHome, truth: dict[str, Any]) -> Installation:
    house = Installation(Home(make_home("business")))
    calendar = house.settings.calendar
    end = calendar.period(MONTHS[-1]).end

    def keys(moments: list[datetime]) -> pa.Array:
        return pa.array([calendar.containing(at - timedelta(microseconds=1)).key for at in moments], pa.string())

    def bucket(score: float) -> str:
        return next((name for name, limit in house.settings.scoring.buckets.items() if score >= limit), "Cold")

    ids, born, n = [f"{i:05}" for i in range(N)], truth["born"], range(N)
    closed = [born[i] + (timedelta(days=truth["days"][i]) if truth["decided"][i] else WINDOW) for i in n]
    scores = pa.table(
        {
            "period": keys(born),
            "lead_id": pa.array(ids),
            "created_at": pa.array(born, TIMESTAMP),
            "scored_at": pa.array(born, TIMESTAMP),
            "probability": pa.array(truth["score"] / 2),
            "bucket": pa.array([bucket(score) for score in truth["score"]]),
            "previous_period": pa.nulls(N, pa.string()),
        }
    )
    # The first thousand are scored again a month later, as corrected leads are: Hot then, whatever they were.
    again = scores.slice(0, 1_000).to_pylist()
    for row in again:
        row["scored_at"] += WINDOW
        row |= {"bucket": "Hot", "previous_period": row["period"], "period": calendar.containing(row["scored_at"]).key}
    every = pa.concat_tables([scores, pa.Table.from_pylist(again, schema=scores.schema)])
    house.lakehouse.replace_periods("lead_scores", MONTHS, every)
    labels = pa.table(
        {
            "period": keys(closed),
            "lead_id": pa.array(ids),
            "label": pa.array(truth["won"].astype(np.int8)),
            "label_known_at": pa.array(closed, TIMESTAMP),
            "basis": pa.array(
                [
                    "converted" if truth["won"][i] else "lost" if truth["decided"][i] else "no outcome in the window"
                    for i in n
                ]
            ),
            "outcome_at": pa.array([closed[i] if truth["decided"][i] else None for i in n], TIMESTAMP),
            "deal_value": pa.array([1_000.0 if truth["won"][i] else None for i in n], pa.float64()),
            "currency": pa.array(["EUR" if truth["won"][i] else None for i in n], pa.string()),
        }
    )
    house.lakehouse.replace_periods(
        "ground_truth_labels", MONTHS, labels.filter(pa.array([at <= end for at in closed]))
    )
    # A visit before creation, a visit and two calls after it; only the first call is the first contact.
    acts = [
        {"lead_id": ids[i], "occurred_at": born[i] + timedelta(hours=hours), "rep": rep, "number": number}
        for i in n
        for number, (hours, rep) in enumerate([(-2, "amal"), (1, None), (30, "amal"), (50, "badr")])
        if truth["called"][i] or rep is None
    ]
    acts = [act for act in acts if calendar.start <= act["occurred_at"] <= end]
    at = [act["occurred_at"] for act in acts]
    activities = pa.table(
        {
            "period": keys(at),
            "activity_id": pa.array([f"{act['lead_id']}-{act['number']}" for act in acts]),
            "lead_id": pa.array([act["lead_id"] for act in acts]),
            "occurred_at": pa.array(at, TIMESTAMP),
            "known_at": pa.array(at, TIMESTAMP),
            "rep": pa.array([act["rep"] for act in acts], pa.string()),
            "version": pa.array([1] * len(acts)),
        }
    )
    house.lakehouse.replace_periods("raw_activities", sorted(set(activities["period"].to_pylist())), activities)
    return house


def materialise(house: Installation, first: str, last: str) -> "dg.ExecuteInProcessResult":
    resource = InstallationResource(root=str(house.home.root))
    parts = {"installation": resource, "io_manager": definitions.LakehouseIOManager(installation=resource)}
    with dg.DagsterInstance.ephemeral() as instance:
        return (
            definitions.build_definitions(parts)
            .resolve_implicit_global_asset_job_def()
            .execute_in_process(
                asset_selection=[dg.AssetKey("business_kpis"), dg.AssetKey("manager_report")],
                instance=instance,
                tags={"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last},
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )
        )


@pytest.fixture(scope="module")
def made(house: Installation) -> "dg.ExecuteInProcessResult":
    return materialise(house, MONTHS[0], MONTHS[-1])


def told(house: Installation, period: str) -> dict[tuple[str, str], dict[str, Any]]:
    rows = house.lakehouse.read("business_kpis", periods=[period]).to_pylist()
    return {(row["bucket"], row["kpi"]): row for row in rows}


def test_each_cohort_is_that_whose_window_closed_and_nobody_counts_twice(
    house: Installation, made: "dg.ExecuteInProcessResult", truth: dict[str, Any]
) -> None:
    born, won = np.array(truth["born"]), truth["won"]
    leads = 0
    for month in MONTHS:
        period, found = house.settings.calendar.period(month), told(house, month)
        mine = (born >= period.start - WINDOW) & (born < period.end - WINDOW)
        assert found["all", "leads"]["value"] == mine.sum()
        assert found["all", "conversions"]["value"] == won[mine].sum()
        # Those who were scored again stay in the bucket of their arrival.
        hot = mine & (truth["score"] >= house.settings.scoring.buckets["Hot"])
        assert found["Hot", "leads"]["value"] == hot.sum()
        if mine.any():
            assert found["all", "leads"]["label_coverage"] == 1
            assert found["all", "revenue_per_lead"]["value"] == pytest.approx(1_000 * won[mine].mean())
            assert found["all", "revenue_per_lead"]["currency"] == "EUR"
        leads += int(mine.sum())
    assert leads < N  # the youngest are not lost, they are not there yet


def test_the_first_contact_is_the_first_that_a_rep_made_after_creation(
    house: Installation, made: "dg.ExecuteInProcessResult"
) -> None:
    found = told(house, MONTHS[-1])
    assert found["all", "hours_to_contact"]["value"] == pytest.approx(30, abs=1e-3)
    share = found["all", "funnel_contacted"]["value"] / found["all", "leads"]["value"]
    assert 0.75 < share < 0.95  # called, or decided without a call that was recorded


def test_checks_pass_and_the_page_of_the_asset_has_numbers_and_pictures(
    house: Installation, made: "dg.ExecuteInProcessResult"
) -> None:
    assert made.success
    assert all(check.passed for check in made.get_asset_check_evaluations())
    events = made.asset_materializations_for_node("business_kpis")
    metadata = {event.partition: event.metadata for event in events}
    last = {name: value.value for name, value in metadata[MONTHS[-1]].items()}
    assert isinstance(last["conversion_rate"], float)
    assert last["prioritisation_working"] == 1
    assert last["buckets"].startswith("![")
    assert last["months"].startswith("![")
    first = {name: value.value for name, value in metadata[MONTHS[0]].items()}
    assert str(first["conversion_trend"]).startswith("insufficient_data")


def test_every_month_has_a_page_that_agrees_with_the_table(
    house: Installation, made: "dg.ExecuteInProcessResult", truth: dict[str, Any]
) -> None:
    rows = house.lakehouse.read("manager_report").to_pylist()
    assert sorted(row["period"] for row in rows) == MONTHS
    for row in rows:
        page = (house.home.reports / row["file"]).read_text()
        period, rate = (
            house.settings.calendar.period(row["period"]),
            told(house, row["period"])["all", "conversion_rate"],
        )
        came = sum(period.start < at <= period.end for at in truth["born"])
        assert row["headline"].startswith(f"{came:,} new leads were scored")
        assert row["headline"][:60] in page
        if rate["status"] == "ok":
            assert f"{rate['value']:.1%}" in page
        else:
            assert re.search("old enough (yet )?to", page)


def test_the_same_again_is_the_same_and_one_month_alone_is_as_in_the_stretch(
    house: Installation, made: "dg.ExecuteInProcessResult"
) -> None:
    before = house.lakehouse.read("business_kpis")
    materialise(house, MONTHS[5], MONTHS[5])
    assert house.lakehouse.read("business_kpis").equals(before)


def test_figures_that_do_not_add_up_and_a_bad_best_bucket_are_seen(
    house: Installation, made: "dg.ExecuteInProcessResult"
) -> None:
    period = house.settings.calendar.period(MONTHS[-1])
    kept = house.lakehouse.read("business_kpis", periods=[period.key])

    def with_row(bucket: str, kpi: str, **changes: object) -> None:
        rows = kept.to_pylist()
        next(row for row in rows if (row["bucket"], row["kpi"]) == (bucket, kpi)).update(changes)
        house.lakehouse.replace_periods("business_kpis", [period.key], pa.Table.from_pylist(rows, schema=kept.schema))

    assert quality.buckets_add_up(house, period).passed
    assert quality.best_bucket_is_better(house, period).passed
    with_row("Warm", "conversions", value=1e6)
    assert "conversions" in quality.buckets_add_up(house, period).sentence
    assert not quality.buckets_add_up(house, period).passed
    with_row("all", "funnel_lost", value=0.0)
    assert not quality.buckets_add_up(house, period).passed
    with_row("Hot", "lift", value=0.5, low=0.4, high=0.7)
    assert not quality.best_bucket_is_better(house, period).passed
    with_row("all", "conversion_trend", status="ok", value=-0.2, low=-0.3, high=-0.1)
    assert not quality.conversions_do_not_fall(house, period).passed
    house.lakehouse.replace_periods("business_kpis", [period.key], kept)
