"""Every step of every rollout, in an append-only table; where each stands follows from it. Nothing is decided here."""

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any, Literal

import pyarrow as pa

from lead_scoring_assets.files import one_at_a_time
from lead_scoring_assets.lakehouse.tables import Lakehouse
from lead_scoring_assets.rollout.states import Rollout

TABLE = "rollouts"
Action = Literal["started", "moved", "approved", "aborted"]
"""`moved`: by the sensor, or whoever looked; the others by a person."""

_MOMENT = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema(
    [
        ("sequence", pa.int64()),
        ("rollout_id", pa.string()),
        ("action", pa.string()),
        ("at", _MOMENT),
        ("version", pa.int64()),
        ("champion_version", pa.int64()),
        ("state", pa.string()),
        ("step", pa.int64()),
        ("share_bp", pa.int64()),
        ("started_at", _MOMENT),
        ("since", _MOMENT),
        ("started_by", pa.string()),
        ("requested_by", pa.string()),
        ("is_fast", pa.bool_()),
        ("actor", pa.string()),
        ("reason", pa.string()),
        ("evidence", pa.string()),
    ]
)
_OF_A_ROLLOUT = [field.name for field in fields(Rollout) if field.name != "approvers"]


class Rollouts:
    """The history of rollouts, and questions about it. One runs at a time."""

    def __init__(self, lakehouse: Lakehouse) -> None:
        self._lakehouse = lakehouse

    def rows(self) -> list[dict[str, Any]]:
        """Everything that happened, in the order in which it was recorded; columns as in `SCHEMA`."""
        if not self._lakehouse.exists(TABLE):
            return []
        rows: list[dict[str, Any]] = self._lakehouse.read(TABLE).sort_by("sequence").to_pylist()
        return rows

    def all(self) -> list[Rollout]:
        """Where each rollout stands, the first one first."""
        found: dict[str, Rollout] = {}
        for row in self.rows():
            before = found.get(row["rollout_id"])
            stays = before is not None and before.step == row["step"]
            approvers = before.approvers if before is not None and stays else ()
            approvers += (row["actor"],) if row["action"] == "approved" else ()
            found[row["rollout_id"]] = Rollout(**{name: row[name] for name in _OF_A_ROLLOUT}, approvers=approvers)
        return list(found.values())

    def newest(self) -> Rollout | None:
        """The one that was started last."""
        return next(reversed(self.all()), None)

    def running(self) -> Rollout | None:
        """The one that is not over: there is never more than one."""
        newest = self.newest()
        return newest if newest is not None and not newest.is_over else None

    def append(
        self,
        rollout: Rollout,
        action: Action,
        at: datetime,
        actor: str,
        reason: str,
        evidence: Mapping[str, Any] | None = None,
    ) -> None:
        """Record where `rollout` stands now. Only inside `one_at_a_time`."""
        row = {
            **{name: getattr(rollout, name) for name in _OF_A_ROLLOUT},
            "sequence": len(self.rows()),
            "action": action,
            "at": at,
            "actor": actor,
            "reason": reason,
            "evidence": json.dumps(evidence or {}, sort_keys=True, default=str),
        }
        self._lakehouse.append(TABLE, pa.Table.from_pylist([row], schema=SCHEMA))

    @contextlib.contextmanager
    def one_at_a_time(self) -> Iterator[None]:
        """Wait for other processes that move rollouts: who reads where one stands and then appends must be alone."""
        with one_at_a_time(self._lakehouse.root.with_name("locks") / "rollouts.lock"):
            yield


def taken_back(rollouts: Iterable[Rollout]) -> set[int]:
    """Versions whose newest rollout was rolled back; a person may start another one."""
    last = {rollout.version: rollout.state for rollout in rollouts}
    return {version for version, state in last.items() if state == "rolled_back"}
