"""Judgements on the raw tables as they were written: accounting, versions, contract, and how the three fit together.
Pure reads of the lakehouse; rows are counted where they lie and never brought into Python."""

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from lead_scoring_assets.contracts.columns import EVENT_TIMES, IDENTIFIERS, RAW_TABLES, Entity
from lead_scoring_assets.contracts.findings import Finding
from lead_scoring_assets.contracts.validation import LINE, validate
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.leads.ingestion import FILES, REJECTED
from lead_scoring_assets.periods import Period

if TYPE_CHECKING:
    import pyarrow.dataset as pads

_SHARE_WORTH_A_LOOK = 0.01
_EXAMPLES = 5


def _of(installation: Installation, table: str, period: Period) -> "pads.Dataset":
    return installation.lakehouse.scan(table, periods=[period.key])


def _through(installation: Installation, table: str, period: Period) -> "pads.Dataset":
    return installation.lakehouse.scan(table, periods=[p.key for p in installation.settings.calendar.through(period)])


# Accounting


def rows_accounted_for(installation: Installation, period: Period) -> Finding:
    """Rows in = accepted + rejected + duplicates for every file, counted in the tables as they were written."""
    files = installation.lakehouse.read(FILES, periods=[period.key])
    rows = (*RAW_TABLES.values(), REJECTED)
    wrong = query(
        f"""
        WITH found AS (
            SELECT source_file, count(*) AS n FROM ({" UNION ALL ".join(f"SELECT source_file FROM {t}" for t in rows)})
            GROUP BY source_file
        )
        SELECT coalesce(files.source_file, found.source_file) AS source_file,
               coalesce(rows_in, 0) AS rows_in, coalesce(found.n, 0) + coalesce(duplicates, 0) AS accounted
        FROM files FULL JOIN found USING (source_file)
        WHERE rows_in IS DISTINCT FROM coalesce(found.n, 0) + coalesce(duplicates, 0)
        ORDER BY source_file
        """,  # noqa: S608  # our own names
        {"files": files, **{table: _of(installation, table, period) for table in rows}},
    ).to_pylist()
    rows_in = sum(files["rows_in"].to_pylist())
    if wrong:
        told = "; ".join(
            f"{w['source_file']}: {w['rows_in']:,} rows in, {w['accounted']:,} accounted for" for w in wrong
        )
        return Finding(False, f"rows do not add up: {told}. Materialise the period again from its landed files.")
    return Finding(True, f"all {rows_in:,} rows in are accepted, rejected or duplicates", {"rows_in": rows_in})


# Versions


def lead_versions_whole(installation: Installation, period: Period) -> Finding:
    """Of each lead of this period, the versions over all periods so far are 1, 2, 3 …, each once."""
    return _versions_whole(installation, period, "leads")


def activity_versions_whole(installation: Installation, period: Period) -> Finding:
    """Of each activity of this period, the versions over all periods so far are 1, 2, 3 …, each once."""
    return _versions_whole(installation, period, "activities")


def outcome_versions_whole(installation: Installation, period: Period) -> Finding:
    """Of each lead with an outcome in this period, its versions over all periods so far are 1, 2, 3 …, each once."""
    return _versions_whole(installation, period, "outcomes")


def _versions_whole(installation: Installation, period: Period, entity: Entity) -> Finding:
    name, table = IDENTIFIERS[entity], RAW_TABLES[entity]
    found = query(
        f"""
        WITH own AS (SELECT {name} AS id FROM arrived),
        broken AS (
            SELECT {name} AS id FROM stored WHERE {name} IN (SELECT id FROM own) GROUP BY {name}
            HAVING count(*) <> count(DISTINCT version) OR min(version) <> 1 OR max(version) <> count(*)
        )
        SELECT (SELECT count(DISTINCT id) FROM own) AS ids, (SELECT count(*) FROM broken) AS wrong,
               (SELECT list(id) FROM (FROM broken ORDER BY id LIMIT {_EXAMPLES})) AS examples
        """,  # noqa: S608  # our own names
        {"arrived": _of(installation, table, period), "stored": _through(installation, table, period)},
    ).to_pylist()[0]
    if found["wrong"]:
        return Finding(
            False,
            f"{found['wrong']:,} values of {name} in {table} have a version twice or lack one, such as "
            f"{found['examples']}. Materialise the periods again, in order, from their landed files.",
        )
    return Finding(True, f"{found['ids']:,} values of {name}, versions whole", {"ids": found["ids"]})


# Contract


def leads_keep_contract(installation: Installation, period: Period) -> Finding:
    """Every stored lead keeps its contract (kinds, ranges, categories, required values) and was known in its period."""
    return _keeps_contract(installation, period, "leads")


def activities_keep_contract(installation: Installation, period: Period) -> Finding:
    """Every stored activity keeps its contract and was known in its period."""
    return _keeps_contract(installation, period, "activities")


def outcomes_keep_contract(installation: Installation, period: Period) -> Finding:
    """Every stored outcome keeps its contract and was known in its period."""
    return _keeps_contract(installation, period, "outcomes")


def _keeps_contract(installation: Installation, period: Period, entity: Entity) -> Finding:
    columns = installation.settings.registry.columns(entity)
    count = broken = 0
    first: str | None = None
    for batch in _of(installation, RAW_TABLES[entity], period).to_batches(columns=list(columns)):
        texts = {name: batch[name].cast(pa.string()) for name in columns}
        rows = pa.table({LINE: pa.array(range(count, count + batch.num_rows), pa.int64()), **texts})
        reasons = validate(rows, columns).reasons
        untimely = _untimely(batch, EVENT_TIMES[entity], period)
        if first is None and reasons.num_rows:
            first = reasons["reason"][0].as_py()
        if first is None and untimely:
            first = f"known_at empty, outside {period.key}, or before {EVENT_TIMES[entity]}"
        broken += max(reasons.num_rows, untimely)
        count += batch.num_rows
    if first is not None:
        return Finding(False, f"at least {broken:,} of {count:,} stored rows break the contract, first: {first}")
    return Finding(True, f"all {count:,} stored rows keep the contract", {"rows": count})


def _untimely(rows: pa.RecordBatch, event: str, period: Period) -> int:
    kind = rows["known_at"].type
    in_time = pc.and_(
        pc.greater(rows["known_at"], pa.scalar(period.start, kind)),
        pc.and_(
            pc.less_equal(rows["known_at"], pa.scalar(period.end, kind)),
            pc.greater_equal(rows["known_at"], rows[event]),
        ),
    )
    return int(pc.sum(pc.invert(pc.fill_null(in_time, False))).as_py() or 0)


# How the tables fit together: worth a look, because what is missing may still come


def activities_have_leads(installation: Installation, period: Period) -> Finding:
    """At most one activity in a hundred is of a lead that has not arrived by the period's end."""
    found = _examples(
        "SELECT activities.lead_id FROM activities ANTI JOIN leads USING (lead_id)",
        {
            "activities": _of(installation, "raw_activities", period),
            "leads": _through(installation, "raw_leads", period),
        },
    )
    total = _of(installation, "raw_activities", period).count_rows()
    share = found["n"] / total if total else 0.0
    sentence = f"{found['n']:,} of {total:,} activities are of leads that have not arrived ({share:.1%})"
    return Finding(share <= _SHARE_WORTH_A_LOOK, sentence + _such_as(found), {"unknown_lead_share": share})


def outcomes_fit_their_leads(installation: Installation, period: Period) -> Finding:
    """Every outcome is of a lead that has arrived by the period's end, and no earlier than the lead itself."""
    tables = {
        "outcomes": _of(installation, "raw_outcomes", period),
        "leads": _through(installation, "raw_leads", period),
    }
    unknown = _examples("SELECT outcomes.lead_id FROM outcomes ANTI JOIN leads USING (lead_id)", tables)
    early = _examples(
        "SELECT outcomes.lead_id FROM outcomes JOIN leads ON leads.lead_id = outcomes.lead_id AND leads.version = 1 "
        "WHERE outcome_at < created_at",
        tables,
    )
    told = [
        f"{found['n']:,} outcomes {what}{_such_as(found)}"
        for found, what in (
            (unknown, "are of leads that have not arrived"),
            (early, "lie before the lead was created"),
        )
        if found["n"]
    ]
    numbers = {"unknown_lead": unknown["n"], "before_lead": early["n"]}
    return Finding(not told, "; ".join(told) or "every outcome fits its lead", numbers)


def outcomes_reversed(installation: Installation, period: Period) -> Finding:
    """No outcome of this period takes back that a lead had converted."""
    found = _examples(
        "SELECT now.lead_id FROM now JOIN before ON before.lead_id = now.lead_id AND before.version = now.version - 1 "
        "WHERE before.outcome = 'converted' AND now.outcome <> 'converted'",
        {"now": _of(installation, "raw_outcomes", period), "before": _through(installation, "raw_outcomes", period)},
    )
    told = f"{found['n']:,} outcomes take back a conversion{_such_as(found)}"
    return Finding(not found["n"], told, {"reversed": found["n"]})


def _examples(sql: str, tables: "dict[str, pads.Dataset]") -> dict[str, Any]:
    """How many rows `sql` gives, and the first few of its `lead_id`."""
    found: dict[str, Any] = query(
        f"""
        WITH found AS ({sql})
        SELECT (SELECT count(*) FROM found) AS n,
               (SELECT list(lead_id) FROM (SELECT DISTINCT lead_id FROM found ORDER BY 1 LIMIT {_EXAMPLES})) AS examples
        """,  # noqa: S608  # our own statements
        tables,
    ).to_pylist()[0]
    return found


def _such_as(found: dict[str, Any]) -> str:
    return f", such as lead_id {', '.join(found['examples'])}" if found["n"] else ""


# Files


def few_rejected(installation: Installation, period: Period) -> Finding:
    """At most one row in a hundred was rejected."""
    files = installation.lakehouse.read(FILES, periods=[period.key], columns=["rows_in", "rejected"])
    rows_in, rejected = (pc.sum(files[name]).as_py() or 0 for name in ("rows_in", "rejected"))
    share = rejected / rows_in if rows_in else 0.0
    sentence = f"{rejected:,} of {rows_in:,} rows rejected ({share:.1%})"
    return Finding(share <= _SHARE_WORTH_A_LOOK, sentence, {"rejected_share": share})


def files_readable(installation: Installation, period: Period) -> Finding:
    """Every landed file could be read, and has exactly the columns of its contract."""
    files = installation.lakehouse.read(FILES, periods=[period.key])
    told = [f[kind] for f in files.to_pylist() for kind in ("problem", "note") if f[kind]]
    return Finding(not told, "; ".join(told) or f"{files.num_rows} files read", {"files": files.num_rows})
