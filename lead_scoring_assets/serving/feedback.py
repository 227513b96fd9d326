"""What became of a lead, as a person or the CRM tells it: recorded once, however often it is sent.

What was predicted for the lead is looked up in the prediction log when feedback is taken in; nobody may send it.
"""

import hashlib
import re
import sqlite3
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self, cast

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from lead_scoring_assets.contracts.columns import OUTCOMES
from lead_scoring_assets.serving.lead_request import details_of
from lead_scoring_assets.serving.refusals import Refused

if TYPE_CHECKING:
    from pydantic.config import JsonDict

FILE = "feedback.sqlite"
_CENTURIES = "^(19|2[0-9])[0-9]{2}-"
Name = Annotated[str, Field(min_length=1, max_length=128)]
# The same that `_value_with_currency` says, for the OpenAPI document.
_TOGETHER = {
    "anyOf": [
        {"properties": {"deal_value": {"type": "null"}, "currency": {"type": "null"}}},
        {
            "required": ["deal_value", "currency"],
            "properties": {"deal_value": {"type": "number"}, "currency": {"type": "string"}},
        },
    ]
}
_EXPECTED = {
    "lead_id": "expected a text of 1 to 128 characters",
    "outcome": f"expected one of {', '.join(OUTCOMES)}",
    "outcome_at": "expected a moment from 1900 to 2999 with its time zone, such as 2024-05-31T09:30:00Z",
    "deal_value": "expected a number from 0 to 1e12, or null; with its currency",
    "currency": "expected three capital letters such as AED; with a deal_value",
    "reason": "expected a text of up to 2,000 characters, or null",
    "rep": "expected a text of 1 to 128 characters, or null",
    "idempotency_key": "expected a text of 1 to 200 characters that names this feedback",
    "(the whole body)": "expected one JSON object; deal_value and currency go together",
}


def _of_these_centuries(told: object) -> object:
    """In UTC it has to be a moment as well, which at either end of the calendar it is not; and seconds alone are no date."""
    if not isinstance(told, str) or not re.match(_CENTURIES, told):
        raise ValueError("no text that begins with a year from 1900 to 2999")
    return told


class Feedback(BaseModel):
    """The body of a request to /feedback. `idempotency_key` names it: the same key with the same content is one feedback."""

    model_config = ConfigDict(
        extra="forbid", strict=True, allow_inf_nan=False, frozen=True, json_schema_extra=cast("JsonDict", _TOGETHER)
    )

    lead_id: Name
    outcome: Literal[OUTCOMES]  # type: ignore[valid-type]  # the registry's own
    outcome_at: Annotated[
        AwareDatetime,
        BeforeValidator(_of_these_centuries),
        Field(strict=False, json_schema_extra={"pattern": _CENTURIES}),
    ]
    deal_value: Annotated[float, Field(ge=0, le=1e12)] | None = None
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] | None = None
    reason: Annotated[str, Field(max_length=2_000)] | None = None
    rep: Name | None = None
    idempotency_key: Annotated[str, Field(min_length=1, max_length=200)]

    @model_validator(mode="after")
    def _value_with_currency(self) -> Self:
        if (self.deal_value is None) != (self.currency is None):
            raise ValueError("deal_value and currency go together")
        return self

    @property
    def outcome_at_utc(self) -> str:
        """As records have it."""
        return self.outcome_at.astimezone(UTC).isoformat(timespec="microseconds")


def read_feedback(body: bytes) -> Feedback:
    """A feedback from a request's body.

    Raises:
        Refused: 422 with the names of the fields that are wrong.
    """
    try:
        return Feedback.model_validate_json(body)
    except ValidationError as problem:
        raise Refused(422, "validation", details_of(problem, _EXPECTED)) from None


class FeedbackBook:
    """Which idempotency keys have been recorded, for all workers, and over restarts."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._recording = threading.Lock()
        self._book = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
        self._book.execute(
            "CREATE TABLE IF NOT EXISTS recorded (idempotency_key TEXT PRIMARY KEY, content TEXT, at TEXT) WITHOUT ROWID"
        )

    def record(self, feedback: Feedback, at: datetime, write: Callable[[], None]) -> bool:
        """Call `write` unless this feedback was recorded before; True when it was new.

        The key is committed after `write`: who is killed in between has recorded the feedback, and may record it once more
        when it is sent again, never not at all. Taking in the log drops the second one by its key.

        Raises:
            Refused: 409: the key was used for another feedback.
        """
        content = hashlib.sha256(feedback.model_dump_json().encode()).hexdigest()
        with self._recording:
            self._book.execute("BEGIN IMMEDIATE")
            try:
                return self._record(feedback.idempotency_key, content, at, write)
            finally:
                if self._book.in_transaction:
                    self._book.execute("ROLLBACK")

    def close(self) -> None:
        with self._recording:
            self._book.close()

    def _record(self, key: str, content: str, at: datetime, write: Callable[[], None]) -> bool:
        known = self._book.execute("SELECT content FROM recorded WHERE idempotency_key = ?", [key]).fetchone()
        if known is not None:
            if known[0] != content:
                raise Refused(409, "conflict")
            return False
        write()
        self._book.execute("INSERT INTO recorded VALUES (?, ?, ?)", [key, content, at.isoformat()])
        self._book.execute("COMMIT")
        return True
