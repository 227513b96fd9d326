"""Worlds of scored leads whose conversions become known late, with the truth that nobody can see yet."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from lead_scoring_assets.monitoring.performance.open_leads import MaturedLeads, OpenLeads

WINDOW = 30.0
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """Scores are chances of conversion, too high by `optimism` in log odds. `haste`: the better a lead, the sooner known."""

    log_odds: float = -2.115
    spread: float = 0.685
    optimism: float = 0.0
    median_days: float = 9.0
    haste: float = 0.0

    def draw(self, rng: np.random.Generator, n: int) -> tuple[Floats, Floats, Floats]:
        """Scores, true labels, and the age in days at which each label becomes known."""
        quality = rng.normal(size=n)
        log_odds = self.log_odds + self.spread * quality
        labels = (rng.random(n) < 1 / (1 + np.exp(-log_odds))).astype(np.float64)
        converted = self.median_days * np.exp(0.6 * rng.normal(size=n) - self.haste * quality)
        lost = np.where(rng.random(n) < 0.6, 14 * np.exp(0.6 * rng.normal(size=n)), WINDOW)
        known_days = np.minimum(np.where(labels == 1, converted, lost), WINDOW)
        return 1 / (1 + np.exp(-log_odds - self.optimism)), labels, known_days

    def open(self, rng: np.random.Generator, n: int, oldest: float = WINDOW) -> OpenLeads:
        """Leads that came evenly over the last `oldest` days; `truth` is what they will turn out to be."""
        return opened(*self.draw(rng, n), rng.uniform(0, oldest, n))

    def matured(self, rng: np.random.Generator, n: int) -> MaturedLeads:
        scores, labels, known_days = self.draw(rng, n)
        delays = np.where(labels == 1, known_days, np.nan)
        created = np.arange(n) * 90 / n
        return MaturedLeads(np.ones(n, dtype=np.int64), scores, labels, np.zeros(n), delays, created + delays)


def opened(scores: Floats, truth: Floats, known_days: Floats, ages: Floats) -> OpenLeads:
    best = np.argsort(-scores, kind="stable")
    labels = np.where(known_days <= ages, truth, np.nan)
    return OpenLeads(1, scores[best], ages[best], labels[best], truth[best])


EVEN = World()
"""12.5 % convert; how soon that is known has nothing to do with the score."""
HASTY = replace(EVEN, haste=0.52)
"""Good leads close faster: the true AUC is 0.681, of the conversions known so far 0.730."""
