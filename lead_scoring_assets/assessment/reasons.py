"""The reasons of a score: which contributions are told, for one lead and for a whole batch. How they are said stands in
`wording`. A reason tells what the model saw, not what causes a lead to convert."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from lead_scoring_assets.assessment.wording import (
    LEAST_FACTOR,
    effect_words,
    many_effect_words,
    many_value_words,
    numbers_of,
    value_of,
    value_words,
)
from lead_scoring_assets.contracts.columns import Registry

Floats = npt.NDArray[np.float64]

REASONS = 3
"""How many reasons are told in each direction."""
_LEAST_EFFECT = log(LEAST_FACTOR)


@dataclass(frozen=True)
class Reason:
    """What one feature did to one lead's odds of conversion, compared with leads on average.

    `effect`: in log odds, above zero when it raises them. `value`: as in the features, None when not given.
    """

    feature: str
    value: float | str | None
    effect: float
    words: str

    @property
    def factor(self) -> float:
        """What the odds are multiplied by."""
        return exp(self.effect)


def typical_values(features: pd.DataFrame, registry: Registry) -> dict[str, float]:
    """Median of each numeric feature where it is given, to tell beside a lead's own value: best of the training rows."""
    medians = {name: numbers_of(features[name]) for name in registry.numeric_features if name in features}
    return {name: float(np.nanmedian(given)) for name, given in medians.items() if np.isfinite(given).any()}


def top_reasons(
    contributions: Floats,
    lead: Mapping[str, object],
    columns: Sequence[str],
    registry: Registry,
    typical: Mapping[str, float] | None = None,
    k: int = REASONS,
) -> list[Reason]:
    """The `k` strongest reasons that raise one lead's odds, strongest first, then the `k` strongest that lower them.

    Args:
        contributions: log odds by feature and, last, the base; shape (len(columns) + 1,).
        lead: feature values by name.
        columns: the features, in the scorer's order.
        registry: says how a feature is told.
        typical: from `typical_values`; None leaves out what is typical.
        k: reasons in each direction; features that change the odds by less than 1 % are no reason.

    Raises:
        ValueError: there are not as many contributions as columns and a base.
    """
    effects, features = _effects(contributions[None, :], columns)[0].tolist(), registry.features
    found = []
    for sign in (1, -1):
        # Lists: arrays cost more for a single lead. Sorting keeps equal ones in the order of columns, as `_strongest` does.
        reasons = [place for place, effect in enumerate(effects) if sign * effect >= _LEAST_EFFECT]
        for place in sorted(reasons, key=lambda place: -sign * effects[place])[:k]:
            name, effect = columns[place], effects[place]
            value = value_of(lead[name], features[name].is_numeric)
            words = f"{value_words(name, value, registry, typical or {})} {effect_words(effect)}"
            found.append(Reason(name, value, effect, words))
    return found


def reasons_columns(
    contributions: Floats,
    features: pd.DataFrame,
    columns: Sequence[str],
    registry: Registry,
    typical: Mapping[str, float] | None = None,
    k: int = REASONS,
) -> pa.Table:
    """The same words for every row: columns `reason_up_1` … `reason_up_k` and `reason_down_1` … `reason_down_k`, text.

    NULL where a lead has fewer reasons. One column a reason rather than a list: they go into CSV files, SQL and the
    content hash as they are. `contributions` has shape (rows, len(columns) + 1), in the order of `features`.

    Raises:
        ValueError: as `top_reasons`, or `features` has another number of rows.
    """
    effects = _effects(contributions, columns)
    if len(features) != len(effects):
        raise ValueError(f"expected contributions for {len(features):,} rows of features, found {len(effects):,}")
    told: dict[str, pa.Array] = {}
    for direction, sign in (("up", 1), ("down", -1)):
        places, is_reason = _strongest(sign * effects, k)
        words = np.full((len(effects), k), None, dtype=object)
        for place, name in enumerate(columns):
            rows, ranks = np.nonzero((places == place) & is_reason)
            if len(rows):
                values = many_value_words(features[name].iloc[rows], name, registry, typical or {})
                words[rows, ranks] = values + " " + many_effect_words(effects[rows, place])
        told |= {f"reason_{direction}_{rank + 1}": pa.array(words[:, rank], pa.string()) for rank in range(k)}
    return pa.table(told)


def reasons_schema(k: int = REASONS) -> pa.Schema:
    """Names and types of what `reasons_columns` gives."""
    return pa.schema([(f"reason_{way}_{rank + 1}", pa.string()) for way in ("up", "down") for rank in range(k)])


def _effects(contributions: Floats, columns: Sequence[str]) -> Floats:
    """Without the base, shape (rows, columns)."""
    if contributions.ndim != 2 or contributions.shape[1] != len(columns) + 1:
        raise ValueError(
            f"expected {len(columns)} contributions and the base for each row, found the shape {contributions.shape}"
        )
    return contributions[:, :-1]


def _strongest(effects: Floats, k: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Places of the `k` largest effects of each row, largest first, and which of them are reasons; shape (rows, k).

    Equal effects keep the order of columns. Rows are padded where there are fewer than `k` columns.
    """
    places = np.argsort(-effects, axis=1, kind="stable")[:, :k]
    is_reason = np.take_along_axis(effects, places, axis=1) >= _LEAST_EFFECT
    if places.shape[1] == k:
        return places, is_reason
    missing = ((0, 0), (0, k - places.shape[1]))
    return np.pad(places, missing), np.pad(is_reason, missing)
