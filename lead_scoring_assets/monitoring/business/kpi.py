"""One business figure with what it rests on, and the words of its status."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from lead_scoring_assets.evaluation.metrics import Metric

KpiStatus = Literal["ok", "insufficient_data", "not_computable"]


@dataclass(frozen=True)
class Kpi:
    """A figure of `n` leads. `low`, `high`: 95 % interval; NaN for plain counts, which are not estimates."""

    name: str
    value: float
    low: float
    high: float
    n: int
    status: KpiStatus = "ok"
    reason: str = ""
    currency: str | None = None

    def because(self, status: KpiStatus, reason: str) -> "Kpi":
        return replace(self, status=status, reason=reason)


def count(name: str, value: float, n: int, reason: str = "") -> Kpi:
    """A count: known exactly, without an interval."""
    return Kpi(name, float(value), np.nan, np.nan, n, reason=reason)


def missing(name: str, n: int, status: KpiStatus, reason: str) -> Kpi:
    """A figure that there is not, and why."""
    return Kpi(name, np.nan, np.nan, np.nan, n, status, reason)


def estimate(metric: Metric, minimum: int, reason: str) -> Kpi:
    """An estimate with its interval; below `minimum` leads it is marked as insufficient, whatever it is."""
    found = Kpi(metric.name, metric.value, metric.low, metric.high, metric.n, reason=reason)
    if metric.n < minimum:
        return found.because("insufficient_data", f"{reason}; {metric.n:,} leads, {minimum:,} are needed")
    return found
