"""Leads are worked by people. When a rep works both arms, one arm's leads take time from the other's; when reps are drawn
instead of leads, it is reps that count, and not leads."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lead_scoring_assets.evaluation.metrics import CONFIDENCE, Floats, Metric

Texts = npt.NDArray[np.object_]
MINIMUM_REPS = 5


@dataclass(frozen=True)
class SharedReps:
    """Reps who worked leads of both arms, and how many of the leads with a known rep are theirs."""

    reps: int
    shared: int
    leads_of_shared: float

    @property
    def sentence(self) -> str | None:
        """The warning; None: no rep is shared."""
        if not self.shared:
            return None
        return (
            f"{self.shared:,} of {self.reps:,} reps worked leads of both arms ({self.leads_of_shared:.0%} of the leads): time "
            "that one arm's leads get is taken from the other's, so that the difference is overstated. Draw by rep to avoid it."
        )


def shared_reps(reps: Texts, is_treatment: npt.NDArray[np.bool_]) -> SharedReps:
    """Who worked in both arms. `reps`: of each lead, None where nobody is known; both of shape (leads,)."""
    known = np.array([rep is not None for rep in reps], dtype=bool)
    names, which = np.unique(reps[known].astype(str), return_inverse=True)
    if not len(names):
        return SharedReps(0, 0, float("nan"))
    treated = np.bincount(which, weights=is_treatment[known], minlength=len(names))
    leads = np.bincount(which, minlength=len(names))
    both = (treated > 0) & (treated < leads)
    return SharedReps(len(names), int(both.sum()), float(leads[both].sum() / leads.sum()))


def difference_by_rep(values: Floats, reps: Texts, is_treatment: npt.NDArray[np.bool_]) -> Metric:
    """Difference of the means a lead when reps were drawn, with a 95 % interval that counts reps; `n` is their number.

    Each arm's mean is a ratio of sums over reps, its variance by the delta method (Deng, Knoblich and Lu 2018), the degrees of
    freedom by Welch and Satterthwaite (1947) over reps. Leads of one rep are alike: counted one by one they would give
    intervals that are much too short (Kish 1965). NaN with fewer than `MINIMUM_REPS` reps in an arm.

    Args:
        values: of each lead, such as 1 where it converted, shape (leads,).
        reps: who was drawn; shape (leads,).
        is_treatment: the arm of the lead's rep; shape (leads,).
    """
    means, variances, degrees = [], [], []
    total = 0
    for arm in (~is_treatment, is_treatment):
        names, which = np.unique(reps[arm].astype(str), return_inverse=True)
        total += len(names)
        if len(names) < MINIMUM_REPS:
            return Metric("difference", np.nan, np.nan, np.nan, total)
        sums, leads = np.bincount(which, weights=values[arm]), np.bincount(which).astype(np.float64)
        mean = sums.sum() / leads.sum()
        means.append(mean)
        variances.append(((sums - mean * leads) / leads.mean()).var(ddof=1) / len(names))
        degrees.append(len(names) - 1)
    return _welch(means[1] - means[0], variances, degrees, total)


def correlation_within_reps(converted: Floats, reps: Texts) -> float:
    """How alike the leads of one rep are: the ANOVA estimate of the intraclass correlation (Donner 1986); NaN when unknown."""
    names, which = np.unique(reps.astype(str), return_inverse=True)
    n, groups = len(converted), len(names)
    if groups < 2 or n <= groups:
        return float("nan")
    leads = np.bincount(which).astype(np.float64)
    means = np.bincount(which, weights=converted) / leads
    between = float((leads * (means - converted.mean()) ** 2).sum()) / (groups - 1)
    within = float(((converted - means[which]) ** 2).sum()) / (n - groups)
    size = (n - float((leads**2).sum()) / n) / (groups - 1)
    spread = between + (size - 1) * within
    return (between - within) / spread if spread else float("nan")


def _welch(value: float, variances: list[float], degrees: list[int], n: int) -> Metric:
    from scipy.special import stdtrit

    spread = sum(variances)
    if not spread:
        return Metric("difference", value, np.nan, np.nan, n)
    freedom = spread**2 / sum(part**2 / free for part, free in zip(variances, degrees, strict=True))
    half = float(stdtrit(freedom, 0.5 + CONFIDENCE / 2)) * np.sqrt(spread)
    return Metric("difference", float(value), float(value - half), float(value + half), n)
