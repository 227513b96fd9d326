"""The job that reads experiments: one asset and its checks."""

import dagster as dg

from lead_scoring_assets.experiments.results import TABLE

JOB = "experiment_reading"

JOBS = [
    dg.define_asset_job(
        JOB,
        selection=dg.AssetSelection.assets(TABLE),
        description="Reads the running experiment as of now, and carries out its verdict.",
    )
]
