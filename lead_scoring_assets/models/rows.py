"""A period's rows of the tables of models, as their readers need them."""

from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from lead_scoring_assets.models.registry import RegisteredModel
from lead_scoring_assets.models.training_set import HOLDOUT
from lead_scoring_assets.periods import Period


def candidate_of(trained_model: pa.Table, period: Period) -> RegisteredModel | None:
    """The model that was trained at the end of `period`; None where training was refused."""
    row = row_of(trained_model, period)
    if row["version"] is None:
        return None
    return RegisteredModel(row["version"], row["run_id"], row["bundle"], row["fingerprint"])


def rows_of(table: pa.Table, period: Period) -> pd.DataFrame:
    """The rows of `period` in a table of several."""
    frame: pd.DataFrame = table.filter(pc.equal(table["period"], period.key)).to_pandas()
    return frame


def row_of(table: pa.Table, period: Period) -> dict[str, Any]:
    """The one row of `period` in a table with one a period."""
    row: dict[str, Any] = table.filter(pc.equal(table["period"], period.key)).to_pylist()[0]
    return row


def holdout_of(training_set: pa.Table, period: Period) -> pd.DataFrame:
    """The rows of `period` on which its candidate is judged."""
    rows = rows_of(training_set, period)
    return rows[rows["split"] == HOLDOUT]
