"""Rows that several parts of monitoring compare with."""

import pandas as pd
import pyarrow.compute as pc

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.models.training_set import TRAIN
from lead_scoring_assets.promotion.deployments import Deployment


def trained_on(installation: Installation, champion: Deployment) -> pd.DataFrame:
    """The leads the champion learned from: what drift is measured against."""
    rows = installation.lakehouse.read("training_set", periods=[champion.period])
    frame: pd.DataFrame = rows.filter(pc.equal(rows["split"], TRAIN)).to_pandas()
    return frame
