"""From probabilities to a queue: bucket and priority of every lead."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from lead_scoring_assets.errors import ScoringError
from lead_scoring_assets.predictions.buckets import LOWEST_BUCKET

_NAMED_OFFENDERS = 3

SCHEMA = pa.schema(
    [
        ("period", pa.string()),
        ("lead_id", pa.string()),
        ("created_at", pa.timestamp("us", tz="UTC")),
        ("scored_at", pa.timestamp("us", tz="UTC")),
        ("model_version", pa.int64()),
        ("probability", pa.float64()),
        ("bucket", pa.string()),
        ("priority", pa.int64()),
    ]
)


def bucket_of(probabilities: npt.NDArray[np.float64], limits: Mapping[str, float]) -> list[str]:
    """Name of the highest bucket whose limit is reached (limit included), else Cold."""
    names = [*limits, LOWEST_BUCKET]
    falling = np.array(list(limits.values()))
    # Limits that are not reached, rather than those that are above: what is no number (NaN) is not Hot.
    return [names[i] for i in (~(probabilities[:, None] >= falling[None, :])).sum(axis=1)]


def score_leads(
    leads: pd.DataFrame,
    probabilities: npt.NDArray[np.float64],
    model_version: int,
    limits: Mapping[str, float],
) -> pa.Table:
    """One row a lead, best first within its period; equal probabilities are ordered by lead id.

    `leads` has `period`, `lead_id`, `created_at` and `known_at`. `priority` is the place in the period's queue: 1 is
    called first. `scored_at` is when the lead became known: the model that was live then is the one that scored it.

    Raises:
        ScoringError: a probability is no number from 0 to 1.
    """
    _refuse_what_is_no_probability(leads, probabilities, model_version)
    scored = pd.DataFrame(
        {
            "period": leads["period"],
            "lead_id": leads["lead_id"],
            "created_at": leads["created_at"],
            "scored_at": leads["known_at"],
            "model_version": model_version,
            "probability": probabilities,
            "bucket": bucket_of(probabilities, limits),
        }
    ).sort_values(["period", "probability", "lead_id"], ascending=[True, False, True])
    scored["priority"] = scored.groupby("period").cumcount() + 1
    return pa.Table.from_pandas(scored[SCHEMA.names], schema=SCHEMA, preserve_index=False)


def _refuse_what_is_no_probability(
    leads: pd.DataFrame, probabilities: npt.NDArray[np.float64], model_version: int
) -> None:
    # "Not inside", rather than "outside": NaN is neither.
    wrong = np.flatnonzero(~((probabilities >= 0) & (probabilities <= 1)))
    if len(wrong):
        first = ", ".join(
            f"{leads['lead_id'].iloc[place]} ({probabilities[place]})" for place in wrong[:_NAMED_OFFENDERS]
        )
        raise ScoringError(
            f"model v{model_version} gave {len(wrong):,} of {len(probabilities):,} leads what is no probability: expected "
            f"a number from 0 to 1, found {first}. Nothing was written; roll back, or train again."
        )
