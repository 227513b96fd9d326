"""The sensor that watches the guardrails of the live model, during tests as at any other time."""

import dagster as dg

from lead_scoring_assets.errors import PredictionLogError
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.monitoring.service.watching import watch
from lead_scoring_assets.prediction_log.sources import open_source
from lead_scoring_assets.promotion.following import follow
from lead_scoring_assets.settings import find_home


@dg.sensor(
    description="Judges the live model by what the API logged, whether it is ingested yet or not: too many errors or too few "
    "conversions take it back to the version before; the rest raises an alert.",
    minimum_interval_seconds=find_home().settings.guardrails.interval_seconds,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def watch_guardrails(
    context: dg.SensorEvaluationContext, installation: dg.ResourceParam[Installation]
) -> dg.SkipReason:
    """It launches nothing: a rollback is one row of a table."""
    try:
        watched = watch(installation, open_source(installation))
    except PredictionLogError as problem:
        return dg.SkipReason(str(problem))
    if isinstance(watched, str):
        return dg.SkipReason(watched)
    if watched.action == "rolled_back":
        context.log.warning(watched.reason)
        # The API has followed the table by now; MLflow takes seconds.
        if (remark := follow(installation)) is not None:
            context.log.warning(remark)
    version = watched.verdict.live_version
    return dg.SkipReason(f"v{version} {watched.verdict.status}: {watched.reason}")
