"""Which version answers which leads at the moment: one value that the API and the tables speak of alike."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple, Self

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lakehouse.tables import Lakehouse
from lead_scoring_assets.lots import LOTS
from lead_scoring_assets.promotion.deployments import Deployment, Deployments, earlier_versions, newest_of
from lead_scoring_assets.promotion.lifecycle import lifecycle_of
from lead_scoring_assets.rollout.overtaking import is_overtaken, overtaken
from lead_scoring_assets.rollout.records import Rollouts, taken_back
from lead_scoring_assets.rollout.states import Rollout

_EXPERIMENTS = "experiments"
Mode = Literal["champion_only", "shadow", "canary", "experiment"]
Unit = Literal["lead", "rep"]
Control = Literal["champion", "process"]


@dataclass(frozen=True)
class Traffic:
    """`share_bp`: of 10,000 lots, how many get the challenger: those below it, drawn with `salt` for each `unit`.

    `control`: what the others get, the champion or the process that there was before. `exploration_bp`: how many lots are
    answered by chance, so that other policies can be judged on them.
    """

    mode: Mode = "champion_only"
    share_bp: int = 0
    salt: str = ""
    rollout_id: str | None = None
    experiment_id: str | None = None
    unit: Unit = "lead"
    control: Control = "champion"
    exploration_bp: int = 0

    def __post_init__(self) -> None:
        for name in ("share_bp", "exploration_bp"):
            if not 0 <= getattr(self, name) <= LOTS:
                raise ValueError(f"{name} must lie between 0 and {LOTS:,}, found {getattr(self, name)!r}")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Self:
        """What `to_dict` gave; TypeError or ValueError where it is something else."""
        return cls(**told)


class Now(NamedTuple):
    """The champion, the challenger beside it, and how they share the leads.

    `next_up`: who may take the champion's place from one moment to the next: the shadow, what waits in staging, and what a
    rollback brings back.
    """

    champion: Deployment | None = None
    challenger: Deployment | None = None
    traffic: Traffic = Traffic()
    next_up: tuple[Deployment, ...] = ()


def traffic_now(installation: Installation) -> Now:
    """What the tables say.

    A rollout that runs says who the challenger is and what share it gets, else an experiment does; the champion is alone
    from the moment in which either is overtaken. Without both it is what waits in staging, in the shadow; not what a
    rollout has taken back.
    """
    steps, rollouts = Deployments(installation.lakehouse).steps(), Rollouts(installation.lakehouse).all()
    champion = newest_of([step for step in steps if step.went_live])
    if champion is None:
        return Now()
    challenger, traffic = _beside(champion, steps, rollouts, installation.lakehouse)
    return Now(
        champion, challenger, traffic, _next_up(champion, challenger if traffic.mode == "shadow" else None, steps)
    )


def _beside(
    champion: Deployment, steps: Sequence[Deployment], rollouts: Sequence[Rollout], lakehouse: Lakehouse
) -> tuple[Deployment | None, Traffic]:
    running = next((rollout for rollout in rollouts if not rollout.is_over), None)
    version: int | None
    if running is not None:
        if is_overtaken(running, steps):
            return None, Traffic()
        version, traffic = running.version, _traffic_of(running)
    elif (experiment := running_experiment(lakehouse)) is not None:
        version, traffic = experiment["treatment_version"], _traffic_of_experiment(experiment)
        if overtaken(steps, version, experiment["control_version"], experiment["at"]):
            return None, Traffic()
    else:
        waiting = lifecycle_of(steps).staging
        version, traffic = (None if waiting in taken_back(rollouts) else waiting), Traffic("shadow")
    challenger = _newest_step(steps, version)
    # A candidate that has taken over is watched alone.
    # Against the process that there was before, the champion itself may be what is tested.
    if challenger is None or (version == champion.version and traffic.control != "process"):
        return None, Traffic()
    return challenger, traffic


def _next_up(champion: Deployment, shadow: Deployment | None, steps: Sequence[Deployment]) -> tuple[Deployment, ...]:
    lifecycle = lifecycle_of(steps)
    back = next(earlier_versions([step for step in steps if step.went_live], lifecycle, champion), None)
    found = (shadow, _newest_step(steps, lifecycle.staging), back)
    return tuple(
        {step.version: step for step in found if step is not None and step.version != champion.version}.values()
    )


def _newest_step(steps: Sequence[Deployment], version: int | None) -> Deployment | None:
    return next((step for step in reversed(steps) if step.version == version), None)


def running_experiment(lakehouse: Lakehouse) -> dict[str, Any] | None:
    """The newest row of the experiment that is running, if one is: the room of experiments comes after this one, and its
    table speaks for it."""
    if not lakehouse.exists(_EXPERIMENTS):
        return None
    newest = {row["experiment_id"]: row for row in lakehouse.read(_EXPERIMENTS).sort_by("sequence").to_pylist()}
    return next((row for row in newest.values() if row["state"] == "running"), None)


def _traffic_of(rollout: Rollout) -> Traffic:
    if not rollout.share_bp:
        return Traffic("shadow", rollout_id=rollout.rollout_id)
    return Traffic("canary", rollout.share_bp, salt=rollout.rollout_id, rollout_id=rollout.rollout_id)


def _traffic_of_experiment(row: Mapping[str, Any]) -> Traffic:
    told = ("share_bp", "salt", "experiment_id", "unit", "control", "exploration_bp")
    return Traffic("experiment", **{name: row[name] for name in told})
