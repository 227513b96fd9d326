"""The verbs about A/B tests: experiment plan, start, show, stop, feedback."""

import json
from typing import TYPE_CHECKING, Any

import click

from lead_scoring_assets.cli.console import BAD_INPUT, answer_whole, answers, escaped, open_installation, remarks

if TYPE_CHECKING:
    from lead_scoring_assets.experiments.records import Status
    from lead_scoring_assets.installation import Installation
    from lead_scoring_assets.rollout.traffic import Control, Unit

_SHARE = click.FloatRange(0, 1, min_open=True, max_open=True)
_by = click.option("--by", default="", metavar="NAME", help="Who acts (default: who is logged in to this machine).")
_json = click.option("--json", "as_json", is_flag=True, help="All of it, for programs.")


@click.group(
    epilog="Example: lead-scoring experiment plan 8 --lift 0.2   ·   lead-scoring experiment start v8-against-champion"
)
def experiment() -> None:
    """A/B tests: plan one, start it, read it, stop it."""


@experiment.command(
    epilog="Example: lead-scoring experiment plan 8 --lift 0.2 --share 0.5   ·   … plan 8 --control process"
)
@click.argument("treatment", type=click.IntRange(1))
@click.option(
    "--control",
    type=click.Choice(["champion", "process"]),
    default="champion",
    help="What the others get; process: no score.",
)
@click.option("--unit", type=click.Choice(["lead", "rep"]), default="lead", help="Who is drawn.")
@click.option(
    "--lift",
    type=click.FloatRange(0, min_open=True),
    help="Smallest relative lift worth finding (settings: minimum_lift).",
)
@click.option("--share", type=_SHARE, help="Of the treatment (settings: treatment_share).")
@click.option("--base-rate", type=_SHARE, help="Conversions now (default: as observed).")
@click.option("--leads-per-day", type=click.FloatRange(0, min_open=True), help="Default: as observed.")
@click.option("--age-days", type=click.IntRange(1), help="At which leads are counted (default: the conversion window).")
@click.option(
    "--exploration", type=click.FloatRange(0, 1), default=0.0, help="Share that is drawn 1 to 1 whatever the share."
)
@click.option("--name", metavar="ID", help="Default: by its arms, such as v8-against-champion.")
@click.option("--only-tell", is_flag=True, help="Tell what it costs and settle nothing.")
@click.option("--anyway", is_flag=True, help="Settle it although it cannot work in the time allowed.")
@_by
@click.option("--reason", default="", metavar="TEXT", help="Why, in a sentence, for the record.")
@_json
def plan(
    treatment: int,
    control: "Control",
    unit: "Unit",
    lift: float | None,
    share: float | None,
    base_rate: float | None,
    leads_per_day: float | None,
    age_days: int | None,
    exploration: float,
    name: str | None,
    only_tell: bool,
    anyway: bool,
    by: str,
    reason: str,
    as_json: bool,
) -> None:
    """How long a test of version TREATMENT takes, whether it can work, and its draft."""
    from lead_scoring_assets.experiments import transitions
    from lead_scoring_assets.experiments.flow import Given, cost_of
    from lead_scoring_assets.experiments.words import arms_in_words, plan_as_dict, plan_in_words

    installation = open_installation()
    wanted = transitions.Wanted(treatment, control, unit, exploration, name, age_days)
    given = Given(lift, share, base_rate, leads_per_day)
    cost, seen = cost_of(installation, given, unit, age_days)
    for sentence in seen:
        remarks.print(escaped(sentence))
    if as_json:
        click.echo(json.dumps(plan_as_dict(cost), indent=2))
    else:
        for sentence in plan_in_words(cost, unit == "rep"):
            answers.print(escaped(sentence))
    if only_tell:
        return
    if not cost.can_work and not anyway:
        remarks.print("nothing was settled: ask for a larger lift, allow more days, or say --anyway.")
        raise SystemExit(BAD_INPUT)
    settled = transitions.plan(installation, wanted, cost, by or _person(), reason)
    remarks.print(f"[bold]{escaped(settled.experiment_id)}[/] is a draft: {escaped(arms_in_words(settled))}")


@experiment.command(epilog="Example: lead-scoring experiment start v8-against-champion")
@click.argument("name", metavar="ID")
@_by
@click.option("--reason", default="", metavar="TEXT", help="Why, in a sentence, for the record.")
def start(name: str, by: str, reason: str) -> None:
    """Let the draft ID run: leads are drawn from now on."""
    from lead_scoring_assets.experiments import transitions
    from lead_scoring_assets.experiments.words import arms_in_words, status_in_words, what_would_end_it

    installation = open_installation()
    status = transitions.start(installation, name, by or _person(), reason)
    answers.print(escaped(status_in_words(status)))
    answers.print(escaped(arms_in_words(status.experiment)))
    if (remark := what_would_end_it(status.experiment, installation.settings.gate)) is not None:
        remarks.print(f"[bold yellow]remark:[/] {escaped(remark)}")


@experiment.command(
    epilog="Example: lead-scoring experiment show   ·   lead-scoring experiment show v8-against-champion --json"
)
@click.argument("name", metavar="[ID]", required=False)
@_json
def show(name: str | None, as_json: bool) -> None:
    """Every experiment; of ID its verdict, why, and every figure as of now (or of its end)."""
    from lead_scoring_assets.experiments.records import Experiments
    from lead_scoring_assets.experiments.words import status_in_words

    installation = open_installation()
    experiments = Experiments(installation.lakehouse)
    if name is not None:
        _show_one(installation, experiments.find(name), as_json)
        return
    known = experiments.all()
    if as_json:
        click.echo(json.dumps([_as_dict(status) for status in known], indent=2, default=str))
    elif not known:
        remarks.print("no experiment was planned yet.")
    else:
        for status in known:
            answers.print(escaped(status_in_words(status)))


@experiment.command(epilog='Example: lead-scoring experiment stop v8-against-champion --reason "the campaign is over"')
@click.argument("name", metavar="ID")
@_by
@click.option("--reason", default="", metavar="TEXT", help="Why, in a sentence, for the record. Needed.")
def stop(name: str, by: str, reason: str) -> None:
    """End ID without a verdict: everybody gets the champion again."""
    from lead_scoring_assets.experiments import transitions
    from lead_scoring_assets.experiments.words import status_in_words

    answers.print(escaped(status_in_words(transitions.stop(open_installation(), name, by or _person(), reason))))


@experiment.command(
    epilog='Example: lead-scoring experiment feedback v8-against-champion --by Omar --said "better order"'
)
@click.argument("name", metavar="ID")
@_by
@click.option("--said", default="", metavar="TEXT", help="What the salespeople say. Needed.")
def feedback(name: str, by: str, said: str) -> None:
    """Keep what salespeople say of ID: it stands in the checklist beside the figures."""
    from lead_scoring_assets.experiments import transitions

    is_new = transitions.note_feedback(open_installation(), name, by or _person(), said)
    answers.print("kept." if is_new else "that is on record already.")


def _show_one(installation: "Installation", status: "Status", as_json: bool) -> None:
    from rich.table import Table

    from lead_scoring_assets.errors import ExperimentError
    from lead_scoring_assets.experiments import words
    from lead_scoring_assets.experiments.looking import look, why_overtaken
    from lead_scoring_assets.experiments.results import rows_of

    if status.state == "running" and (why := why_overtaken(installation, status)) is not None:
        remarks.print(f"[bold yellow]nobody is drawn any more, and its next reading ends it:[/] {escaped(why)}")
    try:
        reading = look(installation, status)
    except ExperimentError as nothing_yet:
        if as_json:
            click.echo(
                json.dumps({**_as_dict(status), "reading": None, "why": str(nothing_yet)}, indent=2, default=str)
            )
            return
        answers.print(escaped(words.status_in_words(status)))
        answers.print(escaped(words.arms_in_words(status.experiment)))
        remarks.print(escaped(str(nothing_yet)))
        return
    if as_json:
        click.echo(json.dumps({**_as_dict(status), "reading": rows_of(reading)}, indent=2, default=str))
        return
    answers.print(f"[bold]{escaped(words.status_in_words(status))}[/]")
    answers.print(escaped(words.arms_in_words(status.experiment)))
    for sentence in words.reading_in_words(reading):
        answers.print(escaped(sentence))
    for check in reading.decision.checklist:
        answers.print(f"  {check.point.replace('_', ' ')}: [bold]{check.answer}[/], {escaped(check.sentence)}")
    table = Table("role", "figure", "control (n)", "treatment (n)", "effect [interval]", box=None)
    for figure in reading.figures:
        table.add_row(*(escaped(text) for text in words.figure_in_words(figure)))
    answer_whole(table)


def _as_dict(status: "Status") -> dict[str, Any]:
    return {
        **vars(status.experiment),
        "state": status.state,
        "verdict": status.last.verdict,
        "reason": status.last.reason,
        "started_at": status.started_at,
        "ended_at": status.ended_at,
    }


def _person() -> str:
    from lead_scoring_assets.promotion.people import person

    return person()
