"""Measuring the API's health now, and keeping what was measured: figures over time are a table."""

from typing import Any

import pyarrow as pa

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.monitoring.service.health import SCHEMA, TABLE, WINDOWS, Targets, figures
from lead_scoring_assets.monitoring.service.requests import RequestLog
from lead_scoring_assets.prediction_log.segments import LogSource

_EVALUATIONS = "evaluations"


def targets_of(installation: Installation) -> Targets:
    """What an alert warns of is what the service promises not to do."""
    alerts = installation.settings.alerts
    return Targets(alerts.threshold("latency_p95_ms"), alerts.threshold("error_rate"))


def measure(installation: Installation, source: LogSource) -> list[dict[str, Any]]:
    """The figures of now, which are appended to the table; none while the API has never answered."""
    log = RequestLog(installation, source)
    if log.is_empty:
        return []
    lakehouse, now = installation.lakehouse, installation.clock.now()
    number = lakehouse.taken_in(TABLE, [_EVALUATIONS])[_EVALUATIONS]
    requests = log.requests_between(now - max(WINDOWS.values()), now)
    of_now = {"period": installation.settings.calendar.containing(now).key, "evaluation": number + 1}
    rows = [of_now | row for row in figures(requests, now, targets_of(installation))]
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    lakehouse.append_once(TABLE, table, {_EVALUATIONS: (number, number + 1)}, by_period=True)
    return rows


def newest(installation: Installation) -> list[dict[str, Any]]:
    """The rows of the newest evaluation; none while there is none."""
    if not installation.lakehouse.exists(TABLE):
        return []
    found = {"health": installation.lakehouse.scan(TABLE)}
    rows: list[dict[str, Any]] = query(
        "SELECT * FROM health WHERE evaluation = (SELECT max(evaluation) FROM health)", found
    ).to_pylist()
    return rows
