"""How a feature, its value and its effect on the odds are said, so that who calls a lead understands it."""

import re
from collections.abc import Mapping
from functools import lru_cache
from math import exp, isfinite, log

import numpy as np
import numpy.typing as npt
import pandas as pd

from lead_scoring_assets.contracts.aggregates import Aggregate
from lead_scoring_assets.contracts.columns import Registry

Floats = npt.NDArray[np.float64]
Texts = npt.NDArray[np.object_]

NOT_GIVEN = "not given"
LEAST_FACTOR = 1.01
"""What changes the odds by less than 1 % is not worth a word."""
_MOST_FACTOR = 100.0
_MOST_EFFECT = 2 * log(_MOST_FACTOR)
_LONGEST_VALUE = 60


def label(name: str, registry: Registry) -> str:
    """What a feature is called: its name in words; then the days that were counted, or what the registry says of it."""
    plain = " ".join(name.replace("_", " ").split())
    if (aggregate := registry.aggregates.get(name)) is not None:
        return plain if _is_age(aggregate) else f"{plain} in {aggregate.days} days"
    gloss = _first_clause(registry.features[name].why)
    return f"{plain} ({gloss})" if gloss else plain


@lru_cache(maxsize=1_000)
def _first_clause(why: str) -> str:
    """It says what the column is; what follows it is for whoever builds the model."""
    return re.split(r"[,;:]", why)[0].strip()


def numbers_of(values: pd.Series) -> Floats:
    """As float64; what is no number is NaN."""
    return np.asarray(pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan))


def value_of(value: object, is_numeric: bool) -> float | str | None:
    """The feature's value as Python has it, None when it is not given."""
    if is_numeric:
        # pandas knows what else counts as a number; asking it takes a hundred times as long.
        is_plain = isinstance(value, int | float)
        number = float(value) if is_plain else float(numbers_of(pd.Series([value], dtype=object))[0])  # type: ignore[arg-type]
        return number if isfinite(number) else None
    return None if value is None or pd.isna(value) else str(value)  # type: ignore[call-overload]


def value_words(name: str, value: float | str | None, registry: Registry, typical: Mapping[str, float]) -> str:
    """Such as `website visits in 60 days: 12 (typical 3)`."""
    if value is None:
        aggregate = registry.aggregates.get(name)
        said = NOT_GIVEN if aggregate is None else f"none in {aggregate.days} days"
    elif isinstance(value, str):
        said = _short(value)
    else:
        said = _number(value)
        if name in typical:
            usual = _number(typical[name])
            said += " (typical)" if usual == said else f" (typical {usual})"
    return f"{label(name, registry)}: {said}"


def many_value_words(values: pd.Series, name: str, registry: Registry, typical: Mapping[str, float]) -> Texts:
    """As `value_words`, for many rows: each distinct value is put into words once."""
    given: pd.Series = values
    if registry.features[name].is_numeric:
        given = pd.Series(numbers_of(values)).replace([np.inf, -np.inf], np.nan)
    codes, distinct = pd.factorize(given, use_na_sentinel=True)
    words = [
        value_words(name, value_of(value, registry.features[name].is_numeric), registry, typical) for value in distinct
    ]
    # What is not given has the code -1, which is the last place.
    return np.array([*words, value_words(name, None, registry, typical)], dtype=object)[codes]


def effect_words(effect: float) -> str:
    """Such as `raises the odds 1.8 times`. A fall is told as a share: "times" would mislead."""
    factor = exp(min(max(effect, -_MOST_EFFECT), _MOST_EFFECT))
    if effect <= 0:
        return _figure_words(-float(round(100 * factor)))
    # Two digits: 1.04, 1.8, 12. Contributions are not known more exactly.
    units = 100 if factor < 1.095 else 10 if factor < 9.95 else 1
    return _figure_words(round(factor * units) / units)


def many_effect_words(effects: Floats) -> Texts:
    """As `effect_words`, for many: each distinct figure, as it is shown, is put into words once."""
    factors = np.exp(np.clip(effects, -_MOST_EFFECT, _MOST_EFFECT))
    raised = np.where(factors < 1.095, factors.round(2), np.where(factors < 9.95, factors.round(1), factors.round()))
    shown = np.where(effects > 0, raised, -(100 * factors).round())
    figures, codes = np.unique(shown, return_inverse=True)
    return np.array([_figure_words(float(figure)) for figure in figures], dtype=object)[codes]


def _figure_words(figure: float) -> str:
    """`figure`: the factor of a rise; of a fall, minus the percentage that is left."""
    if figure > 0:
        return "raises the odds " + (
            f"more than {_MOST_FACTOR:g} times" if figure > _MOST_FACTOR else f"{figure:g} times"
        )
    return "lowers the odds to " + (f"{-figure:.0f} %" if figure <= -1 else "less than 1 %")


def _number(value: float) -> str:
    """Whole numbers in full, others with about three digits; never with an exponent."""
    if value == round(value) or abs(value) >= 100:
        return f"{value + 0.0:,.0f}" if abs(value) < 1e15 else f"{'-' if value < 0 else ''}very large"
    digits = 1 if abs(value) >= 10 else 2
    return f"{value:.{digits}f}" if abs(value) >= 0.005 else "about 0"


def _short(text: str) -> str:
    """Verbatim, on one line and not endless."""
    plain = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return plain if len(plain) <= _LONGEST_VALUE else plain[: _LONGEST_VALUE - 1] + "…"


def _is_age(aggregate: Aggregate) -> bool:
    """Days since something: the window is only how far back was looked."""
    return aggregate.measure in ("days_since_first", "days_since_last")
