"""The leads that an estimate is about, whose conversion window is still open, and the matured ones it learns from."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lead_scoring_assets.evaluation.metrics import Floats
from lead_scoring_assets.labels.maturity import first_rows, labels_known_at
from lead_scoring_assets.lakehouse.query import query

Ints = npt.NDArray[np.int64]

_DAY_US = 86_400_000_000.0
# One row a lead, best first; ties by id, so that the order of the tables' rows changes nothing.
_SCORED = f"""
SELECT s.model_version, s.probability, k.label::DOUBLE AS label, t.label::DOUBLE AS truth,
       (epoch_us($3) - epoch_us(s.created_at)) / $5 AS age,
       (epoch_us(s.scored_at) - epoch_us(s.created_at)) / $5 AS lag,
       CASE WHEN k.label = 1 THEN (epoch_us(p.said_at) - epoch_us(s.created_at)) / $5 END AS delay,
       CASE WHEN k.label = 1 THEN epoch_us(p.said_at) / $5 END AS known_on
FROM {first_rows("(SELECT * FROM scores WHERE scored_at <= $3 AND created_at >= $1 AND created_at < $2)", "scored_at")} s
LEFT JOIN {labels_known_at("labels", "$3")} k USING (lead_id)
LEFT JOIN {labels_known_at("labels", "$4")} t USING (lead_id)
LEFT JOIN (SELECT lead_id, min(label_known_at) AS said_at FROM labels
           WHERE label = 1 AND label_known_at <= $3 GROUP BY lead_id) p USING (lead_id)
ORDER BY s.probability DESC, s.lead_id
"""  # noqa: S608  # only our own names are pasted in


@dataclass(frozen=True)
class OpenLeads:
    """Scored leads of one model version whose window is open, best first; all of shape (n,).

    `labels` are NaN where not yet known. `truth` holds them as they were known at a later moment.
    """

    model_version: int
    scores: Floats
    ages_days: Floats
    labels: Floats
    truth: Floats

    @property
    def n(self) -> int:
        return len(self.scores)

    @property
    def converted(self) -> Floats:
        """1 for a lead that is known to have converted, 0 for every other: lost, or not yet known."""
        return np.nan_to_num(self.labels)

    @property
    def label_coverage(self) -> float:
        return float(np.isfinite(self.labels).mean()) if self.n else np.nan


@dataclass(frozen=True)
class MaturedLeads:
    """Scored leads with known labels whose window has closed, of all model versions; all of shape (n,).

    `lags_days`: from creation until the lead was known here. `delays_days`: until its conversion was; NaN without one.
    `known_on_days`: when its conversion became known, counted from the same moment for all; NaN without one.
    """

    versions: Ints
    scores: Floats
    labels: Floats
    lags_days: Floats
    delays_days: Floats
    known_on_days: Floats

    def of(self, chosen: npt.NDArray[np.bool_]) -> "MaturedLeads":
        columns = (self.scores, self.labels, self.lags_days, self.delays_days, self.known_on_days)
        return MaturedLeads(self.versions[chosen], *(column[chosen] for column in columns))


def open_window(as_of: datetime, window_days: int) -> tuple[datetime, datetime]:
    """First and last (exclusive) instant of creation of the leads whose conversion window is open at `as_of`."""
    return as_of - timedelta(days=window_days), as_of


def open_leads(
    scores: pa.Table, labels: pa.Table, as_of: datetime, window_days: int, later: datetime | None = None
) -> list[OpenLeads]:
    """What was scored by `as_of` and is open then, by model version; `truth` as known at `later` (default: `as_of`).

    A lead answers for its first score, as in `matured.cohorts`.
    """
    found = _scored(scores, labels, *open_window(as_of, window_days), as_of, later or as_of)
    versions = _ints(found, "model_version")
    columns = [_floats(found, name) for name in ("probability", "age", "label", "truth")]
    return [
        OpenLeads(int(version), *(column[versions == version] for column in columns)) for version in np.unique(versions)
    ]


def matured_leads(
    scores: pa.Table, labels: pa.Table, as_of: datetime, window_days: int, reference_days: int
) -> MaturedLeads:
    """The newest leads that had matured by `as_of`: created in the `reference_days` before the open window."""
    since, before = as_of - timedelta(days=window_days + reference_days), as_of - timedelta(days=window_days)
    found = _scored(scores, labels, since, before, as_of, as_of)
    columns = [_floats(found, name) for name in ("probability", "label", "lag", "delay", "known_on")]
    return MaturedLeads(_ints(found, "model_version"), *columns).of(np.isfinite(columns[1]))


def _scored(
    scores: pa.Table, labels: pa.Table, since: datetime, before: datetime, as_of: datetime, later: datetime
) -> pa.Table:
    return query(_SCORED, {"scores": scores, "labels": labels}, [since, before, as_of, later, _DAY_US])


def _floats(table: pa.Table, name: str) -> Floats:
    # What is not known is NULL in a table and NaN in arithmetic.
    values: Floats = table[name].to_numpy().astype(np.float64)
    return values


def _ints(table: pa.Table, name: str) -> Ints:
    values: Ints = table[name].to_numpy().astype(np.int64)
    return values
