"""From exports to a first, commented `lead_scoring.yaml`. Every guess is written down as one; a person corrects it."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from lead_scoring_assets.contracts.columns import LEAD_KEYS, OUTCOME_COLUMNS
from lead_scoring_assets.errors import SourceError
from lead_scoring_assets.homes import new_home
from lead_scoring_assets.lakehouse.names import quoted
from lead_scoring_assets.onboarding.inspect_files import (
    ColumnLook,
    copy_as_utf8,
    literal,
    looking_at,
    moments_sql,
    number_sql,
    trimmed,
)
from lead_scoring_assets.onboarding.roles import Roles, find_roles, suspects
from lead_scoring_assets.onboarding.times import CALENDAR_WORDS, TimeFormat
from lead_scoring_assets.onboarding.yaml_text import block, mapping, number, scalar, sequence
from lead_scoring_assets.periods import Cadence, PeriodCalendar
from lead_scoring_assets.settings import parse_settings

_RESERVED = frozenset({*LEAD_KEYS, *OUTCOME_COLUMNS, "period", "version", "source_file", "source_line"}) | frozenset(
    {"label", "split", "score", "bucket", "model_version", "matures_at", "label_known_at", "basis"}
)
_DEFAULT_WINDOW_DAYS = 30
_LONGEST_WINDOW_DAYS = 365
_BUSY = 50_000
_MONTHS_OF_TRAINING = 6


@dataclass(frozen=True)
class Draft:
    """`text`: the settings file. `remarks`: what people must know or decide, in the order in which it matters.

    `copies`: files that are readable only as a copy in UTF-8: its place in the home → the file and its encoding.
    """

    text: str
    remarks: list[str]
    copies: Mapping[str, tuple[Path, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Span:
    """What the times of the data say. `first`, `last`: of leads; `end`: of everything."""

    first: datetime
    last: datetime
    end: datetime
    leads: int
    odd: int

    @property
    def days(self) -> float:
        return max((self.last - self.first) / timedelta(days=1), 1.0)

    @property
    def monthly(self) -> float:
        return self.leads / max(self.days / 30.44, 1.0)


def draft_settings(paths: Sequence[Path], name: str | None = None) -> Draft:
    """Look at exports of a CRM and write first settings for them; `name` is that of the installation.

    Leads and outcomes may be one file (a status stands beside the lead) or two; several files with the same columns
    are parts of one export. The settings pull from the files where they lie.

    Raises:
        SourceError: a file cannot be read, has no time of creation, or no column that a model could use.
    """
    with looking_at([path.expanduser().resolve() for path in paths]) as (connection, exports):
        roles = find_roles(connection, exports)
        span = _span(connection, roles)
        remarks: list[str] = []
        text = "\n".join(
            [
                "# Drafted from " + "; ".join(f"{_comment(e.label)} ({e.rows:,} rows)" for e in exports) + ".",
                "# Everything marked `check this` is a guess by names and values. Every value is checked when it is read.",
                "",
                f"name: {scalar(_slug(name or exports[0].paths[0].stem))}",
                "clock: system           # leads arrive today; a period can be materialised when it is over",
                "crm: own                # the files are yours, nothing is simulated",
                *_currency(roles, remarks),
                "",
                *_periods(span, remarks),
                *_sources(roles, remarks),
                *_labels(connection, roles, remarks),
                *_columns(connection, roles, remarks),
                *_amounts(roles, span),
            ]
        )
        copies = {target: copy for export in exports for target, copy in export.copies.items()}
        remarks += [remark for export in exports for remark in export.remarks]
    parse_settings(text, "the draft")  # what is handed out can be read, always
    return Draft(text, remarks, copies)


def write_home(folder: Path, draft: Draft) -> Path:
    """Make a new home of a draft: its settings, Dagster's files and the copies it reads; its absolute path.

    Raises:
        LeadScoringError: there are settings already.
    """
    home = new_home(folder, draft.text)
    for target, (path, encoding) in draft.copies.items():
        copy = home / target
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy_as_utf8(path, encoding, copy)
    return home


def _currency(roles: Roles, remarks: list[str]) -> list[str]:
    if roles.currency is None:
        return []
    if roles.value is not None:
        remarks.append(f"{roles.value.name!r} is taken for the deal's value, in {roles.currency}.")
    return [f"currency: {roles.currency}           # check this"]


def _span(connection: duckdb.DuckDBPyConnection, roles: Roles) -> _Span:
    """Times outside 1990 to 2100 are taken for slips of the pen; rows that have them are pulled all the same."""
    created = moments_sql(roles.created)
    sane = "m >= TIMESTAMP '1990-01-01' AND m < TIMESTAMP '2100-01-01'"
    first, last, leads, odd = connection.execute(
        f"SELECT min(m) FILTER ({sane}), max(m) FILTER ({sane}), count(*), count_if(m IS NULL OR NOT ({sane})) "  # noqa: S608
        f"FROM (SELECT {created} AS m FROM {roles.leads.table})"
    ).fetchall()[0]
    if first is None:
        raise SourceError(
            f"{roles.leads.label}: no time in {roles.created.name!r} lies between 1990 and 2100, found "
            f"{list(roles.created.examples)}. Expected when each lead was created; correct the export."
        )
    end = last
    if roles.outcomes is not None and roles.closed is not None:
        (closed,) = connection.execute(
            f"SELECT max(m) FILTER ({sane}) FROM (SELECT {moments_sql(roles.closed)} AS m FROM {roles.outcomes.table})"  # noqa: S608
        ).fetchall()[0]
        end = max(last, closed or last)
    first, last, end = (moment.replace(tzinfo=UTC) for moment in (first, last, end))
    return _Span(first, last, end, int(leads), int(odd))


def _periods(span: _Span, remarks: list[str]) -> list[str]:
    cadence: Cadence = "month"
    why = f"{span.monthly:,.0f} leads a month over {span.days / 30.44:.1f} months"
    if span.monthly > _BUSY or span.days < 4 * 30.44:
        cadence = "day" if span.monthly / 4.35 > _BUSY or span.days < 28 else "week"
    # 1970-01-05 is a Monday.
    calendar = PeriodCalendar(cadence, datetime(1970, 1, 5 if cadence == "week" else 1, tzinfo=UTC))
    start = calendar.containing(span.first).start.date()
    end = calendar.containing(span.end).end.date()
    if span.odd:
        remarks.append(
            f"{span.odd:,} of {span.leads:,} leads have no readable time of creation, or one outside 1990 to 2100."
        )
    remarks.append(f"Periods are {cadence}s ({why}), {start} to {end}; take `end` out when leads go on arriving.")
    return [
        "periods:",
        f"  cadence: {cadence:<14}# {why}",
        f"  start: {start}",
        f"  end: {end}       # first day that is not part of the data; leave out for a system that goes on",
        "",
    ]


def _sources(roles: Roles, remarks: list[str]) -> list[str]:
    created = roles.created
    zone_told = (
        "its times state their offset"
        if created.time and created.time.has_zone
        else "check this: no time says its zone"
    )
    if not (created.time and created.time.has_zone):
        remarks.append(
            "The times do not say in which zone they are written: set sources.time_zone (such as Asia/Dubai); UTC is assumed."
        )
    lines = [
        "sources:                # a period's rows are pulled by the SELECT once, and kept in data/landing",
        f"  time_zone: UTC        # {zone_told}",
        "  leads:",
        f"    sql: {block(_leads_sql(roles, remarks), 6)}",
        f"    rename: {mapping(_lead_names(roles))}",
        *_time_format(created, remarks),
    ]
    if words := {
        ours: dict.fromkeys(look.missing_words, "")
        for theirs, ours in _our_names(roles).items()
        if (look := roles.leads.columns[theirs]).missing_words
    }:
        lines.append('    values:             # words that mean "not there" in a column of numbers')
        lines += [f"      {scalar(ours)}: {mapping(meanings)}" for ours, meanings in words.items()]
    if roles.lead_id is None:
        lines.append(
            "    # WARNING: no column names the lead, so its row number does. It holds only while rows are added at the end."
        )
        remarks.append(
            "No column names the lead: its row number does (`row-1`, …). That breaks when rows are removed, or put in "
            "another order. Add an id to the export."
        )
    return [*lines, *_outcome_source(roles, remarks), ""]


def _time_format(look: ColumnLook, remarks: list[str]) -> list[str]:
    form = look.time or TimeFormat(None)
    if form.form is None:
        return []
    doubt = ""
    if form.other:
        doubt = f"   # check this: {_comment(form.other)} fits as well"
        remarks.append(
            f"{look.name!r} can be read as {form.form} and as {form.other}: the day is taken to come first. Check it."
        )
    return [f"    time_format: {scalar(form.form)}{doubt}"]


def _identity(roles: Roles) -> str:
    """The SQL name of the column that holds the lead's id."""
    if roles.lead_id is not None:
        return roles.lead_id
    taken = {name.casefold() for name in roles.leads.columns}
    return next(name for name in ("lead_id", *(f"lead_id_{n}" for n in range(len(taken) + 1))) if name not in taken)


def _leads_rows(roles: Roles) -> str:
    """SQL: their leads, with a row number for an id where there is none."""
    if roles.lead_id is not None:
        return roles.leads.reading
    return f"(SELECT 'row-' || row_number() OVER () AS {quoted(_identity(roles))}, * FROM {roles.leads.reading})"  # noqa: S608


def _left_out(roles: Roles) -> list[str]:
    """Columns of the leads that are no property of the lead: the outcome's, and those that change with every edit."""
    left = [*roles.touched]
    if roles.is_one_file:
        parts = (roles.status, roles.closed, roles.value)
        left += [look.name for look in parts if look is not None]
        left += [name for name in (roles.currency_column, roles.reason) if name is not None]
    return [name for name in roles.leads.columns if name in left]


def _leads_sql(roles: Roles, remarks: list[str]) -> str:
    chosen = "*"
    if left := _left_out(roles):
        chosen += f" EXCLUDE ({', '.join(map(quoted, left))})"
    if roles.touched:
        remarks.append(
            f"{list(roles.touched)} change with every edit, and are left out. If one says when a row was last changed, "
            "rename it to known_at: later changes are then dated by it."
        )
    rewritten = {
        name: look.number_style
        for name, look in roles.leads.columns.items()
        if look.number_style != "plain" and name not in left
    }
    if rewritten:
        told = ", ".join(
            f"{number_sql(trimmed_source(name), style)} AS {quoted(name)}" for name, style in rewritten.items()
        )
        chosen += f" REPLACE ({told})"
        remarks.append(f"Numbers of {list(rewritten)} are rewritten by the SELECT (1,200.50 or AED 1,200 → plain).")
    return f"SELECT {chosen}\nFROM {_leads_rows(roles)}"  # names are quoted


def trimmed_source(name: str) -> str:
    """SQL: a source's column as text; a column of another type in their file is cast."""
    return f"CAST({quoted(name)} AS VARCHAR)"


def _our_names(roles: Roles) -> dict[str, str]:
    """Columns of the leads that the contract declares: theirs → ours, plain and distinct."""
    taken = set(_RESERVED)
    names: dict[str, str] = {}
    for theirs in roles.leads.columns:
        if theirs in (roles.lead_id, roles.created.name) or theirs in _left_out(roles):
            continue
        plain = re.sub(r"\W+", "_", theirs.casefold()).strip("_") or "column"
        plain = plain if not plain[0].isdigit() else f"column_{plain}"
        candidates = (plain, *(f"{plain}_{n}" for n in range(2, len(roles.leads.columns) + len(_RESERVED) + 3)))
        names[theirs] = next(name for name in candidates if name.casefold() not in taken)
        taken.add(names[theirs].casefold())
    return names


def _lead_names(roles: Roles) -> dict[str, str]:
    renamed = {_identity(roles): "lead_id", roles.created.name: "created_at", **_our_names(roles)}
    return {theirs: ours for theirs, ours in renamed.items() if theirs != ours}


def _outcome_source(roles: Roles, remarks: list[str]) -> list[str]:
    if roles.outcomes is None or roles.status is None or not roles.converted_words:
        remarks.append(
            "No column says what became of a lead (such as a status won / lost): nothing can be learnt until outcomes come. "
            "Name an export that has them, or let files land in data/landing/outcomes/<period>/."
        )
        return [
            "  # outcomes: none found. Needed: lead_id, outcome (converted, lost, disqualified, no_response), outcome_at.",
            "  # Write a `sql` as above, or let files land in data/landing/outcomes/<period>/.",
        ]
    meanings = {word: outcome for word, outcome in (roles.meanings or {}).items() if outcome != "open"}
    told = ", ".join(f"{word} = {outcome}" for word, outcome in meanings.items())
    remarks.append(f"{roles.status.name!r} is taken for the outcome: {told}. Check it.")
    unknown = [word for word in roles.status.values if word not in (roles.meanings or {})]
    if unknown:
        remarks.append(
            f"Status words {unknown} are not understood: rows that have them count as open. Add them to the sql."
        )
    sql, rename = _outcomes_sql(roles, remarks)
    lines = [
        "  outcomes:",
        f"    sql: {block(sql, 6)}",
        f"    rename: {mapping(rename)}",
        "    values:             # check this: their status → ours",
        f"      outcome: {mapping(meanings)}",
    ]
    if unknown:
        lines.append("      # not understood, taken for open: " + ", ".join(_comment(word) for word in unknown))
    return lines + (_time_format(roles.closed, remarks) if roles.closed is not None else [])


def _outcomes_sql(roles: Roles, remarks: list[str]) -> tuple[str, dict[str, str]]:
    """The SELECT of final outcomes, and their names → ours."""
    if roles.outcomes is None or roles.status is None:
        raise SourceError("outcomes were asked for, and there are none")
    identity = _identity(roles) if roles.is_one_file else str(roles.outcome_id)
    rename = {identity: "lead_id", roles.status.name: "outcome"}
    parts = [f"o.{quoted(identity)}", f"o.{quoted(roles.status.name)}"]
    rows = f"{_leads_rows(roles) if roles.is_one_file else roles.outcomes.reading} o"
    if roles.closed is not None:
        parts.append(f"o.{quoted(roles.closed.name)}")
        rename[roles.closed.name] = "outcome_at"
    else:
        days = _DEFAULT_WINDOW_DAYS - 1
        remarks.append(
            f"No column says when an outcome came about: {days} days after the lead was created is ASSUMED, and said so in "
            "`provenance`. Models and reports are only as true as that; export the time at which a lead is closed."
        )
        created = "o" if roles.is_one_file else "l"
        if not roles.is_one_file:
            rows += f"\nJOIN {_leads_rows(roles)} l ON trim(l.{quoted(_identity(roles))}) = trim(o.{quoted(identity)})"
        moment = moments_sql(roles.created).replace(
            quoted(roles.created.name), f"{created}.{quoted(roles.created.name)}"
        )
        shape = "%Y-%m-%dT%H:%M:%SZ" if roles.created.time and roles.created.time.has_zone else "%Y-%m-%dT%H:%M:%S"
        parts.append(f"strftime({moment} + INTERVAL {days} DAY, '{shape}') AS outcome_at")
        parts.append(f"'assumed: {days} days after creation' AS provenance")
    if roles.value is not None:
        amount = f"o.{quoted(roles.value.name)}"
        if roles.value.number_style != "plain":
            amount = (
                f"{number_sql(f'CAST({amount} AS VARCHAR)', roles.value.number_style)} AS {quoted(roles.value.name)}"
            )
        parts.append(amount)
        rename[roles.value.name] = "deal_value"
        if roles.currency_column is not None:
            parts.append(f"o.{quoted(roles.currency_column)}")
            rename[roles.currency_column] = "currency"
        else:
            parts.append(f"{literal(str(roles.currency))} AS currency")
    if roles.reason is not None:
        parts.append(f"o.{quoted(roles.reason)}")
        rename[roles.reason] = "reason"
    final = ", ".join(map(literal, roles.final_words))
    where = f"WHERE trim(CAST(o.{quoted(roles.status.name)} AS VARCHAR)) IN ({final})"
    return (
        f"SELECT {', '.join(parts)}\nFROM {rows}\n{where}",  # names are quoted
        {theirs: ours for theirs, ours in rename.items() if theirs != ours},
    )


def _labels(connection: duckdb.DuckDBPyConnection, roles: Roles, remarks: list[str]) -> list[str]:
    days, why = _DEFAULT_WINDOW_DAYS, "a guess: the data does not say how long outcomes take"
    delays = _delays(connection, roles)
    if delays is not None:
        p95, cases = delays
        days = min(max(5 * math.ceil(p95 / 5), 5), _LONGEST_WINDOW_DAYS)
        why = f"95 % of {cases:,} conversions took up to {p95:.0f} days"
    remarks.append(f"A lead without an outcome counts as not converted after {days} days ({why}).")
    return ["labels:", f"  conversion_window_days: {days:<6}# check this: {why}", "  corrections_days: 90", ""]


def _delays(connection: duckdb.DuckDBPyConnection, roles: Roles) -> tuple[float, int] | None:
    """Days within which 95 % of conversions came about, and of how many."""
    if roles.outcomes is None or roles.status is None or roles.closed is None or not roles.converted_words:
        return None
    won = f"{trimmed(roles.status.name)} IN ({', '.join(map(literal, roles.converted_words))})"
    closed = f"SELECT {moments_sql(roles.closed)} AS closed"
    of_won = f"FROM {roles.outcomes.table} WHERE {won}"
    if roles.is_one_file:
        pairs = f"{closed}, {moments_sql(roles.created)} AS created {of_won}"
    else:
        pairs = (
            f"SELECT closed, created FROM ({closed}, {trimmed(str(roles.outcome_id))} AS id {of_won}) JOIN "  # noqa: S608
            f"(SELECT {trimmed(str(roles.lead_id))} AS id, {moments_sql(roles.created)} AS created FROM {roles.leads.table}) "
            "USING (id)"
        )
    p95, cases = connection.execute(
        f"SELECT quantile_cont(days, 0.95), count(days) FROM (SELECT (epoch(closed) - epoch(created)) / 86400 AS days "  # noqa: S608
        f"FROM ({pairs})) WHERE days >= 0"
    ).fetchall()[0]
    return (float(p95), int(cases)) if cases else None


def _columns(connection: duckdb.DuckDBPyConnection, roles: Roles, remarks: list[str]) -> list[str]:
    names = _our_names(roles)
    leaks = suspects(connection, roles, list(names))
    specs = {ours: _column(roles.leads.columns[theirs], leaks.get(theirs)) for theirs, ours in names.items()}
    if leaks:
        told = "; ".join(f"{theirs!r} ({why})" for theirs, why in leaks.items())
        remarks.append(f"Suspected of being known only after the outcome, and forbidden to models: {told}.")
    if not any("role: feature" in spec for spec in specs.values()):
        raise SourceError(
            f"{roles.leads.label} has no column that a model could use: expected at least one number or category that is "
            f"known when the lead is created, found {list(names)}. Add what is known about a lead to the export."
        )
    kept = [theirs for theirs, ours in names.items() if "role: context" in specs[ours]]
    if kept:
        remarks.append(
            f"Kept for people, not for models (free text, codes, constants, times, names of months or days): {kept}."
        )
    if roles.unused:
        remarks.append(
            "Not used: " + ", ".join(export.label for export in roles.unused) + ". Activities can be added under "
            "sources.activities, activities.types and features."
        )
    width = max(len(scalar(ours)) for ours in specs) + 1
    return [
        "columns:                # what a lead holds; ranges and categories: a row outside of them is rejected with a reason",
        *(f"  {scalar(ours) + ':':<{width}} {spec}" for ours, spec in specs.items()),
        "",
    ]


def _column(look: ColumnLook, leak: str | None) -> str:
    """The declaration of one column, as YAML on one line."""
    is_constant = look.distinct <= 1
    kind, limits, why = (
        "text",
        "",
        f"check this: {look.kind}, such as {', '.join(map(repr, look.examples[:2])) or 'nothing'}",
    )
    is_usable = False
    if look.kind in ("integer", "number"):
        kind, is_usable = look.kind, True
        limits = _limits(look)
    elif look.kind == "category":
        categories = sorted({word.strip() for word in look.values if word.strip()})
        kind, is_usable = "category", bool(categories)
        limits = f", categories: {sequence(categories)}"
    required = "" if look.filled == look.rows and not look.missing_words else ", required: false"
    if leak is not None:
        told = scalar(f"check this: {leak}")
        return f"{{kind: {kind}, role: forbidden, available: after_outcome{required}{limits}, why: {told}}}"
    looks_like_id = look.kind == "integer" and look.is_unique and look.rows > 100
    is_calendar = look.kind == "category" and all(word.casefold() in CALENDAR_WORDS for word in look.values)
    against = {
        "the same in every row": is_constant,
        "names the row rather than describes the lead": looks_like_id,
        "calendar, not behaviour; the date is created_at": is_calendar,
    }
    role = "feature" if is_usable and not any(against.values()) else "context"
    if role == "context" and is_usable:
        why = "check this: " + next(reason for reason, holds in against.items() if holds)
    if is_calendar:
        limits = ""  # a month that is not in the data yet comes all the same
    return f"{{kind: {kind}, role: {role}{required}{limits}, why: {scalar(why)}}}"


def _limits(look: ColumnLook) -> str:
    """A range ten times as wide as what was seen: it stops a slip of the pen, not an unusual lead."""
    largest = max(abs(look.low or 0.0), abs(look.high or 0.0), 1.0) * 10
    if not math.isfinite(largest) or largest > 1e300:
        return ""
    bound = 10.0 ** math.ceil(math.log10(largest))
    for step in (2, 5):
        if bound / (10 / step) >= largest:
            bound = bound / (10 / step)
            break
    least = -bound if (look.low or 0.0) < 0 else 0.0
    return f", minimum: {number(least)}, maximum: {number(bound)}"


def _amounts(roles: Roles, span: _Span) -> list[str]:
    """How much data each decision needs, scaled to how much there is."""
    rate = 0.1
    if roles.status is not None and roles.converted_words and roles.outcomes is not None:
        converted = sum(roles.status.values[word] for word in roles.converted_words)
        rate = min(converted / max(span.leads, 1), 1.0)
    window = span.monthly * min(_MONTHS_OF_TRAINING, max(span.days / 30.44, 1.0))

    def bounded(least: int, value: float, most: int) -> int:
        return int(min(max(value, least), most))

    rows = bounded(50, window / 10, 10_000)
    positives = bounded(10, window * rate / 20, 100)
    month = span.monthly
    return [
        "# How much data a decision needs: scaled to these exports.",
        "training:",
        f"  window_months: {_MONTHS_OF_TRAINING}",
        f"  minimum_rows: {rows}",
        f"  minimum_positives: {positives}",
        f"  minimum_holdout_rows: {bounded(20, rows / 16, 500)}",
        f"  minimum_holdout_positives: {bounded(5, positives / 4, 20)}",
        "  tuning: {trials: 4, folds: 3}   # recipes tried in every training, folds in time; 50 and 5 once the history is played",
        "  parameters: {eta: 0.08, max_depth: 4, min_child_weight: 5, subsample: 0.9, colsample_bytree: 0.8}",
        "",
        "gate:                   # what a model must reach to go live, and how it is compared with the one in use",
        "  minimum_auc: 0.55",
        "  maximum_brier: 0.30",
        f"  minimum_precision_at_10_percent: {max(0.01, round(rate, 2))}",
        "  refresh_margin: 0.02",
        "  traceable: required   # a commit must hold exactly the code that trained it; recorded: only say whether one does",
        "",
        "drift:",
        f"  minimum_rows: {bounded(50, month / 5, 200)}",
        "",
        "performance:",
        f"  minimum_rows: {bounded(30, month / 10, 100)}",
        f"  minimum_positives: {bounded(5, month * rate / 10, 20)}",
        "  minimum_auc: 0.55",
        "  maximum_relative_auc_drop: 0.10",
        "",
        "retraining:",
        f"  new_labels: {bounded(100, month, 5_000)}",
        "",
    ]


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-") or "leads"


def _comment(text: str) -> str:
    """Their words in a comment: on one line, whatever they hold."""
    return scalar(text)
