"""Which model version was champion at any moment: an append-only table. MLflow's alias follows it, never leads it.

MLflow keeps no history of where an alias pointed; this table does.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from lead_scoring_assets.lakehouse.tables import Lakehouse

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
    ]
)


@dataclass(frozen=True)
class Deployment:
    """Version `version`, trained at the end of `period`, is champion from `effective_at` on.

    `bundle` is the model's folder relative to the data folder; `fingerprint` its content.
    """

    version: int
    effective_at: datetime
    period: str
    bundle: str
    fingerprint: str
    actor: str
    reason: str

    def folder(self, data: Path) -> Path:
        return data / self.bundle


class Deployments:
    """The history of champions, and questions about it."""

    def __init__(self, lakehouse: Lakehouse) -> None:
        self._lakehouse = lakehouse

    def history(self) -> list[Deployment]:
        """All deployments in the order in which they were recorded."""
        if not self._lakehouse.exists(TABLE):
            return []
        rows = self._lakehouse.read(TABLE).sort_by([("sequence", "ascending"), ("effective_at", "ascending")])
        return [Deployment(**row) for row in rows.drop_columns(["sequence"]).to_pylist()]

    def champion_at(self, moment: datetime) -> Deployment | None:
        """The champion at `moment`: the deployment that took effect last, up to then."""
        live = [deployment for deployment in self.history() if deployment.effective_at <= moment]
        # max() keeps the first of equals; of two at one instant the one recorded later is live.
        return max(reversed(live), key=lambda deployment: deployment.effective_at) if live else None

    def newest(self) -> Deployment | None:
        history = self.history()
        return max(reversed(history), key=lambda deployment: deployment.effective_at) if history else None

    def record(self, deployment: Deployment) -> bool:
        """Append `deployment`, unless it is already what happened then; True when it was new.

        A decision about the past that is taken again does not rewrite who was champion since: it is recorded only
        when nothing took effect later.
        """
        history = self.history()
        newest = self.newest()
        if newest is not None and deployment.effective_at < newest.effective_at:
            return False
        if newest is not None and (newest.effective_at, newest.fingerprint) == (
            deployment.effective_at,
            deployment.fingerprint,
        ):
            return False
        row = {"sequence": len(history), **vars(deployment)}
        self._lakehouse.append(TABLE, pa.Table.from_pylist([row], schema=SCHEMA))
        return True
