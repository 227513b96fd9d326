"""What each POST endpoint does with a request's body: validate, score, record, answer. HTTP stands in `app.py`."""

import math
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import numpy as np
from pydantic_core import from_json, to_json

from lead_scoring_assets.contracts.columns import Registry
from lead_scoring_assets.prediction_log.records import CLOCKS_APART, FeedbackRecord, line_of
from lead_scoring_assets.serving.answers import Written, answer_of, record_of_score
from lead_scoring_assets.serving.counts import Counts
from lead_scoring_assets.serving.faults import Fault, isolated
from lead_scoring_assets.serving.feedback import FeedbackBook, read_feedback
from lead_scoring_assets.serving.following import Follower, Live
from lead_scoring_assets.serving.keys import Scope
from lead_scoring_assets.serving.lead_request import Lead, LeadReader
from lead_scoring_assets.serving.moments import Moments
from lead_scoring_assets.serving.refusals import Refused
from lead_scoring_assets.serving.scoring import LeadScoring, Route, Scored
from lead_scoring_assets.settings import Serving

# The first explanation may come while libraries are still imported.
_ASIDE_SECONDS = 30.0
_ADDS_UP = 1e-5
_BOOLEANS = {"true": True, "false": False}
_RETRY = ((b"retry-after", b"1"),)


class Asked(NamedTuple):
    """A request that may be answered. `started`: on `time.perf_counter_ns`; `query`: what stands behind the address."""

    request_id: str
    endpoint: str
    started: int
    actor: str | None
    query: bytes
    body: bytes

    def is_exact(self) -> bool:
        """Whether all digits of a score are asked for.

        Raises:
            Refused: 422, something else stands behind the address.
        """
        if not self.query:
            return False
        found = parse_qsl(self.query.decode("latin-1"), keep_blank_values=True)
        if len(found) != 1 or found[0][0] != "exact" or found[0][1] not in _BOOLEANS:
            raise Refused(
                422, "validation", [{"field": "exact", "problem": "expected true or false, and nothing else"}]
            )
        return _BOOLEANS[found[0][1]]

    def refuse_query(self) -> None:
        """This endpoint takes nothing behind its address.

        Raises:
            Refused: 422, there is something.
        """
        if self.query:
            raise Refused(422, "validation", [{"field": "(the address)", "problem": "expected nothing behind it"}])

    @property
    def latency_us(self) -> int:
        return (time.perf_counter_ns() - self.started) // 1_000


class Endpoint(NamedTuple):
    """`scope`: what a key must allow. `most_bytes`: of a body."""

    answer: Callable[[Asked], Awaitable[bytes]]
    scope: Scope
    most_bytes: int


class _Ready(NamedTuple):
    """A lead that was scored, before anybody has heard of it. `is_exact`: all digits are asked for."""

    asked: Asked
    lead: Lead
    is_exact: bool
    scored: Scored


@dataclass(frozen=True)
class Parts:
    """What the endpoints stand on. `write`, `write_durably`: the prediction log's; whoever is answered has been
    written there."""

    worker: str
    registry: Registry
    buckets: Mapping[str, float]
    settings: Serving
    follower: Follower
    scoring: LeadScoring
    moments: Moments
    counts: Counts
    write: Callable[[bytes], None]
    write_durably: Callable[[bytes], None]
    feedback: FeedbackBook


class Endpoints:
    """The endpoints by their addresses, `together` those of `predict_together`; `reader` says what a lead is."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.reader = LeadReader(parts.registry)
        limits = parts.settings.limits
        one = Endpoint(self._predict, "score", limits.body_bytes)
        self.together = ("/predict", "/score-lead")
        self.by_path: Mapping[str, Endpoint] = {
            **dict.fromkeys(self.together, one),
            "/predict/batch": Endpoint(self._predict_batch, "score", limits.batch_body_bytes),
            "/explain-prediction": Endpoint(self._explain, "score", limits.body_bytes),
            "/feedback": Endpoint(self._feedback, "feedback", limits.body_bytes),
        }

    def live_at_once(self) -> Live | None:
        """What is live, where its models answer a lead without waiting for them."""
        live = self._parts.follower.live
        return None if live is None or live.is_waited_for else live

    def predict_together(self, live: Live, requests: Sequence[Asked]) -> list[bytes | Fault]:
        """The answers to requests for one lead each, where nothing has to be waited for: step by step for all of them, and in
        few calls, because code is slow the first time it runs after others' work. One request's fault is no other's."""
        reader, scoring = self.reader, self._parts.scoring
        results: dict[int, bytes | Fault] = {}
        read: dict[int, tuple[Lead, bool]] = {}
        for place, asked in enumerate(requests):
            try:
                with isolated:
                    read[place] = reader.read(asked.body), asked.is_exact()
            except Fault as fault:
                results[place] = fault
        ready: dict[int, _Ready] = {}
        scores = scoring.score_together(live, [lead for lead, _ in read.values()])
        for (place, (lead, is_exact)), scored in zip(read.items(), scores, strict=True):
            if isinstance(scored, Fault):
                results[place] = scored
            else:
                ready[place] = _Ready(requests[place], lead, is_exact, scored)
        try:
            with isolated:
                results.update(zip(ready, self._tell(live, ready.values()), strict=True))
        except Fault as fault:
            results.update(dict.fromkeys(ready, fault))
        return [results[place] for place in range(len(requests))]

    async def _predict(self, asked: Asked) -> bytes:
        lead, is_exact = self.reader.read(asked.body), asked.is_exact()
        live = self._live()
        [answer] = self._tell(live, [_Ready(asked, lead, is_exact, await self._parts.scoring.score(live, lead))])
        return answer

    def _tell(self, live: Live, ready: Collection[_Ready]) -> list[bytes]:
        """Write them down together, then answer each."""
        if not ready:
            return []
        parts = self._parts
        buckets, traffic, at = parts.buckets, live.traffic, parts.moments.iso()
        lines = []
        for asked, lead, _, scored in ready:
            written = self._written(asked, at)
            lines.append(line_of(record_of_score(lead, scored, traffic, written, asked.latency_us, buckets)))
        parts.write(b"".join(lines))
        answers = []
        for _, lead, is_exact, scored in ready:
            parts.counts.scored(scored.source)
            answers.append(to_json(answer_of(lead, scored, at, buckets, is_exact=is_exact)))
        return answers

    async def _predict_batch(self, asked: Asked) -> bytes:
        items, is_exact = self._items(asked.body), asked.is_exact()
        live = self._live()
        leads: list[Lead] = []
        results: list[dict[str, Any] | None] = []
        for item in items:
            try:
                leads.append(self.reader.read_object(item))
                results.append(None)
            except Refused as refused:
                results.append({"error": refused.error, "details": refused.details})
        scores = await self._parts.scoring.score_many(live, leads)
        at, latency_us, parts = self._parts.moments.iso(), asked.latency_us, self._parts
        written = self._written(asked, at)
        lines = [
            line_of(record_of_score(lead, scored, live.traffic, written, latency_us, parts.buckets))
            for lead, scored in zip(leads, scores, strict=True)
        ]
        lines += [
            line_of(
                {
                    "kind": "error",
                    **written,
                    "status": 422,
                    "error": result["error"],
                    "latency_us": latency_us,
                    "lead_id": None,
                }
            )
            for result in results
            if result is not None
        ]
        if lines:
            parts.write(b"".join(lines))
        told = iter(zip(leads, scores, strict=True))
        answers: list[Any] = []
        for place, result in enumerate(results):
            if result is not None:
                answers.append({"index": place, **result})
                continue
            lead, scored = next(told)
            parts.counts.scored(scored.source)
            answers.append({"index": place, **answer_of(lead, scored, at, parts.buckets, is_exact=is_exact)})
        return to_json({"results": answers, "scored": len(leads), "refused": len(items) - len(leads)})

    async def _explain(self, asked: Asked) -> bytes:
        asked.refuse_query()
        lead = self.reader.read(asked.body)
        live, parts = self._live(), self._parts
        model = live.champion
        try:
            explained = await parts.scoring.aside(
                lambda: _explanation(model.scorer.probability(lead.features), model, lead, parts.registry),
                _ASIDE_SECONDS,
            )
        except Exception as problem:  # whatever a library does
            raise Refused(503, "explanation", headers=_RETRY) from problem
        # Explained is what the champion says, whoever would answer this lead.
        scored = Scored(explained["probability"], "model", model.version, Route())
        at = parts.moments.iso()
        written = self._written(asked, at)
        parts.write(line_of(record_of_score(lead, scored, live.traffic, written, asked.latency_us, parts.buckets)))
        parts.counts.scored("model")
        return to_json({**answer_of(lead, scored, at, parts.buckets, is_exact=True), **explained})

    async def _feedback(self, asked: Asked) -> bytes:
        asked.refuse_query()
        feedback = read_feedback(asked.body)
        parts, now = self._parts, self._parts.moments.now()
        if feedback.outcome_at > now + CLOCKS_APART:
            # Taken in it would be rejected, because nobody knows an outcome before it happens, and the lead would count as lost.
            problem = f"expected a moment that has passed: here it is {now.isoformat()}"
            raise Refused(409, "not_yet", [{"field": "outcome_at", "problem": problem}])
        record: FeedbackRecord = {
            "kind": "feedback",
            "request_id": asked.request_id,
            "worker": parts.worker,
            "at": now.isoformat(timespec="microseconds"),
            "lead_id": feedback.lead_id,
            "outcome": feedback.outcome,
            "outcome_at": feedback.outcome_at_utc,
            "deal_value": feedback.deal_value,
            "currency": feedback.currency,
            "reason": feedback.reason,
            "rep": feedback.rep,
            "idempotency_key": feedback.idempotency_key,
            "actor": asked.actor,
        }
        line = line_of(record)
        # The key is on the disk at once; its record must not come later.
        is_new = await parts.scoring.aside(
            lambda: parts.feedback.record(feedback, now, lambda: parts.write_durably(line)), _ASIDE_SECONDS
        )
        return to_json({"lead_id": feedback.lead_id, "idempotency_key": feedback.idempotency_key, "is_new": is_new})

    def _live(self) -> Live:
        live = self._parts.follower.live
        if live is None:
            raise Refused(503, "no_model", headers=_RETRY)
        return live

    def _written(self, asked: Asked, at: str) -> Written:
        return {
            "request_id": asked.request_id,
            "worker": self._parts.worker,
            "at": at,
            "endpoint": asked.endpoint,
            "actor": asked.actor,
        }

    def _items(self, body: bytes) -> list[Any]:
        """The leads of a batch, not yet validated."""
        try:
            found = from_json(body)
        except ValueError:
            raise _no_batch("is not valid JSON") from None
        if not isinstance(found, dict) or set(found) != {"leads"} or not isinstance(found["leads"], list):
            raise _no_batch('expected {"leads": [ … ]}')
        if len(found["leads"]) > self._parts.settings.limits.batch_leads:
            raise Refused(413, "too_many_leads")
        return found["leads"]


def _no_batch(problem: str) -> Refused:
    return Refused(422, "validation", [{"field": "(the whole body)", "problem": problem}])


def _explanation(probability: float, model: Any, lead: Lead, registry: Registry) -> dict[str, Any]:
    """Exact contributions in log odds, which add up with the base to those of the probability, and the strongest in words."""
    from lead_scoring_assets.assessment.reasons import top_reasons

    told = model.scorer.contributions(lead.features)
    values = np.array(list(told.values()))
    log_odds = math.log(probability / (1 - probability))
    if not abs(values.sum() - log_odds) <= _ADDS_UP:  # so written that NaN does not add up either
        raise ArithmeticError(f"contributions add up to {values.sum()}, expected {log_odds}")
    reasons = top_reasons(values, lead.features, model.scorer.scorer.columns, registry)
    base = told.pop("base")
    return {
        "probability": probability,
        "log_odds": log_odds,
        "base": base,
        "contributions": told,
        "reasons": [{"feature": reason.feature, "effect": reason.effect, "words": reason.words} for reason in reasons],
    }
