"""Alerts on what monitoring measured: each rule reads the newest period of one table and holds it against a threshold.

A period that could not be judged says nothing: it raises no alert, and ends none.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lead_scoring_assets.alerts.alerts import Alert
from lead_scoring_assets.alerts.thresholds import level_of
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.settings import AlertMetric


@dataclass(frozen=True)
class Rule:
    """`sql` gives one row of the period $1 of `table` (as `found`): judged, value, cautious, n, detail. `judged` counts the
    rows that hold a verdict; `subject` is that of the asset check that watches the same, so that both are one episode.
    Where a period is too long for one alert, the row has the `moment` in it that is meant."""

    metric: AlertMetric
    table: str
    subject: str
    words: str
    needs: frozenset[str]
    sql: str


@dataclass(frozen=True)
class Measurement:
    """What one rule found in one period; `alert` is None when all is well."""

    rule: Rule
    period: str
    told: str
    alert: Alert | None


def _drift_sql(statistic: str, cautious: str) -> str:
    return f"""
        SELECT count(*) FILTER (status IN ('ok', 'warning', 'drift')) AS judged,
               arg_max({statistic}, {cautious}) FILTER (status IN ('warning', 'drift')) AS value,
               max({cautious}) FILTER (status IN ('warning', 'drift')) AS cautious,
               arg_max(n_current, {cautious}) FILTER (status IN ('warning', 'drift')) AS n,
               count(*) FILTER (status = 'drift') || ' of ' || count(*) || ' drifted' AS detail
        FROM found WHERE period = $1
    """  # noqa: S608  # only our own names are pasted in


def _api_sql(value: str, cautious: str, flag: str, detail: str) -> str:
    """Of the newest evaluation: the last hour where that can be judged, else the last day."""
    return f"""
        WITH newest AS (
            SELECT * FROM found WHERE period = $1 AND endpoint = 'all' AND "window" IN ('hour', 'day')
            QUALIFY evaluation = max(evaluation) OVER ()
        ), chosen AS (
            SELECT * FROM newest ORDER BY {flag} IS NULL, "window" <> 'hour' LIMIT 1
        )
        SELECT ({flag} IS NOT NULL)::INT AS judged, {value} AS value, {cautious} AS cautious, requests AS n,
               {detail} || ' of the last ' || "window" AS detail,
               strftime(evaluated_at, CASE "window" WHEN 'day' THEN '%Y-%m-%d' ELSE '%Y-%m-%dT%H' END) AS moment
        FROM chosen
    """  # noqa: S608  # only our own names are pasted in


_API_COLUMNS = frozenset({"period", "evaluation", "endpoint", "window", "requests", "error_rate_low", "is_reliable"})


def _api_latency(metric: AlertMetric, percentile: str) -> Rule:
    detail = f"format('{percentile} {{:.1f}} ms', {percentile}_ms)"
    return Rule(
        metric=metric,
        table="service_health",
        subject=f"api:latency_{percentile}",
        words=f"{percentile} of the API's answers, in ms",
        needs=_API_COLUMNS,
        sql=_api_sql(f"{percentile}_ms", f"{percentile}_ms", "is_fast_enough", detail),
    )


RULES = (
    Rule(
        metric="data_drift_psi",
        table="feature_drift",
        subject="feature_drift:no_feature_drifted",
        words="PSI of the feature that drifted most",
        needs=frozenset({"period", "status", "psi", "psi_debiased", "n_current"}),
        sql=_drift_sql("psi", "psi_debiased"),
    ),
    Rule(
        metric="prediction_drift_ks",
        table="prediction_drift",
        subject="prediction_drift",
        words="KS distance of the scores",
        needs=frozenset({"period", "status", "ks_statistic", "n_current"}),
        sql=_drift_sql("ks_statistic", "ks_statistic"),
    ),
    # On matured leads only. What was promised is the mean score; the drop is believed as far as the upper bound of the
    # conversion rate (Wilson 1927) still falls short of it.
    Rule(
        metric="conversion_rate_drop",
        table="model_performance",
        subject="conversion_rate",
        words="conversions below what the scores promised",
        needs=frozenset({"period", "model_version", "metric", "value", "high", "n", "status"}),
        sql="""
            WITH version AS (
                SELECT model_version, max(n) AS n,
                       max(value) FILTER (metric = 'conversion_rate') AS rate,
                       max(high) FILTER (metric = 'conversion_rate') AS rate_high,
                       max(value) FILTER (metric = 'mean_score') AS promised
                FROM found WHERE period = $1 AND status = 'ok' GROUP BY model_version
            ), compared AS (
                SELECT *, 1 - rate / promised AS drop_seen, 1 - rate_high / promised AS drop_believed
                FROM version WHERE promised > 0 AND rate IS NOT NULL
            )
            SELECT count(*) AS judged, arg_max(drop_seen, drop_believed) AS value, max(drop_believed) AS cautious,
                   arg_max(n, drop_believed) AS n,
                   arg_max(format('v{}: {:.1f} % converted, {:.1f} % promised', model_version, 100 * rate, 100 * promised),
                           drop_believed) AS detail
            FROM compared
        """,
    ),
    Rule(
        metric="error_rate",
        table="service_health",
        subject="api:error_rate",
        words="share of the API's requests that failed or that no model answered",
        needs=_API_COLUMNS,
        sql=_api_sql("error_rate", "error_rate_low", "is_reliable", "format('{:,} failed', errors)"),
    ),
    # What a percentile of so many requests was is a fact of them: no interval is taken off.
    _api_latency("latency_p95_ms", "p95"),
    _api_latency("latency_p99_ms", "p99"),
)


def measure(installation: Installation, rules: tuple[Rule, ...] = RULES) -> Iterator[Measurement]:
    """What each rule finds in the newest period of its table; nothing of a table that is not there or lacks a column."""
    lakehouse = installation.lakehouse
    for rule in rules:
        if not lakehouse.exists(rule.table):
            continue
        table = lakehouse.scan(rule.table)
        if not rule.needs <= set(table.schema.names):
            continue
        newest = query("SELECT max(period) AS period FROM found", {"found": table})["period"][0].as_py()
        if newest is None:
            continue
        [row] = query(rule.sql, {"found": table}, [newest]).to_pylist()
        if row["judged"]:
            yield _judged(installation, rule, row.get("moment") or newest, row)


def _judged(installation: Installation, rule: Rule, period: str, row: Mapping[str, object]) -> Measurement:
    threshold = installation.settings.alerts.threshold(rule.metric)
    value, cautious, n = (_number(row[name]) for name in ("value", "cautious", "n"))
    level = None if math.isnan(cautious) else level_of(cautious, int(n), threshold)
    if level is None:
        told = f"{rule.metric} of {period} is within its limits, chance considered: {row['detail']}"
        return Measurement(rule, period, told, None)
    limit = getattr(threshold, level)
    told = (
        f"{rule.words}: {value:.3f} in {period} ({cautious:.3f} beyond chance, n = {int(n):,}), above {limit:g} for "
        f"{level}; {row['detail']}"
    )
    figures = {rule.metric: round(value, 4), "beyond chance": round(cautious, 4), "n": int(n), "limit": limit}
    alert = Alert(
        f"alert-{rule.metric}-{period}-{level}", level, rule.subject, told, periods=(period,), evidence=figures
    )
    return Measurement(rule, period, told, alert)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
