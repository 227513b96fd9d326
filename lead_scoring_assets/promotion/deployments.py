"""Every step of every model version, in an append-only table; from it, which version was champion at any moment.

MLflow keeps no history of where an alias pointed; this table does. The aliases follow it (`following.py`), never lead.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import takewhile
from pathlib import Path

import pyarrow as pa

from lead_scoring_assets.files import one_at_a_time
from lead_scoring_assets.lakehouse.tables import Lakehouse
from lead_scoring_assets.periods import Period
from lead_scoring_assets.promotion.lifecycle import GOES_LIVE, Action, Lifecycle, lifecycle_of

TABLE = "deployments"

SCHEMA = pa.schema(
    [
        ("sequence", pa.int64()),
        ("version", pa.int64()),
        ("effective_at", pa.timestamp("us", tz="UTC")),
        ("period", pa.string()),
        ("bundle", pa.string()),
        ("fingerprint", pa.string()),
        ("actor", pa.string()),
        ("reason", pa.string()),
        ("action", pa.string()),
        ("requested_by", pa.string()),
        ("champion_version", pa.int64()),
    ]
)


@dataclass(frozen=True)
class Deployment:
    """A step of version `version`, trained at the end of `period`, that holds from `effective_at` on.

    `bundle` is the model's folder relative to the data folder; `fingerprint` its content. `requested_by`: who asked for
    the training, where that is known. `champion_version`: what was live when the step was recorded.
    """

    version: int
    effective_at: datetime
    period: str
    bundle: str
    fingerprint: str
    actor: str
    reason: str
    action: Action = "promoted"
    requested_by: str | None = None
    champion_version: int | None = None

    @property
    def went_live(self) -> bool:
        return self.action in GOES_LIVE

    def folder(self, data: Path) -> Path:
        return data / self.bundle


class Deployments:
    """The history of champions and of who might have been one, and questions about it."""

    def __init__(self, lakehouse: Lakehouse) -> None:
        self._lakehouse = lakehouse

    def steps(self) -> list[Deployment]:
        """Everything that happened, in the order in which it was recorded: the position is the row's `sequence`."""
        if not self._lakehouse.exists(TABLE):
            return []
        rows = self._lakehouse.read(TABLE).sort_by([("sequence", "ascending"), ("effective_at", "ascending")])
        # Rows from before there were other steps have no action: the gate had promoted.
        return [
            Deployment(**{**row, "action": row.get("action") or "promoted"})
            for row in rows.drop_columns(["sequence"]).to_pylist()
        ]

    def history(self) -> list[Deployment]:
        """What went live, in the order in which it was recorded."""
        return [step for step in self.steps() if step.went_live]

    def lifecycle(self) -> Lifecycle:
        return lifecycle_of(self.steps())

    def champion_at(self, moment: datetime) -> Deployment | None:
        """The champion at `moment`: the deployment that took effect last, up to then."""
        return newest_of([deployment for deployment in self.history() if deployment.effective_at <= moment])

    def newest(self) -> Deployment | None:
        """What is live after everything that was recorded."""
        return newest_of(self.history())

    def before(self, period: Period, until: datetime) -> list[Deployment]:
        """What had gone live when `period` was decided, also when it is decided again; the newest is the champion it met.

        What a person did after the period's end counts, before `until` (when the next period's decision was due) and
        before a model of this period or a later one went live.
        """
        earlier = takewhile(lambda deployment: deployment.period < period.key, self.history())
        return [deployment for deployment in earlier if deployment.effective_at < until]

    def record(self, decided: Deployment, until: datetime | None = None) -> bool:
        """Append what the gate decided, unless that was carried out before or is history; True when it was new.

        A version that was live once is not brought back by deciding its period again: it may have been rolled back.
        Nothing is recorded when a model that was trained later is, or was, live, or when something took effect at
        `until` or later, when the next decision was due.
        """
        with self.one_at_a_time():
            history = self.history()
            if any(live.fingerprint == decided.fingerprint and live.period == decided.period for live in history):
                return False
            if any(live.period > decided.period for live in history):
                return False
            if until is not None and any(live.effective_at >= until for live in history):
                return False
            if not self.lifecycle().allows(decided.action, decided.version):
                return False
            newest = newest_of(history)
            if decided.action == "proposed" and self._is_proposed(decided, newest):
                return False
            self.append(decided)
            return True

    def append(self, step: Deployment) -> Deployment:
        """Append `step` as it is checked against the lifecycle. Only inside `one_at_a_time`; gives what was written.

        It takes effect at the newest deployment's moment at the earliest, so that what was live before stays so.

        Raises:
            PromotionError: the version's stage does not allow the step.
        """
        steps = self.steps()
        lifecycle_of(steps).after(step.action, step.version)
        newest = newest_of([known for known in steps if known.went_live])
        effective_at = max(step.effective_at, newest.effective_at) if newest else step.effective_at
        step = replace(step, effective_at=effective_at, champion_version=newest.version if newest else None)
        row = {"sequence": len(steps), **vars(step)}
        self._lakehouse.append(TABLE, pa.Table.from_pylist([row], schema=SCHEMA))
        return step

    @contextlib.contextmanager
    def one_at_a_time(self) -> Iterator[None]:
        """Wait for other processes that change what is live.

        Delta takes two appends at once; who reads first and then appends must be alone, or a sequence comes twice.
        """
        with one_at_a_time(self._lakehouse.root.with_name("locks") / "deployments.lock"):
            yield

    def _is_proposed(self, decided: Deployment, champion: Deployment | None) -> bool:
        """Whether it waits for an answer already, having met the champion that is live."""
        live = champion.version if champion else None
        last = next((step for step in reversed(self.steps()) if step.version == decided.version), None)
        return last is not None and (last.action, last.champion_version) == ("proposed", live)


def newest_of(live: Sequence[Deployment]) -> Deployment | None:
    """The one of `live` that took effect last; None of none."""
    # max() keeps the first of equals; of two at one instant the one recorded later is live.
    return max(reversed(live), key=lambda deployment: deployment.effective_at) if live else None


def earlier_versions(history: Sequence[Deployment], lifecycle: Lifecycle, live: Deployment) -> Iterator[Deployment]:
    """Versions to go back to from `live`, the one that was live last first, each once."""
    seen = {live.version} | lifecycle.left
    for past in reversed(history):
        if past.version not in seen:
            seen.add(past.version)
            yield past
