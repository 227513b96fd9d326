"""The shadow: a second model scores leads that were answered, and nobody ever sees its scores. What becomes of each lead.

Every one ends in exactly one record. Where the log is read, and the model kept apart, stands in `shadow_process.py`.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from pydantic_core import from_json

from lead_scoring_assets.errors import LeadScoringError
from lead_scoring_assets.models.row_scorer import RowScorer
from lead_scoring_assets.prediction_log.records import ScoreRecord, ShadowOutcome, ShadowRecord
from lead_scoring_assets.prediction_log.segments import Line
from lead_scoring_assets.serving.faults import Fault, isolated

WORKER = "shadow"
Asking = Callable[["Sequence[ShadowLead]"], AbstractContextManager[None]]
"""Holds while a model is asked for the scores of these leads."""


class ShadowLead(NamedTuple):
    """A lead that version `champion` answered, as the log has it: in the bytes from `start` to `end` of a segment. `version`:
    of the shadow."""

    segment: str
    start: int
    end: int
    version: int
    champion: int
    answered: ScoreRecord


class Found(NamedTuple):
    """What became of a lead; `seconds`: what its score took, where it was made alone."""

    outcome: ShadowOutcome
    score: float | None = None
    seconds: float | None = None
    reason: str | None = None


def lead_of(line: Line) -> ShadowLead | None:
    """The lead of a line that begins as `SHADOWED`; None where the rest is damaged, which ingestion tells people."""
    try:
        answered: Any = from_json(line.content)
        versions = int(answered["shadow_version"]), int(answered["model_version"])
        return ShadowLead(line.segment, line.start, line.end, *versions, answered)
    except (ValueError, TypeError, KeyError):
        return None


def scored(leads: Sequence[ShadowLead], scorer: RowScorer, timeout_seconds: float, asking: Asking) -> list[Found]:
    """What a model says of each, whatever it does.

    Own code for one row is asked lead by lead. A library is asked for many at once, and alone for the first: its time is what
    an answer of this model would take.
    """
    alone = len(leads) if scorer.path != "library" else 1
    found = [_alone(lead, scorer, timeout_seconds, asking) for lead in leads[:alone]]
    return found + _together(leads[alone:], scorer, timeout_seconds, asking)


def record_of_shadow(lead: ShadowLead, found: Found) -> ShadowRecord:
    """What the log keeps. At the moment of the answer, because both belong to one period, however late the shadow is."""
    answered = lead.answered
    return {
        "kind": "shadow",
        "request_id": answered["request_id"],
        "worker": WORKER,
        "at": answered["at"],
        "of_segment": lead.segment,
        "of_byte": lead.start,
        "lead_id": answered["lead_id"],
        "champion_version": lead.champion,
        "champion_score": answered["score"],
        "shadow_version": lead.version,
        "shadow_score": found.score,
        "champion_latency_us": answered["latency_us"],
        "shadow_latency_us": None if found.seconds is None else int(found.seconds * 1e6),
        "outcome": found.outcome,
        "reason": found.reason,
    }


def _alone(lead: ShadowLead, scorer: RowScorer, timeout_seconds: float, asking: Asking) -> Found:
    started = time.perf_counter()
    try:
        with isolated, asking([lead]):
            score = float(scorer.probability(lead.answered["features"]))
    except Fault as fault:
        # Our own errors are written for people; of others only the name, because their words may hold anything.
        reason = str(fault) if isinstance(fault.cause, LeadScoringError) else type(fault.cause).__name__
        return Found("failed", None, time.perf_counter() - started, reason)
    seconds = time.perf_counter() - started
    return _judged(score, seconds, seconds, timeout_seconds)


def _together(leads: Sequence[ShadowLead], scorer: RowScorer, timeout_seconds: float, asking: Asking) -> list[Found]:
    """Where that fails each alone, because one of them need not fail the others."""
    if not leads:
        return []
    started = time.perf_counter()
    try:
        with isolated, asking(leads):
            told = scorer.probabilities([lead.answered["features"] for lead in leads])
            scores = [float(score) for _, score in zip(leads, told, strict=True)]
    except Fault:
        return [_alone(lead, scorer, timeout_seconds, asking) for lead in leads]
    took = time.perf_counter() - started
    return [_judged(score, None, took, timeout_seconds) for score in scores]


def _judged(score: float, seconds: float | None, took: float, timeout_seconds: float) -> Found:
    if took > timeout_seconds:
        return Found("timeout", reason=f"took {took * 1e3:,.0f} ms")
    if 0 <= score <= 1:
        return Found("scored", score, seconds)
    return Found("not_finite", None, seconds, f"gave {score}")
