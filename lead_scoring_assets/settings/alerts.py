"""Who is told of what, on which channel, how often."""

import re
from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

from lead_scoring_assets.settings.values import Amount, Count, Section

ChannelKind = Literal["slack", "pagerduty", "webhook", "email", "apprise"]


class Channel(Section):
    """A way to reach people. `secret` names the environment variable that holds its address or key; never the secret."""

    kind: ChannelKind
    secret: str
    room: str = Field("#ml-alerts", pattern=r"^[#@][^\s#@]+$")  # slack: as people write it, with its # or @
    server: str = Field("https://events.pagerduty.com", pattern=r"^https?://\S+[^/\s]$")  # pagerduty: or its EU one

    @model_validator(mode="after")
    def _secret_is_a_name(self) -> Self:
        # Checked here and not in the field, because a field's error shows what was found: that might be the secret.
        if not re.fullmatch(r"[A-Z][A-Z0-9_]*", self.secret):
            raise ValueError("secret must be the name of an environment variable such as SLACK_WEBHOOK_URL")
        return self


class Threshold(Section):
    """From which value on a metric is an alert, and of which level; below `minimum_n` cases it is none."""

    info: Amount | None = None
    warning: Amount | None = None
    critical: Amount | None = None
    minimum_n: Count = 1

    @model_validator(mode="after")
    def _rising(self) -> Self:
        limits = [limit for limit in (self.info, self.warning, self.critical) if limit is not None]
        if not limits or limits != sorted(set(limits)):
            raise ValueError(f"info, warning and critical must rise and hold at least one limit, found {limits}")
        return self


AlertMetric = Literal[
    "data_drift_psi",
    "prediction_drift_ks",
    "conversion_rate_drop",
    "error_rate",
    "latency_p95_ms",
    "latency_p99_ms",
]
_THRESHOLDS: Mapping[AlertMetric, Threshold] = {
    "data_drift_psi": Threshold(info=0.10, warning=0.20, critical=0.50),
    "prediction_drift_ks": Threshold(warning=0.10),
    "conversion_rate_drop": Threshold(warning=0.10, critical=0.20, minimum_n=100),
    "error_rate": Threshold(warning=0.01, critical=0.05, minimum_n=500),
    "latency_p95_ms": Threshold(warning=200.0, critical=500.0, minimum_n=100),
    "latency_p99_ms": Threshold(critical=500.0, minimum_n=100),
}


class Routes(Section):
    """Which channels are told of an alert of each level, of a model that goes live, and the day's report."""

    info: tuple[str, ...] = ()
    warning: tuple[str, ...] = ()
    critical: tuple[str, ...] = ()
    deployment: tuple[str, ...] = ()
    report: tuple[str, ...] = ()


class Tier(Section):
    """Who else is told when nobody has acknowledged a critical alert after so long."""

    after_minutes: Count
    channels: tuple[str, ...] = Field(min_length=1)


class Retries(Section):
    """When a channel that failed is tried again: doubling from the first wait to the longest, until a notice is too old."""

    first_seconds: Count = 30
    longest_seconds: Count = 3_600
    expires_hours: Count = 24


class Alerts(Section):
    """Who is told of what, and how often. Without channels nothing leaves the machine."""

    dashboard_url: str | None = None  # None: the pages; where the link in every message leads
    channels: Mapping[str, Channel] = {}
    routes: Routes = Routes()
    escalation: tuple[Tier, ...] = ()
    cooldown_minutes: int = Field(30, ge=0, strict=True)
    messages_an_hour: int = Field(20, ge=1, strict=True)  # of each channel; more are told in one message
    timeout_seconds: Amount = 10.0
    daily_report_hour: int | None = Field(6, ge=0, le=23, strict=True)  # UTC, by the installation's clock; None: never
    retries: Retries = Retries()
    thresholds: Mapping[AlertMetric, Threshold] = _THRESHOLDS

    @model_validator(mode="after")
    def _known_channels(self) -> Self:
        named = {name for route in self.routes.model_dump().values() for name in route}
        named |= {name for tier in self.escalation for name in tier.channels}
        if strangers := sorted(named - set(self.channels)):
            raise ValueError(f"routes and escalation name {strangers}, which channels does not hold")
        waits = [tier.after_minutes for tier in self.escalation]
        if waits != sorted(set(waits)):
            raise ValueError(f"escalation needs rising after_minutes, found {waits}")
        return self

    def threshold(self, metric: AlertMetric) -> Threshold:
        return self.thresholds.get(metric, _THRESHOLDS[metric])
