"""Guardrails over real logs, tables and versions: one rollback for each version that fails, at the next look."""

from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

import lead_scoring_assets.definitions  # noqa: F401  # first, because it quiets dagster's warnings about beta parts
from lead_scoring_assets.monitoring.performance.matured import SCHEMA as PERFORMANCE
from lead_scoring_assets.monitoring.service import watching
from lead_scoring_assets.monitoring.service.sensors import watch_guardrails
from lead_scoring_assets.monitoring.service.watching import TABLE, watch
from lead_scoring_assets.prediction_log.ingestion import ingest
from lead_scoring_assets.promotion.deployments import Deployments
from lead_scoring_tests.monitoring.service.worlds import ServedWorld
from lead_scoring_tests.prediction_log.worlds import error


def performance(served: ServedWorld, version: int, leads: int, converted: int, **more: Any) -> None:
    row = {
        "period": "2008-11",
        "model_version": version,
        "metric": "conversion_rate",
        "n": leads,
        "positives": converted,
    }
    row |= {"value": converted / leads, "status": "insufficient_data", "as_of": served.now, **more}
    table = pa.Table.from_pylist([row], schema=PERFORMANCE)
    served.house.lakehouse.replace_periods("model_performance", [row["period"]], table)


def evaluations(served: ServedWorld) -> list[dict[str, Any]]:
    lakehouse = served.house.lakehouse
    rows = lakehouse.read(TABLE).to_pylist() if lakehouse.exists(TABLE) else []
    return sorted(rows, key=lambda row: row["evaluation"])


def states(served: ServedWorld) -> dict[str, str]:
    return {each["name"]: each["state"] for each in served.evaluation["guardrails"]}


def test_without_a_live_version_or_an_api_nothing_is_stored(served: ServedWorld) -> None:
    assert watch(served.house, served.source) == "no version is live"
    served.models.promote(1)
    told = watch(served.house, served.source)
    assert told == "v1 is live, and no API has answered anybody yet"
    assert evaluations(served) == []


def test_a_version_that_raises_on_one_request_in_twenty_is_gone_after_one_look(served: ServedWorld) -> None:
    served.models.promote(1, 2)
    served.serve(1_000, bad=50)
    watched = served.watch()
    assert served.models.live() == 1
    assert (watched.action, watched.verdict.status) == ("rolled_back", "VIOLATIONS_DETECTED")
    assert "errors: 50 of 1,000 requests (5.00%)" in watched.reason
    step = Deployments(served.house.lakehouse).steps()[-1]
    assert (step.actor, step.action, step.champion_version) == ("guardrail", "rolled_back", 2)
    assert "errors: 50 of 1,000" in step.reason
    assert (served.evaluation["status"], served.evaluation["action"]) == ("VIOLATIONS_DETECTED", "rolled_back")


def test_what_the_version_before_did_is_not_held_against_the_one_that_took_its_place(served: ServedWorld) -> None:
    served.models.promote(1, 2)
    served.serve(1_000, bad=50)
    served.watch()
    for _ in range(3):
        served.later(seconds=30)
        served.serve(20, version=2)  # a worker that has not followed yet
        served.serve(20, bad=1)
        assert served.watch().action == "none"
    assert states(served)["error_rate"] == "held"
    assert served.models.live() == 1
    served.later(minutes=5)
    served.serve(600)
    assert served.watch().verdict.status == "HEALTHY"
    assert len(Deployments(served.house.lakehouse).steps()) == 3


def test_where_the_clock_stands_still_one_fault_takes_back_one_version(served: ServedWorld) -> None:
    """As in a replay: everything happens at one instant, at which the version went live as well."""
    served.models.promote(1, 2, 3)
    served.now = served.models.version(3).effective_at
    served.serve(600, bad=60)
    assert served.watch().action == "rolled_back"
    for _ in range(3):
        assert served.watch().action == "none"
        served.serve(300)
    assert served.models.live() == 2
    served.serve(600, bad=400)
    assert served.watch().action == "rolled_back"
    assert served.models.live() == 1


def test_answers_of_a_worker_that_has_not_followed_yet_are_not_the_new_version_s(served: ServedWorld) -> None:
    served.models.promote(1, 2, 3)
    served.serve(1_000, bad=500)
    assert served.watch().action == "rolled_back"
    served.later(seconds=1)
    served.serve(600, bad=600)
    served.later(seconds=5)
    assert served.watch().action == "none"
    assert served.models.live() == 2


def test_the_next_version_that_fails_is_another_episode_and_at_the_end_there_is_no_way_back(
    served: ServedWorld,
) -> None:
    served.models.promote(1, 2, 3)
    for live in (2, 1):
        served.later(minutes=10)
        served.serve(600, bad=80)
        assert served.watch().action == "rolled_back"
        assert served.models.live() == live
    served.later(minutes=10)
    served.serve(600, bad=80)
    watched = served.watch()
    assert watched.action == "refused"
    assert "no earlier version to go back to from v1" in watched.reason
    assert served.watch().is_stored is False
    assert len(Deployments(served.house.lakehouse).steps()) == 5


def test_many_violations_are_one_rollback(served: ServedWorld) -> None:
    served.models.promote(1, 2, 3)
    performance(served, 3, 1_000, 0)
    served.serve(1_000, bad=500, latency_us=900_000)
    assert served.watch().verdict.asks_for_rollback
    assert served.models.live() == 2
    assert served.watch().action == "none"
    assert served.models.live() == 2


def test_a_null_world_is_left_alone(served: ServedWorld) -> None:
    """1 % of errors, which is the limit, day after day: nothing is taken back."""
    served.models.promote(1, 2)
    for _ in range(6):
        served.later(hours=2)
        served.serve(600, bad=6)
        assert served.watch().action == "none"
    assert served.models.live() == 2


def test_few_requests_hold(served: ServedWorld) -> None:
    served.models.promote(1, 2)
    served.serve(20, bad=10)
    assert served.watch().verdict.status == "HEALTHY"
    assert states(served) == {
        "conversion_rate": "held",
        "error_rate": "held",
        "latency_p95": "held",
        "latency_p99": "held",
        "daily_predictions": "held",
    }


def test_refused_requests_neither_blame_nor_dilute(served: ServedWorld) -> None:
    served.models.promote(1, 2)
    served.log(*(error(n, served.now, status=401) for n in range(2_000)))
    served.serve(600, bad=60)
    assert served.watch().verdict.asks_for_rollback
    assert served.evaluation["requests"] == 600


def test_a_challenger_s_errors_are_not_the_champion_s(served: ServedWorld) -> None:
    served.models.promote(1, 2)
    served.serve(1_000)
    served.serve(1_000, bad=900, arm="challenger", model_version=3)
    assert served.watch().verdict.status == "HEALTHY"


def test_failures_of_the_server_itself_count(served: ServedWorld) -> None:
    served.models.promote(1, 2)
    served.serve(900)
    served.log(*(error(n, served.now, status=500) for n in range(100)))
    assert served.watch().action == "rolled_back"


def test_slow_answers_are_told_and_stay_one_violation_until_they_are_quick(served: ServedWorld) -> None:
    served.models.promote(1, 2)
    served.serve(1_000, latency_us=501_000)
    first = served.watch()
    assert [each.name for each in first.verdict.violations] == ["latency_p95", "latency_p99"]
    assert (first.action, served.models.live()) == ("none", 2)
    since = {each["since"] for each in served.evaluation["guardrails"]}
    served.later(minutes=5)
    assert served.watch().is_stored is False
    served.later(minutes=10)
    assert served.watch().is_stored is True
    assert {each["since"] for each in served.evaluation["guardrails"]} == since
    served.later(hours=2)
    served.serve(1_000)
    assert served.watch().verdict.status == "HEALTHY"
    assert [row["status"] for row in evaluations(served)] == ["VIOLATIONS_DETECTED"] * 2 + ["HEALTHY"]


@pytest.mark.parametrize(
    ("version", "leads", "converted", "live"), [(2, 1_000, 5, 1), (1, 1_000, 5, 2), (2, 100, 0, 2), (2, 1_000, 100, 2)]
)
def test_conversions_count_of_the_live_version_s_matured_cohort(
    served: ServedWorld, version: int, leads: int, converted: int, live: int
) -> None:
    served.models.promote(1, 2)
    performance(served, version, leads, converted)
    served.serve(10)
    served.watch()
    assert served.models.live() == live


def test_a_floor_that_no_version_keeps_takes_back_one_and_not_all(served: ServedWorld) -> None:
    served.models.promote(1, 2, 3)
    rows = [
        {
            "period": "2008-11",
            "model_version": version,
            "metric": "conversion_rate",
            "n": 1_000,
            "positives": 1,
            "as_of": served.now,
        }
        for version in (1, 2, 3)
    ]
    table = pa.Table.from_pylist(rows, schema=PERFORMANCE)
    served.house.lakehouse.replace_periods("model_performance", ["2008-11"], table)
    served.serve(10)
    for _ in range(3):
        served.watch()
        served.later(minutes=1)
    assert served.models.live() == 2


def test_young_leads_without_a_conversion_are_no_violation(served: ServedWorld) -> None:
    """Nobody has bought in the first days, as always: no cohort has matured, and nothing is rolled back."""
    served.models.promote(1, 2)
    for _ in range(4):
        served.later(days=1)
        served.serve(120)
        assert served.watch().action == "none"
    assert states(served)["conversion_rate"] == "held"
    assert states(served)["daily_predictions"] == "held"  # nothing is ingested: its first day is not known to be over


@pytest.mark.parametrize(("count", "state"), [(99, "violated"), (100, "kept")])
def test_a_day_with_few_predictions(served: ServedWorld, count: int, state: str) -> None:
    served.models.promote(1)
    served.serve(500)
    ingest(served.house, served.source)
    served.later(days=1, minutes=1)
    served.serve(count)
    served.watch()
    assert states(served)["daily_predictions"] == state


def test_who_is_overtaken_by_another_rollback_takes_nothing_back(
    served: ServedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.models.promote(1, 2, 3)
    served.serve(1_000, bad=100)
    gather = watching.gather

    def and_then_a_person_acts(*asked: Any) -> Any:
        facts = gather(*asked)
        watching.roll_back(served.house, "mona", "complaints")
        return facts

    monkeypatch.setattr(watching, "gather", and_then_a_person_acts)
    watched = served.watch()
    assert (watched.action, served.models.live()) == ("refused", 2)
    assert "it is left already" in watched.reason


def test_the_sensor_says_what_it_found(served: ServedWorld) -> None:
    served.models.promote(1, 2)

    def tick() -> str:
        with dg.build_sensor_context(resources={"installation": served.house}) as context:
            return str(watch_guardrails.evaluate_tick(context).skip_message)

    assert tick() == "v2 is live, and no API has answered anybody yet"
    served.serve(1_000, bad=100)
    assert tick().startswith("v2 VIOLATIONS_DETECTED: errors: 100 of 1,000 requests (10.00%)")
    assert served.models.live() == 1
    assert tick().startswith("v1 HEALTHY: ")
    assert Path(served.root / "data" / "mlflow" / "mlflow.db").exists()
