"""The sensor that brings alerts to people. What is due, and how it is sent, stands in this room's plain modules."""

import dagster as dg

from lead_scoring_assets.alerts.delivery.outbox import deliver
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.settings import find_home


@dg.sensor(
    name="deliver_alerts",
    description="Sends alerts to the channels of the settings, tries again what failed, escalates what nobody "
    "acknowledged, and tells of what is over.",
    minimum_interval_seconds=find_home().settings.retraining.sensor_interval_seconds,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def deliver_alerts(installation: dg.ResourceParam[Installation]) -> dg.SkipReason:
    """What was sent on each channel."""
    return dg.SkipReason(deliver(installation))
