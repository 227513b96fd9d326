"""Dagster shell of the shadow's comparison. Not cut into periods: a shadow is judged on all that it has scored."""

from math import isfinite
from typing import Any

import dagster as dg

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.plots import histogram_plot
from lead_scoring_assets.prediction_log.tables import PREDICTIONS, SHADOWS
from lead_scoring_assets.rollout.comparison import Compared, compare_newest_shadow


@dg.asset(
    deps=[SHADOWS, PREDICTIONS, "ground_truth_labels", "training_set"],
    group_name="rollout",
    owners=["team:machine-learning"],
    kinds={"duckdb", "deltalake"},
)
def shadow_comparison(installation: dg.ResourceParam[Installation]) -> dg.MaterializeResult[None]:
    """How the newest shadow compares with the champion: likeness, failures, latency, ranking; one row an analysis."""
    found = compare_newest_shadow(installation)
    if found is None:
        return dg.MaterializeResult(metadata={"status": "no shadow has scored a lead yet"})
    return dg.MaterializeResult(metadata=_told(found))


def _told(found: Compared) -> dict[str, Any]:
    row, scores = found.row, found.shadowed
    told: dict[str, Any] = {name: value for name, value in row.items() if isinstance(value, int | float)}
    told = {name: value for name, value in told.items() if isfinite(value)}
    told |= {name: str(row[name]) for name in ("since", "as_of", "labels_as_of", "recommendation", "reason")}
    versions = f"v{row['champion_version']}", f"v{row['shadow_version']}"
    pictures = {
        f"scores of champion {versions[0]}": scores.champion,
        f"scores of shadow {versions[1]}": scores.shadow,
        f"scores of {versions[1]} on its holdout": scores.offline,
    }
    plots = {name: dg.MetadataValue.md(histogram_plot(of.tolist(), name)) for name, of in pictures.items() if len(of)}
    return {**told, **plots}
