"""Reading an installation's experiments: which tables, up to when. What is read from them stands in `reading.py`."""

from datetime import datetime

from lead_scoring_assets.errors import ExperimentError
from lead_scoring_assets.experiments.reading import Reading, Tables, read_experiment
from lead_scoring_assets.experiments.records import Experiments, Status
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.promotion.deployments import Deployments
from lead_scoring_assets.rollout.overtaking import overtaken

SERVED, LABELS, ACTIVITIES = "served_predictions", "ground_truth_labels", "raw_activities"
FEEDBACK = "experiment_feedback"
"""Kind of event: what a salesperson said of an experiment, which is its subject."""


def labels_until(installation: Installation) -> datetime | None:
    """The end of the newest period whose labels were made; None: there are none."""
    if not installation.lakehouse.exists(LABELS):
        return None
    [key] = query("SELECT max(period) AS period FROM labels", {"labels": installation.lakehouse.scan(LABELS)})[
        "period"
    ].to_pylist()
    return installation.settings.calendar.period(key).end if key else None


def what_is_missing(installation: Installation) -> str | None:
    """Why nothing can be read yet; None: it can."""
    if not installation.lakehouse.exists(SERVED):
        return f"no answer has been logged yet (table {SERVED})"
    return None


def why_overtaken(installation: Installation, running: Status) -> str | None:
    """Why the arms can no longer be compared as planned, because of what happened to a model; None: they can."""
    experiment, since = running.experiment, running.started_at or running.last.at
    steps = Deployments(installation.lakehouse).steps()
    why = overtaken(steps, experiment.treatment_version, experiment.control_version, since)
    return f"{why}. Plan another." if why else None


def next_reading(installation: Installation) -> tuple[str | None, str]:
    """The name of the reading that is due, the same for the same day and labels; None and why there is none."""
    running = Experiments(installation.lakehouse).running()
    if running is None:
        return None, "no experiment runs"
    name = running.experiment.experiment_id
    if why := why_overtaken(installation, running):
        return f"{name}/overtaken", why
    if missing := what_is_missing(installation):
        return None, f"experiment {name!r} runs, but {missing}"
    day, lakehouse = installation.clock.now(), installation.lakehouse
    labels = lakehouse.version(LABELS) if lakehouse.exists(LABELS) else "none"
    return f"{name}/{day:%Y-%m-%d}/labels-{labels}", "a reading is due"


def look(installation: Installation, status: Status) -> Reading:
    """The experiment as it is now, or as it was when it ended.

    Raises:
        ExperimentError: it has not begun, or nothing can be read yet.
    """
    name = status.experiment.experiment_id
    if status.started_at is None:
        raise ExperimentError(
            f"experiment {name!r} has not begun: expected one that runs. Start it with `lead-scoring experiment start`."
        )
    if missing := what_is_missing(installation):
        raise ExperimentError(
            f"experiment {name!r} cannot be read: {missing}. It can as soon as leads have been scored."
        )
    until = labels_until(installation)
    lakehouse, settings = installation.lakehouse, installation.settings
    has_activities = lakehouse.exists(ACTIVITIES)
    tables = Tables(
        served=lakehouse.scan(SERVED),
        labels=None if until is None else lakehouse.scan(LABELS),
        labels_until=until or status.started_at,
        activities=lakehouse.scan(ACTIVITIES) if has_activities else None,
    )
    said = installation.events.events(kind=FEEDBACK, subject=name)
    return read_experiment(
        status.experiment,
        status.started_at,
        status.ended_at or installation.clock.now(),
        tables,
        settings.rollout,
        settings.experiments.minimum_effective_leads,
        [f"{event.actor}: {event.reason}" for event in said],
    )
