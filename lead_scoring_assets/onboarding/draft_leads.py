"""How the draft names and selects a lead's columns: their names → ours, and the SELECT that gives the leads."""

import re

from lead_scoring_assets.contracts.columns import LEAD_KEYS, OUTCOME_COLUMNS
from lead_scoring_assets.lakehouse.names import quoted
from lead_scoring_assets.onboarding.inspect_files import ColumnLook, number_sql
from lead_scoring_assets.onboarding.roles import Roles
from lead_scoring_assets.onboarding.times import TimeFormat
from lead_scoring_assets.onboarding.yaml_text import scalar

_RESERVED = frozenset({*LEAD_KEYS, *OUTCOME_COLUMNS, "period", "version", "source_file", "source_line"}) | frozenset(
    {"label", "split", "score", "bucket", "model_version", "matures_at", "label_known_at", "basis"}
)


def our_names(roles: Roles) -> dict[str, str]:
    """Columns of the leads that the contract declares: theirs → ours, plain and distinct."""
    taken = set(_RESERVED)
    names: dict[str, str] = {}
    for theirs in roles.leads.columns:
        if theirs in (roles.lead_id, roles.created.name) or theirs in left_out(roles):
            continue
        plain = re.sub(r"\W+", "_", theirs.casefold()).strip("_") or "column"
        plain = plain if not plain[0].isdigit() else f"column_{plain}"
        candidates = (plain, *(f"{plain}_{n}" for n in range(2, len(roles.leads.columns) + len(_RESERVED) + 3)))
        names[theirs] = next(name for name in candidates if name.casefold() not in taken)
        taken.add(names[theirs].casefold())
    return names


def lead_names(roles: Roles) -> dict[str, str]:
    """What the source's columns are renamed to, where it is another name: theirs → ours."""
    renamed = {lead_identity(roles): "lead_id", roles.created.name: "created_at", **our_names(roles)}
    return {theirs: ours for theirs, ours in renamed.items() if theirs != ours}


def lead_identity(roles: Roles) -> str:
    """The SQL name of the column that holds the lead's id."""
    if roles.lead_id is not None:
        return roles.lead_id
    taken = {name.casefold() for name in roles.leads.columns}
    return next(name for name in ("lead_id", *(f"lead_id_{n}" for n in range(len(taken) + 1))) if name not in taken)


def leads_rows(roles: Roles) -> str:
    """SQL: their leads, with a row number for an id where there is none."""
    if roles.lead_id is not None:
        return roles.leads.reading
    return f"(SELECT 'row-' || row_number() OVER () AS {quoted(lead_identity(roles))}, * FROM {roles.leads.reading})"  # noqa: S608


def left_out(roles: Roles) -> list[str]:
    """Columns of the leads that are no property of the lead: the outcome's, and those that change with every edit."""
    left = [*roles.touched]
    if roles.is_one_file:
        parts = (roles.status, roles.closed, roles.value)
        left += [look.name for look in parts if look is not None]
        left += [name for name in (roles.currency_column, roles.reason) if name is not None]
    return [name for name in roles.leads.columns if name in left]


def leads_sql(roles: Roles, remarks: list[str]) -> str:
    """The SELECT of the leads, without what is no property of theirs, and with plain numbers."""
    chosen = "*"
    if left := left_out(roles):
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
        told = ", ".join(f"{number_sql(as_text(name), style)} AS {quoted(name)}" for name, style in rewritten.items())
        chosen += f" REPLACE ({told})"
        remarks.append(f"Numbers of {list(rewritten)} are rewritten by the SELECT (1,200.50 or AED 1,200 → plain).")
    return f"SELECT {chosen}\nFROM {leads_rows(roles)}"  # names are quoted


def time_format(look: ColumnLook, remarks: list[str]) -> list[str]:
    """The line that says how a column's times are written; none where they are written as ISO 8601 has it."""
    form = look.time or TimeFormat(None)
    if form.form is None:
        return []
    doubt = ""
    if form.other:
        doubt = f"   # check this: {scalar(form.other)} fits as well"
        remarks.append(
            f"{look.name!r} can be read as {form.form} and as {form.other}: the day is taken to come first. Check it."
        )
    return [f"    time_format: {scalar(form.form)}{doubt}"]


def as_text(name: str) -> str:
    """SQL: a source's column as text; a column of another type in their file is cast."""
    return f"CAST({quoted(name)} AS VARCHAR)"
