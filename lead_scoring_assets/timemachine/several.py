"""The same policies over several histories: what a policy brings on average, and how far that can be trusted."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lead_scoring_assets.timemachine.policies import Policy
from lead_scoring_assets.timemachine.replay import Replay
from lead_scoring_assets.timemachine.uncertainty import NOTHING, Interval, over_worlds


@dataclass(frozen=True)
class AcrossWorlds:
    """One policy: mean money of a history, and its differences to `never` and to the policy with the most money."""

    policy: Policy
    money: float
    difference: Interval
    against_best: Interval
    over_periods: Interval | None = None  # worlds say more


def across(replays: Sequence[Replay]) -> list[AcrossWorlds]:
    """In the order of the policies, which is the same in all `replays`; the first is `never`."""
    policies = [result.policy for result in replays[0].results]
    money = {
        policy.name: np.array([replayed.results[place].money for replayed in replays])
        for place, policy in enumerate(policies)
    }
    richest = max(money, key=lambda name: float(money[name].mean()))

    def against(reference: str) -> dict[str, Interval]:
        others = {name: values - money[reference] for name, values in money.items() if name != reference}
        return {reference: NOTHING, **over_worlds(others)}

    never, best = against(policies[0].name), against(richest)
    return [
        AcrossWorlds(policy, float(money[policy.name].mean()), never[policy.name], best[policy.name])
        for policy in policies
    ]
