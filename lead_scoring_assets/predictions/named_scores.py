"""Scores of a period by a named model, for whoever asks: nothing is written to `lead_scores`, which is evidence of what was
live."""

import pyarrow as pa

from lead_scoring_assets.errors import ScoringError
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.predictions.model import named_model
from lead_scoring_assets.predictions.period_scores import score_period


def score_by_name(installation: Installation, period: str | None, model: str) -> pa.Table:
    """What `model` (a version, or `production`) says of the leads of `period` (None: the newest with features).

    Columns: `period_scores.NAMED_SCHEMA`.

    Raises:
        ScoringError: no such model, or the period has no leads.
    """
    loaded = named_model(installation, model)
    key = _newest(installation) if period is None else installation.settings.calendar.period(period).key
    scores = score_period(installation, installation.settings.calendar.period(key), loaded)
    if not scores.num_rows:
        raise ScoringError(
            f"{key} has no leads to score: expected rows in lead_features, found none. Materialise the period "
            f"(`lead-scoring materialize --through {key}`), or choose another."
        )
    return scores


def _newest(installation: Installation) -> str:
    features = installation.lakehouse.scan("lead_features")
    [found] = query("SELECT max(period) AS key FROM features", {"features": features}).to_pylist()
    if found["key"] is None:
        raise ScoringError("lead_features has no rows: expected leads to score. Run `lead-scoring materialize` first.")
    return str(found["key"])
