"""What the prediction log becomes in the lakehouse: a table for each kind of record, and how a line becomes a row.

`segment` and `start_byte` say where the line stands: they name it, because a request may hold the same lead twice.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from pydantic_core import to_json

from lead_scoring_assets.errors import PredictionLogError
from lead_scoring_assets.lakehouse.passage import PERIOD
from lead_scoring_assets.periods import PeriodCalendar
from lead_scoring_assets.prediction_log.records import record_of
from lead_scoring_assets.prediction_log.segments import Line

PREDICTIONS, ERRORS, SHADOWS, FEEDBACK = "served_predictions", "served_errors", "shadow_scores", "served_feedback"
REJECTED, INGESTED = "rejected_records", "ingested_segments"
TABLES: Mapping[str, str] = {"score": PREDICTIONS, "error": ERRORS, "shadow": SHADOWS, "feedback": FEEDBACK}
"""By kind of record."""

_TEXT, _WHOLE, _NUMBER, _MOMENT = pa.string(), pa.int64(), pa.float64(), pa.timestamp("us", tz="UTC")
_FIRST = [(PERIOD, _TEXT), ("request_id", _TEXT), ("worker", _TEXT), ("at", _MOMENT)]
_PLACE = [("segment", _TEXT), ("start_byte", _WHOLE)]


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema([*_FIRST, *columns.items(), *_PLACE])


SCHEMAS: Mapping[str, pa.Schema] = {
    PREDICTIONS: _schema(
        shadow_version=_WHOLE,
        lead_id=_TEXT,
        endpoint=_TEXT,
        status=_WHOLE,
        source=_TEXT,
        model_version=_WHOLE,
        score=_NUMBER,
        bucket=_TEXT,
        latency_us=_WHOLE,
        arm=_TEXT,
        share_bp=_WHOLE,
        rollout_id=_TEXT,
        experiment_id=_TEXT,
        unit_id=_TEXT,
        propensity=_NUMBER,
        explored=pa.bool_(),
        features=_TEXT,  # JSON, as received
        features_sha256=_TEXT,  # of that JSON
        actor=_TEXT,
    ),
    ERRORS: _schema(
        endpoint=_TEXT,
        status=_WHOLE,
        error=_TEXT,
        latency_us=_WHOLE,
        lead_id=_TEXT,
        actor=_TEXT,
    ),
    SHADOWS: _schema(
        of_segment=_TEXT,
        of_byte=_WHOLE,
        lead_id=_TEXT,
        champion_version=_WHOLE,
        champion_score=_NUMBER,
        shadow_version=_WHOLE,
        shadow_score=_NUMBER,
        champion_latency_us=_WHOLE,
        shadow_latency_us=_WHOLE,
        outcome=_TEXT,
        reason=_TEXT,
    ),
    FEEDBACK: _schema(
        lead_id=_TEXT,
        outcome=_TEXT,
        outcome_at=_MOMENT,
        deal_value=_NUMBER,
        currency=_TEXT,
        reason=_TEXT,
        rep=_TEXT,
        idempotency_key=_TEXT,
        actor=_TEXT,
        landing_file=_TEXT,
    ),
    REJECTED: pa.schema([*_PLACE, ("reason", _TEXT), ("raw_text", _TEXT)]),
    INGESTED: pa.schema(
        [("segment", _TEXT), ("from_byte", _WHOLE), ("to_byte", _WHOLE), ("lines", _WHOLE)]
        + [(name, _WHOLE) for name in (*TABLES.values(), REJECTED, "duplicates")]
        + [("ingested_at", _MOMENT)]
    ),
}
_SHOWN_CHARACTERS = 2_000


def row_of(line: Line, calendar: PeriodCalendar) -> tuple[str, dict[str, Any]]:
    """The table and the row that a line becomes; `landing_file` of feedback is still empty.

    Raises:
        PredictionLogError: the line is no record, or its times are none.
    """
    if line.problem is not None:
        raise PredictionLogError(line.problem)
    record: dict[str, Any] = dict(record_of(line.content))
    table = TABLES[record.pop("kind")]
    at = _moment(record["at"], "at")
    row = record | {PERIOD: calendar.containing(at).key, "at": at, "segment": line.segment, "start_byte": line.start}
    if table == PREDICTIONS:
        features = to_json(row["features"], inf_nan_mode="null")
        row["features"], row["features_sha256"] = features.decode(), hashlib.sha256(features).hexdigest()
    if table == FEEDBACK:
        row["outcome_at"] = _moment(row["outcome_at"], "outcome_at")
    return table, row


def rejected_row(line: Line, reason: str) -> dict[str, Any]:
    """A line that is kept aside, with why."""
    text = line.content.decode("utf-8", "replace")
    place = {"segment": line.segment, "start_byte": line.start}
    return place | {"reason": reason[:_SHOWN_CHARACTERS], "raw_text": text[:_SHOWN_CHARACTERS]}


def what_does_not_fit(name: str, rows: Sequence[Mapping[str, Any]]) -> dict[int, str]:
    """By place, why a row holds what its table cannot: a number that is too large, half a sign."""
    if _problem(name, rows) is None:
        return {}
    return {place: told for place, row in enumerate(rows) if (told := _problem(name, [row])) is not None}


def as_table(name: str, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows in the schema of table `name`."""
    # By column: four times as fast as `from_pylist`.
    schema = SCHEMAS[name]
    return pa.table([pa.array([row.get(field.name) for row in rows], field.type) for field in schema], schema=schema)


def _problem(name: str, rows: Sequence[Mapping[str, Any]]) -> str | None:
    try:
        as_table(name, rows)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError) as problem:
        return f"a value does not fit its column of {name} ({problem})"
    return None


def _moment(text: str, name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise PredictionLogError(f"{name} is {text[:100]!r}, expected a moment with its time zone in ISO 8601")
    return moment.astimezone(UTC)
