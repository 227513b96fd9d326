"""Dagster jobs of rollouts, for the Launchpad. What they do stands in `conducting.py` and `looking.py`."""

import dagster as dg

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.promotion.following import follow
from lead_scoring_assets.promotion.jobs import Named, Person
from lead_scoring_assets.promotion.people import person
from lead_scoring_assets.rollout import conducting
from lead_scoring_assets.rollout.looking import look
from lead_scoring_assets.rollout.sensors import SHADOW_JOB
from lead_scoring_assets.rollout.states import Rollout


class Wanted(Named):
    """`is_fast`: a day in the shadow instead of two weeks, where a second person approves."""

    is_fast: bool = False


@dg.op
def start_a_rollout(
    context: dg.OpExecutionContext, config: Wanted, installation: dg.ResourceParam[Installation]
) -> None:
    """Bring a version to the traffic step by step; a reason is required."""
    by = config.by or person()
    _tell(context, conducting.start(installation, config.version, by, config.reason, is_fast=config.is_fast))


@dg.op
def approve_a_rollout(
    context: dg.OpExecutionContext, config: Person, installation: dg.ResourceParam[Installation]
) -> None:
    """Approve the next share of the rollout that runs."""
    _tell(context, conducting.approve(installation, config.by or person(), config.reason))


@dg.op
def abort_a_rollout(
    context: dg.OpExecutionContext, config: Person, installation: dg.ResourceParam[Installation]
) -> None:
    """Take the candidate of the rollout that runs back; a reason is required."""
    _tell(context, conducting.abort(installation, config.by or person(), config.reason))


@dg.op
def look_at_the_rollout(context: dg.OpExecutionContext, installation: dg.ResourceParam[Installation]) -> None:
    """Judge the rollout that runs now, without waiting for the sensor."""
    step = look(installation, person())
    if isinstance(step, str):
        context.log.info("%s", step)
        return
    context.log.info("%s: %s", step.next.in_words, step.reason)
    if step.effect != "none" and (remark := follow(installation)) is not None:
        context.log.warning(remark)


@dg.job(description="Brings a version to the traffic: shadow, then a growing share of the leads; with a reason.")
def start_rollout() -> None:
    """One version."""
    start_a_rollout()


@dg.job(description="Approves the next share of the rollout that runs; another person than who started it.")
def approve_rollout() -> None:
    """One share."""
    approve_a_rollout()


@dg.job(description="Takes the candidate of the rollout that runs back, with a reason.")
def abort_rollout() -> None:
    """One rollout."""
    abort_a_rollout()


@dg.job(description="Judges the rollout that runs now, and carries out what follows. Needs no configuration.")
def look_at_rollout() -> None:
    """One look."""
    look_at_the_rollout()


JOBS = [start_rollout, approve_rollout, abort_rollout, look_at_rollout]
ASSET_JOBS = [
    dg.define_asset_job(
        SHADOW_JOB,
        selection=dg.AssetSelection.assets("shadow_comparison"),
        description="Compares the shadow with the champion on everything that both have scored.",
    ),
]


def _tell(context: dg.OpExecutionContext, rollout: Rollout) -> None:
    context.log.info("%s", rollout.in_words)
