"""The API's figures: windowed, over all workers, percentiles as numpy has them; from real logs."""

from datetime import timedelta
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lead_scoring_assets.evaluation.metrics import wilson
from lead_scoring_assets.monitoring.service import quality
from lead_scoring_assets.monitoring.service.health import ALL, LAST_NAME, Targets, figures, latencies
from lead_scoring_assets.monitoring.service.measuring import measure, newest
from lead_scoring_assets.prediction_log.ingestion import ingest
from lead_scoring_assets.settings import Threshold
from lead_scoring_tests.prediction_log.worlds import NOW, World, error, feedback, score

TARGETS = Targets(Threshold(warning=200.0, critical=500.0, minimum_n=100), Threshold(warning=0.01, minimum_n=500))
TIMES = st.lists(st.floats(0.001, 1e6), min_size=1, max_size=300)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World.make(tmp_path / "a home")


def requests(milliseconds: list[float], errors: int = 0, **more: Any) -> pa.Table:
    n = len(milliseconds)
    return pa.table(
        {
            "at": pa.array([NOW] * n, pa.timestamp("us", tz="UTC")),
            "endpoint": pa.array(["/predict"] * n, pa.string()),
            "latency_ms": pa.array(milliseconds, pa.float64()),
            "is_error": [place < errors for place in range(n)],
            "is_refused": [False] * n,
            **more,
        }
    )


def row(rows: Any, window: str = "hour", endpoint: str = ALL) -> dict[str, Any]:
    [found] = [each for each in rows if (each["window"], each["endpoint"]) == (window, endpoint)]
    return dict(found)


def of(milliseconds: list[float], errors: int = 0) -> dict[str, Any]:
    return row(figures(requests(milliseconds, errors), NOW, TARGETS))


@given(TIMES)
def test_percentiles_are_numpy_s(times: list[float]) -> None:
    found = latencies(np.array(times))
    assert [found[f"p{p}_ms"] for p in (50, 95, 99)] == [float(np.percentile(times, p)) for p in (50, 95, 99)]
    assert found["max_ms"] == max(times)
    assert found["mean_ms"] == pytest.approx(np.mean(times))
    assert min(times) <= found["p95_low_ms"] <= found["p95_high_ms"] <= max(times)


def test_nothing_has_no_percentiles() -> None:
    assert all(isnan(value) for value in latencies(np.array([])).values())


def test_the_interval_of_p95_covers_it() -> None:
    draw = np.random.default_rng(4)
    truth = float(stats.lognorm(0.7).ppf(0.95))
    covered = 0
    for _ in range(1_000):
        found = latencies(draw.lognormal(0, 0.7, 800))
        covered += found["p95_low_ms"] <= truth <= found["p95_high_ms"]
    assert 0.92 <= covered / 1_000 <= 0.98


def test_twenty_requests_have_no_p95_of_their_maximum() -> None:
    assert latencies(np.arange(1.0, 21.0))["p95_ms"] == pytest.approx(19.05)


@pytest.mark.parametrize(("n", "is_fast", "is_reliable"), [(1, None, None), (20, None, None), (100, True, None)])
def test_few_requests_are_no_evidence(n: int, is_fast: bool | None, is_reliable: bool | None) -> None:
    found = of([1.0] * n, errors=1)
    assert (found["is_fast_enough"], found["is_reliable"]) == (is_fast, is_reliable)
    assert found["status"] == "insufficient_data"


def test_one_error_in_twenty_is_not_five_percent() -> None:
    low, high = wilson(1 / 20, 20)
    found = of([1.0] * 20, errors=1)
    assert (found["error_rate"], found["error_rate_low"], found["error_rate_high"]) == (0.05, low, high)
    assert low < 0.01


@pytest.mark.parametrize(("slow", "is_fast"), [(199.0, True), (201.0, False)])
def test_the_promise_of_latency(slow: float, is_fast: bool) -> None:
    assert of([1.0] * 940 + [slow] * 60)["is_fast_enough"] is is_fast


@pytest.mark.parametrize(("errors", "is_reliable"), [(7, True), (30, False)])
def test_the_promise_of_errors_is_broken_beyond_chance_only(errors: int, is_reliable: bool) -> None:
    assert of([1.0] * 1_000, errors)["is_reliable"] is is_reliable


def test_the_1001st_request_evicts_the_first() -> None:
    times = [5_000.0] + [1.0] * 1_000
    rows = list(figures(requests(times), NOW, TARGETS))
    last, hour = row(rows, LAST_NAME), row(rows)
    assert (last["requests"], last["max_ms"]) == (1_000, 1.0)
    assert (hour["requests"], hour["max_ms"]) == (1_001, 5_000.0)
    assert isnan(last["rps"])


def test_two_workers_are_one_service_and_an_idle_hour_has_no_requests(world: World) -> None:
    for worker, latency in (("w0", 1_000), ("w1", 3_000)):
        world.log(*(score(n, worker=worker, request_id=f"r{n}", latency_us=latency) for n in range(30)), worker=worker)
    rows = measure(world.house, world.source)
    found = row(rows, "minute")
    assert (found["requests"], found["rps"], found["rpm"], found["mean_ms"]) == (60, 1.0, 60.0, 2.0)
    ingest(world.house, world.source)
    world.later(minutes=61)
    rows = measure(world.house, world.source)
    assert [row(rows, window)["requests"] for window in ("minute", "hour", "day")] == [0, 0, 60]
    assert row(rows)["rps"] == 0.0
    assert row(rows, LAST_NAME)["requests"] == 60
    world.later(days=2)
    assert row(measure(world.house, world.source), LAST_NAME)["requests"] == 0
    assert [r["evaluation"] for r in newest(world.house)] == [3] * 4


def test_what_is_half_ingested_is_counted_once(world: World) -> None:
    world.log(*(score(n) for n in range(5)))
    ingest(world.house, world.source)
    world.log(*(score(n) for n in range(5, 8)), worker="w1")
    assert row(measure(world.house, world.source))["requests"] == 8


def test_a_request_of_many_leads_is_one(world: World) -> None:
    many = [score(n, request_id="batch", endpoint="/predict/batch", latency_us=9_000) for n in range(40)]
    one_bad = error(1, request_id="batch", endpoint="/predict/batch", status=422, latency_us=9_000)
    world.log(*many, one_bad, score(50), error(2), error(3, status=503, endpoint="/predict"), feedback(1))
    rows = measure(world.house, world.source)
    found = row(rows)
    assert (found["requests"], found["errors"], found["refused"]) == (4, 1, 2)
    assert row(rows, "hour", "/predict/batch")["requests"] == 1
    assert row(rows, "hour", "/predict/batch")["max_ms"] == 9.0


def test_an_answer_without_a_model_is_an_error_of_the_service(world: World) -> None:
    world.log(score(1), score(2, source="fallback", model_version=None))
    assert row(measure(world.house, world.source))["errors"] == 1


def test_where_no_api_is_there_is_no_table(world: World) -> None:
    assert measure(world.house, world.source) == []
    assert not world.house.lakehouse.exists("service_health")
    for judge in (quality.figures_fit_together, quality.service_is_fast, quality.service_is_reliable):
        assert judge(world.house).passed


def test_the_checks_see_a_slow_and_failing_service(world: World) -> None:
    world.log(*(score(n, latency_us=300_000 if n % 10 == 0 else 1_000) for n in range(700)))
    world.log(*(error(n, status=500) for n in range(40)), worker="w1")
    measure(world.house, world.source)
    assert quality.figures_fit_together(world.house).passed
    slow, failing = quality.service_is_fast(world.house), quality.service_is_reliable(world.house)
    assert not slow.passed
    assert slow.numbers == {"p95_ms": 300.0}
    assert not failing.passed
    assert "40 of 740 requests of the last hour failed" in failing.sentence


def test_figures_that_do_not_fit_are_found(world: World) -> None:
    world.log(score(1), score(2, at=NOW - timedelta(minutes=30)))
    measure(world.house, world.source)
    lakehouse = world.house.lakehouse
    rows = lakehouse.read("service_health")
    place = rows.column_names.index("requests")
    for wrong in ([r["requests"] + (r["endpoint"] != ALL) for r in rows.to_pylist()], [0] * rows.num_rows):
        bad = rows.set_column(place, "requests", pa.array(wrong, pa.int64()))
        bad = bad.set_column(bad.column_names.index("errors"), "errors", pa.array([1] * rows.num_rows, pa.int64()))
        lakehouse.replace_periods("service_health", ["2009-03"], bad)
        assert not quality.figures_fit_together(world.house).passed
