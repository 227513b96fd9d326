"""Judgements on the raw tables as they were written: accounting, keys and contract. Pure reads of the lakehouse."""

from collections.abc import Mapping

import pandas as pd

from lead_scoring_assets.contracts.columns import Column
from lead_scoring_assets.contracts.findings import Finding
from lead_scoring_assets.contracts.validation import validate
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.periods import Period

_REJECTED_SHARE_WORTH_A_LOOK = 0.01


def rows_accounted_for(installation: Installation, period: Period) -> Finding:
    """Rows in = accepted + rejected + duplicates for every file, counted in the tables as they were written."""
    tables = {
        name: installation.lakehouse.read(name, periods=[period.key])
        for name in ("raw_leads", "raw_outcomes", "rejected_rows", "arrived_files")
    }
    wrong = query(
        """
        WITH found AS (
            SELECT source_file, count(*) AS n FROM (
                SELECT source_file FROM raw_leads
                UNION ALL SELECT source_file FROM raw_outcomes
                UNION ALL SELECT source_file FROM rejected_rows
            ) GROUP BY source_file
        )
        SELECT coalesce(files.source_file, found.source_file) AS source_file,
               coalesce(rows_in, 0) AS rows_in, coalesce(found.n, 0) + coalesce(duplicates, 0) AS accounted
        FROM arrived_files AS files FULL JOIN found USING (source_file)
        WHERE rows_in IS DISTINCT FROM coalesce(found.n, 0) + duplicates
        ORDER BY source_file
        """,
        tables,
    ).to_pylist()
    rows_in = sum(tables["arrived_files"]["rows_in"].to_pylist())
    if wrong:
        told = "; ".join(
            f"{w['source_file']}: {w['rows_in']:,} rows in, {w['accounted']:,} accounted for" for w in wrong
        )
        return Finding(False, f"rows do not add up: {told}. Materialise the period again from its landed files.")
    return Finding(True, f"all {rows_in:,} rows in are accepted, rejected or duplicates", {"rows_in": rows_in})


def lead_ids_unique(installation: Installation, period: Period) -> Finding:
    """A lead id names one lead, over all periods so far."""
    return _ids_unique(installation, period, "raw_leads")


def one_outcome_per_lead(installation: Installation, period: Period) -> Finding:
    """No lead has two outcomes, over all periods so far; what contradicts an earlier one was rejected."""
    return _ids_unique(installation, period, "raw_outcomes")


def _ids_unique(installation: Installation, period: Period, table: str) -> Finding:
    keys = [p.key for p in installation.settings.calendar.through(period)]
    rows = installation.lakehouse.read(table, periods=keys, columns=["lead_id"])
    repeated = query("SELECT lead_id FROM found GROUP BY lead_id HAVING count(*) > 1 ORDER BY 1", {"found": rows})
    some = repeated["lead_id"].slice(0, 5).to_pylist()
    if some:
        return Finding(False, f"{repeated.num_rows} lead ids occur more than once in {table}, such as {some}")
    return Finding(True, f"{rows.num_rows:,} lead ids, each once", {"lead_ids": rows.num_rows})


def leads_keep_contract(installation: Installation, period: Period) -> Finding:
    """Every stored lead keeps its contract: kinds, ranges, categories, required values."""
    return _keeps_contract(installation, period, "raw_leads", installation.settings.registry.lead_columns)


def outcomes_keep_contract(installation: Installation, period: Period) -> Finding:
    """Every stored outcome keeps its contract."""
    return _keeps_contract(installation, period, "raw_outcomes", installation.settings.registry.outcome_columns)


def _keeps_contract(installation: Installation, period: Period, table: str, columns: Mapping[str, Column]) -> Finding:
    rows = installation.lakehouse.read(table, periods=[period.key], columns=list(columns)).to_pandas()
    texts = rows.apply(lambda values: values.map(_text).astype("string")) if len(rows) else rows.astype("string")
    reasons = validate(texts, columns).reasons
    if len(reasons):
        return Finding(
            False, f"{len(reasons):,} of {len(rows):,} stored rows break the contract, first: {reasons.iloc[0]}"
        )
    return Finding(True, f"all {len(rows):,} stored rows keep the contract", {"rows": len(rows)})


def _text(value: object) -> str:
    if pd.isna(value):  # type: ignore[call-overload]
        return ""
    return value.isoformat() if isinstance(value, pd.Timestamp) else str(value)


def few_rejected(installation: Installation, period: Period) -> Finding:
    """At most one row in a hundred was rejected."""
    files = installation.lakehouse.read("arrived_files", periods=[period.key]).to_pandas()
    rows_in, rejected = int(files["rows_in"].sum()), int(files["rejected"].sum())
    share = rejected / rows_in if rows_in else 0.0
    sentence = f"{rejected:,} of {rows_in:,} rows rejected ({share:.1%})"
    return Finding(share <= _REJECTED_SHARE_WORTH_A_LOOK, sentence, {"rejected_share": share})


def files_readable(installation: Installation, period: Period) -> Finding:
    """Every landed file could be read, and has exactly the columns of its contract."""
    files = installation.lakehouse.read("arrived_files", periods=[period.key])
    told = [f[kind] for f in files.to_pylist() for kind in ("problem", "note") if f[kind]]
    return Finding(not told, "; ".join(told) or f"{files.num_rows} files read", {"files": files.num_rows})
