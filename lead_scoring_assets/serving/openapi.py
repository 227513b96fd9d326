"""The OpenAPI document of the POST endpoints; FastAPI tells of the others. What a lead is comes from the registry."""

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from lead_scoring_assets.serving.answers import Answer
from lead_scoring_assets.serving.feedback import Feedback
from lead_scoring_assets.settings import Limits

_REFUSALS = {
    400: "not readable",
    408: "did not arrive in time",
    401: "a key is needed",
    403: "the key does not allow this",
    413: "too large",
    415: "not JSON",
    421: "asked under another name than this machine's",
    422: "fields that are wrong, by name",
    431: "too many or too long headers",
    429: "too many requests; see Retry-After",
    503: "no model is loaded yet, or the log cannot be written; see Retry-After",
}
_DETAIL = {"type": "object", "properties": {"field": {"type": "string"}, "problem": {"type": "string"}}}
_REFUSAL = {
    "type": "object",
    "required": ["error", "message", "request_id"],
    "properties": {
        "error": {"type": "string"},
        "message": {"type": "string"},
        "request_id": {"type": "string"},
        "details": {"type": "array", "items": _DETAIL},
    },
}
_ANY_LEAD = {
    "description": "As the body of /predict. What is wrong with one is told in its place, and the others are scored."
}
_EXACT = {
    "name": "exact",
    "in": "query",
    "required": False,
    "description": "true: the probability with all its digits as well, as score_exact",
    "schema": {"type": "boolean"},
}


def paths(lead: Mapping[str, Any], limits: Limits) -> dict[str, Any]:
    """The document's `paths` of the POST endpoints, and under `schemas` what they name."""
    answer = TypeAdapter(Answer).json_schema(mode="serialization")
    answer = {name: value for name, value in answer.items() if name != "$defs"}
    predict = _post("Score one lead", "lead", dict(lead), answer, parameters=[_EXACT])
    batch = {
        "type": "object",
        "required": ["leads"],
        "additionalProperties": False,
        "properties": {"leads": {"type": "array", "items": _ANY_LEAD, "maxItems": limits.batch_leads}},
    }
    refused_item = {
        "type": "object",
        "required": ["index", "error"],
        "properties": {
            "index": {"type": "integer"},
            "error": {"type": "string"},
            "details": {"type": "array", "items": _DETAIL},
        },
    }
    batch_answer = {
        "type": "object",
        "required": ["results", "scored", "refused"],
        "properties": {
            "results": {"type": "array", "items": {"anyOf": [answer, refused_item]}},
            "scored": {"type": "integer"},
            "refused": {"type": "integer"},
        },
    }
    numbers = {"type": "object", "additionalProperties": {"type": "number"}}
    explained = {
        **answer,
        "required": [*answer["required"], "base", "contributions", "reasons"],
        "properties": {
            **answer["properties"],
            "probability": {"type": "number"},
            "log_odds": {"type": "number"},
            "base": {"type": "number"},
            "contributions": numbers,
            "reasons": {"type": "array", "items": {"type": "object"}},
        },
    }
    recorded = {
        "type": "object",
        "required": ["lead_id", "idempotency_key", "is_new"],
        "properties": {
            "lead_id": {"type": "string"},
            "idempotency_key": {"type": "string"},
            "is_new": {"type": "boolean"},
        },
    }
    feedback = _post(
        "Say what became of a lead",
        "feedback",
        Feedback.model_json_schema(),
        recorded,
        {409: "conflict, or not_yet: by this system's clock it has not happened"},
    )
    return {
        "/predict": predict,
        "/score-lead": {"post": {**predict["post"], "operationId": "score_lead"}},
        "/predict/batch": _post("Score many leads", "batch", batch, batch_answer, parameters=[_EXACT]),
        "/explain-prediction": _post("Why a lead has its score (exact SHAP values)", "explain", dict(lead), explained),
        "/feedback": feedback,
    }


def _post(
    summary: str,
    name: str,
    body: Mapping[str, Any],
    answer: Mapping[str, Any],
    more: Mapping[int, str] | None = None,
    parameters: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    refusals = {**_REFUSALS, **(more or {})}
    return {
        "post": {
            "summary": summary,
            "tags": ["leads"],
            "operationId": name,
            "parameters": parameters or [],
            "security": [{}, {"bearer": []}],
            "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
            "responses": {
                "200": {"description": "OK", "content": {"application/json": {"schema": answer}}},
                **{
                    str(status): {"description": words, "content": {"application/json": {"schema": _REFUSAL}}}
                    for status, words in sorted(refusals.items())
                },
            },
        }
    }
