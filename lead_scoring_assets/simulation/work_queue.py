"""Reps and the leads that wait for them: hot leads first, a limited number each working day, the rest given up."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lead_scoring_assets.errors import SourceError
from lead_scoring_assets.simulation import population as people
from lead_scoring_assets.simulation.dubai_days import WORK_ENDS, WORK_STARTS, as_moments, is_working
from lead_scoring_assets.simulation.lead_draws import LEAD
from lead_scoring_assets.simulation.random_streams import Purpose, stream
from lead_scoring_assets.simulation.records import joined
from lead_scoring_assets.simulation.world import World, reps_for

LEAD_PREFIX: Final = "fz-"


@dataclass(frozen=True)
class Decided:
    """Leads of which one day decided whether they are worked, in order of number.

    `moments`: of the first contact, or of the evening on which the lead was given up (seconds since 1970, UTC).
    `reps`: from 1; 0 for a lead that was given up.
    """

    leads: NDArray[np.void]
    is_worked: NDArray[np.bool_]
    moments: NDArray[np.int64]
    reps: NDArray[np.int16]


@dataclass(frozen=True)
class Scores:
    """Scores between 0 and 1 that stand for the priority of the leads they name."""

    numbers: NDArray[np.int64]
    values: NDArray[np.float64]

    @classmethod
    def of(cls, scores: Mapping[str, float]) -> "Scores":
        """Raises SourceError for a lead id that is not one of this simulation, or a score outside [0, 1]."""
        try:
            numbers = np.array([int(lead_id.removeprefix(LEAD_PREFIX)) for lead_id in scores], dtype=np.int64)
        except ValueError:
            found = next(each for each in scores if not each.removeprefix(LEAD_PREFIX).isdigit())
            raise SourceError(
                f"Expected lead ids as {LEAD_PREFIX}<digits>; found {found!r}; in scores given to the simulated free "
                "zone. Pass scores of the leads that it landed."
            ) from None
        values = np.array(list(scores.values()), dtype=np.float64)
        if not ((values >= 0) & (values <= 1)).all():
            found = values[~((values >= 0) & (values <= 1))][0]
            raise SourceError(
                f"Expected scores from 0 to 1; found {found}; in scores given to the simulated free zone. Pass "
                "probabilities."
            )
        order = np.argsort(numbers)
        return cls(numbers[order], values[order])

    def prioritise(self, leads: NDArray[np.void]) -> None:
        """Let the score of each lead that has one stand for its points."""
        if not len(self.numbers):
            return
        at = np.minimum(np.searchsorted(self.numbers, leads["number"]), len(self.numbers) - 1)
        has_score = self.numbers[at] == leads["number"]
        leads["priority"] = np.where(has_score, 100 * self.values[at], leads["priority"])


def points(leads: NDArray[np.void]) -> NDArray[np.float64]:
    """The priority of the existing process, 0 to 100: points for the source, for activities, and for a phone number."""
    activity = np.minimum(leads["engagement"] * people.ACTIVITY_POINTS, people.MOST_ACTIVITY_POINTS)
    phone = people.PHONE_POINTS * (leads["true_phone"] == people.PHONE.code("yes"))
    found: NDArray[np.float64] = np.array(people.SOURCE_POINTS)[leads["source"]] + activity + phone
    return found


class WorkQueue:
    """The leads that nobody has worked yet."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._waiting = np.zeros(0, dtype=LEAD)
        self._scores: list[Scores] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def use(self, scores: Scores) -> None:
        """From now on the scores stand for the points of the leads they name; later ones go before earlier ones."""
        self._scores.append(scores)
        scores.prioritise(self._waiting)

    def add(self, leads: NDArray[np.void]) -> None:
        """Take in the leads of a day."""
        for scores in self._scores:
            scores.prioritise(leads)
        self._waiting = joined([self._waiting, leads])

    def decide(self, day: int) -> Decided:
        """Work as many known leads as the day allows, and give up those that have waited too long."""
        waiting = self._waiting
        is_known = waiting["known_day"] <= day
        chosen = self._choose(np.flatnonzero(is_known), day)
        is_worked = np.zeros(len(waiting), dtype=np.bool_)
        is_worked[chosen] = True
        reps = np.zeros(len(waiting), dtype=np.int16)
        if len(chosen):
            reps[chosen] = 1 + np.arange(len(chosen)) % reps_for(self._world.capacity(day))
        is_given_up = is_known & ~is_worked & (day - waiting["known_day"] >= self._world.patience_days)
        is_decided = is_worked | is_given_up
        self._waiting = waiting[~is_decided]
        moments = self._moments(is_worked[is_decided], day)
        return Decided(waiting[is_decided], is_worked[is_decided], moments, reps[is_decided])

    def _choose(self, candidates: NDArray[np.int64], day: int) -> NDArray[np.int64]:
        """Positions of the leads worked on `day`: most by priority (older ones first among equals), the rest by luck."""
        capacity = self._world.capacity(day) if is_working(day) else 0
        if capacity == 0 or len(candidates) <= capacity:
            return candidates[:capacity]
        by_priority = capacity - round(capacity * self._world.unprioritised_share)
        order = np.argsort(-self._waiting["priority"][candidates], kind="stable")
        rest = candidates[order[by_priority:]]
        by_luck = np.argsort(self._waiting["luck"][rest], kind="stable")[: capacity - by_priority]
        return np.concatenate([candidates[order[:by_priority]], rest[by_luck]])

    def _moments(self, is_worked: NDArray[np.bool_], day: int) -> NDArray[np.int64]:
        draws = stream(self._world.seed, day, Purpose.WORK).random(len(is_worked))
        working_hours = WORK_STARTS + (draws * (WORK_ENDS - WORK_STARTS)).astype(np.int64)
        days = np.full(len(is_worked), day, dtype=np.int64)
        return as_moments(days, np.where(is_worked, working_hours, WORK_ENDS))
