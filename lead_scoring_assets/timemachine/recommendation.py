"""Which policy to set, and how sure that is: a pure choice with its reason, and the settings lines that carry it out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from lead_scoring_assets.timemachine.policies import AS_SET, NEVER, Policy
from lead_scoring_assets.timemachine.uncertainty import Interval


class Judged(Protocol):
    """A policy with its difference to `never`, to the one that is set, and to the one with the most money."""

    @property
    def policy(self) -> Policy: ...

    @property
    def money(self) -> float: ...

    @property
    def difference(self) -> Interval: ...

    @property
    def against_set(self) -> Interval | None: ...

    @property
    def against_best(self) -> Interval: ...

    @property
    def by_world(self) -> Sequence[float]:
        """The difference to `never` in each history, where there are several."""

    @property
    def over_periods(self) -> Interval | None:
        """Of the same difference, where there is one history only."""


@dataclass(frozen=True)
class Recommendation:
    """The policy, whether it was shown to beat never retraining, and why it and no other, in sentences with numbers."""

    policy: Policy
    is_shown: bool
    reasons: tuple[str, ...]


def recommend(results: Sequence[Judged], currency: str, basis: str) -> Recommendation:
    """The first policy, in the given order, that cannot be told from the best one among those that surely beat `never`.

    Surely: the interval for all policies at once lies above zero. Where none does there is no case for retraining by itself,
    and the policy is `never`. The order says what is simplest; money already has the trainings paid.

    Args:
        results: `never` among them.
        currency: of the money.
        basis: what the intervals are over, in words.
    """
    never = next(result for result in results if result.policy.name == NEVER)
    sure = [result for result in results if result.difference.low_of_all > 0]
    if not sure:
        best = max(results, key=lambda result: result.money)
        tried = f"allowing for {len(results)} policies having been tried"
        told = f"nothing is shown to beat never retraining, which costs least ({basis}, {tried})"
        if best is never:
            return Recommendation(never.policy, False, (f"{told}; no other policy even has more money.",))
        told += f"; the best in figures, {best.policy.name}, has {told_interval(best.difference, currency)} more"
        told += f", and beat it in {better_in(best.by_world)} histories." if best.by_world else "."
        return Recommendation(never.policy, False, (told,))
    richest = max(sure, key=lambda result: result.money)
    as_good = [result for result in sure if result is richest or result.against_best.high_of_all >= 0]
    pick = as_good[0]
    reasons = [
        (
            f"{pick.policy.name} brought {told_interval(pick.difference, currency)} more than never retraining ({basis}). "
            f"Allowing for {len(results)} policies having been tried, it is at least {pick.difference.low_of_all:+,.0f}."
        ),
        *_in_worlds(pick, currency),
        *_against_set(pick, currency),
    ]
    others = [result.policy.name for result in as_good if result is not pick]
    if others:
        why = "it is what is set already" if pick.policy.name == AS_SET else "it is the simplest of them"
        reasons.append(f"It cannot be told apart from {', '.join(others)}; {why}.")
    if (beyond := pick.over_periods) is not None and beyond.low <= 0:
        reasons.append(
            f"Over blocks of periods the interval is [{beyond.low:+,.0f}, {beyond.high:+,.0f}]: the difference rests on few "
            "events, and another stretch of time need not repeat it."
        )
    return Recommendation(pick.policy, True, tuple(reasons))


def _in_worlds(pick: Judged, currency: str) -> list[str]:
    if not pick.by_world:
        return []
    worst = f"{min(pick.by_world):+,.0f} {currency} in the worst"
    return [f"It beat never retraining in {better_in(pick.by_world)} histories: {worst}."]


def _against_set(pick: Judged, currency: str) -> list[str]:
    """Whether a change is worth it, which is not said by what either is worth against never retraining."""
    if pick.against_set is None or pick.policy.name == AS_SET:
        return []
    more = pick.against_set
    sure = "a change pays" if more.low > 0 else "a loss" if more.high < 0 else "no difference is shown"
    return [f"Against the rule that is set now: {told_interval(more, currency)}, {sure}."]


def better_in(by_world: Sequence[float]) -> str:
    """In how many histories there was more money than under `never`, such as `18 of 20`."""
    return f"{sum(more > 0 for more in by_world)} of {len(by_world)}"


def told_interval(interval: Interval, currency: str) -> str:
    """Such as `+1,200 EUR [+900, +1,500]`."""
    return f"{interval.value:+,.0f} {currency} [{interval.low:+,.0f}, {interval.high:+,.0f}]"
