"""From a learner's log odds to probabilities that can be believed. How well they can is judged in `evaluation/`."""

import json
import math
from dataclasses import asdict, dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from lead_scoring_assets.errors import TrainingError

Floats = npt.NDArray[np.float64]

# Ten events for each of the two numbers that are estimated (Peduzzi et al. 1996).
LEAST_OF_EACH_OUTCOME = 20
# Below, exp has no number for it.
_LEAST_ODDS = -709.0
_ROUNDING = 1e-12  # margins that are all the same have a spread of this size, and none that means something


@dataclass(frozen=True)
class Calibrator:
    """probability = sigmoid(slope × margin + intercept) (Platt 1999).

    Affine in log odds with a slope above 0: the order of leads stays, and contributions still add up.
    """

    slope: float
    intercept: float

    def log_odds(self, margins: Floats) -> Floats:
        """Calibrated log odds, shape (rows,)."""
        return self.slope * margins + self.intercept

    def probabilities(self, margins: Floats) -> Floats:
        """Calibrated probability of conversion, shape (rows,)."""
        odds = np.maximum(self.log_odds(margins), _LEAST_ODDS)
        # The C library's exp, also for one row: NumPy's own gives other last bits, and not the same ones on all processors.
        found: Floats = 1 / (1 + np.fromiter(map(math.exp, (-odds).tolist()), np.float64, len(odds)))
        return found

    def probability(self, margin: float) -> float:
        """The same of one margin, bit for bit what `probabilities` gives."""
        return 1 / (1 + math.exp(-max(self.slope * margin + self.intercept, _LEAST_ODDS)))

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        return cls(**json.loads(text))


def identity() -> Calibrator:
    """Margins are taken for what they say they are."""
    return Calibrator(slope=1.0, intercept=0.0)


def fit_calibrator(margins: Floats, labels: Floats) -> Calibrator:
    """The maximum-likelihood slope and intercept on margins of leads that their model has not seen.

    Labels are smoothed as Platt did, to (N₊ + 1) / (N₊ + 2) and 1 / (N₋ + 2), so that even outcomes that the margins
    separate give a finite slope. A slope that is not above 0 would turn the order of leads round: then it stays 1, and
    only the intercept is fitted. With fewer than 20 leads of either outcome nothing is fitted.

    Args:
        margins: OUT-OF-FOLD log odds, shape (rows,): on rows that were fitted the model looks surer than it may be.
        labels: 0 or 1, shape (rows,).

    Raises:
        TrainingError: a margin is not a finite number.
    """
    if not np.isfinite(margins).all():
        raise TrainingError(f"calibration failed: {int((~np.isfinite(margins)).sum()):,} margins are not finite.")
    positives = int(labels.sum())
    negatives = len(labels) - positives
    if min(positives, negatives) < LEAST_OF_EACH_OUTCOME:
        return identity()
    targets = np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    ones, centre, scale = np.ones(len(margins)), float(margins.mean()), float(margins.std())
    if scale > _ROUNDING * max(1.0, abs(centre)):
        # Standardised, so that Newton's steps are well conditioned whatever the learner's scale.
        weight, constant = fit_log_odds(
            np.column_stack([(margins - centre) / scale, ones]), targets, np.zeros(len(margins))
        )
        if weight > 0:
            return Calibrator(slope=float(weight / scale), intercept=float(constant - weight * centre / scale))
    (shift,) = fit_log_odds(ones[:, None], targets, margins - centre)
    return Calibrator(slope=1.0, intercept=float(shift - centre))


def fit_log_odds(design: Floats, targets: Floats, offset: Floats) -> Floats:
    """Weights that minimise the convex cross-entropy of sigmoid(design @ weights + offset) with targets in (0, 1).

    Newton's method with halved steps where a whole one does not descend (Lin, Lin and Weng 2007).
    """

    def loss(weights: Floats) -> float:
        odds = design @ weights + offset
        return float((np.logaddexp(0, odds) - targets * odds).sum())

    weights = np.zeros(design.shape[1])
    now = loss(weights)
    for _ in range(100):
        likely = _sigmoid(design @ weights + offset)
        gradient = design.T @ (likely - targets)
        if np.abs(gradient).max() < 1e-10 * len(targets):
            break
        curvature = design.T @ (design * (likely * (1 - likely))[:, None])
        step = np.linalg.solve(curvature + 1e-12 * np.eye(len(weights)), gradient)
        size = 1.0
        while loss(weights - size * step) > now and size > 1e-10:
            size /= 2
        weights = weights - size * step
        now = loss(weights)
    return weights


def _sigmoid(odds: Floats) -> Floats:
    with np.errstate(over="ignore"):  # exp gives infinity, and the probability 0
        probabilities: Floats = 1 / (1 + np.exp(-odds))
    return probabilities
