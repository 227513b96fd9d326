"""The shadow: a second model scores the same leads beside the answer, in threads of its own, and nobody ever sees its scores.

Whatever it does (raise, hang, give NaN, fall behind) changes no answer. Every lead that is offered ends in exactly one record.
Leads that come within 20 ms have their turn together. Where a library scores them in one call, the first of them is scored
alone: its time is what an answer of this model would take.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from lead_scoring_assets.errors import LeadScoringError
from lead_scoring_assets.models.row_scorer import RowScorer
from lead_scoring_assets.prediction_log.records import ShadowOutcome, ShadowRecord, line_of
from lead_scoring_assets.serving.counts import Counts
from lead_scoring_assets.serving.faults import Fault, isolated
from lead_scoring_assets.settings import ShadowQueue

_GATHER_SECONDS = 0.02
# Together they keep Python's lock for less than a millisecond, in which nobody is answered.
_TOGETHER = 64
_WATCH_SECONDS = 0.05
# So many threads that hang are left behind; a model that hangs more often gets no more leads.
_MOST_STUCK = 3
_STUCK = "the shadow hangs again and again"
_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class ShadowLead:
    """A lead that was answered, for the shadow."""

    request_id: str
    lead_id: str
    features: Mapping[str, Any]
    champion_version: int
    champion_score: float
    champion_latency_us: int
    shadow_version: int
    scorer: RowScorer
    is_recorded: bool = False


class _Found(NamedTuple):
    """What became of a lead; `seconds`: what its score took, where it was made alone."""

    outcome: ShadowOutcome
    score: float | None = None
    seconds: float | None = None
    reason: str | None = None


class _Turn(NamedTuple):
    """Leads that are being scored, since `started` on `time.perf_counter`."""

    leads: Sequence[ShadowLead]
    started: float


class Shadow:
    """One worker's. `write` is the prediction log's; `iso` the moment, as records have it."""

    def __init__(
        self, worker: str, write: Callable[[bytes], None], iso: Callable[[], str], counts: Counts, limits: ShadowQueue
    ) -> None:
        self._worker, self._write, self._iso, self._counts = worker, write, iso, counts
        self._most = limits.queue
        self._timeout_seconds = limits.timeout_ms / 1e3
        self._waiting: SimpleQueue[ShadowLead | None] = SimpleQueue()
        self._turn: _Turn | None = None
        self._runner: threading.Thread | None = None
        self._stuck = 0
        self._recording = threading.Lock()
        self._ending = threading.Event()
        self._watch = threading.Thread(target=self._watch_over, daemon=True, name="shadow-watch")

    def start(self) -> None:
        self._start_runner()
        self._watch.start()

    def offer(self, lead: ShadowLead) -> None:
        """Take a lead, without waiting; what is too much is dropped, which is recorded as well."""
        if self._stuck >= _MOST_STUCK:
            self._record([lead], [_Found("dropped", reason=_STUCK)])
        elif self._waiting.qsize() >= self._most:
            self._record([lead], [_Found("dropped", reason=f"{self._most:,} leads wait already")])
        else:
            self._waiting.put(lead)

    def end(self) -> None:
        """Score what waits for up to two time-outs, then record the rest as dropped."""
        self._ending.set()
        self._waiting.put(None)
        self._watch.join()
        if self._runner is not None and self._stuck < _MOST_STUCK:
            self._runner.join(2 * self._timeout_seconds)
        self._drop_what_waits("the server ended")
        if (hanging := self._turn) is not None:
            self._record_all(hanging.leads, _Found("timeout", reason="the server ended"))

    def _start_runner(self) -> None:
        self._runner = threading.Thread(target=self._run, daemon=True, name="shadow")
        self._runner.start()

    def _run(self) -> None:
        while leads := self._gathered():
            self._score(leads)
            if self._runner is not threading.current_thread():
                return  # it hung, and another has taken its place

    def _gathered(self) -> list[ShadowLead]:
        """Leads that came together; none when there will be no more. What is not taken stays for whoever comes after a
        thread that hangs."""
        leads: list[ShadowLead] = []
        with contextlib.suppress(Empty):
            while len(leads) < _TOGETHER:
                lead = self._waiting.get(block=not leads)
                if lead is None:
                    if leads:
                        self._waiting.put(None)
                    break
                if not leads and self._waiting.empty():
                    self._ending.wait(_GATHER_SECONDS)
                leads.append(lead)
        return leads

    def _score(self, leads: Sequence[ShadowLead]) -> None:
        self._turn = turn = _Turn(leads, time.perf_counter())
        # Another model may have become the shadow in between.
        for _, of_one_model in groupby(leads, attrgetter("scorer")):
            first, *others = of_one_model
            # Own code for one row keeps Python's lock; the arrays of many rows would hand it over at each step.
            is_alone = first.scorer.path == "one_row"
            found = [_alone(first), *(map(_alone, others) if is_alone else _together(others))]
            took = time.perf_counter() - turn.started
            if took > self._timeout_seconds:
                self._record_all(leads, _Found("timeout", reason=f"took {took * 1e3:,.0f} ms"))
            else:
                self._record([first, *others], found)
        if self._turn is turn:
            self._turn = None

    def _record_all(self, leads: Sequence[ShadowLead], found: _Found) -> None:
        self._record(leads, [found] * len(leads))

    def _record(self, leads: Sequence[ShadowLead], found: Sequence[_Found]) -> None:
        """Write the leads' records, but those that somebody has written."""
        with self._recording:
            fresh = [(lead, its) for lead, its in zip(leads, found, strict=True) if not lead.is_recorded]
            for lead, its in fresh:
                lead.is_recorded = True
                self._counts.shadow(its.outcome)
        if not fresh:
            return
        at = self._iso()
        try:
            self._write(b"".join([line_of(self._record_of(lead, its, at)) for lead, its in fresh]))
        except LeadScoringError as problem:
            _LOG.warning("%s shadow records are lost: %s", len(fresh), problem)

    def _record_of(self, lead: ShadowLead, found: _Found, at: str) -> ShadowRecord:
        return {
            "kind": "shadow",
            "request_id": lead.request_id,
            "worker": self._worker,
            "at": at,
            "lead_id": lead.lead_id,
            "champion_version": lead.champion_version,
            "champion_score": lead.champion_score,
            "shadow_version": lead.shadow_version,
            "shadow_score": found.score,
            "champion_latency_us": lead.champion_latency_us,
            "shadow_latency_us": None if found.seconds is None else int(found.seconds * 1e6),
            "outcome": found.outcome,
            "reason": found.reason,
        }

    def _watch_over(self) -> None:
        """In a thread: who hangs is left behind, and another goes on with the next leads."""
        while not self._ending.wait(_WATCH_SECONDS):
            turn = self._turn
            if turn is None or time.perf_counter() - turn.started <= self._timeout_seconds:
                continue
            reason = f"no answer within {self._timeout_seconds * 1e3:,.0f} ms, {len(turn.leads)} leads at a time"
            self._record_all(turn.leads, _Found("timeout", reason=reason))
            self._turn = None
            self._stuck += 1
            if self._stuck < _MOST_STUCK:
                self._start_runner()
            else:
                _LOG.warning("the shadow has hung %s times: it gets no more leads", self._stuck)
                self._drop_what_waits(_STUCK)

    def _drop_what_waits(self, reason: str) -> None:
        with contextlib.suppress(Empty):
            while True:
                if (lead := self._waiting.get_nowait()) is not None:
                    self._record([lead], [_Found("dropped", reason=reason)])


def _alone(lead: ShadowLead) -> _Found:
    started = time.perf_counter()
    try:
        with isolated:
            score = lead.scorer.probability(lead.features)
    except Fault as fault:
        # Our own errors are written for people; of others only the name, because their words may hold anything.
        reason = str(fault) if isinstance(fault.cause, LeadScoringError) else type(fault.cause).__name__
        return _Found("failed", None, time.perf_counter() - started, reason)
    return _judged(score, time.perf_counter() - started)


def _together(leads: Sequence[ShadowLead]) -> list[_Found]:
    """Leads of one model; where that fails each alone, because one of them need not fail the others."""
    if not leads:
        return []
    try:
        with isolated:
            return [_judged(score, None) for score in leads[0].scorer.probabilities([lead.features for lead in leads])]
    except Fault:
        return [_alone(lead) for lead in leads]


def _judged(score: float, seconds: float | None) -> _Found:
    if 0 <= score <= 1:
        return _Found("scored", score, seconds)
    return _Found("not_finite", None, seconds, f"gave {score}")
