"""Experiments that ended by what they found, as alerts. Who reads them, and decides, stands in the room `experiments`."""

from collections.abc import Sequence

from lead_scoring_assets.alerts.alerts import Alert
from lead_scoring_assets.experiments.records import Step


def alerts_on_experiments(steps: Sequence[Step]) -> list[Alert]:
    """One alert of each experiment that has a verdict, with its reasons; not of what a person stopped."""
    return [_alert(step, step.verdict) for step in steps if step.verdict is not None]


def _alert(step: Step, verdict: str) -> Alert:
    experiment = step.experiment
    control = "the process before" if experiment.control == "process" else f"v{experiment.control_version}"
    return Alert(
        alert_id=f"alert-experiment-{experiment.experiment_id}",
        level="info",
        subject=experiment.experiment_id,
        message=(
            f"{experiment.experiment_id}, v{experiment.treatment_version} against {control}, ended with {verdict}: {step.reason}"
        ),
        evidence={"verdict": verdict, "treatment": experiment.treatment_version, "control": control},
    )
