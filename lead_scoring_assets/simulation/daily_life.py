"""The free zone, one local day after the other: who asks, who is worked, and what the nightly export tells."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike, NDArray

from lead_scoring_assets.simulation.activity_draws import ACTIVITY, draw_own_activities, draw_work_activities
from lead_scoring_assets.simulation.lead_draws import LEAD, draw_leads
from lead_scoring_assets.simulation.outcome_draws import STATEMENT, draw_outcomes
from lead_scoring_assets.simulation.records import joined
from lead_scoring_assets.simulation.work_queue import Scores, WorkQueue, points
from lead_scoring_assets.simulation.world import World

_CONTACT = np.dtype([("number", "i8"), ("moment", "i8"), ("rep", "i2")])


@dataclass(frozen=True)
class Night:
    """What the export at the end of a day holds, and the truth about the leads that the day decided.

    `leads` (LEAD, a re-export has the company size filled in), `activities` (ACTIVITY) and `outcomes` (STATEMENT)
    become known at this midnight. `truth` (TRUTH) is in no export.
    """

    leads: NDArray[np.void]
    activities: NDArray[np.void]
    outcomes: NDArray[np.void]
    truth: NDArray[np.void]

    @property
    def rows(self) -> int:
        return len(self.leads) + len(self.activities) + len(self.outcomes) + len(self.truth)

    @classmethod
    def joined(cls, nights: Sequence["Night"]) -> "Night":
        """Several nights, in order of time, as one."""
        return cls(
            joined([night.leads for night in nights]),
            joined([night.activities for night in nights]),
            joined([night.outcomes for night in nights]),
            joined([night.truth for night in nights]),
        )


class Diary:
    """Records by the day on which they become known, until they do."""

    def __init__(self, kind: DTypeLike) -> None:
        self._nothing = np.zeros(0, dtype=kind)
        self._days: dict[int, list[NDArray[np.void]]] = {}

    def put(self, records: NDArray[np.void], known_days: NDArray[np.int64]) -> None:
        if not len(records):
            return
        first = int(known_days.min())
        offsets = known_days - first
        # Small numbers sort by radix: no comparison.
        order = np.argsort(offsets.astype(np.uint16), kind="stable")
        bounds = np.cumsum(np.bincount(offsets))
        for offset, (start, end) in enumerate(zip([0, *bounds[:-1]], bounds, strict=True)):
            if end > start:
                # A copy for each day: a view would keep all other days in memory as well.
                self._days.setdefault(first + offset, []).append(records[order[start:end]])

    def take(self, day: int) -> NDArray[np.void]:
        """What becomes known at the midnight that begins `day`; it is gone from here afterwards."""
        return joined([self._nothing, *self._days.pop(day, [])])


class DailyLife:
    """Lives a world's days in order of time. What a day brings depends on the world and on earlier days alone."""

    def __init__(self, world: World, first_day: int) -> None:
        self.next_day = first_day
        self._world = world
        self._queue = WorkQueue(world)
        self._leads, self._activities, self._outcomes = Diary(LEAD), Diary(ACTIVITY), Diary(STATEMENT)

    def use(self, scores: Scores) -> None:
        """From the next day on the reps' order follows these scores."""
        self._queue.use(scores)

    def live(self) -> Night:
        """Live the next day and return what its night tells."""
        world, day = self._world, self.next_day
        leads = draw_leads(world, day)
        own = draw_own_activities(world, day, leads)
        leads["priority"] = points(leads)
        self._expect(leads)
        self._activities.put(own, own["known_day"])
        self._queue.add(leads)

        decided = self._queue.decide(day)
        contacts = np.zeros(int(decided.is_worked.sum()), dtype=_CONTACT)
        contacts["number"] = decided.leads["number"][decided.is_worked]
        contacts["moment"] = decided.moments[decided.is_worked]
        contacts["rep"] = decided.reps[decided.is_worked]
        work = draw_work_activities(world, day, contacts, taken=len(own))
        self._activities.put(work, work["known_day"])
        outcomes, truth = draw_outcomes(world, day, decided)
        self._outcomes.put(outcomes, outcomes["known_day"])

        self.next_day = day + 1
        return Night(self._leads.take(day + 1), self._activities.take(day + 1), self._outcomes.take(day + 1), truth)

    def _expect(self, leads: NDArray[np.void]) -> None:
        self._leads.put(leads, leads["known_day"])
        again = leads[leads["filled_in_day"] > 0]
        again["company_size"] = again["true_company_size"]
        again["known_day"] = again["filled_in_day"]
        self._leads.put(again, again["known_day"])
