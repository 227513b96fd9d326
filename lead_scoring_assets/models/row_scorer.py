"""One lead at a time, for the API: the scorer's own probability, bit for bit, without a table around the row."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lead_scoring_assets.errors import ScoringError
from lead_scoring_assets.models.scorer import Scorer

Path = Literal["one_row", "library"]


class RowScorer:
    """`path`: how a row comes to its margin, by code of our own for one row or by the learner's library.

    Code that gives one of the `golden` rows another margin than the learner does is not used.
    """

    def __init__(self, scorer: Scorer, golden: Sequence[Mapping[str, Any]] = ()) -> None:
        self.scorer = scorer
        self._encode = scorer.encoder.encode_row
        self._calibrated = scorer.calibrator.probability
        own = scorer.learner.row_margin()
        if own is not None:
            rows = scorer.encoder.encode_rows(golden)
            if any(own(row) != margin for row, margin in zip(rows, scorer.learner.margins(rows).tolist(), strict=True)):
                own = None
        self.path: Path = "library" if own is None else "one_row"
        self._margin = own or self._by_library

    def probability(self, features: Mapping[str, Any]) -> float:
        """Probability of conversion of a lead with these features: numbers and texts, None for missing.

        Raises:
            ScoringError: the model gives log odds that are no finite number.
        """
        return self._probability(self._margin(self._encode(features)))

    def probabilities(self, rows: Sequence[Mapping[str, Any]]) -> list[float]:
        """The same of several leads at a time.

        Raises:
            ScoringError: of one of them, as for `probability`.
        """
        margins = self.scorer.learner.margins(self.scorer.encoder.encode_rows(rows))
        return [self._probability(margin) for margin in margins.tolist()]

    def _probability(self, margin: float) -> float:
        if not math.isfinite(margin):
            raise ScoringError(
                f"the {self.scorer.recipe.algorithm} model gave a lead log odds of {margin}: expected a finite number. Roll "
                "back, or train again."
            )
        return self._calibrated(margin)

    def contributions(self, features: Mapping[str, Any]) -> dict[str, float]:
        """What each feature adds to the calibrated log odds, and the `base` (exact SHAP values); the sum is log(p / (1 − p))."""
        values = self.scorer.learner.contributions(self.scorer.encoder.encode_rows([features]))[0]
        values = values * self.scorer.calibrator.slope
        values[-1] += self.scorer.calibrator.intercept
        return dict(zip([*self.scorer.columns, "base"], values.tolist(), strict=True))

    def _by_library(self, row: npt.NDArray[np.float32]) -> float:
        return float(self.scorer.learner.margins(row[None])[0])
