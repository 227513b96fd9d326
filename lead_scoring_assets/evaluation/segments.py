"""The figures group by group: a model that is good on the whole can be useless for one kind of lead.

How groups of people are treated by the selection stands in `fairness`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from lead_scoring_assets.evaluation import probabilities, ranking
from lead_scoring_assets.evaluation.bootstrap import Bootstrap, intervals
from lead_scoring_assets.evaluation.judge import precision_at
from lead_scoring_assets.evaluation.metrics import Floats, Metric, share
from lead_scoring_assets.settings import Evaluation

NOT_GIVEN = "not given"
FIGURES = (
    *("auc", "brier", "ece", "ece_if_calibrated", "mean_score", "conversion_rate"),
    "precision_at_capacity",
)

SegmentStatus = Literal["ok", "insufficient_data"]


@dataclass(frozen=True)
class SegmentMetric:
    """One figure of one group; `rows` leads are in the group. All NaN when there are too few of them to say anything."""

    column: str
    group: str
    rows: int
    status: SegmentStatus
    metric: Metric


def by_segment(
    rows: pd.DataFrame, columns: Sequence[str], labels: Floats, scores: Floats, settings: Evaluation, seed: int
) -> list[SegmentMetric]:
    """`FIGURES` of every group of every column: each category, or the quarters of a number; missing values are a group.

    `precision_at_capacity` is that of the group's own best share, as if the group were worked alone.

    Args:
        rows: the leads, with at least `columns`.
        columns: what to group by.
        labels: 0 or 1, shape (rows,).
        scores: probabilities, shape (rows,).
        settings: the smallest group, the capacity, the number of resamples.
        seed: of the resamples.
    """
    found = []
    for column in columns:
        for group, members in _groups(rows[column]):
            count = int(members.sum())
            is_enough = count >= settings.minimum_group_rows
            metrics = (
                _figures(labels[members], scores[members], settings, seed)
                if is_enough
                else [Metric(name, np.nan, np.nan, np.nan, count) for name in FIGURES]
            )
            status: SegmentStatus = "ok" if is_enough else "insufficient_data"
            found += [SegmentMetric(column, group, count, status, metric) for metric in metrics]
    return found


def _figures(labels: Floats, scores: Floats, settings: Evaluation, seed: int) -> list[Metric]:
    labels, scores = ranking.by_score(labels, scores)
    drawn = intervals(
        {
            "auc": ranking.area_under_roc(labels, scores),
            "brier": probabilities.brier(labels, scores),
            "mean_score": probabilities.mean_of(scores),
            "precision_at_capacity": precision_at(settings.capacity_share, labels, scores),
        },
        Bootstrap(len(labels), settings.bootstrap_samples, seed),
    )
    found = {
        metric.name: metric
        for metric in (
            *drawn,
            *probabilities.calibration_errors(labels, scores, settings.bootstrap_samples, seed),
            share("conversion_rate", float(labels.sum()), len(labels)),
        )
    }
    return [found[name] for name in FIGURES]


def _groups(values: pd.Series) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    """The groups of one column that hold a lead, each with the mask of its leads; missing values come last."""
    missing = values.isna().to_numpy()
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        yield from _quarters(values.to_numpy(dtype=np.float64, na_value=np.nan), missing)
    else:
        texts = values.astype(str).to_numpy()
        for text in sorted(set(texts[~missing])):
            yield text, (texts == text) & ~missing
    if missing.any():
        yield NOT_GIVEN, missing


def _quarters(numbers: Floats, missing: npt.NDArray[np.bool_]) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    """Between the quartiles; equal numbers stay together, so that there can be fewer groups than four."""
    if missing.all():
        return
    borders = np.unique(np.quantile(numbers[~missing], (0.25, 0.5, 0.75)))
    quarter = np.searchsorted(borders, numbers, side="left")
    for place in range(len(borders) + 1):
        members = (quarter == place) & ~missing
        if members.any():
            above = f"above {borders[place - 1]:g}" if place else ""
            up_to = f"up to {borders[place]:g}" if place < len(borders) else ""
            yield " ".join(part for part in (above, up_to) if part), members
