"""The verbs of every day: prepare, materialize, check, arrive, status, results, start."""

import sys
from typing import TYPE_CHECKING

import click
from rich.table import Table

from lead_scoring_assets.cli.console import FAILED, answers, escaped, open_installation, remarks
from lead_scoring_assets.errors import SourceUnavailableError

if TYPE_CHECKING:
    from lead_scoring_assets.history import HistoryOutcome


@click.command(epilog="Example: LEAD_SCORING_MIRROR=~/mirror lead-scoring prepare")
def prepare() -> None:
    """Fetch and verify the data, land its history, create the model store. Repeating it changes nothing.

    When the public bank data can be had neither from a mirror nor from the network, a SIMULATED CRM is set up instead,
    in data/simulated-crm, and every verb works there from then on.
    """
    from lead_scoring_assets.setup import prepare as set_up
    from lead_scoring_assets.setup import turn_to_simulated_crm

    installation = open_installation()
    try:
        with remarks.status("preparing the data and the model store"):
            ready = set_up(installation)
    except SourceUnavailableError as reason:
        remarks.print(f"[bold yellow]The bank data cannot be had.[/] {escaped(str(reason))}")
        home = turn_to_simulated_crm(installation.home)
        remarks.print(
            f"A [bold]SIMULATED[/] CRM is played instead, in {escaped(str(home))}. To try the bank data again: "
            "`make clean`, then `make run`."
        )
        installation = open_installation(home)
        with remarks.status("simulating a CRM and preparing the model store"):
            ready = set_up(installation)
    if ready.landed:
        told = f"{len(ready.landed)} periods have landed, {ready.landed[0]} to {ready.landed[-1]}"
    else:
        told = f"nothing has landed yet; files go into {escaped(ready.landing)}"
    remarks.print(f"{told}; it is now {ready.now:%Y-%m-%d}. {ready.remark}")


@click.command(
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

    installation = open_installation()
    _tell_and_exit(materialize_history(installation, first, last, again=again, console=remarks))


@click.command(epilog="Examples: lead-scoring check   ·   lead-scoring check --from 2010-01")
@click.option("--from", "first", metavar="PERIOD", help="First period (default: the calendar's first).")
@click.option("--through", "last", metavar="PERIOD", help="Last period (default: the newest that has closed).")
def check(first: str | None, last: str | None) -> None:
    """Evaluate every asset check on the tables as they lie there; nothing is materialised. 0, 1 and 2 as for materialize."""
    from lead_scoring_assets.history import check_history

    _tell_and_exit(check_history(open_installation(), first, last, console=remarks))


@click.command(epilog="Example: lead-scoring arrive   # then watch the sensors in the Dagster UI")
def arrive() -> None:
    """Let the next period's leads and outcomes land; the sensors take it from there."""
    from lead_scoring_assets.setup import arrive as let_arrive

    installation = open_installation()
    period = let_arrive(installation)
    if period is None:
        remarks.print("history has ended: nothing more arrives. Delete the folder data/ to start again.")
        return
    remarks.print(
        f"[bold]{period.key}[/] has landed; it is now {installation.clock.now():%Y-%m-%d}. With the UI running, the sensor "
        "leads_landed ingests and scores it within a minute; then the retraining sensors say what they make of it."
    )


@click.command(epilog="Example: lead-scoring status")
def status() -> None:
    """Where things stand: the clock, the champion, the last decision, drift, what retraining waits for, alerts."""
    from lead_scoring_assets.overview import overview

    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for name, told in overview(open_installation()):
        table.add_row(name, escaped(told))
    answers.print(table)


@click.command(epilog="Example: lead-scoring results")
def results() -> None:
    """What calling the best-scored leads first gave, against random order, on matured leads that were scored live."""
    from lead_scoring_assets.monitoring.business.benefit import describe, measure_benefit

    answers.print(describe(measure_benefit(open_installation())))


@click.command(epilog="Examples: lead-scoring report   ·   lead-scoring report --period 2010-03 --open")
@click.option("--period", metavar="PERIOD", help="Of this period (default: the newest that has one).")
@click.option("--open", "opens", is_flag=True, help="Also open the page in the browser.")
def report(period: str | None, opens: bool) -> None:
    """The manager's report in a few sentences, and where its page lies."""
    from lead_scoring_assets.monitoring.reports.listing import find_report

    found = find_report(open_installation(), period)
    answers.print(escaped(found.headline))
    answers.print(escaped(str(found.page)))
    if opens:
        click.launch(found.page.as_uri())


@click.command(epilog="Example: lead-scoring start --port 3001")
@click.option(
    "--port", default=3000, show_default=True, type=click.IntRange(1024, 65535), help="Port of the Dagster UI."
)
def start(port: int) -> None:
    """Open the Dagster UI with sensors and schedules on, and serve the reports; on this machine only. Ctrl-C ends it."""
    from lead_scoring_assets.serve_ui import serve

    sys.exit(serve(open_installation(), port, remarks))


def _tell_and_exit(outcome: "HistoryOutcome") -> None:
    for reason in outcome.reasons_to_stop:
        remarks.print(f"[bold red]stop:[/] {escaped(reason)}")
    remarks.print(outcome.summary)
    sys.exit(FAILED if outcome.reasons_to_stop else 0)
