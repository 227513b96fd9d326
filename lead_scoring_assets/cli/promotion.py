"""The verbs about what is live: promote, approve, reject, rollback. Each prints what is live before MLflow follows."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import click

from lead_scoring_assets.cli.console import answers, escaped, open_installation, remarks

if TYPE_CHECKING:
    from lead_scoring_assets.installation import Installation
    from lead_scoring_assets.promotion.deployments import Deployment

_ROLLBACK_SECONDS = 1.5  # with the start of the program less than five for the whole verb, on a busy machine as well
Verb = TypeVar("Verb", bound=Callable[..., None])


def _by_and_reason(verb: Verb) -> Verb:
    by = click.option("--by", default="", metavar="NAME", help="Who acts (default: who is logged in to this machine).")
    return by(click.option("--reason", default="", metavar="TEXT", help="Why, in a sentence, for the record.")(verb))


@click.command(epilog='Example: lead-scoring promote 7 --reason "v9 ranks leads of the new campaign last"')
@click.argument("version", type=click.IntRange(1))
@_by_and_reason
@click.option("--allow-untraceable", is_flag=True, help="Although no commit holds the code that trained it; recorded.")
def promote(version: int, by: str, reason: str, allow_untraceable: bool) -> None:
    """Take VERSION live by hand: any that loads and was not rejected. Needs --reason."""
    from lead_scoring_assets.promotion import transitions

    installation = open_installation()
    done = transitions.promote(installation, version, by or _person(), reason, allow_untraceable=allow_untraceable)
    _tell_and_follow(installation, done)


@click.command(epilog='Example: lead-scoring approve 8 --by "Mona Haddad" --reason "checked the report of 2009-03"')
@click.argument("version", type=click.IntRange(1))
@_by_and_reason
def approve(version: int, by: str, reason: str) -> None:
    """Take the candidate VERSION, which waits in staging, live. Not by the person who asked for its training."""
    from lead_scoring_assets.promotion import transitions

    installation = open_installation()
    _tell_and_follow(installation, transitions.approve(installation, version, by or _person(), reason))


@click.command(epilog='Example: lead-scoring reject 8 --reason "learned from a broken export"')
@click.argument("version", type=click.IntRange(1))
@_by_and_reason
def reject(version: int, by: str, reason: str) -> None:
    """Say no to VERSION for good: it is archived and never goes live."""
    from lead_scoring_assets.promotion import transitions

    installation = open_installation()
    _tell_and_follow(installation, transitions.reject(installation, version, by or _person(), reason))


@click.command(epilog="Example: lead-scoring rollback")
@_by_and_reason
def rollback(by: str, reason: str) -> None:
    """Go back to the version that was live before the present one. Needs no arguments."""
    from lead_scoring_assets.promotion import transitions
    from lead_scoring_assets.promotion.following_later import follow_later, told_within

    begun = time.monotonic()
    installation = open_installation()
    _tell(transitions.roll_back(installation, by or _person(), reason))
    follower = follow_later(installation)
    _tell_what_ends(installation)
    remarks.print(told_within(follower, begun + _ROLLBACK_SECONDS - time.monotonic()))


def _person() -> str:
    from lead_scoring_assets.promotion.people import person

    return person()


def _tell(done: "Deployment") -> None:
    told = f"is live since {done.effective_at:%Y-%m-%d %H:%M} UTC" if done.went_live else "is archived and stays so"
    answers.print(f"[bold]v{done.version}[/] {told}: {escaped(done.reason)} (by {escaped(done.actor)})")


def _tell_what_ends(installation: "Installation") -> None:
    """The rollout or the experiment that has lost one of its models by it; its own sensor records that."""
    from lead_scoring_assets.experiments.looking import why_overtaken
    from lead_scoring_assets.experiments.records import Experiments
    from lead_scoring_assets.promotion.deployments import Deployments
    from lead_scoring_assets.rollout.overtaking import is_overtaken
    from lead_scoring_assets.rollout.records import Rollouts

    rollout = Rollouts(installation.lakehouse).running()
    if rollout is not None and is_overtaken(rollout, Deployments(installation.lakehouse).steps()):
        remarks.print(f"[bold yellow]remark:[/] this ends {escaped(rollout.rollout_id)} at its next look")
    experiment = Experiments(installation.lakehouse).running()
    if experiment is not None and (why := why_overtaken(installation, experiment)) is not None:
        name = experiment.experiment.experiment_id
        remarks.print(f"[bold yellow]remark:[/] this ends experiment {escaped(name)}: {escaped(why)}")


def _tell_and_follow(installation: "Installation", done: "Deployment") -> None:
    from lead_scoring_assets.promotion.following import follow

    _tell(done)
    _tell_what_ends(installation)
    # Afterwards: importing MLflow takes longer than all of the rest.
    if (remark := follow(installation)) is not None:
        remarks.print(f"[bold yellow]remark:[/] {escaped(remark)}")
