"""How a replay looks in a terminal, and as JSON."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.table import Table

from lead_scoring_assets.cli.console import answer_whole, answers, escaped, remarks

if TYPE_CHECKING:
    from lead_scoring_assets.timemachine.agreement import Compared
    from lead_scoring_assets.timemachine.recommendation import Recommendation
    from lead_scoring_assets.timemachine.replay import Replay, Result
    from lead_scoring_assets.timemachine.several import AcrossWorlds
    from lead_scoring_assets.timemachine.uncertainty import Interval


@contextmanager
def progress_bar(total: int) -> Iterator[Callable[[str], None]]:
    """A bar that goes on by one each time it is told something."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=remarks) as progress:
        task = progress.add_task("reading", total=total)
        yield lambda words: progress.update(task, advance=1, description=words)
        progress.update(task, completed=total, description="done")


def show_policies(replays: "Sequence[Replay]", advised: "Recommendation", across: "Sequence[AcrossWorlds]") -> None:
    """One row a policy, hindsight below, then the advice; where there are several worlds their figures come last."""
    from lead_scoring_assets.timemachine.report import edges, share

    replayed = replays[0]
    currency = replayed.settings.currency
    names = (
        "policy",
        "trainings",
        "live",
        currency,
        "more than never",
        "95 % over leads",
        "over periods",
        "hindsight's",
    )
    table = Table(box=None, pad_edge=False)
    for name in (*names, *(("mean of all worlds", "95 % over worlds", "better in") if across else ())):
        table.add_column(name, justify="left" if name == "policy" else "right", no_wrap=True)
    for place, result in enumerate(replayed.results):
        cells = [
            escaped(result.policy.name),
            str(len(result.played.trained)),
            str(len(result.played.promoted)),
            f"{result.money:,.0f}",
            f"{result.in_this_history.value:+,.0f}",
            edges(result.in_this_history),
            edges(result.over_periods),
            share(result.share_of_oracle),
            *_over_worlds(across[place] if across else None),
        ]
        # What a terminal would take for markup is escaped: intervals stand in brackets.
        cells[5:] = [escaped(cell) for cell in cells[5:]]
        table.add_row(*cells, style="bold" if result.policy.name == advised.policy.name else None)
    best = replayed.oracle
    table.add_row(
        "hindsight",
        str(len(best.trained)),
        str(len(best.trained)),
        f"{replayed.oracle_money:,.0f}",
        f"{replayed.oracle_gain:+,.0f}",
        *("", "", "100%"),
    )
    answer_whole(table)
    answers.print(f"\n[bold]advice: {escaped(advised.policy.name)}[/]  {escaped(' '.join(advised.reasons))}")
    answers.print(f"[dim]{escaped(_terms(replayed, len(replays)))}[/]")


def _over_worlds(one: "AcrossWorlds | None") -> tuple[str, ...]:
    from lead_scoring_assets.timemachine.recommendation import better_in
    from lead_scoring_assets.timemachine.report import edges

    return (f"{one.difference.value:+,.0f}", edges(one.difference), better_in(one.by_world)) if one else ()


def show_agreement(found: "Sequence[Compared]") -> bool:
    """One row a period, then every difference; whether there is none."""
    table = Table("period", "asked for by", "verdict", "live afterwards", "agreed", box=None, pad_edge=False)
    for one in found:
        real = one.through_dagster
        words = (real.period, ", ".join(real.causes) or "–", real.verdict or "–", real.champion or "none")
        table.add_row(*words, "[bold red]no[/]" if one.differences else "yes")
    answer_whole(table)
    for difference in (difference for one in found for difference in one.differences):
        remarks.print(f"[bold red]disagree:[/] {escaped(difference)}")
    agreed = sum(not one.differences for one in found)
    remarks.print(f"{agreed} of {len(found)} periods agree")
    return agreed == len(found)


def told_in_json(
    replays: "Sequence[Replay]", advised: "Recommendation", across: "Sequence[AcrossWorlds]"
) -> dict[str, Any]:
    """Everything, with null for what is not known."""
    replayed = replays[0]
    return {
        "home": replayed.settings.name,
        "simulated": replayed.settings.simulated_part,
        "periods": [period.key for period in replayed.periods],
        "leads": replayed.leads,
        "leads_without_outcome": replayed.unlabelled,
        "currency": replayed.settings.currency,
        "capacity_share": replayed.settings.evaluation.capacity_share,
        "training_cost": replayed.training_cost,
        "advice": {
            "policy": advised.policy.name,
            "is_shown_to_beat_never": advised.is_shown,
            "reasons": list(advised.reasons),
            "changes": advised.policy.changes(replayed.settings),
        },
        "policies": [_of_policy(result) for result in replayed.results],
        "hindsight": {
            "money": replayed.oracle_money,
            "trained": [replayed.periods[place].key for place in replayed.oracle.trained],
        },
        "worlds": len(replays),
        "across_worlds": [
            {
                "policy": one.policy.name,
                "money": one.money,
                **_interval(one.difference),
                "by_world": list(one.by_world),
                "more_than_as_set": one.against_set and _interval(one.against_set),
            }
            for one in across
        ]
        or None,
    }


def _of_policy(result: "Result") -> dict[str, Any]:
    return {
        "policy": result.policy.name,
        "money": result.money,
        "by_period": list(result.net),
        "in_this_history": _interval(result.in_this_history),
        "over_periods": _interval(result.over_periods),
        "more_than_as_set": result.against_set and _interval(result.against_set),
        "share_of_hindsight": _known(result.share_of_oracle),
        "steps": [vars(step) for step in result.played.steps if step.verdict],
    }


def _interval(interval: "Interval") -> dict[str, float | None]:
    return {name: _known(value) for name, value in vars(interval).items()}


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _terms(replayed: "Replay", worlds: int) -> str:
    settings, periods = replayed.settings, replayed.periods
    told = (
        f"{replayed.leads:,} leads, {periods[0]} to {periods[-1]}; the best {settings.evaluation.capacity_share:.0%} of each "
        f"period are worked; a training costs {replayed.training_cost:,.0f} {settings.currency}. Outcomes are what they were, "
        "whoever was called. "
    )
    told += f"Figures of {worlds} simulated histories, this one's first. " if worlds > 1 else ""
    told += f"{replayed.unlabelled:,} leads without an outcome are left out. " if replayed.unlabelled else ""
    return told + settings.simulated_part
