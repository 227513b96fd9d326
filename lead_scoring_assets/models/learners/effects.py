"""What one column adds to the log odds of the logistic regression: its transform and its weights, as plain values."""

from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
# Beyond these quantiles of the training rows a number counts as the quantile: one absurd value must not set the scale.
_CLIP = (0.005, 0.995)


@dataclass(frozen=True)
class NumberEffect:
    """(clip(x, low, high) − centre) / scale × weight; missing is the median, and adds `missing_weight`."""

    low: float
    high: float
    median: float
    centre: float
    scale: float
    weight: float = 0.0
    missing_weight: float = 0.0

    @classmethod
    def of(cls, column: Floats) -> "NumberEffect":
        known = column[~np.isnan(column)]
        if not len(known):
            return cls(low=0.0, high=0.0, median=0.0, centre=0.0, scale=0.0)
        low, high = (float(edge) for edge in np.quantile(known, _CLIP))
        if low == high:  # rarely anything else: clipping would make it a constant
            low, high = float(known.min()), float(known.max())
        median = float(np.median(known))
        filled = np.clip(np.where(np.isnan(column), median, column), low, high)
        return cls(low=low, high=high, median=median, centre=float(filled.mean()), scale=float(filled.std()))

    def design(self, column: Floats) -> Floats:
        """What the weights are multiplied by: the standardised number and whether it is missing; shape (rows, 2)."""
        is_missing = np.isnan(column)
        filled = np.clip(np.where(is_missing, self.median, column), self.low, self.high)
        # A column of one value has no scale and no effect, whatever a later row holds.
        number = (filled - self.centre) / self.scale if self.scale > 0 else np.zeros(len(column))
        return np.column_stack([number, is_missing])

    def weighted(self, weights: Floats) -> "NumberEffect":
        return NumberEffect(**{**asdict(self), "weight": float(weights[0]), "missing_weight": float(weights[1])})

    def __call__(self, column: Floats) -> Floats:
        """Effect in log odds, shape (rows,). Added term by term: a row's effect never depends on the other rows."""
        design = self.design(column)
        return design[:, 0] * self.weight + design[:, 1] * self.missing_weight

    def of_one(self, value: float) -> float:
        """The same of one value, bit for bit."""
        is_missing = value != value
        filled = min(max(self.median if is_missing else value, self.low), self.high)
        number = (filled - self.centre) / self.scale if self.scale > 0 else 0.0
        return number * self.weight + is_missing * self.missing_weight


@dataclass(frozen=True)
class CategoryEffect:
    """A weight for each code of the training rows; what is missing or was not among them has `missing_weight`."""

    codes: tuple[int, ...]
    weights: tuple[float, ...] = ()
    missing_weight: float = 0.0

    @classmethod
    def of(cls, column: Floats) -> "CategoryEffect":
        return cls(codes=tuple(int(code) for code in np.unique(column[~np.isnan(column)])))

    def design(self, column: Floats) -> Floats:
        """One column for each code and one for all that is unknown; shape (rows, codes + 1)."""
        known = np.column_stack([column == code for code in self.codes]) if self.codes else np.empty((len(column), 0))
        return np.column_stack([known, ~known.any(axis=1)]).astype(np.float64)

    def weighted(self, weights: Floats) -> "CategoryEffect":
        return CategoryEffect(self.codes, tuple(float(w) for w in weights[:-1]), float(weights[-1]))

    def __call__(self, column: Floats) -> Floats:
        """Effect in log odds, shape (rows,)."""
        effect = np.full(len(column), self.missing_weight)
        for code, weight in zip(self.codes, self.weights, strict=True):
            effect[column == code] = weight
        return effect

    def of_one(self, value: float) -> float:
        """The same of one value, bit for bit."""
        return self._weights.get(value, self.missing_weight)

    @cached_property
    def _weights(self) -> dict[float, float]:
        return {float(code): weight for code, weight in zip(self.codes, self.weights, strict=True)}


Effect = NumberEffect | CategoryEffect


def blank_effect(kind: str, column: Floats) -> Effect:
    """The transform of a training column ("q" or "c"), without weights yet."""
    return CategoryEffect.of(column) if kind == "c" else NumberEffect.of(column)
