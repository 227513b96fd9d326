"""One lead as it is sent to be scored: read and validated by what the registry says of its features, and by nothing else."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, Required

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from lead_scoring_assets.contracts.columns import Column, Registry
from lead_scoring_assets.contracts.describe import json_schema
from lead_scoring_assets.contracts.validation import LARGEST_EXACT
from lead_scoring_assets.serving.refusals import Refused

LEAD_ID, REP = "lead_id", "rep"
_NAME_SCHEMA = {"type": "string", "minLength": 1, "maxLength": 128}
_SHOWN_CHARACTERS = 100


class Lead(NamedTuple):
    """`features`: every one of the registry, in its order; None for what was not given or means "not there".

    `rep`: who works the lead, where the caller says so and it is no feature.
    """

    lead_id: str
    rep: str | None
    features: dict[str, Any]


class LeadReader:
    """Reads leads for one registry. `schema`: the JSON Schema of one lead, for the OpenAPI document."""

    def __init__(self, registry: Registry) -> None:
        features = registry.features
        self._has_rep = REP not in features
        # The adapter's own methods only pass on to it.
        self._reader = TypeAdapter[dict[str, Any]](_typed(features, has_rep=self._has_rep)).validator
        self._names = tuple(features)
        self._missing = [(name, frozenset(column.missing)) for name, column in features.items() if column.missing]
        name = "expected a text of 1 to 128 characters"
        self._expected = {LEAD_ID: name, REP: name, **{name: _expected(column) for name, column in features.items()}}
        self.schema = _schema(registry, has_rep=self._has_rep)

    def read(self, body: bytes) -> Lead:
        """A lead from a request's body.

        Raises:
            Refused: 422 with the names of the fields that are wrong; what they hold is not repeated.
        """
        try:
            return self._lead(self._reader.validate_json(body))
        except ValidationError as problem:
            raise self._refusal(problem) from None

    def read_object(self, found: object) -> Lead:
        """The same of what has been read from JSON already."""
        try:
            return self._lead(self._reader.validate_python(found))
        except ValidationError as problem:
            raise self._refusal(problem) from None

    def _refusal(self, problem: ValidationError) -> Refused:
        return Refused(422, "validation", details_of(problem, self._expected))

    def _lead(self, found: dict[str, Any]) -> Lead:
        lead_id, rep = found.pop(LEAD_ID), found.pop(REP, None) if self._has_rep else None
        # Validation has put what was given into the registry's order.
        features = found if len(found) == len(self._names) else {name: found.get(name) for name in self._names}
        for name, codes in self._missing:
            if features[name] in codes:
                features[name] = None
        return Lead(lead_id, rep, features)


def details_of(problem: ValidationError, expected: Mapping[str, str]) -> list[dict[str, str]]:
    """What is wrong, in words for each field (`expected`, by name); nothing of what was sent is repeated but the names."""
    told = {}
    for error in problem.errors(include_url=False, include_context=False, include_input=False):
        name = str(error["loc"][0])[:_SHOWN_CHARACTERS] if error["loc"] else "(the whole body)"
        told[name] = _WORDS.get(error["type"]) or expected.get(name) or error["msg"]
    return [{"field": name, "problem": words} for name, words in told.items()]


_WORDS = {
    "extra_forbidden": "is not a feature of this system's registry (`lead-scoring schema` lists them)",
    "missing": "is required and missing",
    "json_invalid": "is not valid JSON",
}


def _typed(features: Mapping[str, Column], *, has_rep: bool) -> Any:
    """A type with the features' own names, whatever a company calls them."""
    fields: dict[str, Any] = {LEAD_ID: Required[_name()]}
    if has_rep:
        fields[REP] = NotRequired[_name() | None]
    for name, column in features.items():
        kind = _kind(column)
        fields[name] = Required[kind] if column.required else NotRequired[kind | None]
    # Strict: "12" is no number, and true is not 1.
    return with_config(ConfigDict(extra="forbid", strict=True, allow_inf_nan=False))(TypedDict("Lead", fields))  # type: ignore[operator]


def _name() -> Any:
    return Annotated[str, Field(min_length=1, max_length=128)]


def _kind(column: Column) -> Any:
    if not column.is_numeric:
        return Literal[column.categories]
    if column.kind == "number":
        return Annotated[float, Field(ge=column.minimum, le=column.maximum)]
    low = -LARGEST_EXACT if column.minimum is None else max(-LARGEST_EXACT, column.minimum)
    high = LARGEST_EXACT if column.maximum is None else min(LARGEST_EXACT, column.maximum)
    whole = Annotated[int, Field(ge=low, le=high)]
    # JSON has one kind of number: 3.0 is a whole one.
    also_whole = Annotated[float, Field(ge=low, le=high), AfterValidator(_whole)]
    return Annotated[whole | also_whole, Field(union_mode="left_to_right")]


def _whole(number: float) -> int:
    if not number.is_integer():
        raise ValueError("expected a whole number")
    return int(number)


def _expected(column: Column) -> str:
    kind = {"integer": "a whole number", "number": "a number"}.get(column.kind, "one of its categories")
    limits = [
        f"{word} {_plain(limit)}"
        for word, limit in (("at least", column.minimum), ("at most", column.maximum))
        if limit is not None
    ]
    return f"expected {' and '.join([', '.join([kind, *limits[:1]]), *limits[1:]])}{'' if column.required else ', or null'}"


def _plain(number: float) -> str:
    return str(int(number)) if float(number).is_integer() else repr(number)


def _schema(registry: Registry, *, has_rep: bool) -> dict[str, Any]:
    told = json_schema(registry)
    told.pop("$schema")
    keys: dict[str, Any] = {LEAD_ID: {**_NAME_SCHEMA, "description": "names the lead"}}
    if has_rep:
        nullable = {**_NAME_SCHEMA, "type": ["string", "null"]}
        keys[REP] = {**nullable, "description": "who works the lead; experiments may be drawn by rep"}
    return {**told, "properties": {**keys, **told["properties"]}, "required": [LEAD_ID, *told["required"]]}
