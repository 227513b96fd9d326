"""Thin adapters: look, decide, answer, carry out. One sensor a cause; each tick says why, in a sentence with numbers."""

import dagster as dg

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.retraining.decisions import Cause
from lead_scoring_assets.retraining.episodes import answer
from lead_scoring_assets.retraining.situation import decide, look
from lead_scoring_assets.settings import find_home

JOB = "retraining"
_INTERVAL_SECONDS = find_home().settings.retraining.sensor_interval_seconds


def evaluate(cause: Cause, actor: str, installation: Installation) -> dg.RunRequest | dg.SkipReason:
    """What this cause asks for now."""
    situation = look(installation)
    if situation is None:
        return dg.SkipReason("no period has closed yet")
    decision = decide(cause, installation, situation)
    answered = answer(decision, situation, installation.events, actor)
    if answered.episode_id is None:
        return dg.SkipReason(answered.reason)
    return dg.RunRequest(
        run_key=answered.episode_id,
        partition_key=decision.period,
        tags={"lead_scoring/cause": cause, "lead_scoring/episode": answered.episode_id},
    )


def _sensor(cause: Cause, description: str) -> dg.SensorDefinition:
    name = f"retrain_on_{cause}"

    @dg.sensor(
        name=name,
        job_name=JOB,
        description=description,
        minimum_interval_seconds=_INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def retrain(installation: dg.ResourceParam[Installation]) -> dg.RunRequest | dg.SkipReason:
        return evaluate(cause, name, installation)

    return retrain


SENSORS = [
    _sensor("drift", "Trains again when leads drifted from what the champion was trained on."),
    _sensor("label_volume", "Trains again when enough labels became known since the last training."),
    _sensor("performance", "Trains again when the champion's matured performance is clearly too low."),
]
