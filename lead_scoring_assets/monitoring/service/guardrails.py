"""What the live model may not fall below while it serves: one pure decision, with a reason for the yes and the no.

What chance could have done is no violation: a rate counts as far as its interval (Wilson 1927) believes it. Conversions
are counted of matured cohorts only: young ones always look as if nobody bought.
"""

from dataclasses import dataclass
from typing import Literal

from lead_scoring_assets.evaluation.metrics import wilson
from lead_scoring_assets.settings import Guardrails

Name = Literal["conversion_rate", "error_rate", "latency_p95", "latency_p99", "daily_predictions"]
State = Literal["kept", "violated", "held", "not_watched"]
Remedy = Literal["roll_back", "alert"]
Severity = Literal["warning", "critical"]
Status = Literal["HEALTHY", "VIOLATIONS_DETECTED"]

_ANSWER: dict[Name, tuple[Remedy, Severity]] = {
    "conversion_rate": ("roll_back", "critical"),
    "error_rate": ("roll_back", "critical"),
    "latency_p95": ("alert", "warning"),
    "latency_p99": ("alert", "critical"),
    "daily_predictions": ("alert", "warning"),
}


@dataclass(frozen=True)
class Cohort:
    """Leads that one version scored and whose conversion window has closed, all labelled."""

    model_version: int
    leads: int
    converted: int


@dataclass(frozen=True)
class Facts:
    """What is known of the live version. Requests are its own, of the window; latencies NaN where there are none.

    `predictions_of_a_day`: None while the API is younger than a day. `cohort`: the newest that was found mature while the
    version was live; None: there is none.
    """

    live_version: int | None
    requests: int
    errors: int
    p95_ms: float
    p99_ms: float
    predictions_of_a_day: int | None
    cohort: Cohort | None


@dataclass(frozen=True)
class Guardrail:
    """One guardrail's answer. `held`: too little is known to say."""

    name: Name
    state: State
    value: float | None
    limit: float | None
    n: int
    reason: str

    @property
    def remedy(self) -> Remedy:
        return _ANSWER[self.name][0]

    @property
    def severity(self) -> Severity:
        return _ANSWER[self.name][1]


@dataclass(frozen=True)
class Verdict:
    """What all guardrails say together. However many ask for it, the version is rolled back once."""

    live_version: int | None
    guardrails: tuple[Guardrail, ...]

    @property
    def violations(self) -> tuple[Guardrail, ...]:
        return tuple(guardrail for guardrail in self.guardrails if guardrail.state == "violated")

    @property
    def status(self) -> Status:
        return "VIOLATIONS_DETECTED" if self.violations else "HEALTHY"

    @property
    def asks_for_rollback(self) -> bool:
        return any(guardrail.remedy == "roll_back" for guardrail in self.violations)

    @property
    def reason(self) -> str:
        """Of the violations; where there are none, of everything that is watched."""
        told = self.violations or tuple(each for each in self.guardrails if each.state != "not_watched")
        return (
            "; ".join(each.reason for each in told)
            or "nothing is watched (guardrails in lead_scoring.yaml are all null)"
        )


def decide_guardrails(facts: Facts, limits: Guardrails) -> Verdict:
    """Which guardrails the live version violates, keeps, or cannot be judged by."""
    return Verdict(
        facts.live_version,
        (
            _conversions(facts, limits),
            _errors(facts, limits),
            _latency("latency_p95", facts.p95_ms, facts.requests, limits.maximum_latency_p95_ms, limits),
            _latency("latency_p99", facts.p99_ms, facts.requests, limits.maximum_latency_p99_ms, limits),
            _volume(facts, limits),
        ),
    )


def _conversions(facts: Facts, limits: Guardrails) -> Guardrail:
    name: Name = "conversion_rate"
    floor, cohort = limits.minimum_conversion_rate, facts.cohort
    if floor is None:
        return Guardrail(name, "not_watched", None, None, 0, "")
    if cohort is None:
        return Guardrail(name, "held", None, floor, 0, "conversions: no cohort has matured since it went live")
    n, rate = cohort.leads, cohort.converted / cohort.leads if cohort.leads else 0.0
    told = f"conversions: {rate:.1%} of {n:,} matured leads that v{cohort.model_version} scored"
    if cohort.model_version != facts.live_version:
        return Guardrail(name, "held", rate, floor, n, f"{told}, which is not live")
    if n < limits.minimum_matured_leads:
        return Guardrail(name, "held", rate, floor, n, f"{told}; {limits.minimum_matured_leads:,} are needed")
    high = wilson(rate, n)[1]
    state: State = "violated" if high < floor else "kept"
    return Guardrail(name, state, rate, floor, n, f"{told}, at most {high:.1%} beyond chance; the floor is {floor:.1%}")


def _errors(facts: Facts, limits: Guardrails) -> Guardrail:
    name: Name = "error_rate"
    limit, n = limits.maximum_error_rate, facts.requests
    if limit is None:
        return Guardrail(name, "not_watched", None, None, n, "")
    rate = facts.errors / n if n else None
    told = f"errors: {facts.errors:,} of {n:,} requests"
    if rate is None or n < limits.minimum_error_requests:
        return Guardrail(name, "held", rate, limit, n, f"{told}; {limits.minimum_error_requests:,} are needed")
    low = wilson(rate, n)[0]
    state: State = "violated" if low > limit else "kept"
    return Guardrail(
        name, state, rate, limit, n, f"{told} ({rate:.2%}), at least {low:.2%} beyond chance; the limit is {limit:.2%}"
    )


def _latency(name: Name, value_ms: float, n: int, limit: float | None, limits: Guardrails) -> Guardrail:
    if limit is None:
        return Guardrail(name, "not_watched", None, None, n, "")
    what = name.removeprefix("latency_")
    if n < limits.minimum_latency_requests:
        told = f"{what}: {n:,} requests; {limits.minimum_latency_requests:,} are needed"
        return Guardrail(name, "held", None, limit, n, told)
    state: State = "violated" if value_ms > limit else "kept"
    return Guardrail(
        name, state, value_ms, limit, n, f"{what}: {value_ms:,.1f} ms of {n:,} requests; the limit is {limit:,.0f} ms"
    )


def _volume(facts: Facts, limits: Guardrails) -> Guardrail:
    name: Name = "daily_predictions"
    least, count = limits.minimum_daily_predictions, facts.predictions_of_a_day
    if least is None:
        return Guardrail(name, "not_watched", None, None, 0, "")
    if count is None:
        return Guardrail(name, "held", None, least, 0, "predictions: the API is younger than a day")
    state: State = "violated" if count < least else "kept"
    return Guardrail(
        name, state, count, least, count, f"predictions: {count:,} in a day; at least {least:,} are expected"
    )
