"""Dagster shell of the API's health. Without partitions, like the log that it measures: its now is the clock's."""

import dagster as dg

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.monitoring.service.health import ALL
from lead_scoring_assets.monitoring.service.measuring import measure
from lead_scoring_assets.prediction_log.sources import open_source

_SHOWN = ("requests", "error_rate", "rps", "p50_ms", "p95_ms", "p99_ms")


@dg.asset(
    deps=["served_predictions", "served_errors"],
    group_name="serving",
    owners=["team:machine-learning"],
    kinds={"duckdb", "deltalake"},
)
def service_health(installation: dg.ResourceParam[Installation]) -> dg.MaterializeResult[None]:
    """Latency, throughput and errors of the API over all workers: of the last 1,000 requests, a minute, an hour, a day."""
    rows = measure(installation, open_source(installation))
    of_the_hour = next((row for row in rows if (row["endpoint"], row["window"]) == (ALL, "hour")), {})
    # NaN is a gap in the UI's plot over time.
    return dg.MaterializeResult(metadata={name: float(of_the_hour[name]) for name in _SHOWN if of_the_hour})
