"""What stands in the prediction log: the kinds of records, and their form as lines of JSON. Nothing is written here.

A record is a dict whose type says what it holds: it becomes a line for every answer, within microseconds.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json, to_json
from typing_extensions import TypedDict

from lead_scoring_assets.errors import PredictionLogError

CLOCKS_APART = timedelta(minutes=5)
"""By how much a caller's clock may be ahead of ours: what it says has happened by then is no prophecy."""
Source = Literal["model", "fallback"]
Arm = Literal["champion", "challenger", "process"]
ShadowOutcome = Literal["scored", "failed", "timeout", "dropped", "not_finite"]


class _Record(TypedDict):
    request_id: str
    worker: str
    at: str
    """ISO 8601 in UTC, with microseconds."""


class ScoreRecord(_Record):
    """A lead that was scored. A request with several leads has one for each, with one `request_id`.

    `score`: exact, by whatever answered. `model_version`: None where no model did. `arm`, `share_bp`, `unit_id`: how
    traffic was split; `propensity`: the probability with which the unit got this arm, 1.0 where nothing was drawn.
    `features`: as received, after validation, in the order of the registry.
    `actor`: the name of the key, never the key.
    `shadow_version`: the version that scores the lead in the shadow; None: none does. Such a lead gets one `ShadowRecord`.
    """

    kind: Literal["score"]
    shadow_version: int | None
    lead_id: str
    endpoint: str
    status: int
    source: Source
    model_version: int | None
    score: float
    bucket: str
    latency_us: int
    arm: Arm | None
    share_bp: int
    rollout_id: str | None
    experiment_id: str | None
    unit_id: str | None
    propensity: float
    explored: bool
    features: dict[str, Any]
    actor: str | None


class ErrorRecord(_Record):
    """A request, or one lead of several, that was refused. `error`: its name, such as `validation`."""

    kind: Literal["error"]
    endpoint: str
    status: int
    error: str
    latency_us: int
    lead_id: str | None
    actor: str | None


class ShadowRecord(_Record):
    """What the shadow said of a lead that the champion has answered; written by the shadow's own process.

    `at`: when the champion answered. `of_segment`, `of_byte`: where the answer's own line begins.
    `shadow_latency_us`: only of leads that were scored alone, as for an answer; None of those scored together.
    """

    kind: Literal["shadow"]
    of_segment: str
    of_byte: int
    lead_id: str
    champion_version: int
    champion_score: float
    shadow_version: int
    shadow_score: float | None
    champion_latency_us: int
    shadow_latency_us: int | None
    outcome: ShadowOutcome
    reason: str | None


class FeedbackRecord(_Record):
    """What became of a lead, as a person or the CRM told it."""

    kind: Literal["feedback"]
    lead_id: str
    outcome: str
    outcome_at: str
    deal_value: float | None
    currency: str | None
    reason: str | None
    rep: str | None
    idempotency_key: str
    actor: str | None


Record = ScoreRecord | ErrorRecord | ShadowRecord | FeedbackRecord
KINDS: Mapping[str, type[Record]] = {
    "score": ScoreRecord,
    "error": ErrorRecord,
    "shadow": ShadowRecord,
    "feedback": FeedbackRecord,
}
SHADOWED = tuple(f'{{"kind":"score","shadow_version":{digit}'.encode() for digit in range(1, 10))
"""How lines begin of leads that the shadow scores: whoever looks for them need not read the others."""
_READERS: dict[str, TypeAdapter[Record]] = {}


def line_of(record: Record) -> bytes:
    """The record as one line; characters such as line breaks inside of texts are escaped, so that it stays one.

    Raises:
        PydanticSerializationError: a value has no form in JSON.
    """
    return to_json(record, inf_nan_mode="null") + b"\n"


def record_of(line: bytes) -> Record:
    """What `line_of` wrote.

    Raises:
        PredictionLogError: the line is no record, or is one of a kind that is not known here.
    """
    try:
        found = from_json(line)
        kind = found["kind"]
        if kind not in _READERS:
            _READERS[kind] = TypeAdapter(KINDS[kind])
        return _READERS[kind].validate_python(found, strict=True)
    except (ValueError, KeyError, TypeError, ValidationError) as problem:
        told = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        raise PredictionLogError(
            f"a line of the prediction log cannot be read ({told}): expected one JSON object of kind "
            f"{', '.join(KINDS)}, found {line[:100]!r}. Keep the segment, and see which program wrote it."
        ) from None
