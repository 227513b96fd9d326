"""How far a difference between policies can be trusted. Three questions, and what answers each:

- `over_leads`: was it more than luck, in this history, which leads converted? Periods, triggers and models are taken as given.
- `over_periods`: would another stretch of the same kind of time have given it? Needs many periods, and more than one event:
  a difference that rests on a single turn of the world cannot be shown to come again.
- `over_worlds`: would the triggers have been right in another history? Only several histories tell, which only a simulated
  CRM has.

All take differences that are paired: the same leads, periods or worlds for every policy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lead_scoring_assets.evaluation.means import Z
from lead_scoring_assets.evaluation.metrics import CONFIDENCE

Floats = npt.NDArray[np.float64]

SAMPLES = 4_000
LEAST_PERIODS = 8
LEAST_WORLDS = 3


@dataclass(frozen=True)
class Interval:
    """A sum, its 95 % interval, and the wider one that holds for all policies at once; NaN where nothing can be said."""

    value: float
    low: float
    high: float
    low_of_all: float
    high_of_all: float


NOTHING = Interval(0.0, 0.0, 0.0, 0.0, 0.0)
"""Of a policy against itself."""


def over_leads(
    differences: Mapping[str, Sequence[Floats]], costs: Mapping[str, float], seed: int
) -> dict[str, Interval]:
    """Intervals of each policy's sum over the leads that arrived, by the central limit theorem; for all policies at once by
    the largest of their joint normal deviations (the single step of Romano and Wolf 2005).

    A lead counts where one policy worked it and the other did not, and it brought something. Leads are independent given
    the models, which were trained before they came; each period has as many as it had.

    Args:
        differences: by policy and period what each lead brought more than under the policy that all are compared with;
            of each period shape (its leads,).
        costs: by policy what is taken off, known for sure.
        seed: of the draws for `low_of_all` and `high_of_all`.
    """
    if not differences:
        return {}
    names = list(differences)
    sums = np.array([sum(float(part.sum()) for part in differences[name]) - costs[name] for name in names])
    covariance = np.zeros((len(names), len(names)))
    for parts in zip(*differences.values(), strict=True):
        table = np.stack(parts)
        centred = table - table.mean(axis=1, keepdims=True) if table.shape[1] else table
        covariance += centred @ centred.T
    # By its eigenvectors, because policies that did the same make it singular.
    sizes, directions = np.linalg.eigh(covariance)
    root = directions * np.sqrt(np.clip(sizes, 0, None))
    spread = np.sqrt(np.diag(covariance))
    largest = _largest(root @ np.random.default_rng(seed).standard_normal((len(names), SAMPLES)), spread)
    return {
        name: Interval(float(value), *(float(value + k * error) for k in (-Z, Z, -largest, largest)))
        for name, value, error in zip(names, sums, spread, strict=True)
    }


def over_periods(differences: Mapping[str, Floats], seed: int) -> dict[str, Interval]:
    """Intervals of each policy's sum over the periods, by resampling blocks of neighbouring periods.

    Stationary bootstrap (Politis and Romano 1994), blocks of √n periods on average, because one model serves several
    periods and good months come in rows; the same blocks for every policy. With so few blocks the resamples stray too
    little: their spread is enlarged by √(n / (n − √n)), for the mean that is taken off, and as Student's t is wider than the
    normal with as many observations as there are blocks (in simulation 92 % of such intervals cover with 25 periods of
    autocorrelation 0.5, and 97 % with none). The leads within a period are not drawn again on top: what chance
    did among them is in the periods' differences already.

    `low_of_all`, `high_of_all`: by the largest of all policies' standardised deviations in each resample (the single step
    of Romano and Wolf 2005), because the best of many policies looks good by chance.

    Args:
        differences: by policy what each period brought more than the policy that all are compared with, shape (n,).
        seed: of the resamples.
    """
    if not differences:
        return {}
    table = np.stack([np.asarray(found, dtype=np.float64) for found in differences.values()])
    n = table.shape[1]
    sums = table.sum(axis=1)
    if n < LEAST_PERIODS:
        return {name: _unknown(value) for name, value in zip(differences, sums, strict=True)}
    drawn = table[:, _blocks(n, seed)].sum(axis=2) - sums[:, None]
    return _intervals(list(differences), sums, drawn * _enlarged(n))


def over_worlds(differences: Mapping[str, Floats]) -> dict[str, Interval]:
    """Intervals of each policy's mean over worlds, each a history of its own: Student's t (1908), Bonferroni for all at once.

    Worlds are independent, so that this holds what triggers would have done in another history as well.

    Args:
        differences: by policy what each world brought more than the policy that all are compared with, shape (worlds,).
    """
    from scipy.stats import t

    found = {}
    for name, values in differences.items():
        n, mean = len(values), float(np.mean(values))
        if n < LEAST_WORLDS:
            found[name] = _unknown(mean)
            continue
        error, tail = float(np.std(values, ddof=1)) / np.sqrt(n), (1 - CONFIDENCE) / 2
        half, wide = (float(t.ppf(1 - part, n - 1)) * error for part in (tail, tail / len(differences)))
        found[name] = Interval(mean, mean - half, mean + half, mean - wide, mean + wide)
    return found


def _enlarged(n: int) -> float:
    from scipy.stats import norm, t

    blocks, upper = np.sqrt(n), (1 + CONFIDENCE) / 2
    return float(np.sqrt(n / (n - blocks)) * t.ppf(upper, blocks - 1) / norm.ppf(upper))


def _blocks(n: int, seed: int) -> npt.NDArray[np.intp]:
    """Positions of resampled periods, shape (SAMPLES, n): runs of neighbours of geometric length, the end joined to the start."""
    draws = np.random.default_rng(seed)
    is_new = draws.random((SAMPLES, n)) < 1 / np.sqrt(n)
    is_new[:, 0] = True
    begins = draws.integers(0, n, size=(SAMPLES, n))
    # The place of the newest beginning up to each position.
    newest = np.maximum.accumulate(np.where(is_new, np.arange(n), 0), axis=1)
    positions: npt.NDArray[np.intp] = (np.take_along_axis(begins, newest, axis=1) + np.arange(n) - newest) % n
    return positions


def _intervals(names: list[str], sums: Floats, deviations: Floats) -> dict[str, Interval]:
    spread = deviations.std(axis=1)
    largest = _largest(deviations, spread)
    tail = (1 - CONFIDENCE) / 2
    found = {}
    for name, value, deviation, one in zip(names, sums, deviations, spread, strict=True):
        # Basic interval: how far resamples stray from the sample is how far the sample may stray from the truth.
        high, low = value - np.quantile(deviation, [tail, 1 - tail])
        found[name] = Interval(float(value), float(low), float(high), value - largest * one, value + largest * one)
    return found


def _largest(deviations: Floats, spread: Floats) -> float:
    """So many standard deviations no policy strays further, in 95 of 100 draws; shape (policies, draws) and (policies,)."""
    standard = np.divide(deviations, spread[:, None], out=np.zeros_like(deviations), where=spread[:, None] > 0)
    return float(np.quantile(np.abs(standard).max(axis=0), CONFIDENCE))


def _unknown(value: float) -> Interval:
    return Interval(float(value), np.nan, np.nan, np.nan, np.nan)
