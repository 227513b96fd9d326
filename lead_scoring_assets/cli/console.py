"""What every verb shares: where it prints, how errors look, and which installation it works on."""

import os
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from lead_scoring_assets.errors import LeadScoringError
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.settings import find_home

# Progress and remarks go to stderr, so that stdout can be piped.
remarks = Console(stderr=True, highlight=False, soft_wrap=True)
answers = Console(highlight=False, soft_wrap=True)

FAILED = 1
BAD_INPUT = 2


class Verbs(click.Group):
    """Prints our own errors without a traceback."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except LeadScoringError as error:
            remarks.print(f"[bold red]error:[/] {escaped(str(error))}")
            sys.exit(BAD_INPUT)


def open_installation(root: Path | None = None) -> Installation:
    """The installation in use, its settings checked; Dagster is told to live there, whatever folder we are in."""
    if root is not None:
        os.environ["LEAD_SCORING_HOME"] = str(root)
    home = find_home()
    home.settings  # noqa: B018  # a bad settings file is reported before anything else happens
    os.environ["LEAD_SCORING_HOME"] = os.environ["DAGSTER_HOME"] = str(home.root)
    os.chdir(home.root)  # dagster.yaml names its folders relative to its own
    return Installation(home)


def answer_whole(table: Table) -> None:
    """Print a table of figures as wide as they are: in a narrow terminal, or a pipe, a cut figure is no figure."""
    limitless = answers.options.update(max_width=1_000)
    table.width = Measurement.get(answers, limitless, table).maximum
    answers.print(table, crop=False)


def harmless(value: object) -> object:
    """Text that a spreadsheet would run as a formula is quoted the way spreadsheets understand."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def escaped(text: str) -> str:
    """`text` with nothing in it that the terminal's markup would take for its own."""
    from rich.markup import escape

    return escape(text)
