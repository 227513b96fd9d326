"""The table of thresholds, row by row at its limits, and the caution that chance demands."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_scoring_assets.alerts.kinds import rank
from lead_scoring_assets.alerts.thresholds import level_of
from lead_scoring_assets.errors import SettingsError
from lead_scoring_assets.evaluation.metrics import wilson
from lead_scoring_assets.settings import AlertMetric, Alerts, Threshold, parse_settings
from lead_scoring_tests.alerts.worlds import ROOT

MANY = 100_000
AS_SHIPPED = Alerts()
# The operations manual's own figures, as anybody may set them.
MANUAL = Alerts(thresholds={"data_drift_psi": Threshold(warning=0.2, critical=0.4)})


@pytest.mark.parametrize(
    ("settings", "metric", "limit", "level"),
    [
        (AS_SHIPPED, "data_drift_psi", 0.10, "info"),
        (AS_SHIPPED, "data_drift_psi", 0.20, "warning"),
        (AS_SHIPPED, "data_drift_psi", 0.50, "critical"),
        (MANUAL, "data_drift_psi", 0.2, "warning"),
        (MANUAL, "data_drift_psi", 0.4, "critical"),
        (MANUAL, "prediction_drift_ks", 0.1, "warning"),
        (MANUAL, "latency_p95_ms", 200, "warning"),
        (MANUAL, "latency_p95_ms", 500, "critical"),
        (MANUAL, "error_rate", 0.01, "warning"),
        (MANUAL, "error_rate", 0.05, "critical"),
        (MANUAL, "conversion_rate_drop", 0.10, "warning"),
        (MANUAL, "conversion_rate_drop", 0.20, "critical"),
    ],
)
def test_a_limit_is_exceeded_above_it_and_not_at_it(
    settings: Alerts, metric: AlertMetric, limit: float, level: str
) -> None:
    threshold = settings.threshold(metric)
    assert level_of(math.nextafter(limit, math.inf), MANY, threshold) == level
    below = level_of(limit, MANY, threshold)
    assert below is None or rank(below) < rank(level)  # type: ignore[arg-type]


LIMITS = st.floats(0.001, 1e6)
THRESHOLDS = st.lists(LIMITS, min_size=3, max_size=3, unique=True).map(
    lambda limits: dict(zip(("info", "warning", "critical"), sorted(limits), strict=True))
)


@given(THRESHOLDS, st.floats(0, 1e6), st.floats(0, 1e6), st.integers(0, 1000), st.integers(1, 1000))
def test_worse_figures_are_never_a_lower_level_and_few_cases_are_none(
    limits: dict[str, float], one: float, other: float, n: int, minimum: int
) -> None:
    threshold = Threshold(**limits, minimum_n=minimum)
    levels = [level_of(value, n, threshold) for value in sorted((one, other))]
    ranks = [-1 if level is None else rank(level) for level in levels]
    assert ranks == sorted(ranks)
    if n < minimum:
        assert levels == [None, None]


def test_what_is_no_number_exceeds_nothing() -> None:
    assert level_of(math.nan, MANY, AS_SHIPPED.threshold("data_drift_psi")) is None


@pytest.mark.parametrize(
    ("errors", "requests", "level"), [(1, 20, None), (50, 1000, "warning"), (70, 1000, "critical"), (8, 1000, None)]
)
def test_an_error_rate_is_believed_from_its_lower_bound_on(errors: int, requests: int, level: str | None) -> None:
    low, _ = wilson(errors / requests, requests)
    assert level_of(low, requests, AS_SHIPPED.threshold("error_rate")) == level


def settings_with(**alerts: Any) -> str:
    import yaml

    return (ROOT / "lead_scoring.yaml").read_text(encoding="utf-8") + "\n" + yaml.safe_dump({"alerts": alerts})


@pytest.mark.parametrize(
    ("alerts", "told"),
    [
        ({"thresholds": {"error_rate": {"warning": 0.05, "critical": 0.01}}}, "must rise"),
        ({"thresholds": {"error_rate": {}}}, "at least one limit"),
        ({"routes": {"warning": ["slack"]}}, r"\['slack'\], which channels does not hold"),
        ({"escalation": [{"after_minutes": 15, "channels": ["boss"]}]}, r"\['boss'\]"),
        ({"channels": {"hook": {"kind": "webhook"}}}, "channels.hook.secret: is required"),
        ({"channels": {"hook": {"kind": "carrier pigeon", "secret": "X"}}}, "channels.hook.kind"),
    ],
)
def test_faulty_settings_are_named(alerts: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        parse_settings(settings_with(**alerts), "lead_scoring.yaml")


def test_a_secret_in_the_settings_is_refused_without_showing_it() -> None:
    secret = "https://hooks.slack.com/services/T0/B0/sesame"
    text = settings_with(channels={"slack": {"kind": "slack", "secret": secret}})
    with pytest.raises(SettingsError, match="the name of an environment variable") as told:
        parse_settings(text, "lead_scoring.yaml")
    assert "sesame" not in str(told.value)


def test_the_commented_example_of_the_shipped_file_loads() -> None:
    lines = (ROOT / "lead_scoring.yaml").read_text(encoding="utf-8").splitlines()
    begin = lines.index("# alerts:")
    end = next(number for number, line in enumerate(lines[begin:], begin) if not line.startswith("#"))
    example = [line.removeprefix("# ") for line in lines[begin:end]]
    found = parse_settings("\n".join([*lines, *example]), "lead_scoring.yaml").alerts
    assert {channel.kind for channel in found.channels.values()} == {
        "slack",
        "email",
        "pagerduty",
        "webhook",
        "apprise",
    }
    assert found.routes.critical == ("slack", "on_call", "pagerduty")
    assert found.model_copy(update={"channels": {}}).retries == AS_SHIPPED.retries
    assert found.timeout_seconds == AS_SHIPPED.timeout_seconds
