"""The shadow: a second model scores the same leads beside the answer, in threads of its own, and nobody ever sees its scores.

Whatever it does (raise, hang, give NaN, fall behind) changes no answer. Every lead that is offered ends in exactly one record.
"""

import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from lead_scoring_assets.errors import LeadScoringError
from lead_scoring_assets.models.row_scorer import RowScorer
from lead_scoring_assets.prediction_log.records import ShadowOutcome, ShadowRecord, line_of
from lead_scoring_assets.serving.counts import Counts
from lead_scoring_assets.serving.faults import Fault, isolated
from lead_scoring_assets.settings import ShadowQueue

_GATHER_SECONDS = 0.002
_WATCH_SECONDS = 0.05
# So many threads that hang are left behind; a model that hangs more often gets no more leads.
_MOST_STUCK = 3
_STUCK = "the shadow hangs again and again"
_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class ShadowLead:
    """A lead that was answered, for the shadow. `started`: when its turn came, on `time.perf_counter`."""

    request_id: str
    lead_id: str
    features: Mapping[str, Any]
    champion_version: int
    champion_score: float
    champion_latency_us: int
    shadow_version: int
    scorer: RowScorer
    started: float = 0.0
    is_recorded: bool = False


class Shadow:
    """One worker's. `write` is the prediction log's; `iso` the moment, as records have it."""

    def __init__(
        self, worker: str, write: Callable[[bytes], None], iso: Callable[[], str], counts: Counts, limits: ShadowQueue
    ) -> None:
        self._worker, self._write, self._iso, self._counts = worker, write, iso, counts
        self._most = limits.queue
        self._timeout_seconds = limits.timeout_ms / 1e3
        self._waiting: SimpleQueue[ShadowLead | None] = SimpleQueue()
        self._current: ShadowLead | None = None
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
            self._record(lead, "dropped", None, reason=_STUCK)
        elif self._waiting.qsize() >= self._most:
            self._record(lead, "dropped", None, reason=f"{self._most:,} leads wait already")
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
        if (hanging := self._current) is not None:
            self._record(hanging, "timeout", None, reason="the server ended")

    def _start_runner(self) -> None:
        self._runner = threading.Thread(target=self._run, daemon=True, name="shadow")
        self._runner.start()

    def _run(self) -> None:
        while (lead := self._waiting.get()) is not None:
            self._score(lead)
            if self._runner is not threading.current_thread():
                return  # it hung, and another has taken its place
            if self._waiting.empty():
                # So that leads come together, and this thread does not stand in the way of their answers.
                time.sleep(_GATHER_SECONDS)

    def _score(self, lead: ShadowLead) -> None:
        lead.started = time.perf_counter()
        self._current = lead
        reason = None
        score: float | None = None
        outcome: ShadowOutcome = "scored"
        try:
            with isolated:
                score = lead.scorer.probability(lead.features)
        except Fault as fault:
            outcome = "failed"
            # Our own errors are written for people; of others only the name, because their words may hold anything.
            reason = str(fault) if isinstance(fault.cause, LeadScoringError) else type(fault.cause).__name__
        took = time.perf_counter() - lead.started
        if score is not None and not (math.isfinite(score) and 0 <= score <= 1):
            score, outcome, reason = None, "not_finite", f"gave {score}"
        if took > self._timeout_seconds:
            score, outcome, reason = None, "timeout", f"took {took * 1e3:,.0f} ms"
        self._record(lead, outcome, score, took, reason)
        if self._current is lead:
            self._current = None

    def _record(
        self,
        lead: ShadowLead,
        outcome: ShadowOutcome,
        score: float | None,
        took: float | None = None,
        reason: str | None = None,
    ) -> None:
        """Write the lead's record, unless somebody has."""
        with self._recording:
            if lead.is_recorded:
                return
            lead.is_recorded = True
            self._counts.shadow(outcome)
        record: ShadowRecord = {
            "kind": "shadow",
            "request_id": lead.request_id,
            "worker": self._worker,
            "at": self._iso(),
            "lead_id": lead.lead_id,
            "champion_version": lead.champion_version,
            "champion_score": lead.champion_score,
            "shadow_version": lead.shadow_version,
            "shadow_score": score,
            "champion_latency_us": lead.champion_latency_us,
            "shadow_latency_us": None if took is None else int(took * 1e6),
            "outcome": outcome,
            "reason": reason,
        }
        try:
            self._write(line_of(record))
        except LeadScoringError as problem:
            _LOG.warning("a shadow record is lost: %s", problem)

    def _watch_over(self) -> None:
        """In a thread: who hangs is left behind, and another goes on with the next lead."""
        while not self._ending.wait(_WATCH_SECONDS):
            lead = self._current
            if lead is None or lead.is_recorded or time.perf_counter() - lead.started <= self._timeout_seconds:
                continue
            self._record(lead, "timeout", None, reason=f"no answer within {self._timeout_seconds * 1e3:,.0f} ms")
            self._current = None
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
                    self._record(lead, "dropped", None, reason=reason)
