"""The verb about what another way of training would have given: backtest."""

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from lead_scoring_assets.cli.console import answers, escaped, open_installation, remarks
from lead_scoring_assets.settings import EXPANDING_MONTHS, Algorithm

if TYPE_CHECKING:
    from lead_scoring_assets.backtesting.figures import Figure
    from lead_scoring_assets.backtesting.walk_forward import Policy

_POLICIES: "tuple[Policy, ...]" = ("frozen", "expanding", "sliding")
_WINDOW_MONTHS = 6  # where the settings let the window expand
_PICTURE = "backtest.svg"


@click.command(
    epilog="Examples: lead-scoring backtest   ·   lead-scoring backtest --from 2009-01 --policy frozen --policy sliding "
    "--window 3   ·   lead-scoring backtest --tune --format csv > backtest.csv"
)
@click.option(
    "--from", "first", metavar="PERIOD", help="First period whose leads are scored (default: as early as can be)."
)
@click.option("--through", "last", metavar="PERIOD", help="Last such period (default: the newest that has matured).")
@click.option(
    "--window",
    "window_months",
    type=click.IntRange(1, EXPANDING_MONTHS),
    metavar="MONTHS",
    help=f"Of the sliding window (default: training.window_months, else {_WINDOW_MONTHS}).",
)
@click.option(
    "--policy",
    "policies",
    type=click.Choice(_POLICIES),
    multiple=True,
    help="May be given more than once (default: all).",
)
@click.option(
    "--algorithm", type=click.Choice(get_args(Algorithm)), help="Only this one (default: the documented recipe)."
)
@click.option(
    "--tune", is_flag=True, help="Search for a recipe at each training, as the settings' training.tuning says."
)
@click.option("--plot", is_flag=True, help=f"Also draw the periods into data/reports/{_PICTURE}.")
@click.option("--format", "form", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True)
def backtest(
    first: str | None,
    last: str | None,
    window_months: int | None,
    policies: tuple["Policy", ...],
    algorithm: Algorithm | None,
    tune: bool,
    plot: bool,
    form: str,
) -> None:
    """Would another training window have been better? Walks through history: at each period's end a model is trained on
    what was known then, and scores the leads that arrive in the next.

    frozen: the first model that could be trained is kept (with --from: from the period before it on). expanding: each
    period again, on all matured leads. sliding: on those of the last months. Nothing is registered or deployed. Exit
    code 0 when there are figures, 2 on bad input or when too little has matured.
    """
    from datetime import timedelta

    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    from lead_scoring_assets.backtesting.figures import describe, figures_of
    from lead_scoring_assets.backtesting.judged_periods import judged_periods, newest_labels
    from lead_scoring_assets.backtesting.walk_forward import training_settings, walk_forward

    installation = open_installation()
    settings = training_settings(installation.settings, algorithm, is_tuned=tune)
    window_months = window_months or settings.training.window_months or _WINDOW_MONTHS
    conversion_window = timedelta(days=settings.labels.conversion_window_days)
    newest = newest_labels(installation)
    judged = judged_periods(settings.calendar, conversion_window, newest, first, last)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=remarks) as progress:
        task = progress.add_task("starting", total=len(judged) + 1)
        walked = walk_forward(
            installation.lakehouse.scan("lead_features"),
            installation.lakehouse.scan("ground_truth_labels"),
            settings,
            judged,
            newest.end,
            policies or _POLICIES,
            window_months,
            lambda words: progress.update(task, advance=1, description=words),
        )
        progress.update(task, description="judging the scores")
        figures = figures_of(walked, settings)
        progress.update(task, completed=len(judged) + 1, description="done")
    if walked.unlabelled:
        remarks.print(f"{walked.unlabelled:,} leads have no label and are left out: are all periods materialised?")
    if plot:
        picture = installation.home.reports / _PICTURE
        _draw(picture, figures, f"Backtest of {settings.name}{settings.simulated_mark}")
        remarks.print(f"drawn into {escaped(str(picture))}")
    if form == "table":
        answers.print(escaped(describe(figures, walked, settings, window_months)))
    else:
        _write(figures, form)


def _draw(picture: Path, figures: "Sequence[Figure]", title: str) -> None:
    """AUC, Brier score and mean score by period, a line for each policy."""
    from lead_scoring_assets.backtesting.figures import ALL
    from lead_scoring_assets.files import write_atomically
    from lead_scoring_assets.plots import periods_plot, svg_of

    by_period = [figure for figure in figures if figure.period != ALL]
    keys = sorted({figure.period for figure in by_period})
    found = {(figure.figure, str(figure.policy), figure.period): figure.value for figure in by_period}
    names = list(dict.fromkeys(str(figure.policy) for figure in by_period))
    panels = {
        words: {name: [found[figure, name, key] for key in keys] for name in names}
        for figure, words in (("auc", "AUC"), ("brier", "Brier score"), ("mean_score", "mean score"))
    }
    panels["mean score"]["converted"] = [found["conversion_rate", names[0], key] for key in keys]
    write_atomically(picture, svg_of(periods_plot(panels, keys, title)))


def _write(figures: "Sequence[Figure]", form: str) -> None:
    """One row for each figure; what is not known is empty, or null."""
    rows = [{name: None if value != value else value for name, value in vars(figure).items()} for figure in figures]
    if form == "json":
        for row in rows:
            click.echo(json.dumps(row))
        return
    writer = csv.DictWriter(sys.stdout, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
