"""What is loud, since when, and what is silent: what a person has been told of before is told shorter, what is new stands first.

A check that lasts stays failed, because whoever raised an alert on it would take a pass for the end.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lakehouse.names import quoted
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.periods import Period

LOUD = ("drift", "warning", "critical", "nothing_arrived")
SILENT = ("insufficient_data", "not_computable")


def is_broken(silent: Collection[Mapping[str, Any]], rows: int) -> bool:
    """Whether not one of `rows` figures can be computed: what they are held against is gone, and more leads bring none back."""
    return rows > 0 and sum(row["status"] == "not_computable" for row in silent) == rows


def loud_since(
    installation: Installation, table: str, period: Period, subject: Sequence[str], statuses: Collection[str] = LOUD
) -> dict[tuple[str, ...], str]:
    """For each subject (columns of `table`) that is loud and was in the period before, of the same model: the first period
    since when it has not been calm. Keys of periods are in order of time."""
    rows = installation.lakehouse.scan(table)
    names = rows.schema.names
    by = [*subject, *(["model_version"] if "model_version" in names else [])]
    keys = ", ".join(quoted(name) for name in by)
    severity = "AND severity <> 'LOW'" if "severity" in names else ""
    found = query(
        f"""
        WITH told AS (
            SELECT {keys}, period, bool_or(list_contains($1, status) {severity}) AS is_loud
            FROM rows WHERE period <= $2 GROUP BY ALL
        ), calm AS (SELECT {keys}, max(period) FILTER (NOT is_loud) AS last_calm FROM told GROUP BY ALL)
        SELECT {keys}, min(period) AS since
        FROM told JOIN calm USING ({keys}) WHERE period > coalesce(last_calm, '')
        GROUP BY {keys} HAVING max(period) = $2 AND bool_or(period = $3)
        """,  # noqa: S608  # quoted names
        {"rows": rows},
        [list(statuses), period.key, installation.settings.calendar.previous(period).key],
    )
    return {tuple(row[name] for name in subject): row["since"] for row in found.to_pylist()}
