"""The front door: one `Definitions` out of every room."""

import warnings
from collections.abc import Mapping

import dagster as dg

# dagster marks parts of its API that this project uses on purpose as beta or preview; CI pins the version.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)

from lead_scoring_assets import jobs  # noqa: E402
from lead_scoring_assets.alerts import sensors as alert_sensors  # noqa: E402
from lead_scoring_assets.alerts.delivery import sensors as delivery_sensors  # noqa: E402
from lead_scoring_assets.assessment import assets as assessment_assets  # noqa: E402
from lead_scoring_assets.assessment import checks as assessment_checks  # noqa: E402
from lead_scoring_assets.experiments import assets as experiment_assets  # noqa: E402
from lead_scoring_assets.experiments import checks as experiment_checks  # noqa: E402
from lead_scoring_assets.experiments import jobs as experiment_jobs  # noqa: E402
from lead_scoring_assets.experiments import sensors as experiment_sensors  # noqa: E402
from lead_scoring_assets.features import assets as feature_assets  # noqa: E402
from lead_scoring_assets.features import checks as feature_checks  # noqa: E402
from lead_scoring_assets.labels import assets as label_assets  # noqa: E402
from lead_scoring_assets.labels import checks as label_checks  # noqa: E402
from lead_scoring_assets.lakehouse.io_manager import LakehouseIOManager  # noqa: E402
from lead_scoring_assets.leads import assets as lead_assets  # noqa: E402
from lead_scoring_assets.leads import checks as lead_checks  # noqa: E402
from lead_scoring_assets.leads import sensors as lead_sensors  # noqa: E402
from lead_scoring_assets.models import assets as model_assets  # noqa: E402
from lead_scoring_assets.models import checks as model_checks  # noqa: E402
from lead_scoring_assets.models.resources import mlflow_tracking  # noqa: E402
from lead_scoring_assets.monitoring.business import assets as business_assets  # noqa: E402
from lead_scoring_assets.monitoring.business import checks as business_checks  # noqa: E402
from lead_scoring_assets.monitoring.drift import assets as drift_assets  # noqa: E402
from lead_scoring_assets.monitoring.drift import checks as drift_checks  # noqa: E402
from lead_scoring_assets.monitoring.drift.watching import assets as watching_assets  # noqa: E402
from lead_scoring_assets.monitoring.drift.watching import checks as watching_checks  # noqa: E402
from lead_scoring_assets.monitoring.performance import assets as performance_assets  # noqa: E402
from lead_scoring_assets.monitoring.performance import checks as performance_checks  # noqa: E402
from lead_scoring_assets.monitoring.reports import assets as report_assets  # noqa: E402
from lead_scoring_assets.monitoring.reports import checks as report_checks  # noqa: E402
from lead_scoring_assets.monitoring.service import assets as service_assets  # noqa: E402
from lead_scoring_assets.monitoring.service import checks as service_checks  # noqa: E402
from lead_scoring_assets.monitoring.service import sensors as service_sensors  # noqa: E402
from lead_scoring_assets.prediction_log import assets as log_assets  # noqa: E402
from lead_scoring_assets.prediction_log import checks as log_checks  # noqa: E402
from lead_scoring_assets.prediction_log import sensors as log_sensors  # noqa: E402
from lead_scoring_assets.predictions import assets as prediction_assets  # noqa: E402
from lead_scoring_assets.predictions import checks as prediction_checks  # noqa: E402
from lead_scoring_assets.predictions import schedules as prediction_schedules  # noqa: E402
from lead_scoring_assets.promotion import assets as promotion_assets  # noqa: E402
from lead_scoring_assets.promotion import checks as promotion_checks  # noqa: E402
from lead_scoring_assets.promotion import jobs as promotion_jobs  # noqa: E402
from lead_scoring_assets.resources import InstallationResource  # noqa: E402
from lead_scoring_assets.retraining import jobs as retraining_jobs  # noqa: E402
from lead_scoring_assets.retraining import sensors as retraining_sensors  # noqa: E402
from lead_scoring_assets.rollout import assets as rollout_assets  # noqa: E402
from lead_scoring_assets.rollout import jobs as rollout_jobs  # noqa: E402
from lead_scoring_assets.rollout import sensors as rollout_sensors  # noqa: E402

_ASSET_MODULES = [
    lead_assets,
    feature_assets,
    label_assets,
    model_assets,
    assessment_assets,
    promotion_assets,
    prediction_assets,
    log_assets,
    drift_assets,
    watching_assets,
    performance_assets,
    business_assets,
    service_assets,
    report_assets,
    rollout_assets,
    experiment_assets,
]
_CHECK_MODULES = [
    lead_checks,
    feature_checks,
    label_checks,
    model_checks,
    assessment_checks,
    promotion_checks,
    prediction_checks,
    log_checks,
    drift_checks,
    watching_checks,
    performance_checks,
    business_checks,
    service_checks,
    report_checks,
    experiment_checks,
]


def build_definitions(
    resource_overrides: Mapping[str, object] | None = None,
    loggers: Mapping[str, dg.LoggerDefinition] | None = None,
) -> dg.Definitions:
    """All assets, checks, jobs, sensors and schedules. Overrides swap parts by resource name, `loggers` by theirs."""
    installation = InstallationResource()
    resources: dict[str, object] = {
        "installation": installation,
        "io_manager": LakehouseIOManager(installation=installation),
        "mlflow": mlflow_tracking,
    }
    return dg.Definitions(
        assets=dg.load_assets_from_modules(_ASSET_MODULES),
        asset_checks=[check for module in _CHECK_MODULES for check in module.CHECKS],
        jobs=[
            *jobs.JOBS,
            *promotion_jobs.JOBS,
            *retraining_jobs.JOBS,
            *rollout_jobs.JOBS,
            *rollout_jobs.ASSET_JOBS,
            *experiment_jobs.JOBS,
        ],
        sensors=[
            lead_sensors.leads_landed,
            log_sensors.new_served_predictions,
            service_sensors.watch_guardrails,
            retraining_sensors.retrain_on_cause,
            rollout_sensors.advance_rollouts,
            rollout_sensors.compare_shadow,
            experiment_sensors.advance_experiments,
            alert_sensors.alert_on_failed_run,
            alert_sensors.alert_on_failed_check,
            alert_sensors.alert_on_model_taken_back,
            alert_sensors.alert_on_measurement,
            alert_sensors.report_daily,
            delivery_sensors.deliver_alerts,
        ],
        schedules=[prediction_schedules.score_nightly],
        resources={**resources, **(resource_overrides or {})},
        loggers=loggers,
        # Starting a process for each step costs more than the steps; heavy libraries are imported inside them.
        executor=dg.in_process_executor,
    )


defs = build_definitions()
