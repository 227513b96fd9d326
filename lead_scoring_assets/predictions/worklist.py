"""Which leads to call first, as people read it."""

from typing import Any

from lead_scoring_assets.errors import LeadScoringError
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lakehouse.names import quoted
from lead_scoring_assets.lakehouse.query import query

_FEATURES_SHOWN = 4


def best_leads(installation: Installation, period: str | None, top: int) -> list[dict[str, Any]]:
    """The `top` best leads of a period (None: the newest with scores), best first, with what is known of them.

    Raises:
        LeadScoringError: nothing was scored in that period.
    """
    wanted = None if period is None else [installation.settings.calendar.period(period).key]
    scores = installation.lakehouse.read("lead_scores", periods=wanted)
    features = installation.lakehouse.read("lead_features", periods=wanted)
    columns = ", ".join(f"f.{quoted(name)}" for name in list(installation.settings.registry.features)[:_FEATURES_SHOWN])
    rows: list[dict[str, Any]] = query(
        f"""
        SELECT s.period, s.rank, s.lead_id, s.probability, s.bucket, s.model_version, {columns}
        FROM scores s JOIN features f USING (lead_id, period)
        WHERE s.period = (SELECT max(period) FROM scores)
        ORDER BY s.rank LIMIT $1
        """,  # noqa: S608  # the names come from the registry, quoted
        {"scores": scores, "features": features},
        [top],
    ).to_pylist()
    if not rows:
        raise LeadScoringError(
            f"no lead of {period or 'any period'} has been scored: expected rows in lead_scores. Materialise the period, or "
            "choose one after the first champion (`lead-scoring status`)."
        )
    return rows
