"""The verbs about alerts: alerts, acknowledge."""

import json
from typing import TYPE_CHECKING, Any

import click

from lead_scoring_assets.cli.console import answers, escaped, open_installation, remarks

if TYPE_CHECKING:
    from lead_scoring_assets.alerts.kinds import Level


_SHOWN = 400


@click.command(
    epilog="Examples: lead-scoring alerts --open   ·   lead-scoring alerts --level critical --unacknowledged"
)
@click.option("--level", type=click.Choice(["info", "warning", "critical"]), help="Only alerts of this level.")
@click.option("--episode", metavar="ALERT", help="Only those of one episode, by its name, with all that they say.")
@click.option("--open/--over", "is_open", default=None, help="Only what lasts, or only what does not.")
@click.option("--acknowledged/--unacknowledged", default=None, help="Only what somebody looks after, or nobody.")
@click.option("--reports", is_flag=True, help="The daily reports as well.")
@click.option("--json", "as_json", is_flag=True, help="All of it, for programs.")
def alerts(
    level: "Level | None",
    episode: str | None,
    is_open: bool | None,
    acknowledged: bool | None,
    reports: bool,
    as_json: bool,
) -> None:
    """Every alert: its level, whether it lasts, who acknowledged it, which channels were told."""
    from lead_scoring_assets.alerts.listing import Wanted, alert_rows

    installation = open_installation()
    rows = alert_rows(installation, Wanted(level, episode, is_open, acknowledged, reports))
    if as_json:
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False, default=str))
        return
    if not rows:
        remarks.print("no such alert.")
        return
    answers.print(f"Alerts of {installation.settings.name}{installation.settings.simulated_mark}")
    for row in rows:
        answers.print(_in_lines(row, _SHOWN if episode is None else None))


@click.command(
    epilog='Examples: lead-scoring acknowledge alert-run-1f3c --by "Mona Haddad" --reason "the disk was full"   ·   '
    'lead-scoring acknowledge raw_leads:few_rejected --reason "the export is being mended"'
)
@click.argument("alert")
@click.option("--by", default="", metavar="NAME", help="Who acts (default: who is logged in to this machine).")
@click.option("--reason", default="", metavar="TEXT", help="What is being done about it, for the record. Needed.")
@click.option("--over", is_flag=True, help="Its cause is gone: end it as well. Most alerts end by themselves.")
def acknowledge(alert: str, by: str, reason: str, over: bool) -> None:
    """Say that you look after ALERT (its name, the beginning of it, or what it is about): nobody else is called."""
    from lead_scoring_assets.alerts import answers as book
    from lead_scoring_assets.promotion.people import person

    episode = book.acknowledge(open_installation(), alert, by or person(), reason, is_over=over)
    told = "acknowledged and ended" if over else "acknowledged"
    by_whom = episode.acknowledged.by if episode.acknowledged else ""
    answers.print(f"[bold]{escaped(episode.episode_id)}[/] is {told} by {escaped(by_whom)}: {escaped(reason)}")


def _in_lines(row: dict[str, Any], shown: int | None) -> str:
    """One alert as a heading and what belongs to it; of its message the first `shown` signs (None: all)."""
    answer, over_at = row["acknowledged"], row["resolved_at"]
    over = f"over since {over_at[:16].replace('T', ' ')}: {row['resolved_because']}" if over_at else None
    told = [
        *(
            part if shown is None or len(part) <= shown else f"{part[:shown]}… (--episode {row['episode_id']})"
            for part in (row["message"], over)
            if part
        ),
        *([f"acknowledged by {answer['by']}: {answer['reason']}"] if answer else []),
        *(f"{channel}: {words}" for channel, words in row["told"].items()),
    ]
    heading = f"{row['raised_at'][:16].replace('T', ' ')}  {row['level']}, {row['state']}  {row['alert_id']}"
    lines = [line for part in told for line in part.splitlines()]
    return "\n    ".join([f"[bold]{escaped(heading)}[/]", *map(escaped, lines)])
