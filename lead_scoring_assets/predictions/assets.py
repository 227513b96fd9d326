"""Dagster shell of batch scoring."""

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.partitions import ONE_RUN, PERIODS, PREVIOUS, periods_of
from lead_scoring_assets.plots import histogram_plot
from lead_scoring_assets.predictions.model import PRODUCTION, named_model
from lead_scoring_assets.predictions.period_scores import NAMED_SCHEMA, SCHEMA, score_live, score_period


@dg.asset(
    partitions_def=PERIODS,
    backfill_policy=ONE_RUN,
    deps=["lead_features", dg.AssetDep("promotion_decision", partition_mapping=PREVIOUS)],
    group_name="predictions",
    owners=["team:sales-operations"],
    kinds={"xgboost", "deltalake"},
)
def lead_scores(context: dg.AssetExecutionContext, installation: dg.ResourceParam[Installation]) -> pa.Table:
    """New and changed leads: probability, bucket, priority, reasons and what changed, by the champion live at the start."""
    scored = [SCHEMA.empty_table()]
    for period in periods_of(context):
        rows = score_live(installation, period)
        if rows is None:
            context.add_asset_metadata({"champion": "none yet: nothing was scored"}, partition_key=period.key)
            continue
        scored.append(rows)
        changed = rows.num_rows - rows["previous_period"].null_count
        context.add_asset_metadata({**_told(rows), "scored_before": changed}, partition_key=period.key)
    return pa.concat_tables(scored)


class Rescoring(dg.Config):
    """Which model scores: a version's number, or `production`."""

    model: str = PRODUCTION


@dg.asset(
    partitions_def=PERIODS,
    backfill_policy=ONE_RUN,
    deps=["lead_features"],
    group_name="predictions",
    owners=["team:sales-operations"],
    kinds={"xgboost", "deltalake"},
)
def rescored_leads(
    context: dg.AssetExecutionContext, installation: dg.ResourceParam[Installation], config: Rescoring
) -> pa.Table:
    """What a named model says of each period's leads, beside what other named models said. `lead_scores` stays as it was."""
    lakehouse, periods = installation.lakehouse, periods_of(context)
    model = named_model(installation, config.model)
    scored = [NAMED_SCHEMA.empty_table()]
    if lakehouse.exists(context.asset_key.path[-1]):
        there = lakehouse.read(context.asset_key.path[-1], periods=[period.key for period in periods])
        scored.append(there.filter(pc.not_equal(there["model_version"], model.version)).select(NAMED_SCHEMA.names))
    for period in periods:
        rows = score_period(installation, period, model)
        scored.append(rows)
        context.add_asset_metadata(_told(rows), partition_key=period.key)
    return pa.concat_tables(scored)


def _told(rows: pa.Table) -> dict[str, object]:
    """What people want to know of one model's scores of one period."""
    return {
        "model_version": rows["model_version"][0].as_py() if rows.num_rows else "nobody to score",
        "with_reasons": rows.num_rows - rows["reason_up_1"].null_count,
        "mean_probability": pc.mean(rows["probability"]).as_py() or float("nan"),
        "distribution": dg.MetadataValue.md(histogram_plot(rows["probability"].to_pylist(), "probabilities")),
    }
