"""Performance without any label: what calibrated scores say of themselves (confidence-based performance estimation).

If p is a lead's chance of conversion, then each figure is, on average over what can happen, that of leads of which the
share p converts (NannyML's CBPE, Kuberski and others 2022, with the whole lead as its own expected confusion matrix).
The chances come from the scores by Platt's calibration (1999), fitted on matured leads and applied to open ones: no lead
calibrates its own estimate.

Assumed: leads of one score convert as often as before. A change of exactly that, concept drift, is what it cannot see.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from lead_scoring_assets.evaluation.metrics import Floats
from lead_scoring_assets.models.calibration import Calibrator, fit_calibrator
from lead_scoring_assets.monitoring.performance.open_leads import MaturedLeads

ASSUMPTION = "estimated, assumes P(converted | score) unchanged; blind to concept drift"
_CLIP = 1e-6  # a score of exactly 0 or 1 has no log odds


@dataclass(frozen=True)
class CalibratedChances:
    """Expected labels: each open lead's calibrated chance of conversion; an `Estimator`.

    `covariance` of slope and intercept, shape (2, 2): the inverse of Fisher's information on the matured leads.
    """

    margins: Floats
    calibrator: Calibrator
    covariance: Floats

    @classmethod
    def learn(cls, scores: Floats, matured: MaturedLeads) -> Self:
        """From scores of open leads, shape (n,), and matured leads with enough of either outcome."""
        margins = _log_odds(matured.scores)
        calibrator = fit_calibrator(margins, matured.labels)
        chances = calibrator.probabilities(margins)
        design = np.column_stack([margins, np.ones(len(margins))])
        information = design.T @ (design * (chances * (1 - chances))[:, None])
        return cls(_log_odds(scores), calibrator, np.linalg.pinv(information).astype(np.float64))

    def expected(self) -> Floats:
        return self.calibrator.probabilities(self.margins)

    def redrawn(self, weights: Floats, draws: np.random.Generator) -> Floats:
        fitted = np.array([self.calibrator.slope, self.calibrator.intercept])
        slopes, intercepts = draws.multivariate_normal(fitted, self.covariance, size=len(weights)).T
        odds = slopes[:, None] * self.margins + intercepts[:, None]
        chances: Floats = 1 / (1 + np.exp(-np.clip(odds, -500, 500)))
        return chances


def _log_odds(scores: Floats) -> Floats:
    inside = np.clip(scores, _CLIP, 1 - _CLIP)
    odds: Floats = np.log(inside) - np.log1p(-inside)
    return odds
