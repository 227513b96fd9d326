"""What holds a training back although there is cause: each brake with its sentence, its numbers, and until when. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from lead_scoring_assets.models.minimum_data import what_is_short
from lead_scoring_assets.retraining.causes import Policy
from lead_scoring_assets.retraining.facts import Facts

BrakeName = Literal["not_ingested", "in_flight", "period_answered", "cooldown", "back_off", "minimum_data"]

PASSED_BY_A_PERSON: frozenset[BrakeName] = frozenset({"period_answered", "cooldown", "back_off"})
"""What is about patience, not about what is possible: a person takes it on, and that is recorded."""


@dataclass(frozen=True)
class Brake:
    """Something that holds a training back. `until`: the moment from which it does not, where that is known."""

    name: BrakeName
    reason: str
    until: datetime | None = None


def find_brakes(facts: Facts, policy: Policy) -> tuple[Brake, ...]:
    """Every brake that holds now."""
    found = (
        _not_ingested(facts),
        _in_flight(facts),
        _period_answered(facts),
        _cooldown(facts, policy.retraining.cooldown_days),
        _back_off(facts, policy.retraining.backoff_days, policy.retraining.backoff_days_at_most),
        _minimum_data(facts, policy),
    )
    return tuple(brake for brake in found if brake is not None)


def rejected_in_a_row(facts: Facts) -> int:
    """How many of the newest candidates failed: rejected, or taken back after they had gone live.

    One that waits for approval, or that something newer overtook, says nothing about whether training helps.
    """
    failed = 0
    for judgement in reversed(facts.judgements):
        if judgement.verdict == "promoted":
            break
        failed += judgement.verdict in ("rejected", "taken_back")
    return failed


def back_off_days(rejected: int, first: int, at_most: int) -> int:
    """Days to wait after `rejected` failed candidates in a row: `first`, doubled for each further one, never more than
    `at_most`; 0 after none. Exponential back-off as in Ethernet (Metcalfe and Boggs, 1976), without its randomness."""
    # The exponent is bounded, because nobody needs 2 ** 100 days to see that the limit is reached.
    return min(first * 2 ** min(rejected - 1, 16), at_most) if rejected else 0


def _not_ingested(facts: Facts) -> Brake | None:
    # A training of it would learn from the period before, and the period would count as decided.
    return None if facts.is_ingested else Brake("not_ingested", f"the files of {facts.period} are not ingested yet")


def _in_flight(facts: Facts) -> Brake | None:
    return None if facts.in_flight is None else Brake("in_flight", facts.in_flight)


def _period_answered(facts: Facts) -> Brake | None:
    return None if facts.answered is None else Brake("period_answered", facts.answered)


def _cooldown(facts: Facts, days: int) -> Brake | None:
    last = facts.last_judgement
    if last is None or facts.now >= (until := last.judged_at + timedelta(days=days)):
        return None
    return Brake(
        "cooldown",
        f"cooldown: the last training was judged at {last.judged_at:%Y-%m-%d}, {_ago(facts.now, last.judged_at, days)}; until "
        f"{until:%Y-%m-%d}",
        until,
    )


def _back_off(facts: Facts, first: int, at_most: int) -> Brake | None:
    """Trainings that keep giving nothing better come less often. A further cause, or a stronger one, does not pass it
    (unless the settings call it urgent): causes come together when the world changes, and each would be one more training
    on the labels that were not enough."""
    rejected, last = rejected_in_a_row(facts), facts.last_judgement
    days = back_off_days(rejected, first, at_most)
    if last is None or facts.now >= (until := last.judged_at + timedelta(days=days)):
        return None
    told = "the last candidate was" if rejected == 1 else f"the last {rejected} candidates were"
    return Brake(
        "back_off",
        f"back-off: {told} rejected, {_ago(facts.now, last.judged_at, days)}; until {until:%Y-%m-%d}",
        until,
    )


def _ago(now: datetime, judged_at: datetime, days: int) -> str:
    if now < judged_at:
        return f"which by the clock is still to come (it is {now:%Y-%m-%d}; has it been set back?)"
    return f"{(now - judged_at).days} of {days} days ago"


def _minimum_data(facts: Facts, policy: Policy) -> Brake | None:
    short = what_is_short(facts.training_data, policy.training) if facts.training_data is not None else None
    return Brake("minimum_data", short) if short else None
