"""Who scores a lead, and what is said when a model cannot: routing, the circuit breaker, the plain rule."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

from lead_scoring_assets.errors import ScoringError
from lead_scoring_assets.experiments.assignment import assign
from lead_scoring_assets.prediction_log.records import Arm, Source
from lead_scoring_assets.serving.faults import Fault, isolated
from lead_scoring_assets.serving.following import Live, LoadedModel
from lead_scoring_assets.serving.lead_request import Lead
from lead_scoring_assets.serving.refusals import Refused
from lead_scoring_assets.settings import Breaker

_SPLIT = ("canary", "experiment")
# Of several leads each may take a part of what a single one may.
_LEADS_A_TIMEOUT = 20
# Of fewer, a call for all of them costs no less than one for each.
_WORTH_ONE_CALL = 4
_Result = TypeVar("_Result")
_LOG = logging.getLogger(__name__)


class Route(NamedTuple):
    """Where a lead goes. `arm` is None where traffic is not split; then nothing was drawn either. `shadow_version`: of the
    model that scores it as well, unseen."""

    arm: Arm | None = None
    unit_id: str | None = None
    propensity: float = 1.0
    explored: bool = False
    shadow_version: int | None = None


_NOT_SPLIT = Route()


class Scored(NamedTuple):
    """`version`: of the model that gave the score; None where the plain rule did (`source` fallback)."""

    score: float
    source: Source
    version: int | None
    route: Route


def route_of(live: Live, lead: Lead) -> Route:
    """Where the lead goes. Where reps are drawn and none is named, the champion answers and nothing is drawn."""
    traffic = live.traffic
    if (shadow := live.deployment.shadow) is not None:
        return Route(shadow_version=shadow.version)
    if traffic.mode not in _SPLIT or live.challenger is None:
        return _NOT_SPLIT
    unit = lead.lead_id if traffic.unit == "lead" else lead.rep
    if unit is None:
        return _NOT_SPLIT
    drawn = assign(traffic, unit)
    return Route(drawn.arm, unit, drawn.propensity, drawn.explored)


class LeadScoring:
    """Scores leads by what is live. A model that fails, or takes too long, never fails a lead: the champion answers for its
    challenger, and the plain rule for the champion (how many of the leads that it was trained on converted)."""

    def __init__(self, policy: Breaker) -> None:
        self._timeout_seconds = policy.timeout_ms / 1e3
        self._threads = ThreadPoolExecutor(4, "library")
        # Of their own, so that a library that hangs holds up nothing else.
        self._aside = ThreadPoolExecutor(2, "aside")

    async def score(self, live: Live, lead: Lead) -> Scored:
        """One lead.

        Raises:
            Refused: 503, the model cannot and nothing is known of its training.
        """
        if not live.is_waited_for:
            return self.score_at_once(live, lead)
        [scored] = await self.score_many(live, [lead])
        return scored

    def score_at_once(self, live: Live, lead: Lead) -> Scored:
        """One lead, here and now: by code of our own, whose work is bounded.

        Raises:
            Refused: as for `score`.
        """
        route = route_of(live, lead)
        for place, model in enumerate(_asked(live, route)):
            score = self._one(model, lead)
            if score is not None:
                # Where the challenger has failed, its guard counts a fallback, whoever answers. By its place, because against
                # the process that there was before the two are one model.
                source: Source = "fallback" if place else "model"
                return Scored(score, source, model.version, route)
        return _by_the_rule(live, route)

    def score_together(self, live: Live, leads: Sequence[Lead]) -> list[Scored | Fault]:
        """`score_at_once` of each, in one call where all go to one model that is well; who fails fails alone."""
        if len(leads) >= _WORTH_ONE_CALL and live.challenger is None:
            scores = self._several(live.champion, leads)
            if scores is not None:
                version = live.champion.version
                return [
                    Scored(score, "model", version, route_of(live, lead))
                    for lead, score in zip(leads, scores, strict=True)
                ]
        found: list[Scored | Fault] = []
        for lead in leads:
            try:
                with isolated:
                    found.append(self.score_at_once(live, lead))
            except Fault as fault:
                found.append(fault)
        return found

    async def score_many(self, live: Live, leads: Sequence[Lead]) -> list[Scored]:
        """Leads together: one call of each model that is asked.

        Raises:
            Refused: as for `score`.
        """
        routes = [route_of(live, lead) for lead in leads]
        found: dict[int, Scored] = {}
        challenged = [place for place, route in enumerate(routes) if route.arm == "challenger"]
        if challenged and live.challenger is not None:
            scores = await self._many(live.challenger, [leads[place] for place in challenged])
            for place, score in zip(challenged, scores or (), strict=False):
                found[place] = Scored(score, "model", live.challenger.version, routes[place])
        rest = [place for place in range(len(leads)) if place not in found]
        scores = await self._many(live.champion, [leads[place] for place in rest]) if rest else []
        for number, place in enumerate(rest):
            if scores is None:
                found[place] = _by_the_rule(live, routes[place])
            else:
                source: Source = "fallback" if routes[place].arm == "challenger" else "model"
                found[place] = Scored(scores[number], source, live.champion.version, routes[place])
        return [found[place] for place in range(len(leads))]

    async def aside(self, call: Callable[[], _Result], seconds: float) -> _Result:
        """Call in a thread; TimeoutError after so many seconds, whatever becomes of the call."""
        return await _within(self._aside, call, seconds)

    def end(self) -> None:
        for threads in (self._threads, self._aside):
            threads.shutdown(wait=False, cancel_futures=True)

    def _one(self, model: LoadedModel, lead: Lead) -> float | None:
        """As `_many`, but here and now. It cannot be stopped: one that was slow counts as a failure, and its answer is taken."""
        started = time.monotonic()
        if not model.breaker.allows(started):
            return None
        try:
            with isolated:
                score = model.scorer.probability(lead.features)
                _refuse_what_is_no_probability((score,))
        except Fault as fault:
            _failed(model, fault)
            return None
        now = time.monotonic()
        if now - started > self._timeout_seconds:
            model.breaker.failed(now)
        else:
            model.breaker.succeeded()
        return score

    def _several(self, model: LoadedModel, leads: Sequence[Lead]) -> list[float] | None:
        """As `_one` of each, in one call; None: each has to be asked for by itself."""
        if model.breaker.state != "closed":
            return None
        started = time.monotonic()
        try:
            with isolated:
                found = model.scorer.probabilities([lead.features for lead in leads])
                _refuse_what_is_no_probability(found)
        except Fault:
            return None
        now = time.monotonic()
        is_slow = now - started > self._limit_seconds(leads)
        for _ in leads:
            if is_slow:
                model.breaker.failed(now)
            else:
                model.breaker.succeeded()
        return found

    def _limit_seconds(self, leads: Sequence[Lead]) -> float:
        return self._timeout_seconds * max(1.0, len(leads) / _LEADS_A_TIMEOUT)

    async def _many(self, model: LoadedModel, leads: Sequence[Lead]) -> list[float] | None:
        """Probabilities; None when the model fails or takes too long, or the breaker lets nobody ask."""
        scorer = model.scorer
        if not model.breaker.allows(time.monotonic()):
            return None
        try:
            with isolated:
                found = await _within(
                    self._threads,
                    lambda: scorer.probabilities([lead.features for lead in leads]),
                    self._limit_seconds(leads),
                )
                _refuse_what_is_no_probability(found)
        except Fault as fault:
            _failed(model, fault)
            return None
        model.breaker.succeeded()
        return found


def _asked(live: Live, route: Route) -> tuple[LoadedModel, ...]:
    """Who is asked, until one answers."""
    if route.arm == "challenger" and live.challenger is not None:
        return live.challenger, live.champion
    return (live.champion,)


def _failed(model: LoadedModel, fault: Fault) -> None:
    model.breaker.failed(time.monotonic())
    _LOG.warning("v%s failed: %s", model.version, fault)


async def _within(threads: ThreadPoolExecutor, call: Callable[[], _Result], seconds: float) -> _Result:
    return await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(threads, call), seconds)


def _refuse_what_is_no_probability(found: Sequence[float]) -> None:
    for score in found:
        if not 0 <= score <= 1:  # so written that NaN is none either
            raise ScoringError(f"expected a probability from 0 to 1, found {score}")


def _by_the_rule(live: Live, route: Route) -> Scored:
    rate = live.deployment.base_rate
    if rate is None:
        raise Refused(503, "no_model", headers=((b"retry-after", b"1"),))
    return Scored(rate, "fallback", None, route)
