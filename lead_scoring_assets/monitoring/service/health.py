"""Figures of the API over windows that end now: latency, throughput, errors. Pure: rows of requests in, figures out.

Nothing is counted since the start of a process, so that every figure recovers when the API does.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import nan, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lead_scoring_assets.evaluation.means import Z
from lead_scoring_assets.evaluation.metrics import wilson
from lead_scoring_assets.settings import Threshold

LAST = 1_000
LAST_NAME = f"last_{LAST}"
WINDOWS: Mapping[str, timedelta] = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
}
ALL = "all"
_NUMBERS = ("error_rate", "error_rate_low", "error_rate_high", "rps", "rpm")
LATENCIES = ("mean_ms", "p50_ms", "p95_ms", "p95_low_ms", "p95_high_ms", "p99_ms", "max_ms")
TABLE = "service_health"
SCHEMA = pa.schema(
    [
        ("period", pa.string()),
        ("evaluation", pa.int64()),
        ("evaluated_at", pa.timestamp("us", tz="UTC")),
        ("window", pa.string()),
    ]
    + [("endpoint", pa.string()), ("since", pa.timestamp("us", tz="UTC"))]
    + [(name, pa.int64()) for name in ("requests", "errors", "refused")]
    + [(name, pa.float64()) for name in (*_NUMBERS, *LATENCIES)]
    + [("is_fast_enough", pa.bool_()), ("is_reliable", pa.bool_()), ("status", pa.string()), ("reason", pa.string())]
)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Targets:
    """What the service promises: p95 below, error rate below, and how many requests it takes to judge each."""

    latency: Threshold
    errors: Threshold


def figures(requests: pa.Table, now: datetime, targets: Targets) -> Iterator[dict[str, Any]]:
    """A row for each window and each endpoint that was asked within the longest one, and `all` of them together.

    `requests`: `at`, `endpoint`, `latency_ms`, `is_error`, `is_refused`, in order of time, none of them later than `now`.
    """
    for endpoint in [ALL, *sorted(set(requests["endpoint"].to_pylist()))]:
        own = requests if endpoint == ALL else requests.filter(pc.equal(requests["endpoint"], endpoint))
        yield _row(own.slice(max(0, own.num_rows - LAST)), None, now, targets) | {
            "window": LAST_NAME,
            "endpoint": endpoint,
        }
        for name, span in WINDOWS.items():
            inside = own.filter(pc.greater(own["at"], pa.scalar(now - span, own["at"].type)))
            yield _row(inside, span, now, targets) | {"window": name, "endpoint": endpoint}


def latencies(milliseconds: Floats) -> dict[str, float]:
    """Mean, maximum and percentiles (linear between order statistics: Hyndman and Fan 1996, type 7); NaN of nothing.

    The interval of p95 has no assumption but independence: the order statistics whose ranks are the binomial's normal
    limits (Conover 1999, 3.2).
    """
    n = len(milliseconds)
    if not n:
        return dict.fromkeys(LATENCIES, nan)
    p50, p95, p99 = (float(np.percentile(milliseconds, percent)) for percent in (50, 95, 99))
    in_order = np.sort(milliseconds)
    half = Z * sqrt(n * 0.95 * 0.05)
    low, high = (int(np.clip(np.ceil(n * 0.95 + side * half) - 1, 0, n - 1)) for side in (-1, 1))
    found = (
        float(milliseconds.mean()),
        p50,
        p95,
        float(in_order[low]),
        float(in_order[high]),
        p99,
        float(in_order[-1]),
    )
    return dict(zip(LATENCIES, found, strict=True))


def _row(requests: pa.Table, span: timedelta | None, now: datetime, targets: Targets) -> dict[str, Any]:
    n = requests.num_rows
    errors, refused = (int(pc.sum(requests[name]).as_py() or 0) for name in ("is_error", "is_refused"))
    low, high = wilson(errors / n, n) if n else (nan, nan)
    since = now - span if span is not None else (requests["at"][0].as_py() if n else None)
    # Of the last so many there is no rate of time: they may be of a second, or of a week.
    seconds = span.total_seconds() if span is not None else nan
    times = latencies(requests["latency_ms"].to_numpy())
    needed = max(targets.latency.minimum_n, targets.errors.minimum_n)
    return {
        "evaluated_at": now,
        "since": since,
        "requests": n,
        "errors": errors,
        "refused": refused,
        "error_rate": errors / n if n else nan,
        "error_rate_low": low,
        "error_rate_high": high,
        "rps": n / seconds,
        "rpm": 60 * n / seconds,
        **times,
        "is_fast_enough": _keeps(times["p95_ms"], n, targets.latency),
        "is_reliable": _keeps(low, n, targets.errors),
        "status": "ok" if n >= needed else "insufficient_data",
        "reason": f"{n:,} requests"
        + (
            ""
            if n >= needed
            else f"; p95 is judged from {targets.latency.minimum_n:,}, errors from {targets.errors.minimum_n:,}"
        ),
    }


def _keeps(value: float, n: int, target: Threshold) -> bool | None:
    """Whether what is believed stays within the promise; None: too few requests to say, or nothing is promised."""
    return value <= target.warning if n >= target.minimum_n and target.warning is not None else None
