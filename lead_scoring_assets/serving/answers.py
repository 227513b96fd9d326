"""What the API says of a lead, and what the log keeps of it."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from lead_scoring_assets.prediction_log.records import ScoreRecord
from lead_scoring_assets.predictions.buckets import bucket_of_one
from lead_scoring_assets.rollout.traffic import Traffic
from lead_scoring_assets.serving.lead_request import Lead
from lead_scoring_assets.serving.scoring import Scored

Probability = Annotated[float, Field(ge=0, le=1)]


class Answer(TypedDict):
    """One lead's score. `source`: the model; `fallback` where it could not answer (batch scores such leads again); `process`
    in an experiment whose control is to work leads as before, so that no score is shown."""

    lead_id: str
    lead_score: Probability | None
    score_bucket: str | None
    model_version: str | None
    scored_at: str
    source: Literal["model", "fallback", "process"]
    score_exact: NotRequired[Probability | None]


class Written(TypedDict):
    """What all records of one request share."""

    request_id: str
    worker: str
    at: str
    endpoint: str
    actor: str | None


def answer_of(lead: Lead, scored: Scored, at: str, buckets: Mapping[str, float], *, is_exact: bool) -> Answer:
    """What is said of a scored lead: the probability with four decimals, as the documents have it."""
    is_hidden = scored.route.arm == "process"
    answer: Answer = {
        "lead_id": lead.lead_id,
        "lead_score": None if is_hidden else round(scored.score, 4),
        "score_bucket": None if is_hidden else bucket_of_one(scored.score, buckets),
        "model_version": None if is_hidden or scored.version is None else f"v{scored.version}",
        "scored_at": at,
        "source": "process" if is_hidden else scored.source,
    }
    if is_exact:
        answer["score_exact"] = None if is_hidden else scored.score
    return answer


def record_of_score(
    lead: Lead, scored: Scored, traffic: Traffic, written: Written, latency_us: int, buckets: Mapping[str, float]
) -> ScoreRecord:
    """What the log keeps of a scored lead, also where its score is not shown."""
    route = scored.route
    is_split = route.arm is not None
    features: dict[str, Any] = lead.features
    return {
        "kind": "score",
        # Second, as `SHADOWED` says. What the plain rule says is no score to compare with.
        "shadow_version": route.shadow_version if scored.source == "model" else None,
        "request_id": written["request_id"],
        "worker": written["worker"],
        "at": written["at"],
        "lead_id": lead.lead_id,
        "endpoint": written["endpoint"],
        "status": 200,
        "source": scored.source,
        "model_version": scored.version,
        "score": scored.score,
        "bucket": bucket_of_one(scored.score, buckets),
        "latency_us": latency_us,
        "arm": route.arm,
        "share_bp": traffic.share_bp if is_split else 0,
        "rollout_id": traffic.rollout_id if is_split else None,
        "experiment_id": traffic.experiment_id if is_split else None,
        "unit_id": route.unit_id,
        "propensity": route.propensity,
        "explored": route.explored,
        "features": features,
        "actor": written["actor"],
    }
