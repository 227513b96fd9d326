"""The draft's part about outcomes: the SELECT of those that are final, and how long one takes to come about."""

import math

import duckdb

from lead_scoring_assets.errors import SourceError
from lead_scoring_assets.lakehouse.names import quoted
from lead_scoring_assets.onboarding.draft_leads import lead_identity, leads_rows, time_format
from lead_scoring_assets.onboarding.inspect_files import literal, moments_sql, number_sql, trimmed
from lead_scoring_assets.onboarding.roles import Roles
from lead_scoring_assets.onboarding.yaml_text import block, mapping, scalar

_DEFAULT_WINDOW_DAYS = 30
_LONGEST_WINDOW_DAYS = 365


def outcomes_part(roles: Roles, remarks: list[str]) -> list[str]:
    """Lines of `sources.outcomes`, or what is needed where the exports hold none."""
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
        lines.append("      # not understood, taken for open: " + ", ".join(scalar(word) for word in unknown))
    return lines + (time_format(roles.closed, remarks) if roles.closed is not None else [])


def _outcomes_sql(roles: Roles, remarks: list[str]) -> tuple[str, dict[str, str]]:
    """The SELECT of final outcomes, and their names → ours."""
    if roles.outcomes is None or roles.status is None:
        raise SourceError("outcomes were asked for, and there are none")
    identity = lead_identity(roles) if roles.is_one_file else str(roles.outcome_id)
    rename = {identity: "lead_id", roles.status.name: "outcome"}
    parts = [f"o.{quoted(identity)}", f"o.{quoted(roles.status.name)}"]
    rows = f"{leads_rows(roles) if roles.is_one_file else roles.outcomes.reading} o"
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
            rows += (
                f"\nJOIN {leads_rows(roles)} l ON trim(l.{quoted(lead_identity(roles))}) = trim(o.{quoted(identity)})"
            )
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


def labels_part(connection: duckdb.DuckDBPyConnection, roles: Roles, remarks: list[str]) -> list[str]:
    """Lines of `labels`: after how long a lead without an outcome counts as not converted."""
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
