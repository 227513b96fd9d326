"""What is wrong with the data of a home, in plain words. Only reads; nothing here decides or changes anything."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lead_scoring_assets.contracts.columns import ENTITIES, RAW_TABLES
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.onboarding.diagnoses_arrivals import diagnose_arrivals
from lead_scoring_assets.onboarding.diagnoses_columns import diagnose_columns
from lead_scoring_assets.onboarding.diagnoses_labels import diagnose_labels
from lead_scoring_assets.onboarding.diagnoses_leaks import diagnose_leaks
from lead_scoring_assets.onboarding.diagnoses_links import diagnose_links
from lead_scoring_assets.onboarding.diagnoses_time import diagnose_times
from lead_scoring_assets.onboarding.diagnosis import INSUFFICIENT, Diagnosis, Severity
from lead_scoring_assets.onboarding.evidence import SAMPLE_ROWS, Evidence
from lead_scoring_assets.settings import Settings

if TYPE_CHECKING:
    from rich.text import Text

Table = Any
"""A pyarrow.Table, or a dataset that is read as it is asked: both have a schema, and DuckDB takes both."""

_ORDER: tuple[Severity, ...] = ("problem", "warning", "ok")
_STYLES: dict[Severity, str] = {"problem": "bold red", "warning": "yellow", "ok": "green"}


def examine(
    leads: Table,
    outcomes: Table | None,
    activities: Table | None,
    settings: Settings,
    *,
    as_of: datetime,
    sample_rows: int = SAMPLE_ROWS,
) -> list[Diagnosis]:
    """Every judgement on three tables as known at `as_of` (with time zone), worst first.

    The tables have the contract's columns; a missing or an all-NULL column is a finding, never an error. With a column
    `version` their rows are statements, as raw tables hold them; without one, rows of an export. Leads and labels are
    judged as training sees them: a lead by its first statement, its outcome by the newest. `sample_rows`: shapes of
    columns and leaks are judged on about so many leads; counts are of all rows.
    """
    with Evidence(leads, outcomes, activities, settings, as_of, sample_rows) as evidence:
        found = diagnose_columns(evidence) + diagnose_links(evidence) + diagnose_times(evidence)
        if not evidence.counts["leads"]:
            remedy = "check the source, its dates and the period: `lead-scoring status` says what time it is here"
            told = f"no lead is known at {as_of:%Y-%m-%d}"
            return worst_first([*found, Diagnosis("problem", "no leads", "raw_leads", told, remedy)])
        return worst_first([*found, *diagnose_labels(evidence), *diagnose_leaks(evidence)])


def examine_installation(installation: Installation, *, sample_rows: int = SAMPLE_ROWS) -> list[Diagnosis]:
    """Every judgement on the raw tables of an installation as known now, and on what ingestion refused.

    Landed files that were not ingested are not read: then the one finding says what to do first.
    """
    lakehouse = installation.lakehouse
    if not lakehouse.exists(RAW_TABLES["leads"]):
        return [
            Diagnosis(
                "problem",
                "no tables",
                RAW_TABLES["leads"],
                "nothing has been ingested, so there is nothing to examine",
                "materialise arrivals first: `lead-scoring materialize`, or Materialize in the UI",
            )
        ]
    tables = {e: lakehouse.scan(RAW_TABLES[e]) if lakehouse.exists(RAW_TABLES[e]) else None for e in ENTITIES}
    found = examine(
        tables["leads"],
        tables["outcomes"],
        tables["activities"],
        installation.settings,
        as_of=installation.clock.now(),
        sample_rows=sample_rows,
    )
    if lakehouse.exists("rejected_rows") and lakehouse.exists("arrived_files"):
        found += diagnose_arrivals(lakehouse.scan("rejected_rows"), lakehouse.scan("arrived_files"))
    return worst_first(found)


def worst_first(diagnoses: Sequence[Diagnosis]) -> list[Diagnosis]:
    """Problems, then warnings, then what is well; in the order in which they were found otherwise."""
    return sorted(diagnoses, key=lambda diagnosis: _ORDER.index(diagnosis.severity))


def render(diagnoses: Sequence[Diagnosis], *, all_of_them: bool = False) -> "Text":
    """For the terminal: problems and warnings with their remedies, then how many judgements were well.

    `all_of_them`: what is well is told one by one. Words from data are printed as they are, never as markup.
    """
    from rich.text import Text

    told = Text()
    for diagnosis in worst_first(diagnoses):
        if diagnosis.severity != "ok" or all_of_them:
            told.append(f"{diagnosis.severity:8}", style=_STYLES[diagnosis.severity])
            told.append(f"{_printable(diagnosis.subject)}: {diagnosis.name}\n", style="bold")
            told.append(f"        {_printable(diagnosis.sentence)}.\n")
            if diagnosis.remedy:
                told.append(f"        → {_printable(diagnosis.remedy)}.\n")
    counts = {severity: sum(each.severity == severity for each in diagnoses) for severity in _ORDER}
    silent = sum(each.severity == "ok" and each.sentence.startswith(INSUFFICIENT) for each in diagnoses)
    told.append(
        f"{counts['problem']} problems, {counts['warning']} warnings, {counts['ok'] - silent} questions are well"
    )
    return told.append(f", {silent} that the data cannot answer yet" if silent else "")


def _printable(text: str) -> str:
    """A column's name may hold what moves a terminal's cursor."""
    return "".join(letter if letter.isprintable() else "·" for letter in text)
