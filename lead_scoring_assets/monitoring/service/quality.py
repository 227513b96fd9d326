"""Judgements on the API's newest figures: they fit together, and they keep what the service promises."""

from typing import Any

from lead_scoring_assets.contracts.findings import Finding
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.monitoring.service.health import ALL, LAST, LAST_NAME, WINDOWS
from lead_scoring_assets.monitoring.service.measuring import newest, targets_of


def figures_fit_together(installation: Installation) -> Finding:
    """Errors and refusals are requests, percentiles rise, a longer window holds the shorter one, endpoints add up."""
    rows = newest(installation)
    told = []
    for row in rows:
        name = f"{row['endpoint']}, {row['window']}"
        if max(row["errors"], row["refused"]) > row["requests"]:
            told.append(f"{name}: more errors or refusals than requests")
        times = [row[percentile] for percentile in ("p50_ms", "p95_ms", "p99_ms", "max_ms")]
        if row["requests"] and times != sorted(times):
            told.append(f"{name}: percentiles do not rise")
        if row["window"] == LAST_NAME and row["requests"] > LAST:
            told.append(f"{name}: more than {LAST:,} requests")
    count = {(row["endpoint"], row["window"]): row["requests"] for row in rows}
    for endpoint in {row["endpoint"] for row in rows}:
        counts = [count[endpoint, window] for window in WINDOWS]
        if counts != sorted(counts):
            told.append(f"{endpoint}: a longer window has fewer requests")
    for window in WINDOWS if rows else ():
        parts = sum(n for (endpoint, name), n in count.items() if name == window and endpoint != ALL)
        if parts != count[ALL, window]:
            told.append(f"{window}: endpoints add up to {parts:,}, all are {count[ALL, window]:,}")
    return Finding(not told, "; ".join(told) or f"{len(rows):,} rows of the newest evaluation fit together")


def service_is_fast(installation: Installation) -> Finding:
    """95 of 100 requests of the last hour (of the last day, when those are few) are answered in time."""
    row = _judged(newest(installation), "is_fast_enough")
    if row is None:
        return Finding(True, "insufficient data: too few requests")
    told = (
        f"p95 of the last {row['window']} is {row['p95_ms']:.1f} ms [{row['p95_low_ms']:.1f}, {row['p95_high_ms']:.1f}] of "
        f"{row['requests']:,} requests, promised below {targets_of(installation).latency.warning:g}"
    )
    return Finding(row["is_fast_enough"], told, {"p95_ms": row["p95_ms"]})


def service_is_reliable(installation: Installation) -> Finding:
    """No more requests fail, or are answered without a model, than is promised; chance is no failure."""
    row = _judged(newest(installation), "is_reliable")
    if row is None:
        return Finding(True, "insufficient data: too few requests")
    told = (
        f"{row['errors']:,} of {row['requests']:,} requests of the last {row['window']} failed ({row['error_rate']:.2%} "
        f"[{row['error_rate_low']:.2%}, {row['error_rate_high']:.2%}]), promised below "
        f"{targets_of(installation).errors.warning:.2%}"
    )
    return Finding(row["is_reliable"], told, {"error_rate": row["error_rate"]})


def _judged(rows: list[dict[str, Any]], flag: str) -> dict[str, Any] | None:
    """Of all endpoints together: the hour where it can be judged, else the day."""
    found = {row["window"]: row for row in rows if row["endpoint"] == ALL and row[flag] is not None}
    return found.get("hour") or found.get("day")
