"""Dagster shell of the assessment: what each period's candidate is worth, and what drives its scores."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pyarrow as pa

from lead_scoring_assets.assessment import judgement
from lead_scoring_assets.assessment.deal_values import deal_values
from lead_scoring_assets.assessment.explanations import explain_model, sample_of
from lead_scoring_assets.assessment.judgement import OfModel
from lead_scoring_assets.assessment.model_card import model_card
from lead_scoring_assets.evaluation.fairness import assess_fairness, watched_attributes
from lead_scoring_assets.evaluation.judge import judge
from lead_scoring_assets.evaluation.segments import by_segment
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.models.bundle import load_scorer
from lead_scoring_assets.models.record import RECORD, read_record
from lead_scoring_assets.models.registry import ModelRegistry, RegisteredModel
from lead_scoring_assets.models.rows import candidate_of, holdout_of
from lead_scoring_assets.models.scorer import Scorer
from lead_scoring_assets.partitions import ONE_RUN, PERIODS, periods_of
from lead_scoring_assets.periods import Period
from lead_scoring_assets.plots import dependence_plot, interval_plot

_PANELS = 4  # dependence is drawn for the strongest features

_SHARED: dict[str, Any] = {
    "partitions_def": PERIODS,
    "backfill_policy": ONE_RUN,
    "group_name": "models",
    "owners": ["team:machine-learning"],
}


@dg.asset(**_SHARED, kinds={"scipy", "deltalake"})
def model_evaluation(
    context: dg.AssetExecutionContext,
    installation: dg.ResourceParam[Installation],
    trained_model: pa.Table,
    training_set: pa.Table,
) -> pa.Table:
    """How the period's model does on its holdout: the newest matured leads, which no model had seen. With intervals."""
    rows, settings = [], installation.settings
    for period, candidate, scorer, holdout in _candidates(context, installation, trained_model, training_set):
        scores, labels = scorer.probabilities(holdout), holdout["label"].to_numpy(dtype=np.float64)
        values = deal_values(installation.lakehouse, holdout["lead_id"].tolist(), period.end)
        metrics = judge(labels, scores, settings.evaluation, settings.training.seed, values)
        rows += judgement.figure_rows(OfModel(period.key, candidate.version), metrics)
        told = {m.name: m.value for m in metrics} | {"auc_low": metrics[0].low, "auc_high": metrics[0].high}
        pictures = judgement.pictures(labels, scores)
        card = model_card(candidate.version, read_record(_record_of(installation, candidate)), metrics, settings)
        context.add_asset_metadata(
            {
                **{name: value for name, value in told.items() if np.isfinite(value)},
                "holdout_rows": len(holdout),
                "model_card": dg.MetadataValue.md(card),
                **{name: dg.MetadataValue.md(picture) for name, picture in pictures.items()},
            },
            partition_key=period.key,
        )
        registry = ModelRegistry(installation.home)
        registry.log_judgement(candidate.run_id, metrics, pictures, card)
    return pa.Table.from_pylist(rows, schema=judgement.EVALUATION_SCHEMA)


@dg.asset(**_SHARED, kinds={"scipy", "deltalake"})
def segment_evaluation(
    context: dg.AssetExecutionContext,
    installation: dg.ResourceParam[Installation],
    trained_model: pa.Table,
    training_set: pa.Table,
) -> pa.Table:
    """The holdout's figures in each segment that the settings name; groups that are too small say so."""
    rows, settings = [], installation.settings
    for period, candidate, scorer, holdout in _candidates(context, installation, trained_model, training_set):
        labels, scores = holdout["label"].to_numpy(dtype=np.float64), scorer.probabilities(holdout)
        found = by_segment(
            holdout, settings.evaluation.segments, labels, scores, settings.evaluation, settings.training.seed
        )
        rows += judgement.segment_rows(OfModel(period.key, candidate.version), found)
        enough = {(segment.column, segment.group): segment.status == "ok" for segment in found}
        context.add_asset_metadata(
            {"groups": len(enough), "groups_with_enough_leads": sum(enough.values())}, partition_key=period.key
        )
    return pa.Table.from_pylist(rows, schema=judgement.SEGMENT_SCHEMA)


@dg.asset(**_SHARED, deps=["raw_leads"], kinds={"scipy", "deltalake"})
def model_fairness(
    context: dg.AssetExecutionContext,
    installation: dg.ResourceParam[Installation],
    trained_model: pa.Table,
    training_set: pa.Table,
) -> pa.Table:
    """Whether the best of the holdout would be chosen alike among the groups of each attribute that is watched."""
    rows, settings = [], installation.settings
    watched = watched_attributes(settings.registry, settings.evaluation)
    for period, candidate, scorer, holdout in _candidates(context, installation, trained_model, training_set):
        whole = judgement.with_columns(holdout, installation.lakehouse, watched)
        labels, scores = whole["label"].to_numpy(dtype=np.float64), scorer.probabilities(whole)
        found = assess_fairness(whole, labels, scores, settings.registry, settings.evaluation, settings.training.seed)
        rows += judgement.fairness_rows(OfModel(period.key, candidate.version), found)
        context.add_asset_metadata(judgement.told_of_fairness(found), partition_key=period.key)
    return pa.Table.from_pylist(rows, schema=judgement.FAIRNESS_SCHEMA)


@dg.asset(**_SHARED, kinds={"xgboost", "deltalake"})
def model_explanation(
    context: dg.AssetExecutionContext,
    installation: dg.ResourceParam[Installation],
    trained_model: pa.Table,
    training_set: pa.Table,
) -> pa.Table:
    """What drives the model's scores: exact contributions of each feature over a sample of the holdout."""
    rows, settings = [], installation.settings
    for period, candidate, scorer, holdout in _candidates(context, installation, trained_model, training_set):
        sample = sample_of(holdout, settings.training.seed)
        effects = explain_model(scorer, sample, settings.registry)
        rows += judgement.explanation_rows(OfModel(period.key, candidate.version), effects)
        strengths = {effect.feature: (effect.strength, effect.low, effect.high) for effect in effects}
        panels = {
            effect.feature: [(point.group, point.effect, point.low, point.high) for point in effect.dependence]
            for effect in effects[:_PANELS]
        }
        title = f"v{candidate.version}, {len(sample):,} leads"
        context.add_asset_metadata(
            {
                "strongest": ", ".join(effect.feature for effect in effects[:3]),
                "strength": dg.MetadataValue.md(interval_plot(strengths, title, "mean change of the log odds")),
                "dependence": dg.MetadataValue.md(dependence_plot(panels, title)),
            },
            partition_key=period.key,
        )
    return pa.Table.from_pylist(rows, schema=judgement.EXPLANATION_SCHEMA)


def _candidates(
    context: dg.AssetExecutionContext, installation: Installation, trained_model: pa.Table, training_set: pa.Table
) -> Iterator[tuple[Period, RegisteredModel, Scorer, pd.DataFrame]]:
    """Each period that has a candidate, with its scorer and the rows it is judged on."""
    for period in periods_of(context):
        candidate = candidate_of(trained_model, period)
        if candidate is not None:
            scorer = load_scorer(installation.home.data / candidate.bundle, candidate.fingerprint)
            yield period, candidate, scorer, holdout_of(training_set, period)


def _record_of(installation: Installation, candidate: RegisteredModel) -> Path:
    return (installation.home.data / candidate.bundle).parent / RECORD
