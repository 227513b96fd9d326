"""The verb `rollout`: a candidate's way to the traffic of the API: start, show, approve, abort, plan."""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from lead_scoring_assets.cli.console import answer_whole, answers, escaped, open_installation, remarks

if TYPE_CHECKING:
    from lead_scoring_assets.rollout.states import Rollout

_BY = click.option("--by", default="", metavar="NAME", help="Who acts (default: who is logged in to this machine).")
_REASON = click.option("--reason", default="", metavar="TEXT", help="Why, in a sentence, for the record.")
_FAST = click.option(
    "--fast-track", is_flag=True, help="A day in the shadow instead of two weeks; a second person approves."
)


@click.group(epilog='Example: lead-scoring rollout start 8 --reason "passed the gate" && lead-scoring rollout show')
def rollout() -> None:
    """Bring a candidate to the traffic: in the shadow, then for 5, 10, 50 and 100 % of the leads, watched."""


@rollout.command(epilog='Example: lead-scoring rollout start 8 --reason "knows the new branch"')
@click.argument("version", type=click.IntRange(1))
@_BY
@_REASON
@_FAST
def start(version: int, by: str, reason: str, fast_track: bool) -> None:
    """Begin the rollout of VERSION, in the shadow of the champion. Needs --reason."""
    from lead_scoring_assets.promotion.following import follow
    from lead_scoring_assets.rollout import conducting

    installation = open_installation()
    _tell(conducting.start(installation, version, by or _person(), reason, is_fast=fast_track))
    if (remark := follow(installation)) is not None:
        remarks.print(f"[bold yellow]remark:[/] {escaped(remark)}")


@rollout.command(epilog='Example: lead-scoring rollout approve --by "Mona Haddad" --reason "checked the comparison"')
@_BY
@_REASON
def approve(by: str, reason: str) -> None:
    """Approve the next share of the rollout that runs. Not by the person who started it or asked for the training."""
    from lead_scoring_assets.rollout import conducting

    installation = open_installation()
    approved = conducting.approve(installation, by or _person(), reason)
    answers.print(f"approved by [bold]{escaped(approved.approvers[-1])}[/]: {escaped(approved.in_words)}")
    seconds = installation.settings.retraining.sensor_interval_seconds
    remarks.print(
        f"With the UI running it moves within {seconds} seconds if its time is up and nothing speaks against it; "
        "`lead-scoring rollout show` tells."
    )


@rollout.command(epilog='Example: lead-scoring rollout abort --reason "sales reports wrong phone numbers"')
@_BY
@_REASON
def abort(by: str, reason: str) -> None:
    """Take the candidate of the rollout that runs back: all leads go to the champion. Needs --reason."""
    from lead_scoring_assets.rollout import conducting

    _tell(conducting.abort(open_installation(), by or _person(), reason))


@rollout.command(epilog="Example: lead-scoring rollout show --json")
@click.option("--json", "as_json", is_flag=True, help="All of it, for programs.")
def show(as_json: bool) -> None:
    """Every step of the newest rollout, and why."""
    from lead_scoring_assets.rollout.records import Rollouts

    rollouts = Rollouts(open_installation().lakehouse)
    newest = rollouts.newest()
    rows = [row for row in rollouts.rows() if newest is not None and row["rollout_id"] == newest.rollout_id]
    if as_json:
        told = [{**row, "evidence": json.loads(row["evidence"])} for row in rows]
        click.echo(json.dumps(told, indent=2, ensure_ascii=False, default=str))
        return
    if newest is None:
        remarks.print("no rollout yet: `lead-scoring rollout start VERSION --reason …` begins one.")
        return
    answers.print(f"[bold]{escaped(newest.in_words)}[/], beside v{newest.champion_version}")
    for row in rows:
        what = row["action"] if row["action"] != "moved" else row["state"].replace("_", " ")
        words = f"{row['at']:%Y-%m-%d %H:%M}  {row['share_bp'] / 100:>4g} %  {what} by {row['actor']}: {row['reason']}"
        answers.print(escaped(words))


@rollout.command(epilog="Example: lead-scoring rollout plan --from 2026-03-02 --leads-a-day 400")
@click.option("--from", "day", type=click.DateTime(["%Y-%m-%d"]), help="First day (default: now).")
@click.option(
    "--leads-a-day", type=click.FloatRange(0, min_open=True), help="Different leads that are scored in a day."
)
@_FAST
def plan(day: datetime | None, leads_a_day: float | None, fast_track: bool) -> None:
    """The calendar of a rollout: each share, from when to when at the earliest, and what ends it."""
    from rich.table import Table

    from lead_scoring_assets.rollout import planning

    installation = open_installation()
    settings = installation.settings
    start = day.replace(tzinfo=UTC) if day else installation.clock.now()
    window = settings.labels.conversion_window_days
    phases = planning.plan(settings.rollout, start, window, leads_a_day, is_fast=fast_track)
    table = Table(title="Rollout at the earliest, when nothing is violated and approvals come at once")
    for name in ("phase", "leads", "when", "from", "to", "ends after"):
        table.add_column(name)
    for phase in phases:
        days = (f"{moment:%Y-%m-%d}" for moment in (phase.begins, phase.ends))
        table.add_row(phase.name, f"{phase.percent} %", phase.weeks(start), *days, escaped(phase.ends_when))
    answer_whole(table)


def _person() -> str:
    from lead_scoring_assets.promotion.people import person

    return person()


def _tell(done: "Rollout") -> None:
    answers.print(f"{escaped(done.in_words)}; `lead-scoring rollout show` tells why")
