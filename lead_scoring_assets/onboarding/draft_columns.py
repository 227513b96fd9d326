"""The draft's part about columns: what kind each is, whether a model may use it, and within which limits a value is right."""

import math

import duckdb

from lead_scoring_assets.errors import SourceError
from lead_scoring_assets.onboarding.draft_leads import our_names
from lead_scoring_assets.onboarding.inspect_files import ColumnLook
from lead_scoring_assets.onboarding.roles import Roles, suspects
from lead_scoring_assets.onboarding.times import CALENDAR_WORDS
from lead_scoring_assets.onboarding.yaml_text import number, scalar, sequence


def columns_part(connection: duckdb.DuckDBPyConnection, roles: Roles, remarks: list[str]) -> list[str]:
    """Lines of `columns`: every property of the lead with its kind, limits and role.

    Raises:
        SourceError: none of them could be a feature.
    """
    names = our_names(roles)
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
