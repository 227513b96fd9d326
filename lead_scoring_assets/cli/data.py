"""The verbs about data: schema, query, init, doctor."""

import csv
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from lead_scoring_assets.cli.console import FAILED, answers, escaped, harmless, open_installation, remarks

_LEAST_WIDTH = 9
"""Characters that a column needs to be read, its frame included."""
_FORMATS = click.Choice(["table", "csv", "json"])


class _Moment(click.ParamType[datetime]):
    """A moment as people write it: 2025-10-01, or with a time; UTC unless it says otherwise."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no moment; write it like 2025-10-01 or 2025-10-01T12:00:00+04:00", param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class _TableVersion(click.ParamType[tuple[str, int]]):
    """`table=number`."""

    name = "table=n"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        table, _, number = str(value).partition("=")
        if not table or not number.isdecimal():
            self.fail(f"{value!r} names no version of a table; write it like raw_leads=12", param, ctx)
        return table, int(number)


@click.command(
    epilog="Examples: lead-scoring schema   ·   lead-scoring schema --table lead_features --format csv   ·   "
    "lead-scoring schema --format json   (the request model of one lead, as JSON Schema)"
)
@click.option("--table", "tables", multiple=True, help="Only this table; may be given more than once.")
@click.option("--format", "form", type=_FORMATS, default="table", show_default=True)
def schema(tables: tuple[str, ...], form: str) -> None:
    """Every column there is: what it may hold, when it is known, what it may be used for, and why."""
    from lead_scoring_assets.contracts.describe import describe, json_schema
    from lead_scoring_assets.errors import LeadScoringError

    registry = open_installation().settings.registry
    if form == "json":
        click.echo(json.dumps(json_schema(registry), indent=2, ensure_ascii=False))
        return
    rows = [vars(column) for column in describe(registry)]
    known = list(dict.fromkeys(row["table"] for row in rows))
    if strangers := [table for table in tables if table not in known]:
        raise LeadScoringError(f"no table {strangers}: expected one of {known}.")
    chosen = [row for row in rows if not tables or row["table"] in tables]
    if form == "csv":
        _print(chosen, form)
        return
    for name in dict.fromkeys(row["table"] for row in chosen):
        _print_columns(name, [row for row in chosen if row["table"] == name])


@click.command(
    epilog='Examples: lead-scoring query "SELECT count(*) FROM raw_leads"   ·   lead-scoring query "SELECT * FROM raw_leads" '
    '--as-of 2025-10-01 --format csv   ·   lead-scoring query "SELECT outcome, count(*) FROM raw_outcomes GROUP BY 1" '
    "--known-at 2010-03-01"
)
@click.argument("sql")
@click.option("--as-of", type=_Moment(), help="Tables as they were written by then (Delta time travel).")
@click.option(
    "--version", "versions", type=_TableVersion(), multiple=True, metavar="TABLE=N", help="That version of a table."
)
@click.option("--known-at", type=_Moment(), help="Leads, activities, outcomes and labels as they were known by then.")
@click.option("--format", "form", type=_FORMATS, default="table", show_default=True)
def query(
    sql: str, as_of: datetime | None, versions: tuple[tuple[str, int], ...], known_at: datetime | None, form: str
) -> None:
    """Ask any table by SQL (DuckDB's), as it is now, as it was written, or as it was known at a moment. Only reads."""
    from lead_scoring_assets.contracts.columns import IDENTIFIERS, RAW_TABLES
    from lead_scoring_assets.lakehouse.ask import ask

    identifiers = {RAW_TABLES[entity]: name for entity, name in IDENTIFIERS.items()} | {
        "ground_truth_labels": "lead_id"
    }
    lakehouse = open_installation().lakehouse
    found = ask(lakehouse, sql, as_of=as_of, versions=dict(versions), known_at=known_at, identifiers=identifiers)
    _print(found.to_pylist(), form, found.column_names)


@click.command(
    epilog="Examples: lead-scoring init crm-export/leads.csv crm-export/deals.csv --into my-leads   ·   "
    "lead-scoring init --simulated --into demo"
)
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--into", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder of the new home.")
@click.option("--name", help="Name of the installation (default: the folder's).")
@click.option("--simulated", is_flag=True, help="A home for the SIMULATED CRM instead of files.")
def init(paths: tuple[Path, ...], into: Path, name: str | None, simulated: bool) -> None:
    """Look at the exports of a CRM and write a commented first lead_scoring.yaml for them."""
    if simulated == bool(paths):
        raise click.UsageError("name the files of an export, or --simulated")
    if simulated:
        from lead_scoring_assets.homes import new_home
        from lead_scoring_assets.setup import simulated_settings

        folder, told = new_home(into, simulated_settings()), ["Everything in this home is SIMULATED."]
    else:
        from lead_scoring_assets.onboarding.draft import draft_settings, write_home

        draft = draft_settings(paths, name or into.resolve().name)
        folder, told = write_home(into, draft), draft.remarks
    for remark in told:
        remarks.print(f"- {escaped(remark)}")
    remarks.print(
        f"wrote [bold]{escaped(str(folder / 'lead_scoring.yaml'))}[/]: read it, correct it, then\n"
        f"  lead-scoring --home {escaped(str(into))} prepare\n"
        f"  lead-scoring --home {escaped(str(into))} doctor\n"
        f"  lead-scoring --home {escaped(str(into))} materialize"
    )


@click.command(epilog="Example: lead-scoring doctor   ·   lead-scoring --home my-leads doctor")
def doctor() -> None:
    """What is wrong with the data, in plain words, and what to do about it. Exit code 1 when there is a problem."""
    from lead_scoring_assets.onboarding.doctor import examine_installation, render

    diagnoses = examine_installation(open_installation())
    answers.print(render(diagnoses))
    sys.exit(FAILED if any(diagnosis.severity == "problem" for diagnosis in diagnoses) else 0)


def _print_columns(name: str, rows: list[dict[str, Any]]) -> None:
    """One table of the schema, for terminals that are narrow as well: the names stay whole, sentences are wrapped."""
    table = Table(title=name, title_justify="left", title_style="bold")
    for heading in ("column", "kind", "role"):
        table.add_column(heading, no_wrap=True)
    for heading in ("known", "may hold", "why"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        held = ", ".join(filter(None, (str(row["allowed"] or ""), "" if row["required"] else "or missing")))
        cells = (row["column"], row["kind"], row["role"], row["available"], held, row["why"])
        table.add_row(*(escaped(str(cell)) for cell in cells))
    answers.print(table)


def _print(rows: list[dict[str, Any]], form: str, names: list[str] | None = None) -> None:
    """Rows as a table for people, or as CSV or JSON lines for the next program."""
    names = names or (list(rows[0]) if rows else [])
    if form == "json":
        for row in rows:
            click.echo(json.dumps(row, default=str, ensure_ascii=False))
        return
    if form == "csv":
        writer = csv.DictWriter(sys.stdout, fieldnames=names)
        writer.writeheader()
        writer.writerows({name: harmless(value) for name, value in row.items()} for row in rows)
        return
    shown = [["" if value is None else escaped(str(value)) for value in row.values()] for row in rows]
    # A frame and two spaces stand beside each column; a heading that is cut could be anything.
    if rows and sum(max(len(name) + 3, _LEAST_WIDTH) for name in names) >= answers.width:
        _print_one_by_one(names, shown)
        return
    table = Table()
    for name in names:
        table.add_column(escaped(name))
    for cells in shown:
        table.add_row(*cells)
    answers.print(table)


def _print_one_by_one(names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Rows below each other, where so many columns side by side would leave none of them readable."""
    for number, cells in enumerate(rows, start=1):
        table = Table(title=f"row {number:,} of {len(rows):,}", title_justify="left", show_header=False, box=None)
        table.add_column(no_wrap=True, style="bold")
        table.add_column(overflow="fold")
        for name, cell in zip(names, cells, strict=True):
            table.add_row(escaped(name), cell)
        answers.print(table)
