"""Which leads to call first, as people read it: those whose outcome is not known yet, for everybody or rep by rep."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from lead_scoring_assets.assessment.reasons import reasons_schema
from lead_scoring_assets.contracts.columns import RAW_TABLES, Entity
from lead_scoring_assets.errors import LeadScoringError
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.labels.maturity import SAID
from lead_scoring_assets.lakehouse.names import quoted
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.leads.versions import latest_known
from lead_scoring_assets.predictions.assignment import Assignment, QueuedLead, assign

_FEATURES_SHOWN = 4
_SCORES = ["period", "priority", "lead_id", "probability", "bucket", "model_version"]
_UP = [name for name in reasons_schema().names if name.startswith("reason_up")]
_DOWN = [name for name in reasons_schema().names if name.startswith("reason_down")]
# The raw tables that say who works a lead and what became of it; a home without activities has no rows of them.
_TOLD_BY: dict[Entity, tuple[str, ...]] = {
    "outcomes": ("lead_id", "version", "known_at", "outcome"),
    "activities": ("activity_id", "lead_id", "version", "known_at", "occurred_at", "rep"),
}


@dataclass(frozen=True)
class RepsWorklist:
    """Rows rep by rep, each list in the order of calling, and how the leads were dealt out."""

    rows: list[dict[str, Any]]
    assignment: Assignment


def best_leads(installation: Installation, period: str | None, top: int | None) -> list[dict[str, Any]]:
    """The `top` best open leads (None: all) of a period (None: the newest with scores), best first, and what is known.

    A lead is open while the clock's now knows no outcome of it that decides (converted, disqualified, lost).

    Raises:
        LeadScoringError: nothing was scored in that period, or none of it is open any more.
    """
    lakehouse = installation.lakehouse
    scores = lakehouse.scan("lead_scores", periods=_wanted(installation, period))
    [newest] = query("SELECT max(period) AS key, count(*) AS n FROM scores", {"scores": scores}).to_pylist()
    if newest["key"] is None:
        raise LeadScoringError(
            f"no lead of {period or 'any period'} has been scored: expected rows in lead_scores. Materialise the period, or "
            "choose one after the first champion (`lead-scoring status`)."
        )
    shown = ", ".join(f"f.{quoted(name)}" for name in list(installation.settings.registry.features)[:_FEATURES_SHOWN])
    now = installation.clock.now()
    rows: list[dict[str, Any]] = query(
        f"""
        SELECT {", ".join(f"s.{name}" for name in _SCORES)}, {shown}, concat_ws('; ', {", ".join(_UP)}) AS reasons_for,
               concat_ws('; ', {", ".join(_DOWN)}) AS reasons_against, s.change
        FROM scores s JOIN features f USING (lead_id, period)
        WHERE s.lead_id NOT IN (SELECT lead_id FROM {latest_known("outcomes", "outcomes", "$1")} WHERE outcome IN {SAID})
        ORDER BY s.priority LIMIT $2
        """,  # noqa: S608  # the names come from the registry, quoted
        {
            "scores": lakehouse.read(
                "lead_scores", periods=[newest["key"]], columns=[*_SCORES, *_UP, *_DOWN, "change"]
            ),
            "features": lakehouse.scan("lead_features", periods=[newest["key"]]),
            "outcomes": _statements(installation, "outcomes"),
        },
        [now, top],
    ).to_pylist()
    if not rows:
        raise LeadScoringError(
            f"no lead of {newest['key']} is left to call: as of {now:%Y-%m-%d} the outcomes of all its scored leads are "
            "known. Choose a newer period."
        )
    return rows


def worklists(
    installation: Installation, period: str | None, capacity: int, reps: Sequence[str] | None = None
) -> RepsWorklist:
    """The best open leads of a period dealt out to `reps`, at most `capacity` each (see `assignment.assign`).

    The rep of a lead's last activity owns it. `reps` None: whoever had an activity in the last conversion window.

    Raises:
        LeadScoringError: nothing to call, or nobody to call it.
    """
    rows = best_leads(installation, period, None)
    now = installation.clock.now()
    activities = _statements(installation, "activities")
    named = reps if reps is not None else _reps_at_work(installation, activities, now)
    if not named:
        raise LeadScoringError(
            "nobody is known to work leads: expected a rep in the activities of the last "
            f"{installation.settings.labels.conversion_window_days} days, found none. Name the reps with --reps."
        )
    owners = _owners(activities, now)
    queue = [QueuedLead(row["lead_id"], row["probability"], owners.get(row["lead_id"])) for row in rows]
    assigned = assign(queue, named, capacity)
    by_lead = {row["lead_id"]: row for row in rows}
    return RepsWorklist(
        [
            {"rep": rep, "place": place, **by_lead[lead]}
            for rep, leads in assigned.lists.items()
            for place, lead in enumerate(leads, start=1)
        ],
        assigned,
    )


def _wanted(installation: Installation, period: str | None) -> list[str] | None:
    return None if period is None else [installation.settings.calendar.period(period).key]


def _statements(installation: Installation, entity: Entity) -> Any:
    """A raw table, or one without rows where it was never written."""
    table = RAW_TABLES[entity]
    if installation.lakehouse.exists(table):
        return installation.lakehouse.scan(table)
    kinds = {
        "version": pa.int64(),
        "known_at": pa.timestamp("us", tz="UTC"),
        "occurred_at": pa.timestamp("us", tz="UTC"),
    }
    return pa.schema([(name, kinds.get(name, pa.string())) for name in _TOLD_BY[entity]]).empty_table()


def _owners(activities: Any, now: datetime) -> dict[str, str]:
    """Who had the last activity with each lead, as known at `now`; of two at one instant the one of the higher id."""
    found = query(
        f"SELECT lead_id, arg_max(rep, (occurred_at, activity_id)) AS rep FROM {latest_known('activities', 'said', '$1')} "  # noqa: S608
        "WHERE rep IS NOT NULL AND occurred_at <= $1 GROUP BY lead_id",
        {"said": activities},
        [now],
    )
    return dict(zip(found["lead_id"].to_pylist(), found["rep"].to_pylist(), strict=True))


def _reps_at_work(installation: Installation, activities: Any, now: datetime) -> list[str]:
    since = now - timedelta(days=installation.settings.labels.conversion_window_days)
    found = query(
        f"SELECT DISTINCT rep FROM {latest_known('activities', 'said', '$1')} "  # noqa: S608  # our own names
        "WHERE rep IS NOT NULL AND occurred_at > $2 AND occurred_at <= $1 ORDER BY rep",
        {"said": activities},
        [now, since],
    )
    return [str(rep) for rep in found["rep"].to_pylist()]
