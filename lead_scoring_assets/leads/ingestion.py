"""From landed files to raw tables: every row is accepted, rejected with a reason, or counted as a duplicate. No row is
lost, none counted twice. Pure: what arrived earlier is passed in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa

from lead_scoring_assets.contracts.columns import Column, Registry
from lead_scoring_assets.contracts.validation import arrow_schema, validate
from lead_scoring_assets.leads.landing import Entity, LandedFile, landed_files, read_landed_file
from lead_scoring_assets.periods import Period

_SHOWN_CHARACTERS = 2_000
_POSITION = {"source_file": pa.string(), "source_line": pa.int64()}
REJECTED_SCHEMA = pa.schema(
    [
        ("period", pa.string()),
        ("entity", pa.string()),
        *_POSITION.items(),
        ("reason", pa.string()),
        ("raw_text", pa.string()),
    ]
)
FILES_SCHEMA = pa.schema(
    [("period", pa.string()), ("entity", pa.string()), ("source_file", pa.string()), ("sha256", pa.string())]
    + [(count, pa.int64()) for count in ("size_bytes", "rows_in", "accepted", "rejected", "duplicates")]
    + [("problem", pa.string()), ("note", pa.string())]
)


def raw_schema(columns: Mapping[str, Column]) -> pa.Schema:
    """Schema of a raw table: its period, the contract's columns, and where each row came from."""
    return pa.schema([("period", pa.string()), *arrow_schema(columns), *_POSITION.items()])


@dataclass(frozen=True)
class Arrivals:
    """What one period's files gave: the four raw tables, as Arrow."""

    leads: pa.Table
    outcomes: pa.Table
    rejected: pa.Table
    files: pa.Table


class Arrived:
    """Rows that earlier periods accepted: what a new row is compared with."""

    def __init__(self, leads: pd.DataFrame, outcomes: pd.DataFrame) -> None:
        self._rows: dict[Entity, list[pd.DataFrame]] = {
            "leads": [leads.set_index("lead_id")],
            "outcomes": [outcomes.set_index("lead_id")],
        }

    def rows(self, entity: Entity) -> list[pd.DataFrame]:
        """Accepted rows by lead id, in the order in which they came; an id is in one of them at most."""
        return list(self._rows[entity])

    def add(self, arrivals: Arrivals) -> "Arrived":
        """The same, one period later."""
        later = Arrived(arrivals.leads.to_pandas(), arrivals.outcomes.to_pandas())
        later._rows = {entity: [*rows, *later._rows[entity]] for entity, rows in self._rows.items()}
        return later


def ingest(landing: Path, period: Period, registry: Registry, earlier: Arrived) -> Arrivals:
    """Read every landed file of `period`. Rows in = accepted + rejected + duplicates, for each file and for all."""
    leads, rejected, files = _ingest_entity(
        landing, "leads", period, registry.lead_columns, earlier.rows("leads"), None
    )
    known_leads = [*earlier.rows("leads"), leads.to_pandas().set_index("lead_id")]
    outcomes, more_rejected, more_files = _ingest_entity(
        landing, "outcomes", period, registry.outcome_columns, earlier.rows("outcomes"), known_leads
    )
    return Arrivals(
        leads=leads,
        outcomes=outcomes,
        rejected=pa.Table.from_pylist(rejected + more_rejected, schema=REJECTED_SCHEMA),
        files=pa.Table.from_pylist(files + more_files, schema=FILES_SCHEMA),
    )


def _ingest_entity(
    landing: Path,
    entity: Entity,
    period: Period,
    columns: Mapping[str, Column],
    earlier: list[pd.DataFrame],
    known_leads: list[pd.DataFrame] | None,
) -> tuple[pa.Table, list[dict[str, object]], list[dict[str, object]]]:
    required = [name for name, column in columns.items() if name != "known_at" and column.required]
    optional = [name for name in columns if name not in required]
    schema = raw_schema(columns)
    accepted = [schema.empty_table()]
    rejected: list[dict[str, object]] = []
    files: list[dict[str, object]] = []
    seen = list(earlier)
    for path in landed_files(landing, entity, period.key):
        landed = read_landed_file(path, required, optional)
        rows, reasons = _judge(landed, columns, period, known_leads)
        fresh, contradictions, duplicates = _compare(rows, seen, list(columns))
        reasons = {**reasons, **contradictions}
        seen.append(fresh.set_index("lead_id"))
        placed = fresh.assign(period=period.key, source_file=landed.name, source_line=fresh.index)
        accepted.append(pa.Table.from_pandas(placed[schema.names], schema=schema, preserve_index=False))
        told = [(u.line, u.reason, u.text) for u in landed.unreadable]
        told += [(line, reason, landed.raw[line]) for line, reason in reasons.items()]
        rejected += [
            {
                "period": period.key,
                "entity": entity,
                "source_file": landed.name,
                "source_line": line,
                "reason": reason[:_SHOWN_CHARACTERS],
                "raw_text": text,
            }
            for line, reason, text in sorted(told)
        ]
        files.append(
            {
                "period": period.key,
                "entity": entity,
                "source_file": landed.name,
                "sha256": landed.sha256,
                "size_bytes": landed.size_bytes,
                "rows_in": landed.rows_in,
                "accepted": len(fresh),
                "rejected": len(told),
                "duplicates": duplicates,
                "problem": landed.problem,
                "note": landed.note,
            }
        )
    return pa.concat_tables(accepted), rejected, files


def _judge(
    landed: LandedFile, columns: Mapping[str, Column], period: Period, known_leads: list[pd.DataFrame] | None
) -> tuple[pd.DataFrame, dict[int, str]]:
    """Typed rows that keep their contract and their place in time, and the reason for each other line."""
    checked = validate(landed.rows, columns)
    rows, reasons = checked.accepted, {int(str(line)): str(why) for line, why in checked.reasons.items()}
    # A row without a known-at was known, at the latest, when its period's export was complete. So was a row that
    # claims to have been known before this period began: it did not reach us then.
    stated = rows["known_at"]
    rows = rows.assign(known_at=stated.where(stated > period.start, period.end).astype("datetime64[us, UTC]"))
    happened = "created_at" if known_leads is None else "outcome_at"
    faults: list[tuple[pd.Series, Callable[[pd.Series], str]]] = [
        (
            (stated > period.end) | (rows[happened] > period.end),
            lambda row: (
                f"lies in the future of period {period.key}: {happened} {row[happened]}, known_at {row['known_at']}"
            ),
        ),
        (
            rows["known_at"] < rows[happened],
            lambda row: f"known_at {row['known_at']} is before {happened} {row[happened]}",
        ),
    ]
    if known_leads is not None:
        created: dict[object, object] = {}
        for leads in known_leads:
            created |= leads.loc[leads.index.isin(rows["lead_id"]), "created_at"].to_dict()
        born = pd.to_datetime(rows["lead_id"].map(created), utc=True)
        faults += [
            (born.isna(), lambda row: f"lead_id: no lead {row['lead_id']!r} has arrived so far"),
            (rows["outcome_at"] < born, lambda row: f"outcome_at {row['outcome_at']} is before the lead was created"),
        ]
    for is_bad, describe in faults:
        for line, row in rows[is_bad].iterrows():
            at = int(str(line))
            reasons[at] = "; ".join([*([reasons[at]] if at in reasons else []), describe(row)])
    return rows[~rows.index.isin(list(reasons))], reasons


def _compare(
    rows: pd.DataFrame, seen: list[pd.DataFrame], columns: list[str]
) -> tuple[pd.DataFrame, dict[int, str], int]:
    """Fresh rows, contradictions by line, and how many rows say what is already known."""
    known = [*seen, rows.drop_duplicates("lead_id").set_index("lead_id")]
    again = rows["lead_id"].duplicated()
    for earlier in seen:
        again |= rows["lead_id"].isin(earlier.index)
    # known_at says when a row came, not what it says.
    said = [name for name in columns if name not in ("lead_id", "known_at")]
    contradictions: dict[int, str] = {}
    duplicates = 0
    for line, row in rows[again].iterrows():
        lead_id = row["lead_id"]
        before = next(earlier.loc[lead_id] for earlier in known if lead_id in earlier.index)
        differing = [name for name in said if not _same(row[name], before[name])]
        if differing:
            told = ", ".join(f"{name} {before[name]} → {row[name]}" for name in differing[:5])
            contradictions[int(str(line))] = f"lead_id {lead_id!r} has already arrived with other values ({told})"
        else:
            duplicates += 1
    return rows[~again], contradictions, duplicates


def _same(one: object, other: object) -> bool:
    missing = bool(pd.isna(one)), bool(pd.isna(other))  # type: ignore[call-overload]
    return all(missing) or (not any(missing) and bool(one == other))
