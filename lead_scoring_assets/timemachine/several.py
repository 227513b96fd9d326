"""The same policies over several histories: what a policy brings on average, and how far that can be trusted."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lead_scoring_assets.timemachine.policies import AS_SET, NEVER, Policy
from lead_scoring_assets.timemachine.replay import Replay
from lead_scoring_assets.timemachine.uncertainty import NOTHING, Interval, over_worlds


@dataclass(frozen=True)
class AcrossWorlds:
    """One policy: mean money of a history, and its differences to `never`, to what is set, and to the one with the most money.

    `by_world`: the difference to `never` in each history.
    """

    policy: Policy
    money: float
    by_world: tuple[float, ...]
    difference: Interval
    against_set: Interval | None
    against_best: Interval
    over_periods: Interval | None = None  # worlds say more


def across(replays: Sequence[Replay]) -> list[AcrossWorlds]:
    """In the order of the policies, which is the same in all `replays`; `never` is among them."""
    policies = [result.policy for result in replays[0].results]
    money = {
        policy.name: np.array([replayed.results[place].money for replayed in replays])
        for place, policy in enumerate(policies)
    }
    richest = max(money, key=lambda name: float(money[name].mean()))

    def against(reference: str) -> dict[str, Interval]:
        others = {name: values - money[reference] for name, values in money.items() if name != reference}
        return {reference: NOTHING, **over_worlds(others)}

    never, best = against(NEVER), against(richest)
    now = against(AS_SET) if AS_SET in money else {}
    return [
        AcrossWorlds(
            policy,
            money=float(money[policy.name].mean()),
            by_world=tuple((money[policy.name] - money[NEVER]).tolist()),
            difference=never[policy.name],
            against_set=now.get(policy.name),
            against_best=best[policy.name],
        )
        for policy in policies
    ]
