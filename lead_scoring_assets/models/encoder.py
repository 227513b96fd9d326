"""One map from features to numbers, stored with the model: training, batch and API read the same artefact."""

import json
import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lead_scoring_assets.contracts.columns import Registry

if TYPE_CHECKING:
    import pandas as pd

_NAN = math.nan
_INFINITE, _MINUS_INFINITE = struct.pack("f", math.inf), struct.pack("f", -math.inf)


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

    def encode(self, features: "pd.DataFrame") -> npt.NDArray[np.float32]:
        """Matrix of shape (rows, columns).

        Raises:
            KeyError: a feature column is missing; a caller that takes outside input checks that first.
        """
        matrix = np.empty((len(features), len(self.columns)), dtype=np.float32)
        for position, name in enumerate(self.numeric):
            matrix[:, position] = _single(_numbers(features[name]))
        for position, (name, known) in enumerate(self.categories.items(), start=len(self.numeric)):
            matrix[:, position] = _places(features[name], known)
        return matrix

    def encode_batch(self, features: pa.RecordBatch) -> npt.NDArray[np.float32]:
        """The same matrix from Arrow, column by column in memory; pandas sees only what is neither number nor text.

        Raises:
            KeyError: as for `encode`.
        """
        matrix = np.empty((features.num_rows, len(self.columns)), dtype=np.float32, order="F")
        for position, name in enumerate(self.numeric):
            column = features[name]
            is_plain = (
                pa.types.is_integer(column.type) or pa.types.is_float32(column.type) or pa.types.is_float64(column.type)
            )
            numbers = column.to_numpy(zero_copy_only=False) if is_plain else _numbers(column.to_pandas())
            matrix[:, position] = _single(numbers.astype(np.float64, copy=False))
        for position, (name, known) in enumerate(self.categories.items(), start=len(self.numeric)):
            column = features[name]
            if pa.types.is_string(column.type):
                column = column.dictionary_encode()
            if pa.types.is_dictionary(column.type) and pa.types.is_string(column.type.value_type):
                places = pc.index_in(column.dictionary, value_set=pa.array(known, pa.string())).cast(pa.float32())
                matrix[:, position] = places.take(column.indices).to_numpy(zero_copy_only=False)
            else:
                matrix[:, position] = _places(column.to_pandas(), known)
        return matrix

    def encode_row(self, features: Mapping[str, Any]) -> npt.NDArray[np.float32]:
        """The same of one row of numbers and texts, None for missing: what `encode` gives, shape (columns,).

        Raises:
            KeyError: as for `encode`.
        """
        # Writable, as the rows of a matrix are: for Numba the two are types, and each would be compiled.
        return np.frombuffer(bytearray(self._packed(features)), np.float32)

    def encode_rows(self, rows: Sequence[Mapping[str, Any]]) -> npt.NDArray[np.float32]:
        """`encode_row` of each, as a matrix."""
        packed = bytearray(b"".join(map(self._packed, rows)))
        return np.frombuffer(packed, np.float32).reshape(len(rows), len(self.columns))

    def _packed(self, features: Mapping[str, Any]) -> bytes:
        """A row's numbers, as they lie in memory."""
        numbers = self._numbers_of(features)
        if None in numbers:
            numbers = tuple([_NAN if number is None else number for number in numbers])
        row = (*numbers, *[places.get(features[name], _NAN) for name, places in self._places])
        try:
            packed = self._singles.pack(*row)
        except OverflowError:
            return _single(np.array(row, np.float64)).tobytes()
        # Found in the bytes, an infinite number may be two halves of others; missing is decided by `_single`.
        if _INFINITE in packed or _MINUS_INFINITE in packed:
            return _single(np.array(row, np.float64)).tobytes()
        return packed

    @cached_property
    def _places(self) -> list[tuple[str, dict[Any, float]]]:
        return [(name, {known: float(n) for n, known in enumerate(k)}) for name, k in self.categories.items()]

    @cached_property
    def _numbers_of(self) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
        """The numbers of a row, missing ones as None."""
        if len(self.numeric) < 2:  # `itemgetter` would give no tuple
            return lambda features: tuple([features[name] for name in self.numeric])
        return itemgetter(*self.numeric)

    @cached_property
    def _singles(self) -> struct.Struct:
        return struct.Struct(f"{len(self.columns)}f")

    def to_json(self) -> str:
        return json.dumps({"numeric": self.numeric, "categories": {k: list(v) for k, v in self.categories.items()}})

    @classmethod
    def from_json(cls, text: str) -> Self:
        read: dict[str, Sequence[str] | dict[str, list[str]]] = json.loads(text)
        categories = read["categories"]
        assert isinstance(categories, dict)  # noqa: S101  # narrows the type; the file's checksum is verified
        return cls(numeric=tuple(read["numeric"]), categories={k: tuple(v) for k, v in categories.items()})


def _numbers(column: "pd.Series") -> npt.NDArray[np.float64]:
    import pandas as pd

    found: npt.NDArray[np.float64] = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    return found


def _single(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    with np.errstate(over="ignore"):  # too large for 32 bits becomes infinite, and infinite is missing
        single = numbers.astype(np.float32)
    single[np.isinf(single)] = np.nan
    return single


def _places(column: "pd.Series", known: Sequence[str]) -> npt.NDArray[np.float32]:
    import pandas as pd

    codes = pd.Categorical(column, categories=list(known)).codes
    return np.where(codes >= 0, codes, np.nan).astype(np.float32)
