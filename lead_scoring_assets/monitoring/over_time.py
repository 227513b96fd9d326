"""Figures over the newest periods, drawn for an asset's page.

Dagster plots numbers by the moment of their run, which says nothing after a backfill; and by period only where the calendar has
no end (1.13 asks for the newest keys up to today, whatever the end).
"""

from collections.abc import Iterable, Mapping
from math import nan
from typing import Any

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.periods import Period
from lead_scoring_assets.plots import periods_plot

SHOWN_PERIODS = 36
Row = dict[str, Any]
Figure = tuple[float, float, float]
"""A value and its interval; NaN: it has none."""


def rows_before(installation: Installation, table: str, first: Period, newest: int | None = None) -> list[Row]:
    """What the table holds of periods before `first`, the first that is made now; `newest`: of so many at the most."""
    if not installation.lakehouse.exists(table):
        return []
    earlier = [past.key for past in installation.settings.calendar.through(first) if past != first]
    found = installation.lakehouse.read(table, periods=earlier if newest is None else earlier[-newest:])
    rows: list[Row] = found.to_pylist()
    return rows


def figures_of(rows: Iterable[Row], size: str) -> dict[str, dict[str, Figure]]:
    """Of each period and metric the figure that rests on most (column `size`), where there is enough to tell one."""
    chosen: dict[tuple[str, str], Row] = {}
    for row in rows:
        key = row["period"], row["metric"]
        is_told = row.get("value") is not None and row["status"] not in ("insufficient_data", "not_computable")
        if is_told and (key not in chosen or row[size] > chosen[key][size]):
            chosen[key] = row
    found: dict[str, dict[str, Figure]] = {}
    for (period, metric), row in chosen.items():
        low, high = (nan if row.get(side) is None else float(row[side]) for side in ("low", "high"))
        found.setdefault(period, {})[metric] = float(row["value"]), low, high
    return found


def over_time(
    figures: Mapping[str, Mapping[str, Figure]], panels: Mapping[str, Mapping[str, str]], last: Period, title: str
) -> str | None:
    """The picture as Markdown: one panel a name, in it one line for each metric (by what it is called).

    Periods after `last` are not yet there. None where fewer than two periods have a figure.
    """
    shown = {metric for lines in panels.values() for metric in lines.values()}
    keys = sorted(key for key, found in figures.items() if key <= last.key and shown & found.keys())[-SHOWN_PERIODS:]
    if len(keys) < 2:
        return None
    drawn = {
        name: {line: [figures[key].get(metric, (nan, nan, nan)) for key in keys] for line, metric in lines.items()}
        for name, lines in panels.items()
    }
    values = {name: {line: [it[0] for it in found] for line, found in lines.items()} for name, lines in drawn.items()}
    spans = {name: {line: [it[1:] for it in found] for line, found in lines.items()} for name, lines in drawn.items()}
    return periods_plot(values, keys, title, spans)
