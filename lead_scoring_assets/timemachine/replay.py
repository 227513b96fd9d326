"""Every policy over one recorded history, in money against never retraining and against hindsight. Nothing is written."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from lead_scoring_assets.backtesting.walk_forward import silent, training_settings
from lead_scoring_assets.errors import LeadScoringError
from lead_scoring_assets.periods import Period
from lead_scoring_assets.settings import Settings
from lead_scoring_assets.timemachine.library import ClosedForm, Library, Model
from lead_scoring_assets.timemachine.loop import Played, play
from lead_scoring_assets.timemachine.money import Best, Purse, oracle
from lead_scoring_assets.timemachine.policies import AS_SET, NEVER, Policy
from lead_scoring_assets.timemachine.recorded import Floats, Recorded
from lead_scoring_assets.timemachine.uncertainty import LEAST_PERIODS, NOTHING, Interval, over_leads, over_periods
from lead_scoring_assets.timemachine.watching import Watch

LEAST_REPLAYED = 4
"""Fewer periods hold no first model, and its replacement, and leads to judge both by."""

LEAST_GAIN = 0.01
"""Hindsight that gets less than this share more than never retraining has nothing to divide by."""


@dataclass(frozen=True)
class Result:
    """One policy: what happened, and what each period brought, its trainings paid, in the settings' currency.

    Both intervals are of the difference to `never`; `against_set` of that to the policy that is set (None: it was not
    played), `against_best` of that to the one with the most money, over leads.
    """

    policy: Policy
    played: Played
    net: tuple[float, ...]
    in_this_history: Interval
    over_periods: Interval
    against_set: Interval | None
    against_best: Interval
    share_of_oracle: float

    @property
    def money(self) -> float:
        return sum(self.net)

    @property
    def difference(self) -> Interval:
        """To `never`, by which policies are recommended."""
        return self.in_this_history

    @property
    def by_world(self) -> tuple[float, ...]:
        """One history is no sample of histories."""
        return ()


@dataclass(frozen=True)
class Replay:
    """All policies over the same periods; the first is `never`, with which the others are compared."""

    settings: Settings
    periods: tuple[Period, ...]
    leads: int
    unlabelled: int
    training_cost: float
    results: tuple[Result, ...]
    oracle: Best

    @property
    def oracle_money(self) -> float:
        return sum(self.oracle.net)

    @property
    def oracle_gain(self) -> float:
        """What hindsight gets over never retraining."""
        return self.oracle_money - self.results[0].money


def replay(
    recorded: Recorded,
    policies: Sequence[Policy],
    training_cost: float,
    first: str | None = None,
    last: str | None = None,
    tell: Callable[[str], None] = silent,
) -> Replay:
    """Play every policy, and hindsight, over the matured periods from `first` to `last` (default: all).

    Trainings use the documented recipe without a search, and intervals in closed form, so that years take a minute; the
    product's own way is `agreement.py`'s.

    Raises:
        LeadScoringError: too little history, or no policy could train a model.
    """
    begin, end = span(recorded, first, last)
    settings = automatic(training_settings(recorded.settings, None, is_tuned=False))
    library, watch, purse = Library(recorded, settings, ClosedForm(), tell), Watch(recorded), Purse(recorded)
    # All models first: hindsight needs every one, and the policies find them ready.
    models = library.train_ahead(range(begin, end))
    played = []
    for policy in policies:
        tell(f"playing {policy.name}")
        played.append(play(library, watch, policy.applied_to(settings), begin, end))
    if not any(one.trained for one in played):
        refused = next((model for model in reversed(models) if isinstance(model, str)), "no period could train one")
        raise LeadScoringError(
            f"no model could be trained in {recorded.periods[begin]} to {recorded.periods[end]}: {refused}. Replay more "
            "periods, or lower training.minimum_… in the settings."
        )
    tell("finding what hindsight would have done")
    best = oracle(_earnings(purse, models, begin, end), training_cost)
    places = range(begin, end + 1)
    return Replay(
        settings=recorded.settings,
        periods=recorded.periods[begin : end + 1],
        leads=sum(len(purse.arrivals(place)) for place in places),
        unlabelled=sum(recorded.unlabelled(place) for place in places),
        training_cost=training_cost,
        results=_results(policies, played, purse, begin, training_cost, best),
        oracle=best,
    )


def steps(recorded: Recorded, policies: Sequence[Policy], first: str | None, last: str | None) -> int:
    """How often `replay` tells."""
    begin, end = span(recorded, first, last)
    return end - begin + len(policies) + 1


def span(recorded: Recorded, first: str | None, last: str | None) -> tuple[int, int]:
    """Places of the first and the last replayed period: all that have matured, or those asked for.

    Raises:
        LeadScoringError: fewer than `LEAST_REPLAYED`, or a period that is none of them.
    """
    calendar, periods = recorded.settings.calendar, recorded.periods
    conversion_window = timedelta(days=recorded.settings.labels.conversion_window_days)
    matured = [p for p in periods if p.end + conversion_window <= periods[-1].end]
    begin = calendar.period(first) if first else periods[0]
    end = calendar.period(last) if last else (matured[-1] if matured else periods[0])
    asked = [place for place, period in enumerate(matured) if begin <= period <= end]
    if begin not in periods or (last and end not in matured) or len(asked) < LEAST_REPLAYED:
        there = f"{matured[0]} to {matured[-1]}" if matured else "none"
        raise LeadScoringError(
            f"no replay over {begin} to {end}: expected at least {LEAST_REPLAYED} periods whose last lead was "
            f"{conversion_window.days} days old at {periods[-1].end:%Y-%m-%d}, up to which labels are known; found {there}. "
            f"Choose other periods, or materialise more (`lead-scoring materialize`). Intervals need {LEAST_PERIODS}."
        )
    return asked[0], asked[-1]


def automatic(settings: Settings) -> Settings:
    """Whoever passes the gate goes live: a replay has nobody to ask, and every model's code is the code that replays."""
    gate = settings.gate.model_copy(update={"approval": "automatic", "traceable": "recorded"})
    return settings.model_copy(update={"gate": gate})


def _net(played: Played, purse: Purse, begin: int, training_cost: float) -> Floats:
    """What each period brought; a training is paid in the period that begins when it is done."""
    net = np.array([purse.earned(begin + i, model) for i, model in enumerate(played.live)])
    for i, step in enumerate(played.steps):
        if step.period in played.trained:
            net[i + 1] -= training_cost
    return net


def _earnings(purse: Purse, models: Sequence[Model | str], begin: int, end: int) -> Floats:
    """As `oracle` wants it."""
    earned = np.full((len(models) + 1, end - begin + 1), np.nan)
    for i in range(end - begin + 1):
        earned[0, i] = purse.earned(begin + i, None)
        for m, model in enumerate(models[:i]):
            if isinstance(model, Model):
                earned[m + 1, i] = purse.earned(begin + i, model)
    return earned


def _results(
    policies: Sequence[Policy], played: Sequence[Played], purse: Purse, begin: int, training_cost: float, best: Best
) -> tuple[Result, ...]:
    seed = purse.recorded.settings.training.seed
    by_name = dict(zip([policy.name for policy in policies], played, strict=True))
    nets = {name: _net(one, purse, begin, training_cost) for name, one in by_name.items()}
    brought = {
        name: [purse.brought(begin + i, model) for i, model in enumerate(one.live)] for name, one in by_name.items()
    }
    costs = {name: training_cost * len(one.trained) for name, one in by_name.items()}

    def over_leads_against(reference: str) -> dict[str, Interval]:
        others = {name: parts for name, parts in brought.items() if name != reference}
        paired = {
            name: [mine - theirs for mine, theirs in zip(parts, brought[reference], strict=True)]
            for name, parts in others.items()
        }
        more = {name: costs[name] - costs[reference] for name in others}
        return {reference: NOTHING, **over_leads(paired, more, seed)}

    richest = max(nets, key=lambda name: float(nets[name].sum()))
    here, against_best = over_leads_against(NEVER), over_leads_against(richest)
    against_set = over_leads_against(AS_SET) if AS_SET in by_name else {}
    elsewhere = over_periods({name: net - nets[NEVER] for name, net in nets.items() if name != NEVER}, seed)
    gain = sum(best.net) - float(nets[NEVER].sum())
    return tuple(
        Result(
            policy,
            by_name[policy.name],
            tuple(nets[policy.name].tolist()),
            here[policy.name],
            elsewhere.get(policy.name, NOTHING),
            against_set.get(policy.name),
            against_best[policy.name],
            float((nets[policy.name] - nets[NEVER]).sum()) / gain if gain > LEAST_GAIN * sum(best.net) else np.nan,
        )
        for policy in policies
    )
