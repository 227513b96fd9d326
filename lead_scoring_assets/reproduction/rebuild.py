"""Training a model again from its record, and what came out otherwise. Which code does it is decided elsewhere."""

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lead_scoring_assets.errors import LakehouseError, TrainingError
from lead_scoring_assets.models import learners
from lead_scoring_assets.models.bundle import CALIBRATOR, ENCODER, GOLDEN, RECIPE, load_scorer, save_bundle
from lead_scoring_assets.models.calibration import Calibrator, fit_calibrator, identity
from lead_scoring_assets.models.encoder import Encoder
from lead_scoring_assets.models.recipe import Recipe
from lead_scoring_assets.models.record import CalibrationFolds, TrainingRecord, file_sums, holdout_metrics
from lead_scoring_assets.models.search.folds import time_folds
from lead_scoring_assets.models.snapshot import load
from lead_scoring_assets.models.training import fit_model
from lead_scoring_assets.models.training_set import HOLDOUT, TRAIN

_WHAT = {RECIPE: "recipe", ENCODER: "encoder", CALIBRATOR: "calibrator", GOLDEN: "scores of the golden rows"}


@dataclass(frozen=True)
class Rebuilt:
    """A model that was trained again. `differences`: what is not as it was, in words, inputs before results; none when
    every byte and every figure is. `fingerprint`: None when there was nothing to train it from."""

    fingerprint: str | None
    metrics: Mapping[str, float]
    differences: tuple[str, ...]

    @property
    def is_same(self) -> bool:
        return not self.differences


def rebuild(record: TrainingRecord, data: Path) -> Rebuilt:
    """Train the model of `record` again, from its snapshot below the folder `data`, with its own recipe.

    The calibrator is fitted again on the recorded folds; where none were recorded it is taken as it is.
    """
    try:
        rows, snapshot = load(data / record.snapshot)
    except LakehouseError as problem:
        return Rebuilt(None, {}, (f"snapshot: {problem}",))
    if snapshot.content_hash != record.content_hash:
        told = (
            f"snapshot: trained on rows {record.content_hash}, {data / record.snapshot} holds {snapshot.content_hash}"
        )
        return Rebuilt(None, {}, (told,))
    frame = rows.to_pandas()
    encoder, recipe = Encoder.from_json(record.encoder), Recipe.from_json(record.recipe)
    try:
        learner = fit_model(frame, encoder, recipe)
        calibrator = _calibrator(record, recipe, encoder, frame)
    except TrainingError as problem:
        return Rebuilt(None, {}, (f"recipe: {problem}",))
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "bundle"
        fingerprint = save_bundle(bundle, learner, recipe, calibrator, encoder, frame[frame["split"] == HOLDOUT])
        metrics = holdout_metrics(load_scorer(bundle, fingerprint), frame)
        files = file_sums(bundle)
    changed = [*_of_files(record.files, files), *_of_metrics(record.metrics, metrics)]
    if not changed and fingerprint != record.fingerprint:
        changed = [f"fingerprint: the record says {record.fingerprint}, its files give {fingerprint}"]
    return Rebuilt(fingerprint, metrics, tuple(changed))


def calibrate(rows: pd.DataFrame, recipe: Recipe, encoder: Encoder, folds: CalibrationFolds) -> Calibrator:
    """The calibrator of `recipe`, fitted on margins of leads that its models on folds in time had not seen.

    `rows`: of split `train`. Where no fold can be used the margins are taken as they are.

    Raises:
        TrainingError: the learner refuses the parameters or the rows.
    """
    matrix, labels = encoder.encode(rows), rows["label"].to_numpy(dtype=np.float64)
    # Without its zone: NumPy has no instants with one, and all are in UTC.
    created_at = rows["created_at"].dt.tz_localize(None).to_numpy()
    in_time = time_folds(
        created_at,
        labels,
        embargo=folds.embargo,
        folds=folds.folds,
        minimum_rows=folds.minimum_rows,
        minimum_positives=folds.minimum_positives,
    ).folds
    if not in_time:
        return identity()
    fitted = [learners.fit(recipe, matrix[fold.train], labels[fold.train], encoder.feature_types) for fold in in_time]
    margins = [learner.margins(matrix[fold.test]) for learner, fold in zip(fitted, in_time, strict=True)]
    return fit_calibrator(np.concatenate(margins), labels[np.concatenate([fold.test for fold in in_time])])


def _calibrator(record: TrainingRecord, recipe: Recipe, encoder: Encoder, rows: pd.DataFrame) -> Calibrator:
    if record.calibration is None:
        return Calibrator.from_json(record.calibrator)
    return calibrate(rows[rows["split"] == TRAIN], recipe, encoder, record.calibration)


def _of_files(then: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for name in sorted({*then, *now}, key=lambda name: (list(_WHAT).index(name) if name in _WHAT else -1, name)):
        before, here = then.get(name), now.get(name)
        if before != here:
            yield f"{_WHAT.get(name, 'model')}: {name} had SHA-256 {before or 'none'}, rebuilt {here or 'none'}"


def _of_metrics(then: Mapping[str, float], now: Mapping[str, float]) -> Iterator[str]:
    for name in sorted({*then, *now}):
        before, here = then.get(name), now.get(name)
        if before != here:
            yield f"metric {name}: {_figure(before)} then, {_figure(here)} rebuilt"


def _figure(value: float | None) -> str:
    return "not known" if value is None else repr(value)
