"""What the event log tells about retraining: requests, episodes and their causes, verdicts, refusals. Nothing is decided here."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from lead_scoring_assets.events.log import Event, EventLog
from lead_scoring_assets.retraining.causes import Finding
from lead_scoring_assets.retraining.decisions import RetrainingDecision
from lead_scoring_assets.retraining.facts import Request

REQUESTED, DECLINED = "retraining_requested", "retraining_declined"
OPENED, JOINED, CLOSED = "retraining_episode_opened", "retraining_cause_joined", "retraining_episode_closed"


@dataclass(frozen=True)
class Episode:
    """One training that was asked for. `is_repeat`: its period had been decided before, and a person wants it again."""

    episode_id: str
    period: str
    cause: str
    causes: frozenset[str]
    requested_by: str | None
    is_repeat: bool


class Records:
    """The log as it stood when this was made; what is recorded through it is added. Only inside the lock of `episodes`."""

    def __init__(self, events: EventLog) -> None:
        self._log = events
        self._known: dict[str, list[Event]] = {kind: [] for kind in (REQUESTED, DECLINED, OPENED, JOINED, CLOSED)}
        for event in events.events():
            if event.kind in self._known:
                self._known[event.kind].append(event)

    def open_episode(self) -> Episode | None:
        """The one that has not been closed: there is never more than one."""
        closed = {event.subject for event in self._known[CLOSED]}
        opened = [event for event in self._known[OPENED] if event.event_id not in closed]
        return self._episode(opened[-1]) if opened else None

    def how_closed(self, period: str) -> str | None:
        """What the newest closed episode of `period` came to; None: there is none."""
        ids = {event.event_id for event in self._known[OPENED] if event.evidence["period"] == period}
        return next((event.reason for event in reversed(self._known[CLOSED]) if event.subject in ids), None)

    def pending(self) -> Request | None:
        """The oldest request that no episode has taken up."""
        taken = {event.evidence.get("request") for kind in (OPENED, JOINED) for event in self._known[kind]}
        waiting = [event for event in self._known[REQUESTED] if event.event_id not in taken]
        return Request(waiting[0].event_id, waiting[0].actor, waiting[0].reason) if waiting else None

    def request(self, by: str, reason: str, now: datetime) -> Request:
        """Record that a person asks for a training."""
        name = f"retraining-requested-{len(self._known[REQUESTED]) + 1}"
        self._record(Event(name, REQUESTED, "by_hand", now, by, reason))
        return Request(name, by, reason)

    def open(self, decision: RetrainingDecision, now: datetime, actor: str, request: Request | None) -> Episode:
        """Record a yes: the first cause names the episode, the others join it; all at once, as far as a log can."""
        first, *others = decision.triggers
        name = self._fresh_name(f"retraining-{first.cause}-{decision.period}")
        is_repeat = any(brake.name == "period_answered" for brake in decision.passed)
        more = {"passed": [brake.reason for brake in decision.passed], "is_repeat": is_repeat}
        self._cause(name, OPENED, first, decision.period, now, actor, request, more)
        for other in others:
            self._cause(f"{name}-{other.cause}", JOINED, other, decision.period, now, actor, request, {"episode": name})
        return self._episode(self._known[OPENED][-1])

    def join(
        self, episode: Episode, decision: RetrainingDecision, now: datetime, actor: str, request: Request | None
    ) -> None:
        """Record the causes that are given as well; each once, a person's request each time."""
        for finding in decision.triggers:
            if finding.cause in episode.causes and finding.cause != "by_hand":
                continue
            # A request has a name of its own, any other cause joins once.
            suffix = request.request_id if finding.cause == "by_hand" and request else finding.cause
            name = f"{episode.episode_id}-{suffix}"
            self._cause(name, JOINED, finding, episode.period, now, actor, request, {"episode": episode.episode_id})

    def close(self, episode: Episode, now: datetime, actor: str, reason: str) -> None:
        self._record(Event(f"{episode.episode_id}-closed", CLOSED, episode.episode_id, now, actor, reason))

    def decline(self, decision: RetrainingDecision, now: datetime, actor: str) -> None:
        """Record a no, when it is of another kind than the last one: at most one row each time the reason changes."""
        kind, earlier = list(decision.kind), self._known[DECLINED]
        last = max(earlier, key=lambda event: int(event.evidence["number"]), default=None)
        if last is not None and (last.subject, last.evidence["kind"]) == (decision.period, kind):
            return
        number = len(earlier) + 1
        evidence = {"number": number, "kind": kind, "causes": {f.cause: f.reason for f in decision.findings}}
        name = f"retraining-declined-{number}"
        self._record(Event(name, DECLINED, decision.period, now, actor, decision.reason, evidence))

    def _episode(self, opened: Event) -> Episode:
        name = opened.event_id
        joined = [event for event in self._known[JOINED] if event.evidence["episode"] == name]
        asked = {event.event_id: event.actor for event in self._known[REQUESTED]}
        requests = (event.evidence.get("request") for event in (opened, *joined) if event.subject == "by_hand")
        return Episode(
            name,
            str(opened.evidence["period"]),
            opened.subject,
            frozenset(event.subject for event in (opened, *joined)),
            next((asked[request] for request in requests if request in asked), None),
            bool(opened.evidence.get("is_repeat")),
        )

    def _fresh_name(self, name: str) -> str:
        """A second training of the same period, which only a person asks for, is another episode."""
        taken = {event.event_id for event in self._known[OPENED]}
        same = sum(known == name or known.startswith(f"{name}-again-") for known in taken)
        return f"{name}-again-{same}" if same else name

    def _cause(
        self,
        name: str,
        kind: str,
        finding: Finding,
        period: str,
        now: datetime,
        actor: str,
        request: Request | None,
        more: Mapping[str, object],
    ) -> None:
        by_hand = {"request": request.request_id} if finding.cause == "by_hand" and request else {}
        evidence = {**finding.evidence, "period": period, **by_hand, **more}
        self._record(Event(name, kind, finding.cause, now, actor, finding.reason, evidence))

    def _record(self, event: Event) -> None:
        if self._log.record(event):
            self._known[event.kind].append(event)
