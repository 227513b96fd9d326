"""Judgements on the features: nobody is missing, nothing leaks, and gaps do not grow."""

from typing import Any

from lead_scoring_assets.contracts.findings import Finding
from lead_scoring_assets.features.plan import KEYS
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lakehouse.names import quoted
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.periods import Period

_EMPTY_SHARE_WORTH_A_LOOK = 0.99


def every_lead_has_features(installation: Installation, period: Period) -> Finding:
    """Each lead of which a version arrived in the period has exactly one row, and nobody else has one."""
    counts = query(
        "WITH arrived AS (SELECT DISTINCT lead_id FROM raw), "
        "built AS (SELECT lead_id, count(*) AS n FROM features GROUP BY lead_id) "
        "SELECT count(arrived.lead_id) AS leads, count(CASE WHEN built.lead_id IS NULL THEN 1 END) AS without, "
        "count(CASE WHEN arrived.lead_id IS NULL THEN 1 END) AS strangers, count(CASE WHEN built.n > 1 THEN 1 END) AS repeated "
        "FROM arrived FULL JOIN built ON arrived.lead_id = built.lead_id",
        {
            "raw": installation.lakehouse.scan("raw_leads", periods=[period.key]),
            "features": installation.lakehouse.scan("lead_features", periods=[period.key]),
        },
    ).to_pylist()[0]
    if counts["without"] or counts["strangers"] or counts["repeated"]:
        return Finding(
            False,
            f"of {counts['leads']:,} leads {counts['without']:,} have no features; {counts['strangers']:,} rows have no "
            f"lead, {counts['repeated']:,} leads have more than one row",
        )
    return Finding(True, f"{counts['leads']:,} leads, all with features", {"leads": counts["leads"]})


def no_forbidden_columns(installation: Installation, period: Period) -> Finding:
    """No column that is known only after the outcome stands among the features.

    A column that the settings no longer name stays in the table for the sake of older periods; here it must be empty.
    """
    rows = installation.lakehouse.scan("lead_features", periods=[period.key])
    allowed = {*KEYS, *installation.settings.registry.features}
    unknown = [name for name in rows.schema.names if name not in allowed]
    filled, _ = _filled(rows, unknown)
    strangers = [name for name, count in filled.items() if count]
    if strangers:
        return Finding(False, f"columns {strangers} are not features; a model must not see them")
    columns = len(rows.schema.names) - len(unknown)
    return Finding(True, f"{columns} columns, all of them declared", {"columns": columns})


def no_empty_features(installation: Installation, period: Period) -> Finding:
    """No feature is empty for nearly every lead."""
    rows = installation.lakehouse.scan("lead_features", periods=[period.key])
    filled, leads = _filled(rows, list(installation.settings.registry.features))
    if not leads:
        return Finding(True, "no leads in this period")
    shares = {name: 1 - count / leads for name, count in filled.items()}
    empty = {name: share for name, share in shares.items() if share > _EMPTY_SHARE_WORTH_A_LOOK}
    told = ", ".join(f"{name} {share:.0%} empty" for name, share in (empty or shares).items() if share)
    return Finding(not empty, told or "no gaps", shares)


def _filled(rows: Any, names: list[str]) -> tuple[dict[str, int], int]:
    """How many values each of the columns holds, and how many rows there are."""
    counts = [f"count({quoted(name)})" for name in names]
    row = query(f"SELECT {', '.join([*counts, 'count(*)'])} FROM found", {"found": rows})  # noqa: S608  # names are quoted
    *filled, total = (column[0].as_py() for column in row.columns)
    return dict(zip(names, filled, strict=True)), total
