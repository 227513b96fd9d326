"""From exports to a first, commented `lead_scoring.yaml`. Every guess is written down as one; a person corrects it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lead_scoring_assets.homes import new_home
from lead_scoring_assets.onboarding.draft_columns import columns_part
from lead_scoring_assets.onboarding.draft_leads import lead_names, leads_sql, our_names, time_format
from lead_scoring_assets.onboarding.draft_outcomes import labels_part, outcomes_part
from lead_scoring_assets.onboarding.draft_periods import amounts_part, periods_part, span_of
from lead_scoring_assets.onboarding.inspect_files import copy_as_utf8, looking_at
from lead_scoring_assets.onboarding.roles import Roles, find_roles
from lead_scoring_assets.onboarding.yaml_text import block, mapping, scalar
from lead_scoring_assets.settings import parse_settings


@dataclass(frozen=True)
class Draft:
    """`text`: the settings file. `remarks`: what people must know or decide, in the order in which it matters.

    `copies`: files that are readable only as a copy in UTF-8: its place in the home → the file and its encoding.
    """

    text: str
    remarks: list[str]
    copies: Mapping[str, tuple[Path, str]] = field(default_factory=dict)


def draft_settings(paths: Sequence[Path], name: str | None = None) -> Draft:
    """Look at exports of a CRM and write first settings for them; `name` is that of the installation.

    Leads and outcomes may be one file (a status stands beside the lead) or two; several files with the same columns
    are parts of one export. The settings pull from the files where they lie.

    Raises:
        SourceError: a file cannot be read, has no time of creation, or no column that a model could use.
    """
    with looking_at([path.expanduser().resolve() for path in paths]) as (connection, exports):
        roles = find_roles(connection, exports)
        span = span_of(connection, roles)
        remarks: list[str] = []
        text = "\n".join(
            [
                "# Drafted from " + "; ".join(f"{scalar(e.label)} ({e.rows:,} rows)" for e in exports) + ".",
                "# Everything marked `check this` is a guess by names and values. Every value is checked when it is read.",
                "",
                f"name: {scalar(_slug(name or exports[0].paths[0].stem))}",
                "clock: system           # leads arrive today; a period can be materialised when it is over",
                "crm: own                # the files are yours, nothing is simulated",
                *_currency(roles, remarks),
                "",
                *periods_part(span, remarks),
                *_sources(roles, remarks),
                *labels_part(connection, roles, remarks),
                *columns_part(connection, roles, remarks),
                *amounts_part(roles, span),
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
        f"    sql: {block(leads_sql(roles, remarks), 6)}",
        f"    rename: {mapping(lead_names(roles))}",
        *time_format(created, remarks),
    ]
    if words := {
        ours: dict.fromkeys(look.missing_words, "")
        for theirs, ours in our_names(roles).items()
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
    return [*lines, *outcomes_part(roles, remarks), ""]


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-") or "leads"
