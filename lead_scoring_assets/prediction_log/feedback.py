"""Feedback that the API took becomes outcomes: files of the kind that the CRM exports, in the landing folder.

There `leads/` finds them like any other file, gives versions to corrections, and rejects what breaks the contract.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lakehouse.passage import PERIOD
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.lakehouse.tables import Lakehouse
from lead_scoring_assets.leads.ingestion import FILES
from lead_scoring_assets.leads.landing import Landing
from lead_scoring_assets.periods import Period
from lead_scoring_assets.prediction_log.records import CLOCKS_APART
from lead_scoring_assets.prediction_log.segments import Line
from lead_scoring_assets.prediction_log.tables import FEEDBACK, rejected_row
from lead_scoring_assets.settings import Settings

KEYS = "idempotency_keys"
"""Stands among the segments of a commit, with how many keys were stored before it and after."""
_STATEMENT = ("lead_id", "outcome", "outcome_at", "deal_value", "currency", "reason", "rep")
Row = dict[str, Any]
_Place = tuple[str, int]
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class ToldApart:
    """`duplicates` say the same again under the same key, `rejected` something else (as rows of `rejected_records`)."""

    accepted: list[Row]
    duplicates: list[Row]
    rejected: list[Row]


def keys_taken(lakehouse: Lakehouse) -> int:
    """How many keys are stored. Who stores more says so in the commit, after which nobody can who has not seen them:
    of two machines that are told the same under one key at the same moment, one looks again."""
    return lakehouse.taken_in(FEEDBACK, [KEYS])[KEYS]


def tell_apart(installation: Installation, rows: Sequence[Row], lines: Sequence[Line]) -> ToldApart:
    """Feedback by its idempotency key: what came first under a key holds, whichever worker took it and when.

    A row that was stored before, by one that was killed afterwards, is the first of its key once more.
    """
    first = _known(installation, rows)
    by_place = {(line.segment, line.start): line for line in lines} if rows else {}
    told = ToldApart([], [], [])
    for row in rows:
        place: _Place = (row["segment"], row["start_byte"])
        statement = tuple(row[name] for name in _STATEMENT)
        known_place, known_statement = first.setdefault(_key(row), (place, statement))
        if known_place == place:
            told.accepted.append(row)
        elif known_statement == statement:
            told.duplicates.append(row)
        else:
            reason = (
                f"the idempotency key {row['idempotency_key']!r} was used before for another statement, expected a key of "
                "its own for each. Send it again with a new key, if it holds."
            )
            told.rejected.append(rejected_row(by_place[place], reason))
    return told


def with_landing_files(installation: Installation, rows: Sequence[Row]) -> list[Row]:
    """The rows of one commit, each with the name of the file in which it lands: one for each period.

    In the period in which it came, as long as nobody has ingested that; what is later is told in the present one.
    """
    lakehouse, calendar = installation.lakehouse, installation.settings.calendar
    is_ingested = {
        period: lakehouse.exists(FILES) and bool(lakehouse.scan(FILES, periods=[period]).count_rows())
        for period in {row[PERIOD] for row in rows}
    }
    # No other commit holds this line: the name is used once.
    batch = f"{rows[0]['segment'].replace('/', '_')}-{rows[0]['start_byte']}" if rows else ""
    named = []
    for row in rows:
        now = max(row["at"], installation.clock.now())
        period = calendar.containing(now).key if is_ingested[row[PERIOD]] else row[PERIOD]
        named.append(row | {"landing_file": f"outcomes/{period}/feedback-{batch}.jsonl"})
    return named


def land(installation: Installation) -> list[str]:
    """Write the landing files of feedback that are missing; their names. A killed run's are written by the next one.

    A file that was ingested and taken away since is not written again.
    """
    lakehouse = installation.lakehouse
    if not lakehouse.exists(FEEDBACK):
        return []
    named = lakehouse.read(FEEDBACK, columns=["landing_file"])["landing_file"].unique().to_pylist()
    landing = Landing.of(installation.home)
    there = {file.name for files in landing.contents().files.values() for file in files}
    if lakehouse.exists(FILES):
        there |= set(lakehouse.read(FILES, columns=["source_file"])["source_file"].to_pylist())
    missing = sorted(set(named) - there)
    for name in missing:
        rows = query(
            "SELECT * FROM found WHERE landing_file = $1 ORDER BY segment, start_byte",
            {"found": lakehouse.scan(FEEDBACK)},
            [name],
        )
        period = installation.settings.calendar.period(name.split("/")[1])
        landing.put(name, _as_export(rows.to_pylist(), installation.settings, period))
    return missing


def _known(installation: Installation, rows: Sequence[Row]) -> dict[tuple[Any, Any], tuple[_Place, tuple[Any, ...]]]:
    """By key of `rows`, where it was stored first and what it said."""
    if not rows or not installation.lakehouse.exists(FEEDBACK):
        return {}
    keys = pa.table({"key": sorted({row["idempotency_key"] for row in rows})}, schema=pa.schema([("key", pa.string())]))
    found = query(
        "SELECT f.* FROM found f SEMI JOIN keys ON f.idempotency_key = keys.key",
        {"found": installation.lakehouse.scan(FEEDBACK), "keys": keys},
    )
    return {
        _key(row): ((row["segment"], row["start_byte"]), tuple(row[name] for name in _STATEMENT))
        for row in found.to_pylist()
    }


def _key(row: Mapping[str, Any]) -> tuple[Any, Any]:
    return row["actor"], row["idempotency_key"]


def _as_export(rows: Iterable[Row], settings: Settings, period: Period) -> bytes:
    """JSON lines as the source of outcomes is read: under its names, in its words, with its form of times.

    What was said when the period before had closed already is known from the first minute of this one. Said by its own
    moment it would be late, which is known at the period's end: where a month is a period, a month later. What happened a
    moment ahead of our clock is known when it happened, as the contract wants it.
    """
    source = settings.sources.outcomes
    names = {ours: theirs for theirs, ours in source.rename.items()}
    words = {ours: theirs for theirs, ours in source.values.get("outcome", {}).items()}
    zone = ZoneInfo("UTC" if source.time_format is None or "%z" in source.time_format else settings.sources.time_zone)

    def written(moment: datetime) -> str:
        return (
            moment.isoformat() if source.time_format is None else moment.astimezone(zone).strftime(source.time_format)
        )

    told = []
    for row in rows:
        known_at = max(row["at"], period.start + _MINUTE, min(row["outcome_at"], row["at"] + CLOCKS_APART))
        export = {
            "lead_id": row["lead_id"],
            "outcome": words.get(row["outcome"], row["outcome"]),
            "outcome_at": written(row["outcome_at"]),
            "known_at": written(known_at),
            "reason": row["reason"],
            "rep": row["rep"],
            "deal_value": row["deal_value"],
            "currency": row["currency"] or (None if row["deal_value"] is None else settings.currency),
        }
        told.append({names.get(name, name): value for name, value in export.items()})
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in told).encode()
