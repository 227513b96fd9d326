"""What drives a model's scores, over many leads and for one. Contributions are the scorer's; words stand in `reasons`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from lead_scoring_assets.assessment.reasons import REASONS, Reason, top_reasons
from lead_scoring_assets.assessment.wording import NOT_GIVEN, numbers_of
from lead_scoring_assets.contracts.columns import Registry
from lead_scoring_assets.evaluation.means import mean_interval

Floats = npt.NDArray[np.float64]
Direction = Literal["rises", "falls", "mixed", "by category", "no effect"]

SAMPLE_ROWS = 5_000
_BINS = 10
_CLEAR_CORRELATION = 0.5
_NO_EFFECT = 1e-9  # log odds: rounding of sums


class Explains(Protocol):
    """The part of a scorer that explanations need."""

    @property
    def columns(self) -> list[str]:
        """Features in the order of contributions."""

    def contributions(self, features: pd.DataFrame) -> Floats:
        """Calibrated log odds by feature and, last, the base; shape (rows, len(columns) + 1)."""


@dataclass(frozen=True)
class DependencePoint:
    """Mean contribution, in log odds with its 95 % interval, of the leads whose value lies in one bin or category.

    `value`: the bin's mean, NaN for a category and for what is not given. All of an interval is NaN for one lead.
    """

    group: str
    value: float
    effect: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class FeatureEffect:
    """How much one feature moves scores, mean |contribution| in log odds with its 95 % interval, and in which direction.

    `share`: of the sum over all features. `direction`: of the score as the feature's value grows.
    """

    feature: str
    strength: float
    low: float
    high: float
    share: float
    direction: Direction
    dependence: list[DependencePoint]
    n: int


@dataclass(frozen=True)
class LeadExplanation:
    """One lead: the odds of an average lead, what each feature does to them, and the reasons in words.

    The base and all contributions add up to the log odds of `probability`.
    """

    probability: float
    base: float
    contributions: Mapping[str, float]
    reasons: list[Reason]


def sample_of(features: pd.DataFrame, seed: int, rows: int = SAMPLE_ROWS) -> pd.DataFrame:
    """`rows` leads drawn without replacement, in their order; all of them when there are no more."""
    if len(features) <= rows:
        return features
    return features.iloc[np.sort(np.random.default_rng(seed).choice(len(features), rows, replace=False))]


def explain_model(scorer: Explains, features: pd.DataFrame, registry: Registry) -> list[FeatureEffect]:
    """Effect of every feature over the given leads (a sample is enough), strongest first.

    Mean |contribution| (Lundberg and others 2020): unlike a share of gain it is in the unit of the score, and it says
    what the model does with these leads, not with those it was fitted on.
    """
    contributions = scorer.contributions(features)[:, :-1]
    strengths = np.abs(contributions)
    total = float(strengths.mean(axis=0).sum()) if len(features) else 0.0
    effects = []
    for place, name in enumerate(scorer.columns):
        strength, low, high = mean_interval(strengths[:, place])
        is_numeric = name in registry.numeric_features
        effects.append(
            FeatureEffect(
                feature=name,
                strength=strength,
                low=float(np.clip(low, 0.0, None)),  # np.clip keeps NaN
                high=high,
                share=strength / total if total else np.nan,
                direction=_direction(features[name], contributions[:, place], is_numeric),
                dependence=_dependence(features[name], contributions[:, place], is_numeric),
                n=len(features),
            )
        )
    return sorted(effects, key=lambda effect: -effect.strength)


def explain_lead(
    scorer: Explains,
    lead: pd.DataFrame,
    registry: Registry,
    typical: Mapping[str, float] | None = None,
    k: int = REASONS,
) -> LeadExplanation:
    """The explanation of the one lead in `lead`, a frame of one row.

    Raises:
        ValueError: there is not exactly one row.
    """
    if len(lead) != 1:
        raise ValueError(f"expected one lead to explain, found {len(lead):,} rows; choose one by lead_id")
    contributions = scorer.contributions(lead)[0]
    log_odds = float(contributions.sum())
    # A model may still read a feature that the registry has given up: it counts in the sum and has no words.
    told = [place for place, name in enumerate(scorer.columns) if name in registry.features]
    columns = [scorer.columns[place] for place in told]
    values = {name: lead[name].iloc[0] for name in columns}
    return LeadExplanation(
        probability=1 / (1 + exp(-log_odds)) if log_odds > 0 else exp(log_odds) / (1 + exp(log_odds)),
        base=float(contributions[-1]),
        contributions=dict(zip(scorer.columns, contributions[:-1].tolist(), strict=True)),
        reasons=top_reasons(contributions[[*told, -1]], values, columns, registry, typical, k),
    )


def _dependence(values: pd.Series, effects: Floats, is_numeric: bool) -> list[DependencePoint]:
    """Tenths of a number's values (fewer where many are equal), or categories, most frequent first; then not given."""
    if is_numeric:
        given = numbers_of(values)
        known = np.isfinite(given)
        edges = np.unique(np.quantile(given[known], np.arange(1, _BINS) / _BINS)) if known.any() else np.empty(0)
        bins = np.searchsorted(edges, given, side="left")
        parts = [(bins == place) & known for place in range(len(edges) + 1)]
        points = [_point(_span(given[part]), float(given[part].mean()), effects[part]) for part in parts if part.any()]
    else:
        known = values.notna().to_numpy()
        told = values.astype(str).to_numpy()
        frequent: Sequence[str] = pd.Series(told[known], dtype=object).value_counts(sort=True).index.tolist()
        points = [_point(name, np.nan, effects[known & (told == name)]) for name in frequent]
    return points if known.all() else [*points, _point(NOT_GIVEN, np.nan, effects[~known])]


def _point(group: str, value: float, effects: Floats) -> DependencePoint:
    return DependencePoint(group, value, *mean_interval(effects), len(effects))


def _span(values: Floats) -> str:
    low, high = float(values.min()), float(values.max())
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _direction(values: pd.Series, effects: Floats, is_numeric: bool) -> Direction:
    """Of a number by Spearman's rank correlation of value and contribution: `mixed` between -0.5 and 0.5."""
    from scipy.stats import spearmanr

    if not len(effects) or float(np.abs(effects).max()) < _NO_EFFECT:
        return "no effect"
    if not is_numeric:
        return "by category"
    given = numbers_of(values)
    known = np.isfinite(given)
    if len(np.unique(given[known])) < 2 or len(np.unique(effects[known])) < 2:
        return "mixed"
    correlation = float(spearmanr(given[known], effects[known]).statistic)
    if abs(correlation) < _CLEAR_CORRELATION:
        return "mixed"
    return "rises" if correlation > 0 else "falls"
