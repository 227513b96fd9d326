"""Groups of a sensitive attribute, and which leads are selected. What is compared between groups stands in `fairness`."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from lead_scoring_assets.contracts.columns import Column
from lead_scoring_assets.evaluation.metrics import Floats
from lead_scoring_assets.evaluation.ranking import leads_at

NOT_GIVEN = "not given"
_BANDS = 4


def groups_of(values: pd.Series, column: Column, edges: Sequence[float] | None = None) -> pd.Series:
    """The group of every lead, by name; categories in the registry's order, bands rising, `not given` last.

    Numbers fall into bands between `edges` (the lower edge belongs to a band), or between their quartiles without them;
    times are banded by year. A value that is missing, or stands for "not there", makes a group of its own: whether
    somebody tells may itself be tied to who they are.
    """
    is_missing = values.isna() | values.isin(column.missing) | (values.astype(str).str.strip() == "")
    if column.kind in ("integer", "number", "timestamp"):
        return _bands(values.mask(is_missing), column, edges)
    told = values.astype(str).mask(is_missing, NOT_GIVEN)
    others = sorted(set(told) - {*column.categories, NOT_GIVEN})
    return _ordered(told, [*column.categories, *others])


def selected_share(scores: Floats, share: float) -> Floats:
    """Which leads are worked when the best `share` of them is: 1, 0, or the fraction that falls to tied leads.

    Leads that are tied at the border each get the same fraction, as in `ranking`: the order of rows changes nothing.
    """
    if not len(scores):
        return np.empty(0)
    best = leads_at(share, len(scores))
    border = np.sort(scores)[::-1][best - 1]
    tied = scores == border
    return np.where(scores > border, 1.0, tied * (best - int((scores > border).sum())) / int(tied.sum()))


def _bands(values: pd.Series, column: Column, edges: Sequence[float] | None) -> pd.Series:
    numbers = pd.to_datetime(values, utc=True).dt.year if column.kind == "timestamp" else pd.to_numeric(values)
    given = numbers.to_numpy(dtype=np.float64, na_value=np.nan)
    known = given[np.isfinite(given)]
    if edges is None:
        # A quartile that is the lowest value would leave an empty band below it.
        edges = (
            []
            if not len(known)
            else [edge for edge in np.unique(np.quantile(known, np.arange(1, _BANDS) / _BANDS)) if edge > known.min()]
        )
    edges = sorted({float(edge) for edge in edges})
    if edges:
        between = [f"{low:g} to under {high:g}" for low, high in pairwise(edges)]
        names = [f"under {edges[0]:g}", *between, f"{edges[-1]:g} and over"]
    else:
        names = ["all values"]
    places = np.searchsorted(np.array(edges), given, side="right")
    told = np.where(np.isfinite(given), np.array(names, dtype=object)[np.minimum(places, len(names) - 1)], NOT_GIVEN)
    return _ordered(pd.Series(told, index=values.index), names)


def _ordered(told: pd.Series, names: Sequence[str]) -> pd.Series:
    kept = [name for name in dict.fromkeys(names) if name != NOT_GIVEN]
    return told.astype(pd.CategoricalDtype([*kept, NOT_GIVEN], ordered=True)).cat.remove_unused_categories()
