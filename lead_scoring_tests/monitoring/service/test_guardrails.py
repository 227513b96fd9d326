"""The decision on guardrails: documents' limits, chance, maturity, and never more than one rollback."""

from dataclasses import replace
from math import nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.monitoring.service.guardrails import Cohort, Facts, Verdict, decide_guardrails
from lead_scoring_assets.settings import Guardrails

LIMITS = Guardrails()
WELL = Facts(3, 10_000, 0, 20.0, 40.0, 5_000, Cohort(3, 2_000, 250))


def states(facts: Facts, limits: Guardrails = LIMITS) -> dict[str, str]:
    return {each.name: each.state for each in decide_guardrails(facts, limits).guardrails}


def verdict(**changed: Any) -> Verdict:
    return decide_guardrails(replace(WELL, **changed), LIMITS)


def test_all_is_well() -> None:
    found = decide_guardrails(WELL, LIMITS)
    assert set(states(WELL).values()) == {"kept"}
    assert (found.status, found.asks_for_rollback) == ("HEALTHY", False)
    assert "errors: 0 of 10,000 requests" in found.reason


def test_the_documents_limits_stand_in_the_settings() -> None:
    assert (LIMITS.minimum_conversion_rate, LIMITS.maximum_error_rate, LIMITS.minimum_daily_predictions) == (
        0.08,
        0.01,
        100,
    )
    assert (LIMITS.maximum_latency_p95_ms, LIMITS.maximum_latency_p99_ms) == (500.0, 500.0)


@pytest.mark.parametrize(
    ("requests", "errors", "state"),
    [
        (60_000, 540, "kept"),  # 0.9 %
        (60_000, 660, "violated"),  # 1.1 %, more surely than chance
        (500, 6, "kept"),  # 1.2 %, and chance could have done it
        (500, 25, "violated"),
        (20, 1, "held"),
        (499, 499, "held"),
        (0, 0, "held"),
    ],
)
def test_errors_take_back_a_version_beyond_chance(requests: int, errors: int, state: str) -> None:
    found = verdict(requests=requests, errors=errors)
    assert states(replace(WELL, requests=requests, errors=errors))["error_rate"] == state
    assert found.asks_for_rollback == (state == "violated")


@pytest.mark.parametrize(("p95", "status"), [(499.0, "HEALTHY"), (500.0, "HEALTHY"), (501.0, "VIOLATIONS_DETECTED")])
def test_latency_is_told_and_takes_nothing_back(p95: float, status: str) -> None:
    found = verdict(p95_ms=p95, p99_ms=p95)
    assert found.status == status
    assert not found.asks_for_rollback


def test_a_slow_tail_is_critical_though_p95_is_quick() -> None:
    [violation] = verdict(p95_ms=150.0, p99_ms=501.0).violations
    assert (violation.name, violation.severity) == ("latency_p99", "critical")
    [violation] = verdict(p95_ms=501.0, p99_ms=500.0).violations
    assert (violation.name, violation.severity, violation.remedy) == ("latency_p95", "warning", "alert")


@pytest.mark.parametrize(("count", "state"), [(99, "violated"), (100, "kept"), (None, "held"), (0, "violated")])
def test_too_few_predictions_in_a_day(count: int | None, state: str) -> None:
    assert states(replace(WELL, predictions_of_a_day=count))["daily_predictions"] == state
    assert not verdict(predictions_of_a_day=count).asks_for_rollback


@pytest.mark.parametrize(
    ("cohort", "state"),
    [
        (None, "held"),
        (Cohort(3, 299, 0), "held"),
        (Cohort(2, 5_000, 10), "held"),  # another version's
        (Cohort(3, 300, 0), "violated"),
        (Cohort(3, 1_000, 75), "kept"),  # 7.5 %: below the floor, and chance could have done it
        (Cohort(3, 10_000, 700), "violated"),
    ],
)
def test_conversions_are_those_of_a_matured_cohort_of_the_live_version(cohort: Cohort | None, state: str) -> None:
    assert states(replace(WELL, cohort=cohort))["conversion_rate"] == state


def test_many_violations_are_one_rollback_and_each_is_told() -> None:
    found = verdict(errors=9_000, p95_ms=900.0, p99_ms=900.0, predictions_of_a_day=1, cohort=Cohort(3, 1_000, 0))
    assert len(found.violations) == 5
    assert found.asks_for_rollback is True
    assert found.reason.count(";") >= 4


def test_what_is_null_is_not_watched() -> None:
    nothing = Guardrails(
        minimum_conversion_rate=None,
        maximum_error_rate=None,
        maximum_latency_p95_ms=None,
        maximum_latency_p99_ms=None,
        minimum_daily_predictions=None,
    )
    bad = replace(WELL, errors=10_000, p95_ms=1e6, p99_ms=1e6, predictions_of_a_day=0, cohort=Cohort(3, 10_000, 0))
    assert set(states(bad, nothing).values()) == {"not_watched"}
    assert decide_guardrails(bad, nothing).status == "HEALTHY"
    assert "nothing is watched" in decide_guardrails(bad, nothing).reason


COHORTS = st.none() | st.builds(
    lambda v, n, share: Cohort(v, n, int(n * share)), st.integers(1, 4), st.integers(0, 5_000), st.floats(0, 1)
)
FACTS = st.builds(
    lambda n, share, p95, more, day, cohort: Facts(
        3, n, int(n * share), p95 if n else nan, p95 + more if n else nan, day, cohort
    ),
    st.integers(0, 5_000),
    st.floats(0, 1),
    st.floats(0, 2_000),
    st.floats(0, 2_000),
    st.none() | st.integers(0, 500),
    COHORTS,
)


@given(FACTS)
def test_every_answer_has_a_reason_and_too_little_is_never_a_violation(facts: Facts) -> None:
    found = decide_guardrails(facts, LIMITS)
    assert all(each.reason for each in found.guardrails)
    assert (found.status == "HEALTHY") == (not found.violations)
    if facts.requests < LIMITS.minimum_latency_requests:
        assert {each.name for each in found.violations} <= {"conversion_rate", "daily_predictions"}
    if found.asks_for_rollback:
        assert {each.name for each in found.violations} & {"conversion_rate", "error_rate"}


@given(FACTS, st.integers(0, 5_000))
def test_more_errors_never_make_a_version_better(facts: Facts, more: int) -> None:
    worse = replace(facts, errors=min(facts.requests, facts.errors + more))
    if states(facts)["error_rate"] == "violated":
        assert states(worse)["error_rate"] == "violated"
