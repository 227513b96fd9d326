"""What has to be known of a training to do it again: one file beside the model's folder. Doing it is `reproduce.py`'s."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd

from lead_scoring_assets.errors import LakehouseError
from lead_scoring_assets.evaluation.metrics import evaluate
from lead_scoring_assets.files import write_atomically
from lead_scoring_assets.models.bundle import CALIBRATOR, ENCODER, MANIFEST, RECIPE, load_scorer
from lead_scoring_assets.models.provenance import REPOSITORY, Provenance, gather, settings_json
from lead_scoring_assets.models.scorer import Scorer
from lead_scoring_assets.models.sealed import seal, unseal
from lead_scoring_assets.models.snapshot import load
from lead_scoring_assets.models.snapshot_manifest import Snapshot
from lead_scoring_assets.models.training_set import HOLDOUT
from lead_scoring_assets.settings import Home, Settings

RECORD = "record.json"


@dataclass(frozen=True)
class CalibrationFolds:
    """The folds in time whose margins the calibrator was fitted on; see `folds.time_folds`."""

    folds: int
    embargo_days: int
    minimum_rows: int
    minimum_positives: int

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The folds on which recipes are tuned under `settings`."""
        training = settings.training
        # An AUC has an interval from two on.
        positives = max(2, training.minimum_holdout_positives)
        return cls(
            training.tuning.folds, settings.labels.conversion_window_days, training.minimum_holdout_rows, positives
        )

    @property
    def embargo(self) -> timedelta:
        return timedelta(days=self.embargo_days)


@dataclass(frozen=True)
class TrainingRecord:
    """One training: its rows, recipe and surroundings, and what came out.

    `snapshot`: the folder of the rows, relative to the data folder; `inputs`: Delta versions of the tables they were made
    from this time. `recipe`, `calibrator`, `encoder`: as the model's folder holds them. `calibration`: None when the
    calibrator was not fitted on folds. `settings`: all of them, as JSON. `files`: SHA-256 of each file of the model's
    folder. `metrics`: on the holdout. `trigger`: what asked for the training.
    """

    period: str
    snapshot: str
    content_hash: str
    inputs: Mapping[str, int]
    recipe: str
    calibrator: str
    calibration: CalibrationFolds | None
    encoder: str
    settings: str
    provenance: Provenance
    fingerprint: str
    files: Mapping[str, str]
    metrics: Mapping[str, float]
    trigger: str
    trigger_reason: str

    def to_bytes(self) -> bytes:
        return seal(asdict(self))

    @classmethod
    def from_bytes(cls, written: bytes) -> Self:
        """What `to_bytes` wrote.

        Raises:
            ValueError: `written` is something else.
        """
        told = unseal(written)
        try:
            folds = told["calibration"] and CalibrationFolds(**told["calibration"])
            return cls(**{**told, "calibration": folds, "provenance": Provenance(**told["provenance"])})
        except (KeyError, TypeError) as problem:
            raise ValueError(f"no record of a training: {problem!r}") from None


def record(
    home: Home,
    bundle: Path,
    fingerprint: str,
    snapshot: Snapshot,
    *,
    trigger: str,
    trigger_reason: str,
    inputs: Mapping[str, int] | None = None,
    calibration: CalibrationFolds | None = None,
    repository: Path = REPOSITORY,
) -> TrainingRecord:
    """The record of the model in `bundle`, which was trained on `snapshot` under the present settings of `home`.

    `inputs`: Delta versions of this training's tables (None: those of the snapshot). The holdout is scored by the model
    as it lies there, on the rows as they lie there.

    Raises:
        LakehouseError: the model or the snapshot is not what it says.
    """
    folder = home.snapshots / snapshot.path
    rows, found = load(folder)
    return TrainingRecord(
        period=found.period,
        snapshot=folder.relative_to(home.data).as_posix(),
        content_hash=found.content_hash,
        inputs=dict(found.inputs if inputs is None else inputs),
        recipe=(bundle / RECIPE).read_text(encoding="utf-8"),
        calibrator=(bundle / CALIBRATOR).read_text(encoding="utf-8"),
        calibration=calibration,
        encoder=(bundle / ENCODER).read_text(encoding="utf-8"),
        settings=settings_json(home.settings),
        provenance=gather(home.settings, repository),
        fingerprint=fingerprint,
        files=file_sums(bundle),
        metrics=holdout_metrics(load_scorer(bundle, fingerprint), rows.to_pandas()),
        trigger=trigger,
        trigger_reason=trigger_reason,
    )


def write_record(bundle: Path, told: TrainingRecord) -> Path:
    """Write `told` beside the model's folder; the file."""
    path = bundle.parent / RECORD
    write_atomically(path, told.to_bytes())
    return path


def read_record(path: Path) -> TrainingRecord:
    """A record from its file.

    Raises:
        LakehouseError: it is missing, or was changed.
    """
    try:
        return TrainingRecord.from_bytes(path.read_bytes())
    except FileNotFoundError:
        raise LakehouseError(
            f"{path} is missing: expected the record of a training beside its model. Models that were trained before "
            "records were kept cannot be reproduced; train again."
        ) from None
    except (OSError, ValueError) as problem:
        raise LakehouseError(f"{path} was changed or cannot be read ({problem}). Restore it from a backup.") from None


def holdout_metrics(scorer: Scorer, rows: pd.DataFrame) -> dict[str, float]:
    """Each figure of the holdout that can be computed, in full precision."""
    holdout = rows[rows["split"] == HOLDOUT]
    metrics = evaluate(holdout["label"].to_numpy(dtype=np.float64), scorer.probabilities(holdout))
    return {metric.name: float(metric.value) for metric in metrics if np.isfinite(metric.value)}


def file_sums(bundle: Path) -> dict[str, str]:
    """SHA-256 of each file of a model's folder, its manifest left out."""
    files = sorted(path for path in bundle.iterdir() if path.is_file() and path.name != MANIFEST)
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
