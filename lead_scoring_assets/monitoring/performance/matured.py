"""How the scores that people worked with turned out, on cohorts whose labels are complete."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from lead_scoring_assets.evaluation.metrics import Metric, evaluate
from lead_scoring_assets.labels.maturity import first_rows, labels_known_at
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.settings import Performance

PerformanceStatus = Literal["ok", "insufficient_data"]

SCHEMA = pa.schema(
    [("period", pa.string()), ("model_version", pa.int64()), ("metric", pa.string())]
    + [(name, pa.float64()) for name in ("value", "low", "high")]
    + [("n", pa.int64()), ("positives", pa.int64()), ("label_coverage", pa.float64())]
    + [("as_of", pa.timestamp("us", tz="UTC")), ("status", pa.string()), ("reason", pa.string())]
)


@dataclass(frozen=True)
class Cohort:
    """Scored leads of one model version whose conversion window has closed, with their labels.

    `scored` counts all of them; labels and scores hold those whose label is known (`label_coverage` = their share).
    """

    model_version: int
    scored: int
    labels: np.ndarray[tuple[int], np.dtype[np.float64]]
    scores: np.ndarray[tuple[int], np.dtype[np.float64]]

    @property
    def label_coverage(self) -> float:
        return len(self.labels) / self.scored if self.scored else math.nan


def cohorts(
    scores: pa.Table, labels: pa.Table, created_from: object, created_before: object, as_of: object
) -> list[Cohort]:
    """Scored leads created in [created_from, created_before), by model version, with labels known at `as_of`.

    A lead answers for its first score; one that was corrected later is scored again, and counts once.
    """
    chosen = "(SELECT * FROM scores WHERE created_at >= $1 AND created_at < $2)"
    joined = query(
        f"""
        SELECT s.model_version, s.probability, l.label
        FROM {first_rows(chosen, "scored_at")} s LEFT JOIN {labels_known_at("labels", "$3")} l USING (lead_id)
        ORDER BY s.model_version, s.lead_id
        """,  # noqa: S608  # only our own names are pasted in
        {"scores": scores, "labels": labels},
        [created_from, created_before, as_of],
    ).to_pandas()
    found = []
    for version, rows in joined.groupby("model_version"):
        known = rows[rows["label"].notna()]
        found.append(
            Cohort(
                model_version=int(str(version)),
                scored=len(rows),
                labels=known["label"].to_numpy(dtype=np.float64),
                scores=known["probability"].to_numpy(dtype=np.float64),
            )
        )
    return found


def judge_cohort(cohort: Cohort, settings: Performance) -> tuple[PerformanceStatus, str]:
    """Whether there is enough to judge by, and the sentence that says so."""
    positives = int(cohort.labels.sum())
    told = f"{len(cohort.labels):,} labelled leads, {positives:,} converted, label coverage {cohort.label_coverage:.0%}"
    # How well a ranking is known depends on the rarer outcome; with fewer than two of each there is no interval at all.
    least = max(settings.minimum_positives, 2)
    if len(cohort.labels) < settings.minimum_rows or min(positives, len(cohort.labels) - positives) < least:
        return "insufficient_data", f"{told}; {settings.minimum_rows:,} are needed, and {least:,} of either outcome"
    return "ok", told


def measure(
    cohort: Cohort, settings: Performance, period: str, as_of: object, more: Sequence[Metric] = ()
) -> list[dict[str, object]]:
    """Rows of `model_performance` for one cohort: the metrics of evaluation, each with interval, n and as-of.

    `more` are figures of the same cohort that take longer; one that is there already is not told twice.
    """
    metrics = {metric.name: metric for metric in [*more, *evaluate(cohort.labels, cohort.scores)]}
    status, reason = judge_cohort(cohort, settings)
    return [
        {
            "period": period,
            "model_version": cohort.model_version,
            "metric": metric.name,
            "value": metric.value,
            "low": metric.low,
            "high": metric.high,
            "n": metric.n,
            "positives": int(cohort.labels.sum()),
            "label_coverage": cohort.label_coverage,
            "as_of": as_of,
            "status": status,
            "reason": reason,
        }
        for metric in metrics.values()
    ]
