"""Dagster shell of the models: from matured labels to a model that is trained, recorded and registered."""

import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from lead_scoring_assets.errors import LakehouseError
from lead_scoring_assets.files import told_of_the_disk
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.models.bundle import save_bundle
from lead_scoring_assets.models.candidate import Candidate, train_candidate
from lead_scoring_assets.models.encoder import Encoder
from lead_scoring_assets.models.mlflow_store import reaching
from lead_scoring_assets.models.recipe import Recipe
from lead_scoring_assets.models.record import RECORD, CalibrationFolds, read_record, record, write_record
from lead_scoring_assets.models.registry import ModelRegistry, RegisteredModel
from lead_scoring_assets.models.search.trials import study_plot, trials_table
from lead_scoring_assets.models.snapshot import delta_versions, shaping_settings_sha256, take
from lead_scoring_assets.models.snapshot_manifest import Snapshot
from lead_scoring_assets.models.training import refuse_to_train, remark_on_features
from lead_scoring_assets.models.training_set import HOLDOUT, TRAIN, TrainingWindow, build_training_set
from lead_scoring_assets.models.trigger import asked_by
from lead_scoring_assets.partitions import ONE_RUN, PERIODS, TRAINING_WINDOW, periods_of
from lead_scoring_assets.periods import Period
from lead_scoring_assets.plots import bar_plot

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
        ("algorithm", pa.string()),
        ("recipe", pa.string()),
        ("snapshot", pa.string()),
    ]
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
        kept = _keep(installation, period, rows) if rows.num_rows else None
        context.add_asset_metadata(
            {
                "snapshot": kept.path if kept else "none: no lead has matured",
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


@dg.asset(**_SHARED, kinds={"xgboost", "lightgbm", "scikitlearn", "mlflow"})
def trained_model(
    context: dg.AssetExecutionContext,
    installation: dg.ResourceParam[Installation],
    mlflow: dg.ResourceParam[Any],
    training_set: pa.Table,
) -> pa.Table:
    """The model as of this period's end, registered in MLflow; or the refusal to train one, with its reason."""
    rows: list[dict[str, Any]] = []
    # What is not ended here has failed: the resource ends it so.
    with reaching(ModelRegistry(installation.home).tracking_uri), told_of_the_disk(installation.home.data):
        for period in periods_of(context):
            rows.append(_train_period(context, installation, mlflow, period, training_set, rows))
        mlflow.end_run(status="FINISHED")
    return pa.Table.from_pylist(rows, schema=TRAINED_SCHEMA)


def _train_period(
    context: dg.AssetExecutionContext,
    installation: Installation,
    mlflow: Any,
    period: Period,
    training_set: pa.Table,
    so_far: list[dict[str, Any]],
) -> dict[str, Any]:
    settings, table = installation.settings, training_set.filter(pc.equal(training_set["period"], period.key))
    rows: pd.DataFrame = table.to_pandas()
    counts = {"train_rows": int((rows["split"] == TRAIN).sum()), "holdout_rows": int((rows["split"] == HOLDOUT).sum())}
    refusal = refuse_to_train(rows, settings.training)
    if refusal is not None:
        context.add_asset_metadata({"refusal": refusal, **counts}, partition_key=period.key)
        return {"period": period.key, "refusal": refusal, **counts}
    snapshot = _keep(installation, period, table)
    registry, encoder = ModelRegistry(installation.home), Encoder.from_registry(settings.registry)
    cause = asked_by(period.key, installation.events)
    with mlflow.start_run(nested=True, run_name=f"train {period.key}"), tempfile.TemporaryDirectory() as folder:
        mlflow.set_tags({"period": period.key, "dagster_run_id": context.run.run_id, "trigger": cause.name})
        found = train_candidate(rows, encoder, settings, _last_recipe(installation, period, so_far), context.log.info)
        bundle = Path(folder) / "bundle"
        holdout = rows[rows["split"] == HOLDOUT]
        fingerprint = save_bundle(bundle, found.learner, found.recipe, found.calibrator, encoder, holdout)
        mlflow.log_params({**_parameters(found), **counts, "snapshot": snapshot.path})
        registered = registry.find(period.key, fingerprint)
        is_new = registered is None
        if registered is None or not _is_traceable(installation, registered):
            folds = CalibrationFolds.of(settings) if found.tuned.stopped != "no folds" else None
            made = record(
                installation.home,
                bundle,
                fingerprint,
                snapshot,
                trigger=cause.name,
                trigger_reason=cause.reason,
                calibration=folds,
            )
            write_record(bundle, made)
            if registered is None:
                mlflow.set_tags({"git_commit": made.provenance.git_commit, "lock_sha256": made.provenance.lock_sha256})
                registered = registry.register(bundle, encoder, period.key, fingerprint)
                registry.log_rows(registered.run_id, trials_table(found.tuned), "trials.json")
            elif made.provenance.is_traceable:
                registry.record_again(registered, bundle)
    importance = dict(zip(encoder.columns, found.learner.importance().tolist(), strict=True))
    context.add_asset_metadata(
        {
            "model_version": registered.version,
            "mlflow_run_id": registered.run_id,
            "fingerprint": fingerprint,
            "is_new_version": is_new,
            "algorithm": found.recipe.algorithm,
            "recipe": dg.MetadataValue.json(dict(found.recipe.parameters)),
            "trials": dg.MetadataValue.md(study_plot(found.tuned)),
            "search": "; ".join([f"{len(found.tuned.trials)} trials", *found.tuned.remarks]),
            "snapshot": snapshot.path,
            "trigger": f"{cause.name}: {cause.reason}",
            "feature_importance": dg.MetadataValue.md(bar_plot(importance, "importance (share)")),
            "remark": remark_on_features(rows, encoder) or "every feature has values",
            **counts,
        },
        partition_key=period.key,
    )
    of_recipe = {"algorithm": found.recipe.algorithm, "recipe": found.recipe.to_json(), "snapshot": snapshot.path}
    return {"period": period.key, **vars(registered), **counts, **of_recipe}


def _keep(installation: Installation, period: Period, rows: pa.Table) -> Snapshot:
    """The snapshot of `rows`; the same rows are kept once."""
    made_from = ("lead_features", "ground_truth_labels")
    there = [table for table in made_from if installation.lakehouse.exists(table)]  # not where a person loaded the rows
    inputs = delta_versions(installation.lakehouse, there)
    settings_sha256 = shaping_settings_sha256(installation.settings)
    return take(rows, installation.home.snapshots, period, inputs=inputs, settings_sha256=settings_sha256)


def _last_recipe(installation: Installation, period: Period, so_far: list[dict[str, Any]]) -> Recipe | None:
    """The recipe of the model that was trained last before `period`: of this run's periods, else of the table's.

    Not the champion's, because which model that was is decided later, in the same run when a range is materialised:
    the same months done again would then begin from other recipes.
    """
    rows = so_far
    if installation.lakehouse.exists("trained_model"):
        rows = installation.lakehouse.read("trained_model").to_pylist() + so_far
    known = {row["period"]: row.get("recipe") for row in rows}
    earlier = {key: recipe for key, recipe in known.items() if recipe is not None and key < period.key}
    return Recipe.from_json(earlier[max(earlier)]) if earlier else None


def _is_traceable(installation: Installation, registered: RegisteredModel) -> bool:
    """Whether the version's record names a commit that holds exactly the code that made it."""
    try:
        told = read_record((installation.home.data / registered.bundle).with_name(RECORD))
    except LakehouseError:
        return False
    return told.provenance.is_traceable


def _parameters(found: Candidate) -> dict[str, object]:
    """What is logged of the recipe and the calibration, under the settings' own names."""
    recipe, calibrator = found.recipe, found.calibrator
    return {
        **recipe.parameters,
        "algorithm": recipe.algorithm,
        "class_weight": recipe.class_weight,
        "seed": recipe.seed,
        "calibration_slope": calibrator.slope,
        "calibration_intercept": calibrator.intercept,
        "trials": len(found.tuned.trials),
        "search_stopped_by": found.tuned.stopped,
    }
