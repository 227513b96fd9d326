"""Performance before labels are complete, from the conversions that are known so far and how long such take to be known.

A conversion that is known stands for those that are not known yet among leads of a like score. In a group of n leads with c
known conversions, F(age) being the share of such conversions that is known at an age,

    expected conversions = n × c / Σ F(age),

a ratio estimate (Hájek 1971) with the delayed feedback of Chapelle (2014), here with an F that has no parameters. Each known
conversion is so weighted by n / Σ F, and the other leads of a figure are all leads less the conversions: nothing is
assumed of how fast the others become known.

Groups of scores, because good leads close faster: with one F for all, the known conversions have too good scores. In a
simulated world with a true AUC of 0.681, the known labels say 0.730; one group corrects to 0.739, two to 0.704, three to
0.694, ten to 0.683.

Assumed: delays are those of the matured leads of the same group, and within a group conversions are as frequent among young
leads as among old.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from lead_scoring_assets.evaluation.metrics import Floats
from lead_scoring_assets.monitoring.performance.open_leads import MaturedLeads, OpenLeads

ASSUMPTION = "estimated, assumes that conversions become known as fast as before; blind to changed delays"
MOST_GROUPS = 10
CONVERSIONS_A_GROUP = 25  # whose delays are the group's F
KNOWN_A_GROUP = 5

Positions = npt.NDArray[np.intp]


@dataclass(frozen=True)
class KnownByAge:
    """F: of the conversions among matured leads that had arrived at an age, the share that was known at that age.

    Seen over `ages` of shape (n,): how many of the m delays, in order, are no longer than each, and how many lags.
    """

    m: int
    known: Positions
    arrived: Positions
    by_lag: Positions

    @classmethod
    def over(cls, ages_days: Floats, delays_days: Floats, lags_days: Floats) -> Self:
        order = np.argsort(delays_days, kind="stable")
        delays, lags = delays_days[order], lags_days[order]
        by_lag = np.argsort(lags, kind="stable")
        known = np.searchsorted(delays, ages_days, side="right")
        return cls(len(delays), known, np.searchsorted(lags[by_lag], ages_days, side="right"), by_lag)

    def share(self, counts: Floats) -> Floats:
        """F at each age, shape (samples, n), when each delay counts `counts` (samples, m) times; 0 where none had arrived."""
        known = _running(counts)[:, self.known]
        arrived = _running(counts[:, self.by_lag])[:, self.arrived]
        share: Floats = np.divide(known, arrived, out=np.zeros_like(known), where=arrived > 0)
        return share


@dataclass(frozen=True)
class DelayCorrection:
    """Expected labels: known conversions weighted up, one F for each group of scores; an `Estimator`."""

    converted: Floats
    groups: list[tuple[Positions, KnownByAge]]

    @classmethod
    def learn(cls, leads: OpenLeads, matured: MaturedLeads) -> Self:
        """As many groups as the conversions allow, each with equally many matured ones.

        Groups are by rank of score within a model version, so that a version whose scores have another level is like the
        others.
        """
        theirs = np.empty(len(matured.scores))
        for version in np.unique(matured.versions):
            theirs[matured.versions == version] = _rank(matured.scores[matured.versions == version])
        is_conversion = matured.labels == 1
        ranks, delays, lags = (
            theirs[is_conversion],
            matured.delays_days[is_conversion],
            matured.lags_days[is_conversion],
        )
        possible = min(MOST_GROUPS, len(ranks) // CONVERSIONS_A_GROUP, int(leads.converted.sum()) // KNOWN_A_GROUP)
        edges = np.quantile(ranks, np.arange(1, possible) / possible) if possible > 1 else np.empty(0)
        mine, of_conversion = np.searchsorted(edges, _rank(leads.scores)), np.searchsorted(edges, ranks)
        groups = []
        for group in range(len(edges) + 1):
            rows, like = np.flatnonzero(mine == group), of_conversion == group
            groups.append((rows, KnownByAge.over(leads.ages_days[rows], delays[like], lags[like])))
        return cls(leads.converted, groups)

    @property
    def known_share(self) -> float:
        """The share of the conversions that is known so far, by the curves."""
        expected = self.expected().sum()
        return float(self.converted.sum() / expected) if expected else np.nan

    def expected(self) -> Floats:
        counts = [np.ones((1, curve.m)) for _, curve in self.groups]
        labels: Floats = self._weighted(np.ones((1, len(self.converted))), counts)[0]
        return labels

    def redrawn(self, weights: Floats, draws: np.random.Generator) -> Floats:
        counts = [
            draws.multinomial(curve.m, np.full(curve.m, 1 / curve.m), size=len(weights)).astype(np.float64)
            for _, curve in self.groups
        ]
        return self._weighted(weights, counts)

    def _weighted(self, weights: Floats, counts: list[Floats]) -> Floats:
        expected = np.zeros_like(weights)
        for (rows, curve), count in zip(self.groups, counts, strict=True):
            here = weights[:, rows]
            known = (here * curve.share(count)).sum(axis=1)
            # Where no conversion can be known yet, none that is known says how many there are.
            factor = np.divide(here.sum(axis=1), known, out=np.full(len(known), np.nan), where=known > 0)
            expected[:, rows] = self.converted[rows] * factor[:, None]
        return expected


def _rank(scores: Floats) -> Floats:
    """Between 0, the lowest score, and 1, the highest; equal scores have one rank."""
    from scipy.stats import rankdata

    ranks: Floats = (rankdata(scores) - 0.5) / max(1, len(scores))
    return ranks


def _running(counts: Floats) -> Floats:
    """Sums of the first 0, 1, 2 … columns."""
    return np.concatenate([np.zeros((len(counts), 1)), np.cumsum(counts, axis=1)], axis=1)
