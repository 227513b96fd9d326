"""Dagster jobs of what people do to a version: one each, for the Launchpad. What they do stands in `transitions.py`."""

import dagster as dg

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.promotion import transitions
from lead_scoring_assets.promotion.deployments import Deployment
from lead_scoring_assets.promotion.following import follow
from lead_scoring_assets.promotion.people import person


class Person(dg.Config):
    """Who acts, and why. Nobody named: who started Dagster."""

    by: str = ""
    reason: str = ""


class Named(Person):
    """The version that is meant: always named, never the newest by default."""

    version: int


class ByHand(Named):
    """`allow_untraceable`: although no commit holds the code that trained it."""

    allow_untraceable: bool = False


@dg.op
def promote_version(
    context: dg.OpExecutionContext, config: ByHand, installation: dg.ResourceParam[Installation]
) -> None:
    """Take a version live by hand; a reason is required."""
    allowed = config.allow_untraceable
    done = transitions.promote(installation, config.version, _by(config), config.reason, allow_untraceable=allowed)
    _tell(context, installation, done)


@dg.op
def approve_version(
    context: dg.OpExecutionContext, config: Named, installation: dg.ResourceParam[Installation]
) -> None:
    """Take the candidate in staging live."""
    _tell(context, installation, transitions.approve(installation, config.version, _by(config), config.reason))


@dg.op
def reject_version(context: dg.OpExecutionContext, config: Named, installation: dg.ResourceParam[Installation]) -> None:
    """Say no to a version for good."""
    _tell(context, installation, transitions.reject(installation, config.version, _by(config), config.reason))


@dg.op
def roll_back_version(
    context: dg.OpExecutionContext, config: Person, installation: dg.ResourceParam[Installation]
) -> None:
    """Go back to the version that was live before; needs nothing."""
    _tell(context, installation, transitions.roll_back(installation, _by(config), config.reason))


@dg.job(description="Takes a version live by hand, with a reason.")
def promote() -> None:
    """One version."""
    promote_version()


@dg.job(description="Takes the candidate that waits in staging live; another person than who asked for it.")
def approve() -> None:
    """One version."""
    approve_version()


@dg.job(description="Says no to a version for good: it is archived.")
def reject() -> None:
    """One version."""
    reject_version()


@dg.job(description="Goes back to the version that was live before the present one. Needs no configuration.")
def rollback() -> None:
    """One click."""
    roll_back_version()


JOBS = [promote, approve, reject, rollback]


def _by(config: Person) -> str:
    return config.by or person()


def _tell(context: dg.OpExecutionContext, installation: Installation, done: Deployment) -> None:
    context.log.info("v%s %s by %s: %s", done.version, done.action, done.actor, done.reason)
    # Not an error: the version is live, and who saw the run fail would roll back once more.
    if (remark := follow(installation)) is not None:
        context.log.warning(remark)
