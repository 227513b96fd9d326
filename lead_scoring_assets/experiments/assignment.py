"""Who gets which arm: pure, from the salt and the unit, the same in every process and for ever."""

from dataclasses import dataclass
from typing import Literal

from lead_scoring_assets.lots import LOTS, lot
from lead_scoring_assets.rollout.traffic import Traffic

Arm = Literal["champion", "process", "challenger"]
"""As the prediction log has them; `challenger` is the treatment. In `process` a lead is worked as before: no score is shown."""


@dataclass(frozen=True)
class Assignment:
    """Where a unit goes. `propensity`: the probability with which a unit gets this arm; `explored`: drawn 1 to 1 instead."""

    arm: Arm
    propensity: float
    explored: bool


def treatment_share(traffic: Traffic) -> float:
    """The probability with which a unit gets the challenger, whether or not it is among the explored."""
    return (traffic.share_bp * (LOTS - traffic.exploration_bp) / LOTS + traffic.exploration_bp / 2) / LOTS


def assign(traffic: Traffic, unit: str) -> Assignment:
    """The arm of `unit` in a canary or an experiment.

    The explored are drawn by lots of their own, 1 to 1. The propensity is that of all units, so that all can be compared: being
    explored says nothing of a unit.
    """
    explored = lot(f"{traffic.salt}/exploration", unit) < traffic.exploration_bp
    drawn, bar = (f"{traffic.salt}/explored", LOTS // 2) if explored else (traffic.salt, traffic.share_bp)
    share = treatment_share(traffic)
    if lot(drawn, unit) < bar:
        return Assignment("challenger", share, explored)
    return Assignment(traffic.control, 1 - share, explored)
