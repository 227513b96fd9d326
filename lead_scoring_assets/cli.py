"""`lead-scoring …`: the verbs a person types. Each prints what it did; an error is one message and exit code 2."""

import csv
import os
import sys
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from lead_scoring_assets.errors import LeadScoringError
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.settings import find_home

if TYPE_CHECKING:
    from lead_scoring_assets.history import HistoryOutcome

# Progress and remarks go to stderr, so that stdout can be piped.
_remarks = Console(stderr=True, highlight=False, soft_wrap=True)
_answers = Console(highlight=False, soft_wrap=True)

_FAILED = 1


class _Verbs(click.Group):
    """Prints our own errors without a traceback."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except LeadScoringError as error:
            _remarks.print(f"[bold red]error:[/] {_escaped(str(error))}")
            sys.exit(2)


@click.group(
    cls=_Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Example: lead-scoring prepare && lead-scoring materialize && lead-scoring worklist --top 10",
)
@click.version_option(package_name="lead-scoring")
def main() -> None:
    """Score leads, watch data and models, retrain when there is cause.

    Works on the installation in LEAD_SCORING_HOME, else DAGSTER_HOME, else the current folder.
    """


@main.command(epilog="Example: LEAD_SCORING_MIRROR=~/mirror lead-scoring prepare")
def prepare() -> None:
    """Fetch and verify the data, land its history, create the model store. Repeating it changes nothing."""
    from lead_scoring_assets.setup import prepare as set_up

    installation = _open()
    with _remarks.status("preparing the data and the model store"):
        ready = set_up(installation)
    _remarks.print(
        f"{len(ready.landed)} periods have landed, {ready.landed[0]} to {ready.landed[-1]}; it is now {ready.now:%Y-%m-%d}. "
        "When each outcome became known is [bold]simulated[/], the leads and outcomes are real."
    )


@main.command(
    epilog="Examples: lead-scoring materialize   ·   lead-scoring materialize --from 2010-01 --through 2010-03 --again"
)
@click.option("--from", "first", metavar="PERIOD", help="First period (default: the calendar's first).")
@click.option("--through", "last", metavar="PERIOD", help="Last period (default: the newest that has closed).")
@click.option("--again", is_flag=True, help="Also periods that are complete already.")
def materialize(first: str | None, last: str | None, again: bool) -> None:
    """Materialise every asset of every period and gate on the asset checks.

    Exit code 0 when all is well, 1 when a step or an ERROR check failed or an expected check never ran, 2 on bad input.
    """
    from lead_scoring_assets.history import materialize_history

    installation = _open()
    _tell_and_exit(materialize_history(installation, first, last, again=again, console=_remarks))


@main.command(epilog="Examples: lead-scoring check   ·   lead-scoring check --from 2010-01")
@click.option("--from", "first", metavar="PERIOD", help="First period (default: the calendar's first).")
@click.option("--through", "last", metavar="PERIOD", help="Last period (default: the newest that has closed).")
def check(first: str | None, last: str | None) -> None:
    """Evaluate every asset check on the tables as they lie there; nothing is materialised. 0, 1 and 2 as for materialize."""
    from lead_scoring_assets.history import check_history

    _tell_and_exit(check_history(_open(), first, last, console=_remarks))


@main.command(epilog="Example: lead-scoring arrive   # then watch the sensors in the Dagster UI")
def arrive() -> None:
    """Let the next period's leads and outcomes land; the sensors take it from there."""
    from lead_scoring_assets.setup import arrive as let_arrive

    period = let_arrive(_open())
    if period is None:
        _remarks.print("history has ended: nothing more arrives. Delete the folder data/ to start again.")
        return
    _remarks.print(
        f"[bold]{period.key}[/] has landed; it is now {period.end:%Y-%m-%d}. With the UI running, the sensor leads_landed "
        "ingests and scores it within a minute; then the retraining sensors say what they make of it."
    )


@main.command(
    epilog="Examples: lead-scoring worklist --top 20   ·   lead-scoring worklist --format csv > call-first.csv"
)
@click.option("--period", metavar="PERIOD", help="Leads that arrived in this period (default: the newest scored one).")
@click.option("--top", default=20, show_default=True, type=click.IntRange(1), help="How many leads.")
@click.option("--format", "form", type=click.Choice(["table", "csv"]), default="table", show_default=True)
def worklist(period: str | None, top: int, form: str) -> None:
    """Which leads to call first."""
    from lead_scoring_assets.predictions.worklist import best_leads

    rows = best_leads(_open(), period, top)
    if form == "csv":
        writer = csv.DictWriter(sys.stdout, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows({name: _harmless(value) for name, value in row.items()} for row in rows)
        return
    table = Table(title=f"Call first: leads of {rows[0]['period']}")
    for name in rows[0]:
        table.add_column(name)
    for row in rows:
        table.add_row(*(f"{v:.3f}" if isinstance(v, float) else _escaped(str(v)) for v in row.values()))
    _answers.print(table)


@main.command(epilog="Example: lead-scoring status")
def status() -> None:
    """Where things stand: the clock, the champion, the last decision, drift, what retraining waits for, alerts."""
    from lead_scoring_assets.overview import overview

    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for name, told in overview(_open()):
        table.add_row(name, _escaped(told))
    _answers.print(table)


@main.command(epilog="Example: lead-scoring results")
def results() -> None:
    """What calling the best-scored leads first gave, against random order, on matured leads that were scored live."""
    from lead_scoring_assets.monitoring.benefit import describe, measure_benefit

    _answers.print(describe(measure_benefit(_open())))


@main.command(epilog="Example: lead-scoring start --port 3001")
@click.option(
    "--port", default=3000, show_default=True, type=click.IntRange(1024, 65535), help="Port of the Dagster UI."
)
def start(port: int) -> None:
    """Open the Dagster UI with sensors and schedules on, and serve the reports; on this machine only. Ctrl-C ends it."""
    from lead_scoring_assets.serve_ui import serve

    sys.exit(serve(_open(), port, _remarks))


def _tell_and_exit(outcome: "HistoryOutcome") -> None:
    for reason in outcome.reasons_to_stop:
        _remarks.print(f"[bold red]stop:[/] {_escaped(reason)}")
    _remarks.print(outcome.summary)
    sys.exit(_FAILED if outcome.reasons_to_stop else 0)


def _open() -> Installation:
    """The installation in use, its settings checked; Dagster is told to live there, whatever folder we are in."""
    home = find_home()
    home.settings  # noqa: B018  # a bad settings file is reported before anything else happens
    os.environ["LEAD_SCORING_HOME"] = os.environ["DAGSTER_HOME"] = str(home.root)
    os.chdir(home.root)  # dagster.yaml names its folders relative to its own
    return Installation(home)


def _harmless(value: object) -> object:
    """Text that a spreadsheet would run as a formula is quoted the way spreadsheets understand."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)
