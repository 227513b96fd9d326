"""Every step of every experiment, in an append-only table with all that was settled; its newest step gives its state."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, Literal

import pyarrow as pa

from lead_scoring_assets.errors import ExperimentError
from lead_scoring_assets.experiments.experiment import Experiment
from lead_scoring_assets.lakehouse.tables import Lakehouse

TABLE = "experiments"

State = Literal["draft", "running", "concluded", "blocked", "stopped"]
Action = Literal["planned", "started", "concluded", "blocked", "stopped"]

_LEADS_TO: Mapping[Action, tuple[tuple[State | None, ...], State]] = {
    "planned": ((None,), "draft"),
    "started": (("draft",), "running"),
    "concluded": (("running",), "concluded"),
    "blocked": (("running",), "blocked"),
    "stopped": (("draft", "running", "blocked"), "stopped"),
}

SCHEMA = pa.schema(
    [("sequence", pa.int64()), ("experiment_id", pa.string()), ("action", pa.string()), ("state", pa.string())]
    + [("at", pa.timestamp("us", tz="UTC"))]
    + [(name, pa.string()) for name in ("actor", "reason", "verdict")]
    + [(name, pa.string()) for name in ("salt", "unit", "control")]
    + [(name, pa.int64()) for name in ("control_version", "treatment_version", "share_bp", "exploration_bp")]
    + [(name, pa.float64()) for name in ("base_rate", "minimum_lift", "significance", "power")]
    + [(name, pa.int64()) for name in ("planned_units", "minimum_units", "minimum_days", "age_days")]
)


@dataclass(frozen=True)
class Step:
    """Something that happened to an experiment. `verdict`: where one ended it."""

    experiment: Experiment
    action: Action
    at: datetime
    actor: str
    reason: str
    verdict: str | None = None


@dataclass(frozen=True)
class Status:
    """An experiment as it stands: its newest step, and when it began and ended (None: it has not)."""

    experiment: Experiment
    state: State
    last: Step
    started_at: datetime | None
    ended_at: datetime | None


class Experiments:
    """The steps, and questions about them."""

    def __init__(self, lakehouse: Lakehouse) -> None:
        self._lakehouse = lakehouse

    def steps(self) -> list[Step]:
        """In the order in which they were recorded: the position is the row's `sequence`."""
        if not self._lakehouse.exists(TABLE):
            return []
        rows = self._lakehouse.read(TABLE).sort_by([("sequence", "ascending"), ("at", "ascending")])
        return [_step(row) for row in rows.to_pylist()]

    def all(self) -> list[Status]:
        """Every experiment, in the order in which they were planned."""
        found: dict[str, Status] = {}
        for step in self.steps():
            name = step.experiment.experiment_id
            state = _LEADS_TO[step.action][1]
            started = step.at if state == "running" else found[name].started_at if name in found else None
            ended = step.at if state in ("concluded", "blocked", "stopped") else None
            if name in found and found[name].ended_at is not None:
                ended = found[name].ended_at
            found[name] = Status(step.experiment, state, step, started, ended)
        return list(found.values())

    def running(self) -> Status | None:
        """There is never more than one: two would give the same leads to both."""
        return next((status for status in self.all() if status.state == "running"), None)

    def find(self, experiment_id: str) -> Status:
        """
        Raises:
            ExperimentError: there is none of that name.
        """
        known = {status.experiment.experiment_id: status for status in self.all()}
        if experiment_id not in known:
            names = f"expected one of {', '.join(known)}" if known else "none was planned yet"
            raise ExperimentError(
                f"experiment {experiment_id!r} is not known: {names}. `lead-scoring experiment show` lists them."
            )
        return known[experiment_id]

    def append(self, step: Step) -> Step:
        """Record `step`. Only inside the lock of `transitions`.

        Raises:
            ExperimentError: the experiment's state does not allow it.
        """
        steps, name = self.steps(), step.experiment.experiment_id
        before = next((known for known in reversed(steps) if known.experiment.experiment_id == name), None)
        state = _LEADS_TO[before.action][1] if before else None
        allowed, after = _LEADS_TO[step.action]
        if state not in allowed:
            expected = " or ".join(str(each) for each in allowed if each) or "a name that no experiment has yet"
            raise ExperimentError(
                f"experiment {name!r} cannot be {step.action}: expected {expected}, found {state or 'none of that name'}"
            )
        told = {"action": step.action, "state": after, "at": step.at, "actor": step.actor, "reason": step.reason}
        row = {"sequence": len(steps), **told, "verdict": step.verdict, **asdict(step.experiment)}
        self._lakehouse.append(TABLE, pa.Table.from_pylist([row], schema=SCHEMA))
        return step


def _step(row: Mapping[str, Any]) -> Step:
    experiment = Experiment(**{field.name: row[field.name] for field in fields(Experiment)})
    return Step(experiment, row["action"], row["at"], row["actor"], row["reason"], row["verdict"])
