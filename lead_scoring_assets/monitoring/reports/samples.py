"""The rows that Evidently gets: few enough, the same ones each time, and nothing in them that it would take for markup."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

SAMPLE_ROWS = 5_000
DRAWN_CATEGORIES = 50


def finite_numbers(values: "pd.Series[Any]") -> "pd.Series[Any]":
    """As floats, without infinities."""
    numbers = values.astype(np.float64)
    return numbers.where(np.isfinite(numbers))


def frequent_texts(columns: Sequence["pd.Series[Any]"]) -> list["pd.Series[Any]"]:
    """The texts both samples hold most often, the rest pooled: thousands of bars take minutes and show nothing."""
    kept = pd.concat(columns).value_counts().index[:DRAWN_CATEGORIES]
    # Plotly reads tags in labels: `<a href=...>` would be a link.
    names = {text: str(text).replace("<", "&lt;") for text in kept}
    texts = [[None if pd.isna(text) else names.get(text, "(other)") for text in column] for column in columns]
    return [pd.Series(column, dtype=object) for column in texts]


def evenly_spaced(frame: pd.DataFrame) -> pd.DataFrame:
    """At most 5,000 rows of it: the same ones each time."""
    return frame.iloc[np.linspace(0, len(frame) - 1, min(len(frame), SAMPLE_ROWS)).astype(np.int64)]
