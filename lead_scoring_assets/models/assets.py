"""Dagster shell of the models: from matured labels to a decision that is recorded and carried out."""

import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lead_scoring_assets.evaluation.metrics import Metric, evaluate
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.models.encoder import Encoder
from lead_scoring_assets.models.registry import ModelRegistry
from lead_scoring_assets.models.rows import candidate_of, holdout_of, rows_of
from lead_scoring_assets.models.scorer import load_scorer, save_bundle
from lead_scoring_assets.models.training import refuse_to_train, train
from lead_scoring_assets.models.training_set import HOLDOUT, TRAIN, TrainingWindow, build_training_set
from lead_scoring_assets.partitions import ONE_RUN, PERIODS, TRAINING_WINDOW, periods_of
from lead_scoring_assets.periods import Period
from lead_scoring_assets.plots import bar_plot, calibration_plot

_SHARED: dict[str, Any] = {
    "partitions_def": PERIODS,
    "backfill_policy": ONE_RUN,
    "group_name": "models",
    "owners": ["team:machine-learning"],
}

TRAINED_SCHEMA = pa.schema(
    [
        ("period", pa.string()),
        ("version", pa.int64()),
        ("run_id", pa.string()),
        ("bundle", pa.string()),
        ("fingerprint", pa.string()),
        ("train_rows", pa.int64()),
        ("holdout_rows", pa.int64()),
        ("refusal", pa.string()),
    ]
)
EVALUATION_SCHEMA = pa.schema(
    [("period", pa.string()), ("version", pa.int64()), ("metric", pa.string())]
    + [(name, pa.float64()) for name in ("value", "low", "high")]
    + [("n", pa.int64())]
)


@dg.asset(
    **_SHARED,
    ins={
        "lead_features": dg.AssetIn(partition_mapping=TRAINING_WINDOW),
        "ground_truth_labels": dg.AssetIn(
            partition_mapping=TRAINING_WINDOW, metadata={"columns": ["lead_id", "label", "label_known_at"]}
        ),
    },
    kinds={"duckdb", "deltalake"},
)
def training_set(
    context: dg.AssetExecutionContext,
    installation: dg.ResourceParam[Installation],
    lead_features: pa.Table,
    ground_truth_labels: pa.Table,
) -> pa.Table:
    """The matured leads a model of this period learns from (split train) and is judged on (split holdout)."""
    settings = installation.settings
    conversion_window = timedelta(days=settings.labels.conversion_window_days)
    built = []
    for period in periods_of(context):
        window = TrainingWindow.of(period, conversion_window, settings.training.window_months)
        rows = build_training_set(period, window, lead_features, ground_truth_labels, settings.registry)
        built.append(rows)
        context.add_asset_metadata(
            {
                "train_rows": pc.sum(pc.equal(rows["split"], TRAIN)).as_py() or 0,
                "holdout_rows": pc.sum(pc.equal(rows["split"], HOLDOUT)).as_py() or 0,
                "train_created_from": window.start.isoformat(),
                "train_created_before": window.embargo.isoformat(),
                "holdout_created_from": window.holdout.isoformat(),
                "holdout_created_before": window.end.isoformat(),
            },
            partition_key=period.key,
        )
    return pa.concat_tables(built)


@dg.asset(**_SHARED, kinds={"xgboost", "mlflow"})
def trained_model(
    context: dg.AssetExecutionContext,
    installation: dg.ResourceParam[Installation],
    mlflow: dg.ResourceParam[Any],
    training_set: pa.Table,
) -> pa.Table:
    """The model as of this period's end, registered in MLflow; or the refusal to train one, with its reason."""
    try:
        rows = [_train_period(context, installation, mlflow, period, training_set) for period in periods_of(context)]
    except BaseException:
        # dagster-mlflow would leave the run open, or end it as finished when the process exits.
        mlflow.end_run(status="FAILED")
        raise
    mlflow.end_run(status="FINISHED")
    return pa.Table.from_pylist(rows, schema=TRAINED_SCHEMA)


def _train_period(
    context: dg.AssetExecutionContext, installation: Installation, mlflow: Any, period: Period, training_set: pa.Table
) -> dict[str, object]:
    rows = rows_of(training_set, period)
    counts = {"train_rows": int((rows["split"] == TRAIN).sum()), "holdout_rows": int((rows["split"] == HOLDOUT).sum())}
    refusal = refuse_to_train(rows, installation.settings.training)
    if refusal is not None:
        context.add_asset_metadata({"refusal": refusal, **counts}, partition_key=period.key)
        return {"period": period.key, "refusal": refusal, **counts}
    registry = ModelRegistry(installation.home)
    encoder = Encoder.from_registry(installation.settings.registry)
    with mlflow.start_run(nested=True, run_name=f"train {period.key}"), tempfile.TemporaryDirectory() as folder:
        mlflow.set_tags({"period": period.key, "dagster_run_id": context.run.run_id})
        trained = train(rows, encoder, installation.settings.training)
        bundle = Path(folder) / "bundle"
        fingerprint = save_bundle(bundle, trained.model, encoder, rows[rows["split"] == HOLDOUT])
        settings = installation.settings.training
        mlflow.log_params({**settings.parameters, "rounds": settings.rounds, "seed": settings.seed, **counts})
        registered = registry.find(period.key, fingerprint)
        is_new = registered is None
        if registered is None:
            registered = registry.register(bundle, encoder, period.key, fingerprint)
    context.add_asset_metadata(
        {
            "model_version": registered.version,
            "mlflow_run_id": registered.run_id,
            "fingerprint": fingerprint,
            "is_new_version": is_new,
            "feature_importance": dg.MetadataValue.md(bar_plot(trained.importance, "share of gain")),
            **counts,
        },
        partition_key=period.key,
    )
    return {"period": period.key, **vars(registered), **counts}


@dg.asset(**_SHARED, kinds={"scikitlearn", "deltalake"})
def model_evaluation(
    context: dg.AssetExecutionContext,
    installation: dg.ResourceParam[Installation],
    trained_model: pa.Table,
    training_set: pa.Table,
) -> pa.Table:
    """How the period's model does on its holdout: the newest matured leads, which no model had seen. With intervals."""
    rows = []
    for period in periods_of(context):
        candidate = candidate_of(trained_model, period)
        if candidate is None:
            continue
        holdout = holdout_of(training_set, period)
        scores = load_scorer(installation.home.data / candidate.bundle, candidate.fingerprint).probabilities(holdout)
        labels = holdout["label"].to_numpy(dtype=np.float64)
        metrics = evaluate(labels, scores)
        rows += [{"period": period.key, "version": candidate.version, "metric": m.name, **_figures(m)} for m in metrics]
        told = {m.name: m.value for m in metrics} | {"auc_low": metrics[0].low, "auc_high": metrics[0].high}
        calibration = dg.MetadataValue.md(calibration_plot(labels, scores, f"calibration, {len(holdout):,} leads"))
        context.add_asset_metadata(
            {**told, "holdout_rows": len(holdout), "calibration": calibration}, partition_key=period.key
        )
        ModelRegistry(installation.home).log_metrics(
            candidate.run_id, {f"holdout_{name}": value for name, value in told.items() if np.isfinite(value)}
        )
    return pa.Table.from_pylist(rows, schema=EVALUATION_SCHEMA)


def _figures(metric: Metric) -> dict[str, float | int]:
    return {"value": metric.value, "low": metric.low, "high": metric.high, "n": metric.n}
