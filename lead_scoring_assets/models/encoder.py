"""One map from features to numbers, stored with the model: training, batch and API read the same artefact."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from lead_scoring_assets.contracts.columns import Registry


@dataclass(frozen=True)
class Encoder:
    """Numbers stay numbers; a category becomes its place in an ordered list. Unseen and missing both become NaN.

    Model libraries' own coders disagree with themselves on unseen values and on another request's category order.
    """

    numeric: tuple[str, ...]
    categories: Mapping[str, tuple[str, ...]]

    @classmethod
    def from_registry(cls, registry: Registry) -> Self:
        return cls(
            numeric=tuple(registry.numeric_features),
            categories={name: registry.features[name].categories for name in registry.category_features},
        )

    @property
    def columns(self) -> list[str]:
        """Order of the matrix' columns."""
        return [*self.numeric, *self.categories]

    @property
    def feature_types(self) -> list[str]:
        """XGBoost's name for each column's kind: q(uantitative) or c(ategorical)."""
        return ["q"] * len(self.numeric) + ["c"] * len(self.categories)

    def encode(self, features: pd.DataFrame) -> npt.NDArray[np.float32]:
        """Matrix of shape (rows, columns).

        Raises:
            KeyError: a feature column is missing; a caller that takes outside input checks that first.
        """
        matrix = np.full((len(features), len(self.columns)), np.nan, dtype=np.float32)
        for position, name in enumerate(self.numeric):
            numbers = pd.to_numeric(features[name], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
            with np.errstate(over="ignore"):  # too large for 32 bits becomes infinite, and infinite is missing
                single = numbers.astype(np.float32)
            matrix[:, position] = np.where(np.isfinite(single), single, np.nan)
        for position, (name, known) in enumerate(self.categories.items(), start=len(self.numeric)):
            codes = pd.Categorical(features[name], categories=list(known)).codes
            matrix[:, position] = np.where(codes >= 0, codes, np.nan)
        return matrix

    def to_json(self) -> str:
        return json.dumps({"numeric": self.numeric, "categories": {k: list(v) for k, v in self.categories.items()}})

    @classmethod
    def from_json(cls, text: str) -> Self:
        read: dict[str, Sequence[str] | dict[str, list[str]]] = json.loads(text)
        categories = read["categories"]
        assert isinstance(categories, dict)  # noqa: S101  # narrows the type; the file's checksum is verified
        return cls(numeric=tuple(read["numeric"]), categories={k: tuple(v) for k, v in categories.items()})
