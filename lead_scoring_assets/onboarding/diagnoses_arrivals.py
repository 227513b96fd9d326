"""What did not get in: rows that ingestion refused, by reason, and files that it could not read."""

from typing import Any

from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.onboarding.diagnosis import Diagnosis, or_well

_REJECTED_WARNING, _REJECTED_PROBLEM = 0.01, 0.10
_SHOWN = 3
# Validation shows what it found as Python does: in either kind of quotation marks.
_FOUND = ", found .(.*).$"


def diagnose_arrivals(rejected: Any, files: Any) -> list[Diagnosis]:
    """Judgements on `rejected_rows` and `arrived_files`, whole or of some periods."""
    return [*_rejected(rejected, files), *_unseen_categories(rejected), *_files(files)]


def _rejected(rejected: Any, files: Any) -> list[Diagnosis]:
    rows_in = query("SELECT coalesce(sum(rows_in), 0)::BIGINT AS n FROM files", {"files": files})["n"][0].as_py()
    # A row may have several reasons; without the value found, equal faults have equal words.
    reasons = query(
        f"""
        SELECT entity || '.' || regexp_replace(reason, ', found .*', '') AS told, count(*) AS n
        FROM (SELECT entity, unnest(string_split(reason, '; ')) AS reason FROM rejected) GROUP BY told ORDER BY n DESC, told
        LIMIT {_SHOWN}
        """,  # noqa: S608  # a constant
        {"rejected": rejected},
    ).to_pylist()
    n = query("SELECT count(*) AS n FROM rejected", {"rejected": rejected})["n"][0].as_py()
    name, subject = "rejected rows", "rejected_rows"
    if not n:
        return [Diagnosis("ok", name, subject, f"none of {rows_in:,} rows was rejected", "", {"rows_in": rows_in})]
    share = n / max(rows_in, n)
    top = "; ".join(f"{reason['n']:,} × {reason['told']}" for reason in reasons)
    told = f"{n:,} of {rows_in:,} rows ({share:.1%}) were rejected, most of all {top}"
    numbers = {"rejected": n, "rows_in": rows_in, "share": share}
    if share <= _REJECTED_WARNING:
        return [Diagnosis("ok", name, subject, told, "", numbers)]
    remedy = "mend the export, or the contract in lead_scoring.yaml, and materialise the periods again"
    is_problem = share > _REJECTED_PROBLEM
    return [Diagnosis("problem" if is_problem else "warning", name, subject, told, remedy, numbers)]


def _unseen_categories(rejected: Any) -> list[Diagnosis]:
    found = query(
        f"""
        SELECT entity, split_part(reason, ': expected one of ', 1) AS name, count(*) AS n,
               list_sort(list(DISTINCT regexp_extract(reason, '{_FOUND}', 1)))[:{_SHOWN}] AS words
        FROM (SELECT entity, unnest(string_split(reason, '; ')) AS reason FROM rejected)
        WHERE contains(reason, ': expected one of ') GROUP BY entity, name ORDER BY n DESC, entity, name
        """,  # noqa: S608  # constants
        {"rejected": rejected},
    ).to_pylist()
    told = [
        Diagnosis(
            "warning",
            "unseen category in rejected rows",
            f"raw_{row['entity']}.{row['name']}",
            f"{row['n']:,} rows were rejected for values that are not declared, such as {', '.join(map(repr, row['words']))}",
            f"add them to the categories of {row['name']}, or map them in sources.{row['entity']}.values",
            {"rows": row["n"]},
        )
        for row in found
    ]
    return or_well(told, "unseen category in rejected rows", "rejected_rows", "no row was rejected for its category")


def _files(files: Any) -> list[Diagnosis]:
    broken = query(
        "SELECT source_file, problem FROM files WHERE problem IS NOT NULL ORDER BY source_file", {"files": files}
    ).to_pylist()
    name, subject = "unreadable file", "arrived_files"
    if not broken:
        return [Diagnosis("ok", name, subject, "every file could be read")]
    first = broken[0]
    told = f"{len(broken):,} files could not be read, first {first['source_file']}: {first['problem']}"
    remedy = "mend or remove them, and materialise their periods again"
    return [Diagnosis("problem", name, subject, told, remedy, {"files": len(broken)})]
