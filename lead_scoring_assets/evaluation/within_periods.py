"""Figures of scores that are compared within their own period only, as people work them: this month's leads, best first.

Over all periods together a ranking also gains from knowing which period is a good one, which helps nobody choose a lead.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lead_scoring_assets.evaluation.bootstrap import Bootstrap, Weighted, observed, percentiles, replicates, total
from lead_scoring_assets.evaluation.metrics import Floats, Metric, PairedDifference, auc, auc_difference
from lead_scoring_assets.evaluation.ranking import among_best, leads_at

Positions = npt.NDArray[np.intp]


def blocks_of(periods: Sequence[str]) -> list[Positions]:
    """The positions of each period's leads, periods in order of their keys; `periods` has one key a lead."""
    keys, of_lead = np.unique(np.asarray(periods, dtype=np.str_), return_inverse=True)
    return [np.flatnonzero(of_lead == place) for place in range(len(keys))]


def auc_within(blocks: Sequence[Positions], labels: Floats, scores: Floats) -> Metric:
    """Mean AUC of the blocks, weighted by their pairs: of the pairs within a period, the share that is ranked rightly.

    Interval: DeLong's in each block, errors added in squares, because the blocks share no lead. A block with fewer than
    two leads of either outcome is left out; `n` counts the leads of the others.
    """
    found = [(labels[rows], auc(labels[rows], scores[rows])) for rows in blocks]
    # An interval may be cut at 0 or 1 on one side: the wider side is the whole half.
    parts = [(known, m.value, max(m.high - m.value, m.value - m.low)) for known, m in found if np.isfinite(m.low)]
    value, half = _combined(parts)
    low, high = (float(np.clip(value + side * half, 0.0, 1.0)) for side in (-1, 1))
    return Metric("auc_within_periods", value, low, high, sum(len(known) for known, *_ in parts))


def auc_within_difference(
    blocks: Sequence[Positions], labels: Floats, challenger: Floats, champion: Floats
) -> PairedDifference:
    """`auc_within` of the challenger minus the champion's on the same leads, paired within each block (DeLong 1988)."""
    found = [(labels[rows], auc_difference(labels[rows], challenger[rows], champion[rows])) for rows in blocks]
    value, half = _combined([(known, d.value, d.high - d.value) for known, d in found if np.isfinite(d.low)])
    return PairedDifference(value, value - half, value + half)


@dataclass(frozen=True)
class Captured:
    """Share of all conversions that calling the best share of each block reaches, for several scores of the same leads.

    `drawn`: the same on resamples of the leads within each block, shape (samples,), the same resamples for all scores.
    """

    called_share: float
    conversions: int
    value: Mapping[str, float]
    drawn: Mapping[str, Floats]

    def metric(self, name: str) -> Metric:
        """With the percentile interval of the resamples; `n` counts the conversions."""
        return Metric("captured", self.value[name], *percentiles(self.drawn[name]), self.conversions)

    def lift(self, name: str) -> Metric:
        """Conversion rate of the called over that of all: what is captured over what random order captures."""
        found = self.metric(name)
        value, low, high = (figure / self.called_share for figure in (found.value, found.low, found.high))
        return Metric("lift", value, low, high, found.n)

    def difference(self, challenger: str, champion: str) -> PairedDifference:
        value = self.value[challenger] - self.value[champion]
        return PairedDifference(value, *percentiles(self.drawn[challenger] - self.drawn[champion]))


def captured_within(
    blocks: Sequence[Positions], labels: Floats, scores: Mapping[str, Floats], share: float, samples: int, seed: int
) -> Captured:
    """What calling the best `share` of each block reaches.

    Args:
        blocks: positions of each period's leads.
        labels: 0 or 1, shape (n,).
        scores: by name, shape (n,) each.
        share: of each block's leads, how many are called: rounded down, one at least.
        samples: of the bootstrap.
        seed: of the bootstrap; each block draws from its own.
    """
    value = dict.fromkeys(scores, 0.0)
    drawn = {name: np.zeros(samples) for name in scores}
    conversions = np.zeros(samples)
    for place, rows in enumerate(blocks):
        known = labels[rows]
        best = {name: among_best(share)(known, of_all[rows]) for name, of_all in scores.items()}
        bootstrap = Bootstrap(len(rows), samples, seed + place)
        conversions += replicates({"all": _total_of(known)}, bootstrap)["all"]
        for name, reached in replicates(best, bootstrap).items():
            drawn[name] += reached
            value[name] += observed(best[name], len(rows))
    n, converted = sum(len(rows) for rows in blocks), float(labels.sum())
    return Captured(
        called_share=sum(leads_at(share, len(rows)) for rows in blocks) / n if n else np.nan,
        conversions=int(converted),
        value={name: reached / converted if converted else np.nan for name, reached in value.items()},
        drawn={name: _over(reached, conversions) for name, reached in drawn.items()},
    )


def _total_of(values: Floats) -> Weighted:
    return lambda weights: total(weights, values)


def _over(above: Floats, below: Floats) -> Floats:
    """NaN where a resample holds no conversion."""
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)


def _combined(parts: Iterable[tuple[Floats, float, float]]) -> tuple[float, float]:
    """Mean and half width of its interval from labels, value and half width of each block, weighted by pairs."""
    known = list(parts)
    if not known:
        return np.nan, np.nan
    pairs = np.array([labels.sum() * (len(labels) - labels.sum()) for labels, *_ in known])
    shares = pairs / pairs.sum()
    values, halves = (np.array([part[place] for part in known]) for place in (1, 2))
    return float((shares * values).sum()), float(np.sqrt(((shares * halves) ** 2).sum()))
