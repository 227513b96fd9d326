"""What people and verdicts do to an experiment: plan, start, stop, note what salespeople say, conclude. Alone, and recorded."""

import hashlib
import re
from contextlib import AbstractContextManager
from dataclasses import dataclass

from lead_scoring_assets.errors import ExperimentError
from lead_scoring_assets.events.log import Event
from lead_scoring_assets.experiments.experiment import Experiment
from lead_scoring_assets.experiments.looking import FEEDBACK
from lead_scoring_assets.experiments.planning import Plan
from lead_scoring_assets.experiments.reading import Reading
from lead_scoring_assets.experiments.records import Experiments, Status, Step
from lead_scoring_assets.files import one_at_a_time
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lots import LOTS
from lead_scoring_assets.promotion.deployments import Deployments
from lead_scoring_assets.rollout.records import Rollouts
from lead_scoring_assets.rollout.traffic import Control, Unit

ACTOR = "experiment_results"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


@dataclass(frozen=True)
class Wanted:
    """What a person asks for. `experiment_id` None: it is named by its arms; `age_days` None: the conversion window."""

    treatment_version: int
    control: Control = "champion"
    unit: Unit = "lead"
    exploration: float = 0.0
    experiment_id: str | None = None
    age_days: int | None = None


def plan(installation: Installation, wanted: Wanted, cost: Plan, by: str, reason: str) -> Experiment:
    """Settle the experiment, as a draft.

    Raises:
        ExperimentError: a name that cannot be, or is taken; no champion; a treatment that is none.
    """
    with _alone(installation):
        experiments, champion = Experiments(installation.lakehouse), _champion(installation)
        _must_be_answerable(installation, wanted.treatment_version)
        name = wanted.experiment_id or _name(wanted, experiments.all())
        if not _NAME.fullmatch(name):
            raise ExperimentError(
                f"experiment {name!r}: expected a name of small letters, digits and dashes, such as v8-against-v7"
            )
        policy, question = installation.settings.experiments, cost.question
        experiment = Experiment(
            experiment_id=name,
            # Of its own, or every experiment would give the same leads its treatment.
            salt=f"{installation.settings.name}/{name}",
            unit=wanted.unit,
            control=wanted.control,
            control_version=champion if wanted.control == "champion" else None,
            treatment_version=wanted.treatment_version,
            share_bp=round(question.share * LOTS),
            exploration_bp=round(wanted.exploration * LOTS),
            base_rate=question.base_rate,
            minimum_lift=question.lift,
            significance=question.significance,
            power=question.power,
            planned_units=cost.units,
            minimum_units=cost.minimum_units,
            minimum_days=policy.minimum_days,
            age_days=wanted.age_days or age_days(installation),
        )
        experiments.append(Step(experiment, "planned", installation.clock.now(), by, reason))
        return experiment


def start(installation: Installation, experiment_id: str, by: str, reason: str) -> Status:
    """Let it run: from now on leads are drawn.

    Raises:
        ExperimentError: another one runs, a rollout shares the leads, or the champion is another one than was planned.
    """
    with _alone(installation), Rollouts(installation.lakehouse).one_at_a_time():
        experiments = Experiments(installation.lakehouse)
        experiment = experiments.find(experiment_id).experiment
        if (running := experiments.running()) is not None:
            raise ExperimentError(
                f"experiment {running.experiment.experiment_id!r} runs, expected none: both would draw the same leads. Wait "
                "for its verdict, or end it with `lead-scoring experiment stop`."
            )
        if (rollout := Rollouts(installation.lakehouse).running()) is not None:
            raise ExperimentError(
                f"{rollout.in_words}, expected no rollout: it would draw the same leads. Wait until it is over, or take it back."
            )
        champion = _champion(installation)
        if experiment.control_version not in (None, champion):
            raise ExperimentError(
                f"v{champion} is live, expected v{experiment.control_version}, with which {experiment_id!r} was planned. Plan "
                "another."
            )
        _must_be_answerable(installation, experiment.treatment_version)
        experiments.append(Step(experiment, "started", installation.clock.now(), by, reason))
        return experiments.find(experiment_id)


def stop(installation: Installation, experiment_id: str, by: str, reason: str) -> Status:
    """End it without a verdict.

    Raises:
        ExperimentError: no reason, or it is over.
    """
    if not reason.strip():
        raise ExperimentError("an experiment is ended with a reason, found none. Say it with --reason.")
    with _alone(installation):
        experiments = Experiments(installation.lakehouse)
        experiment = experiments.find(experiment_id).experiment
        experiments.append(Step(experiment, "stopped", installation.clock.now(), by, reason.strip()))
        return experiments.find(experiment_id)


def note_feedback(installation: Installation, experiment_id: str, by: str, said: str) -> bool:
    """Keep what a salesperson said, for the checklist; False when it was said before.

    Raises:
        ExperimentError: nothing was said, or there is no such experiment.
    """
    if not said.strip():
        raise ExperimentError("expected what the salespeople say, found nothing. Say it with --said.")
    Experiments(installation.lakehouse).find(experiment_id)
    name = hashlib.sha256(f"{by} {said.strip()}".encode()).hexdigest()[:12]
    now = installation.clock.now()
    return installation.events.record(
        Event(f"experiment-feedback-{experiment_id}-{name}", FEEDBACK, experiment_id, now, by, said.strip())
    )


def conclude(installation: Installation, reading: Reading) -> Status:
    """Carry out what the reading decided; once. Nothing goes live by it: a winner is rolled out step by step."""
    with _alone(installation):
        experiments, name = Experiments(installation.lakehouse), reading.experiment.experiment_id
        status = experiments.find(name)
        if not reading.decision.ends_it or status.state != "running":
            return status
        decision = reading.decision
        action = "blocked" if decision.verdict == "BLOCKED" else "concluded"
        experiments.append(
            Step(reading.experiment, action, reading.as_of, ACTOR, decision.reason, decision.verdict)  # type: ignore[arg-type]
        )
        return experiments.find(name)


def block(installation: Installation, experiment: Experiment, reason: str) -> Status:
    """End it because no comparison holds any more; once."""
    with _alone(installation):
        experiments = Experiments(installation.lakehouse)
        if experiments.find(experiment.experiment_id).state == "running":
            experiments.append(Step(experiment, "blocked", installation.clock.now(), ACTOR, reason, "BLOCKED"))
        return experiments.find(experiment.experiment_id)


def age_days(installation: Installation) -> int:
    """The age at which leads are counted, unless a plan says otherwise."""
    settings = installation.settings
    return settings.experiments.age_days or settings.labels.conversion_window_days


def _alone(installation: Installation) -> AbstractContextManager[None]:
    return one_at_a_time(installation.home.lock("experiments"))


def _champion(installation: Installation) -> int:
    champion = Deployments(installation.lakehouse).newest()
    if champion is None:
        raise ExperimentError("no model is live, expected a champion: it answers what is not drawn. Train one first.")
    return champion.version


def _must_be_answerable(installation: Installation, version: int) -> None:
    """The API can only answer with a version whose model is on record, and that no person refused."""
    deployments = Deployments(installation.lakehouse)
    known = sorted({step.version for step in deployments.steps()})
    if version not in known:
        raise ExperimentError(
            f"v{version} was never proposed or live, expected one of {', '.join(f'v{each}' for each in known)}. The gate "
            "proposes who passes it where gate.approval is manual or rollout; `lead-scoring rollout start` proposes by hand."
        )
    if version in deployments.lifecycle().rejected:
        raise ExperimentError(f"v{version} was rejected by a person, expected a version that may go live.")


def _name(wanted: Wanted, known: list[Status]) -> str:
    name = f"v{wanted.treatment_version}-against-{wanted.control}"
    same = sum(status.experiment.experiment_id.startswith(name) for status in known)
    return f"{name}-{same + 1}" if same else name
