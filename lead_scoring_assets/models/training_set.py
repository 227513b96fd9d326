"""Which matured leads a model of a period learns from, and which newer ones it is judged on."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa

from lead_scoring_assets.contracts.columns import Registry
from lead_scoring_assets.labels.maturity import first_rows, labels_known_at, matured_cohort
from lead_scoring_assets.lakehouse.names import quoted
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.periods import Period, months_before
from lead_scoring_assets.settings import EXPANDING_MONTHS

TRAIN, HOLDOUT = "train", "holdout"
KEYS = ("period", "split", "lead_id", "created_at", "label")


@dataclass(frozen=True)
class TrainingWindow:
    """Instants of creation: train on [start, embargo), leave [embargo, holdout) out, judge on [holdout, end).

    The holdout is the cohort whose conversion window closed in this period: complete labels that no earlier model saw.
    The embargo is one conversion window, because on the day the holdout's first lead came in, the labels of leads
    younger than that were not known: a model that used them would look better than it could have been.
    """

    start: datetime
    embargo: datetime
    holdout: datetime
    end: datetime

    @classmethod
    def of(cls, period: Period, conversion_window: timedelta, months: int | None) -> "TrainingWindow":
        """The window of the model trained at the end of `period` on `months` months of leads; None: it expands."""
        holdout, end = matured_cohort(period, conversion_window)
        embargo = holdout - conversion_window
        return cls(start=months_before(embargo, months or EXPANDING_MONTHS), embargo=embargo, holdout=holdout, end=end)


def build_training_set(
    period: Period, window: TrainingWindow, features: pa.Table, labels: pa.Table, registry: Registry
) -> pa.Table:
    """Matured leads of `window` with their label and features, in order of lead id.

    Only what was known at the period's end is used: labels as they were known then, features with `known_at` up to
    then; later rows in the inputs change nothing. Of a lead that was corrected the first row counts, because that is
    what a score of its arrival is made from.

    Raises:
        LeakageError: a feature that is not declared as one.
    """
    names = list(registry.features)
    registry.assert_no_leakage(names, "training_set")
    columns = ", ".join(f"f.{quoted(name)}" for name in names)
    chosen = (
        "(SELECT * FROM features WHERE known_at <= $6 "
        "AND (created_at >= $2 AND created_at < $3 OR created_at >= $4 AND created_at < $5))"
    )
    return query(
        f"""
        SELECT $1 AS period, CASE WHEN f.created_at >= $4 THEN '{HOLDOUT}' ELSE '{TRAIN}' END AS split,
               f.lead_id, f.created_at, l.label, {columns}
        FROM {first_rows(chosen, "known_at")} f JOIN {labels_known_at("labels", "$6")} l USING (lead_id)
        ORDER BY f.lead_id
        """,  # noqa: S608  # names are quoted, values bound
        {"features": features, "labels": labels},
        [period.key, window.start, window.embargo, window.holdout, window.end, period.end],
    )
