"""The verbs about scores: worklist, score, explain."""

import csv
import math
import sys
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from lead_scoring_assets.cli.console import answers, escaped, harmless, open_installation, remarks

_SHOWN = 20
# What fits into a terminal; files have everything.
_IN_A_TABLE = ("rep", "place", "priority", "lead_id", "probability", "bucket")
_REASONS_IN_A_TABLE = ("reasons_for", "change", "reason_up_1", "reason_down_1")


@click.command(
    epilog="Examples: lead-scoring worklist --top 20   ·   lead-scoring worklist --format csv > call-first.csv   ·   "
    "lead-scoring worklist --capacity 25 --reps aisha,omar,li --format csv"
)
@click.option("--period", metavar="PERIOD", help="Leads that arrived in this period (default: the newest scored one).")
@click.option("--top", default=_SHOWN, show_default=True, type=click.IntRange(1), help="How many leads, without reps.")
@click.option("--capacity", type=click.IntRange(1), metavar="N", help="One list a rep, of at most so many leads.")
@click.option(
    "--reps",
    metavar="NAMES",
    help="With --capacity: names with commas between them, or @FILE with one a line (default: who was at work lately).",
)
@click.option("--format", "form", type=click.Choice(["table", "csv"]), default="table", show_default=True)
def worklist(period: str | None, top: int, capacity: int | None, reps: str | None, form: str) -> None:
    """Which leads to call first: those whose outcome is not known yet, best first, and why."""
    from lead_scoring_assets.predictions.worklist import best_leads, worklists

    if reps is not None and capacity is None:
        raise click.UsageError("--reps needs --capacity: how many leads each of them can call")
    named = None if reps is None else _names(reps)  # before the installation's folder becomes the current one
    installation = open_installation()
    mark = installation.settings.simulated_mark
    if capacity is None:
        rows = best_leads(installation, period, top)
        _show(rows, form, f"Call first: leads of {rows[0]['period']}{mark}")
        return
    found = worklists(installation, period, capacity, named)
    _show(found.rows, form, f"Call first, rep by rep{mark}")
    told = found.assignment
    for rep, leads in told.lists.items():
        remarks.print(f"{escaped(rep)}: {len(leads)} leads, {told.expected[rep]:.1f} expected conversions")
    remarks.print(
        f"{told.beyond_capacity:,} open leads are beyond the capacity, {told.owned_elsewhere:,} belong to other reps."
    )


@click.command(
    epilog="Examples: lead-scoring score --period 2010-01 --model 7   ·   lead-scoring score --format parquet --out s.parquet"
)
@click.option("--period", metavar="PERIOD", help="Leads that became known in this period (default: the newest).")
@click.option(
    "--model", default="production", show_default=True, metavar="VERSION", help="A version's number, or production."
)
@click.option("--format", "form", type=click.Choice(["table", "csv", "parquet"]), default="table", show_default=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="The file to write (parquet needs one).")
def score(period: str | None, model: str, form: str, out: Path | None) -> None:
    """Score a period's leads with a named model. What was live then, in lead_scores, is left as it is."""
    from lead_scoring_assets.predictions.named_scores import score_by_name

    if form == "parquet" and out is None:
        raise click.UsageError("--format parquet needs --out FILE")
    if form == "table" and out is not None:
        raise click.UsageError("--out needs --format csv or parquet")
    out = out.resolve() if out else None  # before the installation's folder becomes the current one
    installation = open_installation()
    scores = score_by_name(installation, period, model)
    told = f"{scores.num_rows:,} leads of {scores['period'][0]} scored by v{scores['model_version'][0]}"
    if form == "table":
        _show(scores.slice(0, _SHOWN).to_pylist(), form, f"{told}{installation.settings.simulated_mark}")
        remarks.print(
            f"{told}; the best {min(_SHOWN, scores.num_rows)} are shown. All of them: --format csv or parquet."
        )
        return
    if out is None:
        _show(scores.to_pylist(), form, told)
        return
    from lead_scoring_assets.files import write_atomically

    write_atomically(out, _as_file(scores, form))
    remarks.print(f"{told}; written to {escaped(str(out))}")


@click.command(
    epilog="Examples: lead-scoring explain bank-040123   ·   lead-scoring explain bank-040123 --model 7 --compare   ·   "
    "lead-scoring explain bank-040123 --plot why.svg"
)
@click.argument("lead_id")
@click.option("--model", metavar="VERSION", help="A version's number, or production (default: what was live then).")
@click.option("--compare", is_flag=True, help="Also a local surrogate in the manner of LIME, with its fidelity.")
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="Write the picture to this SVG file.")
@click.option("--format", "form", type=click.Choice(["table", "csv"]), default="table", show_default=True)
def explain(lead_id: str, model: str | None, compare: bool, plot: Path | None, form: str) -> None:
    """Why a lead has its score: what each feature does to its odds, exactly, and in words."""
    from lead_scoring_assets.predictions.one_lead import explain_one

    if plot is not None and plot.suffix != ".svg":
        raise click.BadParameter(f"expected a name that ends in .svg, as the picture is one; found {plot.name}")
    plot = plot.resolve() if plot else None  # before the installation's folder becomes the current one
    installation = open_installation()
    found = explain_one(installation, lead_id, model, compare=compare)
    effects = sorted(found.explanation.contributions.items(), key=lambda item: -abs(item[1]))
    surrogate = found.comparison.surrogate if found.comparison else None
    rows = [
        {
            "feature": name,
            "value": found.values[name],
            "typical": found.typical.get(name),
            "log_odds": effect,
            "odds_times": math.exp(effect),
            **({"surrogate_log_odds": surrogate.effects.get(name)} if surrogate else {}),
        }
        for name, effect in effects
    ]
    title = (
        f"{found.lead_id} of {found.period} by v{found.version}: probability {found.explanation.probability:.3f}"
        f"{installation.settings.simulated_mark}"
    )
    if plot is not None:
        from lead_scoring_assets.files import write_atomically
        from lead_scoring_assets.plots import reason_plot, svg_of

        write_atomically(plot, svg_of(reason_plot(found.explanation.contributions, title)))
        remarks.print(f"written to {escaped(str(plot))}")
    if form == "csv":
        _write_csv(rows, sys.stdout)
        return
    table = Table(title=escaped(title))
    for name in rows[0]:
        table.add_column(name, no_wrap=True)
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    answers.print(table)
    for reason in found.explanation.reasons:
        answers.print(f"· {escaped(reason.words)}")
    if found.comparison is not None:
        told = found.comparison
        answers.print(
            f"Surrogate: R² {told.surrogate.fidelity:.2f} over {told.surrogate.samples:,} neighbours; it names "
            f"{told.agreement:.0%} of the three strongest features. The exact contributions above are what counts."
        )


def _names(reps: str) -> list[str]:
    """Names from the command line, or from the lines of a file."""
    if reps.startswith("@"):
        try:
            given = Path(reps[1:]).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as problem:
            raise click.UsageError(f"--reps: {reps[1:]} cannot be read ({problem})") from None
    else:
        given = reps.split(",")
    return [name.strip() for name in given if name.strip()]


def _as_file(scores: Any, form: str) -> bytes:
    import io

    if form == "csv":
        text = io.StringIO(newline="")
        _write_csv(scores.to_pylist(), text)
        return text.getvalue().encode()
    import pyarrow.parquet as pq

    content = io.BytesIO()
    pq.write_table(scores, content)
    return content.getvalue()


def _show(rows: list[dict[str, Any]], form: str, title: str) -> None:
    if form == "csv":
        _write_csv(rows, sys.stdout)
        return
    table = Table(title=escaped(title))
    shown = [name for name in _IN_A_TABLE if name in rows[0]]
    shown += [name for name in _REASONS_IN_A_TABLE if any(row.get(name) for row in rows)]
    for name in shown:
        table.add_column(name, no_wrap=name in _IN_A_TABLE)
    for row in rows:
        table.add_row(*(_cell(row[name]) for name in shown))
    answers.print(table)


def _write_csv(rows: list[dict[str, Any]], stream: Any) -> None:
    writer = csv.DictWriter(stream, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows({name: harmless(value) for name, value in row.items()} for row in rows)


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if isinstance(value, float) else escaped(str(value))
