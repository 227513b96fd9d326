"""A candidate on its holdout: figures with intervals, by segment, fairness, and the pictures of them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from lead_scoring_assets.assessment.explanations import FeatureEffect
from lead_scoring_assets.evaluation import curves
from lead_scoring_assets.evaluation.fairness import AttributeFairness, GroupFairness
from lead_scoring_assets.evaluation.fairness_thresholds import ThresholdReport
from lead_scoring_assets.evaluation.metrics import Metric
from lead_scoring_assets.evaluation.segments import SegmentMetric
from lead_scoring_assets.labels.maturity import first_rows
from lead_scoring_assets.lakehouse.names import quoted
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.lakehouse.tables import Lakehouse
from lead_scoring_assets.plots import calibration_plot, gains_plot, precision_recall_plot, roc_plot

Floats = npt.NDArray[np.float64]

_FIGURE = {"value": pa.float64(), "low": pa.float64(), "high": pa.float64(), "n": pa.int64()}
_OF_A_MODEL = {"period": pa.string(), "version": pa.int64()}
EVALUATION_SCHEMA = pa.schema({**_OF_A_MODEL, "metric": pa.string(), **_FIGURE})
SEGMENT_SCHEMA = pa.schema(
    _OF_A_MODEL
    | {"column": pa.string(), "group": pa.string(), "rows": pa.int64(), "status": pa.string(), "metric": pa.string()}
    | _FIGURE
)
FAIRNESS_SCHEMA = pa.schema(
    _OF_A_MODEL
    | {"attribute": pa.string(), "group": pa.string(), "metric": pa.string()}
    | _FIGURE
    | {"verdict": pa.string(), "sentence": pa.string()}
)
EXPLANATION_SCHEMA = pa.schema(
    _OF_A_MODEL
    | {"feature": pa.string(), "strength": pa.float64(), "low": pa.float64(), "high": pa.float64()}
    | {"share": pa.float64(), "direction": pa.string(), "n": pa.int64()}
)


@dataclass(frozen=True)
class OfModel:
    """The keys that every row about a model carries."""

    period: str
    version: int


def figure_rows(model: OfModel, metrics: list[Metric]) -> list[dict[str, Any]]:
    """Rows of EVALUATION_SCHEMA."""
    return [{**asdict(model), "metric": metric.name, **_figure(metric)} for metric in metrics]


def segment_rows(model: OfModel, found: list[SegmentMetric]) -> list[dict[str, Any]]:
    """Rows of SEGMENT_SCHEMA."""
    return [
        {
            **asdict(model),
            **{name: getattr(segment, name) for name in ("column", "group", "rows", "status")},
            "metric": segment.metric.name,
            **_figure(segment.metric),
        }
        for segment in found
    ]


def fairness_rows(model: OfModel, found: list[AttributeFairness]) -> list[dict[str, Any]]:
    """Rows of FAIRNESS_SCHEMA: each group's figures, then (group null) how far apart the groups are.

    Last, where the settings ask for it, what a threshold for each group would change.
    """
    rows = []
    for attribute in found:
        told = {**asdict(model), "attribute": attribute.attribute, "verdict": attribute.verdict}
        for group in attribute.groups:
            said = "compared" if group.is_compared else "insufficient_data: too few leads to be compared"
            rows += [
                {**told, "group": group.group, "metric": metric.name, **_figure(metric), "sentence": said}
                for metric in _figures_of(group)
            ]
        rows += [
            {**told, "group": None, "metric": metric.name, **_figure(metric), "sentence": attribute.sentence}
            for metric in (
                attribute.demographic_parity_difference,
                attribute.demographic_parity_ratio,
                attribute.equalised_odds_difference,
            )
        ]
        rows += [{**told, **row} for row in _threshold_rows(attribute.thresholds)]
    return rows


def told_of_fairness(found: list[AttributeFairness]) -> dict[str, str]:
    """A sentence an attribute, for people."""
    told = {attribute.attribute: f"{attribute.verdict}: {attribute.sentence}" for attribute in found}
    for attribute in found:
        if (thresholds := attribute.thresholds) is not None:
            cost = thresholds.cost
            told[f"{attribute.attribute}, a threshold for each group"] = (
                f"would move the precision of the selected by {cost.value:+.3f} ({cost.low:+.3f} to {cost.high:+.3f}), "
                f"from {thresholds.precision_now.value:.3f}; no score or worklist uses it"
            )
    return told or {"attributes": "none: no column has role sensitive, and evaluation.fairness names none"}


def explanation_rows(model: OfModel, effects: list[FeatureEffect]) -> list[dict[str, Any]]:
    """Rows of EXPLANATION_SCHEMA, strongest feature first."""
    names = [name for name in EXPLANATION_SCHEMA.names if name not in asdict(model)]
    return [{**asdict(model), **{name: getattr(effect, name) for name in names}} for effect in effects]


def with_columns(rows: pd.DataFrame, lakehouse: Lakehouse, names: Sequence[str]) -> pd.DataFrame:
    """`rows` with these columns of their leads' first rows; those that are features are there already."""
    names = [name for name in names if name not in rows]
    if not names:
        return rows
    found = query(
        f"""
        SELECT lead_id, {", ".join(map(quoted, names))}
        FROM {first_rows("(SELECT * FROM leads WHERE lead_id IN (SELECT lead_id FROM wanted))", "known_at")}
        """,  # noqa: S608  # names are quoted
        {"leads": lakehouse.scan("raw_leads"), "wanted": pa.table({"lead_id": rows["lead_id"].tolist()})},
        [],
    ).to_pandas()
    return rows.merge(found, on="lead_id", how="left", validate="one_to_one")


def pictures(labels: Floats, scores: Floats) -> dict[str, str]:
    """Calibration, ROC, precision over recall, and gains, as Markdown images."""
    told = f"{len(labels):,} leads"
    roc, recalled = curves.roc(labels, scores), curves.precision_recall(labels, scores)
    gained = curves.gains(labels, scores)
    return {
        "calibration": calibration_plot(labels, scores, f"calibration, {told}"),
        "roc": roc_plot(roc.across, roc.up, f"ROC, {told}"),
        "precision_recall": precision_recall_plot(
            recalled.across, recalled.up, float(labels.mean()), f"precision over recall, {told}"
        ),
        "gains": gains_plot(gained.across, gained.up, f"gains, {told}"),
    }


def _threshold_rows(thresholds: ThresholdReport | None) -> list[dict[str, Any]]:
    if thresholds is None:
        return []
    said = "a report for people who weigh it; no score or worklist uses it"
    rows: list[dict[str, Any]] = []
    for group in thresholds.groups:
        for name, value in (
            ("own_threshold", group.threshold),
            ("selection_rate_with_own_threshold", group.rate_then),
        ):
            rows.append({"group": group.group, "metric": name, "value": value, "n": group.n, "sentence": said})
    now, then, cost = thresholds.precision_now, thresholds.precision_then, thresholds.cost
    for name, found, n in (
        ("precision_with_one_threshold", now, now.n),
        ("precision_with_own_thresholds", then, then.n),
        ("precision_difference_of_own_thresholds", cost, then.n),
    ):
        edges = {"value": found.value, "low": found.low, "high": found.high}
        rows.append({"group": None, "metric": name, **edges, "n": n, "sentence": said})
    return rows


def _figures_of(group: GroupFairness) -> list[Metric]:
    return [
        group.selection_rate,
        group.true_positive_rate,
        group.false_positive_rate,
        group.base_rate,
        group.mean_score,
        group.calibration_gap,
    ]


def _figure(metric: Metric) -> dict[str, float | int]:
    return {"value": metric.value, "low": metric.low, "high": metric.high, "n": metric.n}
