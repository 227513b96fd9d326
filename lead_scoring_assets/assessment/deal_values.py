"""What the deals of leads were worth, as known at a moment: for judging a model in money, never for training one."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lead_scoring_assets.labels.maturity import labels_known_at
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.lakehouse.tables import Lakehouse


def deal_values(lakehouse: Lakehouse, lead_ids: Sequence[str], moment: datetime) -> npt.NDArray[np.float64] | None:
    """Deal value of each lead in the settings' currency, shape (n,), NaN where none was told; None when none at all was."""
    found = query(
        f"""
        SELECT w.place, l.deal_value
        FROM wanted w LEFT JOIN {labels_known_at("labels", "$1")} l USING (lead_id) ORDER BY w.place
        """,  # noqa: S608  # our own names, values bound
        {
            "wanted": pa.table({"lead_id": list(lead_ids), "place": np.arange(len(lead_ids))}),
            "labels": lakehouse.scan("ground_truth_labels"),
        },
        [moment],
    )["deal_value"]
    values: npt.NDArray[np.float64] = found.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return None if np.isnan(values).all() else values
