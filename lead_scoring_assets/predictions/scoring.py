"""From probabilities to a worklist: bucket and rank of every lead."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

LOWEST_BUCKET = "Cold"

SCHEMA = pa.schema(
    [
        ("period", pa.string()),
        ("lead_id", pa.string()),
        ("created_at", pa.timestamp("us", tz="UTC")),
        ("scored_at", pa.timestamp("us", tz="UTC")),
        ("model_version", pa.int64()),
        ("probability", pa.float64()),
        ("bucket", pa.string()),
        ("rank", pa.int64()),
    ]
)


def bucket_of(probabilities: npt.NDArray[np.float64], limits: Mapping[str, float]) -> list[str]:
    """Name of the highest bucket whose limit is reached (limit included), else Cold."""
    names = [*limits, LOWEST_BUCKET]
    falling = np.array(list(limits.values()))
    # Limits that are not reached, rather than those that are above: what is no number (NaN) is not Hot.
    return [names[i] for i in (~(probabilities[:, None] >= falling[None, :])).sum(axis=1)]


def score_leads(
    features: pd.DataFrame,
    probabilities: npt.NDArray[np.float64],
    model_version: int,
    limits: Mapping[str, float],
) -> pa.Table:
    """One row a lead, best first within its period; equal probabilities are ordered by lead id.

    `scored_at` is when the lead became known: the model that was live then is the one that scored it.
    """
    scored = pd.DataFrame(
        {
            "period": features["period"],
            "lead_id": features["lead_id"],
            "created_at": features["created_at"],
            "scored_at": features["known_at"],
            "model_version": model_version,
            "probability": probabilities,
            "bucket": bucket_of(probabilities, limits),
        }
    ).sort_values(["period", "probability", "lead_id"], ascending=[True, False, True])
    scored["rank"] = scored.groupby("period").cumcount() + 1
    return pa.Table.from_pandas(scored[SCHEMA.names], schema=SCHEMA, preserve_index=False)
