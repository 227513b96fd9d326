"""One period's leads scored by one model: the queue, the reasons of its best, and what changed since a lead's last score.

Made from `lead_features` and the model alone: the same again gives the same rows, whatever was scored before or after.
"""

import pandas as pd
import pyarrow as pa

from lead_scoring_assets.assessment.reasons import reasons_schema
from lead_scoring_assets.errors import LakehouseError
from lead_scoring_assets.features.plan import KEYS
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lakehouse.names import quoted
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.periods import Period
from lead_scoring_assets.predictions import changes, scoring
from lead_scoring_assets.predictions.batches import PROBABILITY, features_frame, score_batches
from lead_scoring_assets.predictions.explaining import explain, explained_leads
from lead_scoring_assets.predictions.model import LoadedModel, live_model
from lead_scoring_assets.promotion.deployments import Deployment, Deployments, newest_of
from lead_scoring_assets.promotion.fallback import load_or_fall_back

NAMED_SCHEMA = pa.schema([*scoring.SCHEMA, *reasons_schema()])
"""What any model says of a period's leads."""
SCHEMA = pa.schema([*NAMED_SCHEMA, *(field for field in changes.SCHEMA if field.name != "lead_id")])
"""Columns of `lead_scores`: what the live model said, and why that is not what was said before."""

_FEATURES = "lead_features"


def score_period(installation: Installation, period: Period, model: LoadedModel) -> pa.Table:
    """What `model` says of the leads that became known in `period`, best first, in `NAMED_SCHEMA`.

    Raises:
        ScoringError: the model reads a column that is not there, or gives what is no probability or does not add up.
    """
    rows = installation.lakehouse.scan(_FEATURES, periods=[period.key])
    keys = pa.schema([rows.schema.field(key) for key in KEYS])
    batches = score_batches(rows, model.scorer, KEYS)
    scored = pa.Table.from_batches(batches, schema=keys.append(pa.field(PROBABILITY, pa.float64())))
    queue = scoring.score_leads(
        scored.drop_columns([PROBABILITY]).to_pandas(),
        scored[PROBABILITY].to_numpy(),
        model.version,
        installation.settings.scoring.buckets,
    )
    best = queue.slice(0, explained_leads(queue.num_rows, installation.settings.evaluation.capacity_share))
    reasons = reasons_of(installation, period, best, model)
    rest = pa.nulls(queue.num_rows - best.num_rows, pa.string())
    columns = [pa.chunked_array([*reasons[name].chunks, rest], pa.string()) for name in reasons.column_names]
    return pa.Table.from_arrays([*queue.columns, *columns], schema=NAMED_SCHEMA)


def reasons_of(installation: Installation, period: Period, leads: pa.Table, model: LoadedModel) -> pa.Table:
    """The reasons why `model` gave `leads` (`lead_id`, `probability`) of `period` their scores, in their order."""
    rows = installation.lakehouse.scan(_FEATURES, periods=[period.key])
    numbered = leads.select(["lead_id"]).append_column("place", pa.array(range(leads.num_rows), pa.int64()))
    features = query(
        "SELECT f.* FROM features f JOIN leads l USING (lead_id) ORDER BY l.place",
        {"features": rows, "leads": numbered},
    )
    registry = installation.settings.registry
    numeric = [name for name in registry.numeric_features if name in rows.schema.names]
    # What is typical is told of the period's own leads: it is known when they are scored.
    medians = ", ".join(f"median({quoted(name)}) AS {quoted(name)}" for name in numeric) or "0"
    [found] = query(f"SELECT {medians} FROM features", {"features": rows}).to_pylist()  # noqa: S608  # quoted names
    typical = {name: found[name] for name in numeric if found[name] is not None}
    frame = features_frame(features, model.scorer)
    return explain(frame, leads[PROBABILITY].to_numpy(), model.scorer, registry, typical)


def score_live(installation: Installation, period: Period) -> pa.Table | None:
    """What the model that was live when `period` began says, with changes, in `SCHEMA`; None when there was none."""
    model = live_model(installation, period.start)
    if model is None:
        return None
    scores = score_period(installation, period, model)
    told = changes_since(installation, period, model)
    joined = query(
        "SELECT s.*, t.* EXCLUDE (lead_id) FROM scores s LEFT JOIN told t USING (lead_id) ORDER BY s.priority",
        {"scores": scores, "told": told},
    )
    return joined.select(SCHEMA.names).cast(SCHEMA)


def changes_since(installation: Installation, period: Period, new: LoadedModel) -> pa.Table:
    """Why leads of `period` that were scored in an earlier one have another score now, in `changes.SCHEMA`.

    Their last score is made again, from the features that the lead had in its last earlier period and the model that was
    live then, rather than read from `lead_scores`: periods may be materialised in any order.
    """
    lakehouse, calendar = installation.lakehouse, installation.settings.calendar
    earlier = [past.key for past in calendar.through(period) if past.start < period.start]
    now = lakehouse.scan(_FEATURES, periods=[period.key])
    last = query(
        "SELECT p.lead_id, max(p.period) AS period FROM past p SEMI JOIN now USING (lead_id) GROUP BY p.lead_id",
        {"past": lakehouse.scan(_FEATURES, periods=earlier), "now": now},
    )
    keys = sorted(set(last["period"].to_pylist()))
    history = Deployments(lakehouse).history()
    starts = {key: calendar.period(key).start for key in keys}
    live = {key: newest_of([past for past in history if past.effective_at <= start]) for key, start in starts.items()}
    sql = "SELECT f.* FROM features f SEMI JOIN last USING ({}) ORDER BY f.lead_id"
    rows_then = {"features": lakehouse.scan(_FEATURES, periods=keys), "last": last}
    before = query(sql.format("lead_id, period"), rows_then).to_pandas()
    after = query(sql.format("lead_id"), {"features": now, "last": last}).to_pandas()
    found = [changes.SCHEMA.empty_table()]
    for old in {past.version: past for past in live.values() if past}.values():
        is_its = before["period"].map(lambda key, version=old.version: getattr(live[key], "version", None) == version)
        found.append(_changes_from(installation, old, before[is_its], after[is_its], new))
    return pa.concat_tables(found)


def _changes_from(
    installation: Installation, old: Deployment, before: pd.DataFrame, after: pd.DataFrame, new: LoadedModel
) -> pa.Table:
    """`before` has the rows of leads that `old` scored, `after` those of now, in the same order."""
    try:
        live = load_or_fall_back(installation, old)
    except LakehouseError:
        # The lead can be called all the same, and the check of the champion's own period tells of the damage.
        return changes.unknown_changes(before, old.version)
    model = LoadedModel(live.deployment.version, live.scorer)
    return changes.explain_changes(before, after, model, new, installation.settings.registry)
