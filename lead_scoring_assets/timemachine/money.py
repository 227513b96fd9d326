"""What a model that is live in a period is worth: its best-scored leads are worked, up to the capacity, and some convert."""

from dataclasses import dataclass, field

import numpy as np

from lead_scoring_assets.evaluation.ranking import leads_at
from lead_scoring_assets.timemachine.library import Model
from lead_scoring_assets.timemachine.recorded import Floats, Positions, Recorded


def worked(scores: Floats, places: int) -> Floats:
    """Which share of each lead is worked when the best `places` are, shape (n,): 1, 0, or where equal scores meet the border
    what places are left for each of them, as in `evaluation/ranking.py`."""
    if not places:
        return np.zeros(len(scores))
    border = np.partition(scores, -places)[-places]
    is_above, is_tied = scores > border, scores == border
    shares: Floats = is_above + is_tied * ((places - is_above.sum()) / is_tied.sum())
    return shares


@dataclass
class Purse:
    """Counts the money of a period under a model, once.

    What the leads brought that `evaluation.capacity_share` of each period's arrivals, best-scored first, holds. Outcomes
    are taken as they were recorded, whoever was called then.
    """

    recorded: Recorded
    _arrivals: dict[int, Positions] = field(default_factory=dict)
    _brought: dict[tuple[Model, int], Floats] = field(default_factory=dict)

    def brought(self, place: int, model: Model | None) -> Floats:
        """By each lead that arrived in `periods[place]`, in the settings' currency, with `model` live; shape (n,).

        None: as many leads are worked in random order, and each brings its share of that.
        """
        rows = self.arrivals(place)
        values, places = self.recorded.values[rows], leads_at(self._share, len(rows))
        if model is None:
            return values * places / max(1, len(rows))
        key = (model, place)
        if key not in self._brought:
            self._brought[key] = values * worked(model.probabilities[rows], places)
        return self._brought[key]

    def earned(self, place: int, model: Model | None) -> float:
        """The sum of it."""
        return float(self.brought(place, model).sum())

    def arrivals(self, place: int) -> Positions:
        """Leads that were first known in `periods[place]` and whose label is known."""
        if place not in self._arrivals:
            self._arrivals[place] = self.recorded.arrivals(place)
        return self._arrivals[place]

    @property
    def _share(self) -> float:
        return self.recorded.settings.evaluation.capacity_share


@dataclass(frozen=True)
class Best:
    """What hindsight would have done: the money of each period, less the trainings paid in it, and which model was live."""

    net: tuple[float, ...]
    live: tuple[int | None, ...]
    trained: tuple[int, ...]


def oracle(earned: Floats, training_cost: float) -> Best:
    """The best schedule of models with every outcome known: a bound that no rule can pass.

    At each period's end it trains and takes the new model live, or keeps the one that it has; it may leave a model out but
    not come back to one that it left, and asks no gate. Dynamic programming (Bellman 1957) over which model is live.

    Args:
        earned: shape (models + 1, periods): in row 0 with no model, in row m + 1 with the model that was trained at the
            end of period m; NaN where there is no such model, or not yet.
        training_cost: paid in the period after whose end the model is trained.
    """
    rows, periods = earned.shape
    reached = np.full((rows, periods), -np.inf)
    came_from = np.zeros((rows, periods), dtype=np.intp)
    reached[0, 0] = earned[0, 0]
    for period in range(1, periods):
        known = np.where(np.isfinite(earned[:, period]), earned[:, period], -np.inf)
        reached[:, period] = reached[:, period - 1] + known
        came_from[:, period] = np.arange(rows)
        newest = period  # row of the model that was trained at the end of the period before
        if newest < rows and np.isfinite(known[newest]):
            before = int(np.argmax(reached[:, period - 1]))
            reached[newest, period] = reached[before, period - 1] + known[newest] - training_cost
            came_from[newest, period] = before
    state = int(np.argmax(reached[:, -1]))
    states = [state]
    for period in range(periods - 1, 0, -1):
        state = int(came_from[state, period])
        states.append(state)
    states.reverse()
    net = np.array([earned[state, period] for period, state in enumerate(states)])
    trained = [states[period] - 1 for period in range(1, periods) if states[period] != states[period - 1]]
    for place in trained:
        net[place + 1] -= training_cost
    return Best(tuple(net.tolist()), tuple(s - 1 if s else None for s in states), tuple(trained))
