"""Rows that several parts of monitoring compare: what the champion was trained on, and a period's."""

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.models.training_set import TRAIN
from lead_scoring_assets.promotion.deployments import Deployment


def trained_on(installation: Installation, champion: Deployment) -> pd.DataFrame:
    """The leads the champion learned from: what drift is measured against."""
    rows = installation.lakehouse.read("training_set", periods=[champion.period])
    frame: pd.DataFrame = rows.filter(pc.equal(rows["split"], TRAIN)).to_pandas()
    return frame


def rows_of(table: pa.Table, period: str) -> pd.DataFrame:
    """The rows of `period` in a table of several."""
    frame: pd.DataFrame = table.filter(pc.equal(table["period"], period)).to_pandas()
    return frame
