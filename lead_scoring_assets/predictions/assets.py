"""Dagster shell of batch scoring."""

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.models.scorer import load_scorer
from lead_scoring_assets.partitions import ONE_RUN, PERIODS, PREVIOUS, periods_of
from lead_scoring_assets.plots import histogram_plot
from lead_scoring_assets.predictions.scoring import SCHEMA, score_leads
from lead_scoring_assets.promotion.deployments import Deployments


@dg.asset(
    partitions_def=PERIODS,
    backfill_policy=ONE_RUN,
    deps=[dg.AssetDep("promotion_decision", partition_mapping=PREVIOUS)],
    group_name="predictions",
    owners=["team:sales-operations"],
    kinds={"xgboost", "deltalake"},
)
def lead_scores(
    context: dg.AssetExecutionContext, installation: dg.ResourceParam[Installation], lead_features: pa.Table
) -> pa.Table:
    """Every lead's probability, bucket and rank, by the champion that was live when the period began."""
    deployments = Deployments(installation.lakehouse)
    scored = [SCHEMA.empty_table()]
    for period in periods_of(context):
        champion = deployments.champion_at(period.start)
        if champion is None:
            context.add_asset_metadata({"champion": "none yet: nothing was scored"}, partition_key=period.key)
            continue
        features = lead_features.filter(pc.equal(lead_features["period"], period.key)).to_pandas()
        scorer = load_scorer(champion.folder(installation.home.data), champion.fingerprint)
        rows = score_leads(
            features, scorer.probabilities(features), champion.version, installation.settings.scoring.buckets
        )
        scored.append(rows)
        context.add_asset_metadata(
            {
                "champion": champion.version,
                "mean_probability": pc.mean(rows["probability"]).as_py() or float("nan"),
                "distribution": dg.MetadataValue.md(histogram_plot(rows["probability"].to_pylist(), "probabilities")),
            },
            partition_key=period.key,
        )
    return pa.concat_tables(scored)
