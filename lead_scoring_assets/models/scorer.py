"""The scorer that batch scoring, evaluation, explanations and MLflow share. How it is stored stands in `bundle.py`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lead_scoring_assets.errors import ScoringError
from lead_scoring_assets.models.calibration import Calibrator
from lead_scoring_assets.models.encoder import Encoder
from lead_scoring_assets.models.learners import Learner
from lead_scoring_assets.models.recipe import Recipe

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]
# Rows that are encoded at a time: memory stays bounded, however many leads come.
_CHUNK = 100_000


class Scorer:
    """Gives every lead a calibrated probability of conversion, and what it is made of."""

    def __init__(self, learner: Learner, encoder: Encoder, recipe: Recipe, calibrator: Calibrator) -> None:
        self.learner = learner
        self.encoder = encoder
        self.recipe = recipe
        self.calibrator = calibrator

    @property
    def columns(self) -> list[str]:
        """The feature columns that are read, in the order of `contributions`."""
        return self.encoder.columns

    def probabilities(self, features: "pd.DataFrame") -> Floats:
        """Probability of conversion for each row of `features` (columns by name), shape (rows,).

        Raises:
            ScoringError: as for `margins`.
        """
        return self.calibrator.probabilities(self.margins(features))

    def batch_probabilities(self, batch: pa.RecordBatch) -> Floats:
        """The same of a batch of Arrow's, without pandas: bit for bit what `probabilities` gives, shape (rows,).

        Raises:
            ScoringError: as for `margins`.
        """
        return self.calibrator.probabilities(self._finite(self.learner.margins(self.encoder.encode_batch(batch))))

    def row_probabilities(self, rows: Sequence[Mapping[str, Any]]) -> Floats:
        """The same of rows as dicts of numbers and texts, None for missing; shape (rows,).

        Raises:
            ScoringError: as for `margins`.
        """
        return self.calibrator.probabilities(self._finite(self.learner.margins(self.encoder.encode_rows(rows))))

    def margins(self, features: "pd.DataFrame") -> Floats:
        """The learner's own log odds, before calibration, shape (rows,).

        Raises:
            ScoringError: one is NaN, or infinite, which would look like a probability of 0 or 1.
        """
        return self._finite(np.concatenate([self.learner.margins(matrix) for matrix in self._matrices(features)]))

    def contributions(self, features: "pd.DataFrame") -> Floats:
        """What each column adds to the calibrated log odds, shape (rows, columns + 1).

        Exact SHAP values; the base stands last. A row adds up to log(p / (1 − p)) of its probability, within 1e-5.
        """
        values = np.concatenate([self.learner.contributions(matrix) for matrix in self._matrices(features)])
        values *= self.calibrator.slope
        values[:, -1] += self.calibrator.intercept
        return values

    def importance(self) -> dict[str, float]:
        """Share of each feature in what the learner learned; adds up to 1, or is all 0."""
        return dict(zip(self.columns, self.learner.importance().tolist(), strict=True))

    def predict(self, model_input: "pd.DataFrame") -> Floats:
        """MLflow's name for the same: probabilities, never classes."""
        return self.probabilities(model_input)

    def _finite(self, margins: Floats) -> Floats:
        if len(wrong := np.flatnonzero(~np.isfinite(margins))):
            raise ScoringError(
                f"the {self.recipe.algorithm} model gave {len(wrong):,} of {len(margins):,} leads log odds that are no finite "
                f"number: expected finite ones, found {margins[wrong[0]]} in row {wrong[0]:,}. Nothing was written; roll "
                "back, or train again."
            )
        return margins

    def _matrices(self, features: "pd.DataFrame") -> Iterator[npt.NDArray[np.float32]]:
        """The encoded rows, a chunk at a time; of no rows one chunk, so that shapes are right."""
        for start in range(0, max(len(features), 1), _CHUNK):
            yield self.encoder.encode(features.iloc[start : start + _CHUNK])
