"""A candidate that was taken back, or that waits for a person, as alerts. Who does that stands in the room `rollout`."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from lead_scoring_assets.alerts.alerts import Alert

Row = Mapping[str, Any]


def alerts_on_rollouts(rows: Sequence[Row]) -> list[Alert]:
    """An alert of each candidate that a guard took back, and of each that waits for approval.

    Not of a new champion that gave way: the model that took its place is an alert itself. Nor of what a person aborted.

    Args:
        rows: of the table of rollouts, in the order of their recording; one rollout runs at a time.
    """
    found = []
    for before, row in pairwise(rows):
        if row["action"] != "moved":
            continue
        if row["state"] == "waiting_for_approval":
            found.append(_alert(row, f"v{row['version']} {row['reason']}"))
        elif row["state"] == "rolled_back" and before["state"] != "watching":
            found.append(_alert(row, f"v{row['version']} gets no leads any more: {row['reason']}"))
    return found


def answered_since(rows: Sequence[Row]) -> dict[str, str]:
    """By alert of a rollout, why it is over: what a person, or the next rollout, did after it."""
    over = {}
    for row, later in pairwise(rows):
        if row["state"] in ("waiting_for_approval", "rolled_back"):
            over[_name(row)] = f"v{later['version']} {later['action']} by {later['actor']}: {later['reason']}"
    return over


def _alert(row: Row, message: str) -> Alert:
    figures = {"share": f"{row['share_bp'] / 100:g} %", "version": row["version"]}
    return Alert(_name(row), "warning", row["rollout_id"], message, evidence=figures)


def _name(row: Row) -> str:
    return f"alert-rollout-{row['sequence']}"
