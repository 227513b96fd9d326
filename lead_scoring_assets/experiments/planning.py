"""How many units an A/B test needs, how long that takes, and whether it can work at all. Before a test, not after it."""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, log, sqrt
from statistics import NormalDist

from lead_scoring_assets.errors import ExperimentError
from lead_scoring_assets.experiments.always_valid import log_evidence, strength_for

_NORMAL = NormalDist()
_MOST_UNITS = 1e10


@dataclass(frozen=True)
class Question:
    """What a test is to find out: `lift` is relative (0.05: from 12.5 % to 13.125 %), `share` the treatment's.

    Raises:
        ExperimentError: a figure outside of what it can be.
    """

    base_rate: float
    lift: float
    share: float = 0.5
    power: float = 0.8
    significance: float = 0.05

    def __post_init__(self) -> None:
        for name in ("base_rate", "share", "power", "significance"):
            if not 0 < (value := getattr(self, name)) < 1:
                raise ExperimentError(f"{name}: expected a share between 0 and 1, such as 0.125, found {value}")
        if not self.lift > 0 or self.base_rate * (1 + self.lift) >= 1:
            raise ExperimentError(
                f"lift: expected one that leads from {self.base_rate:.1%} to a rate below 100 %, such as 0.05, found {self.lift}"
            )

    @property
    def treated_rate(self) -> float:
        return self.base_rate * (1 + self.lift)


def power(question: Question, units: float) -> float:
    """Probability that one look at `units` (both arms together) finds the lift: normal, each arm with its own variance.

    Fleiss, Levin and Paik (2003), section 4.2, without continuity correction, as the chi-square test beside it has none.
    """
    base, treated = question.base_rate, question.treated_rate
    spread = base * (1 - base) / (1 - question.share) + treated * (1 - treated) / question.share
    return _NORMAL.cdf((treated - base) / sqrt(spread / units) - _NORMAL.inv_cdf(1 - question.significance / 2))


def units_for_one_look(question: Question) -> int:
    """Units of both arms together at which one look has the power that is asked for."""
    return _smallest(lambda units: power(question, units), question.power)


def power_always_valid(question: Question, units: float, strength: float | None = None) -> float:
    """Probability that the always-valid interval excludes no effect at the last of any number of looks.

    Looks before the last only add to it. `strength`: of the mixture; None: the best for so many units.
    """
    from scipy.special import betainc

    rate = question.base_rate * (1 - question.share) + question.treated_rate * question.share
    conversions = units * rate
    strength = strength or strength_for(conversions, question.significance)
    limit = -log(question.significance)

    # The fewest conversions of the treatment that are enough, of so many: evidence grows from the share upwards.
    few, enough = conversions * question.share, conversions
    if float(log_evidence(enough, conversions, question.share, strength)) < limit:
        return 0.0
    for _ in range(60):
        middle = (few + enough) / 2
        is_enough = float(log_evidence(middle, conversions, question.share, strength)) >= limit
        few, enough = (few, middle) if is_enough else (middle, enough)
    treated_share = question.treated_rate * question.share / rate
    # P(Binomial(m, π) ≥ k) = I_π(k, m - k + 1), which is continuous in both counts.
    return float(betainc(enough, conversions - enough + 1, treated_share))


def units_always_valid(question: Question) -> int:
    """Units at which a test that is looked at every day has the power; with luck it ends sooner."""
    return _smallest(lambda units: power_always_valid(question, units), question.power)


def smallest_lift(question: Question, units: float, power_of: Callable[[Question, float], float] = power) -> float:
    """The relative lift that `units` would find with the power asked for; infinite when no rate below 100 % is enough."""
    low, high = 0.0, (1 - question.base_rate) / question.base_rate * (1 - 1e-9)
    if power_of(_with_lift(question, high), units) < question.power:
        return float("inf")
    for _ in range(60):
        middle = (low + high) / 2
        is_found = power_of(_with_lift(question, middle), units) >= question.power
        low, high = (low, middle) if is_found else (middle, high)
    return high


def design_effect(leads_a_rep: float, correlation: float) -> float:
    """How many times as many leads are needed when reps are drawn, and not leads: 1 + (m - 1) ρ (Kish 1965, section 5.4)."""
    return 1 + (leads_a_rep - 1) * max(correlation, 0.0)


@dataclass(frozen=True)
class Plan:
    """What a test costs. `units` are of both arms together; `days` include the wait until the last unit has its age.

    `reachable_lift`: what the longest test that is allowed would find.
    """

    question: Question
    units_one_look: int
    units: int
    days_one_look: int
    days: int
    units_reachable: float
    reachable_lift: float
    maximum_days: int
    units_a_day: float
    minimum_units: int

    @property
    def can_work(self) -> bool:
        return self.days <= self.maximum_days

    @property
    def least_units(self) -> int:
        """Both arms together, with `minimum_units` in the smaller one."""
        return _least(self.minimum_units, self.question)

    def per_arm(self, units: float) -> tuple[int, int]:
        """Units of the control and of the treatment."""
        return ceil(units * (1 - self.question.share)), ceil(units * self.question.share)


def plan_experiment(
    question: Question,
    units_a_day: float,
    age_days: int,
    maximum_days: int,
    minimum_units: int,
    inflation: float | None = None,
) -> Plan:
    """How long it takes at `units_a_day`. `minimum_units` in each arm at the least.

    `inflation`: the `design_effect` where reps are drawn, who are read once, at the end; None: leads are.

    Raises:
        ExperimentError: no units come.
    """
    if units_a_day <= 0:
        raise ExperimentError(f"expected leads that come in, found {units_a_day:g} a day: give --leads-per-day")
    least = _least(minimum_units, question)
    one_look = max(ceil(units_for_one_look(question) * (inflation or 1.0)), least)
    looks = one_look if inflation else max(units_always_valid(question), least)
    reachable = max(maximum_days - age_days, 0) * units_a_day
    power_of = power if inflation else power_always_valid
    return Plan(
        question=question,
        units_one_look=one_look,
        units=looks,
        days_one_look=ceil(one_look / units_a_day) + age_days,
        days=ceil(looks / units_a_day) + age_days,
        units_reachable=reachable,
        reachable_lift=smallest_lift(question, reachable / (inflation or 1.0), power_of) if reachable else float("inf"),
        maximum_days=maximum_days,
        units_a_day=units_a_day,
        minimum_units=minimum_units,
    )


def _least(minimum_units: int, question: Question) -> int:
    return ceil(minimum_units / min(question.share, 1 - question.share))


def _with_lift(question: Question, lift: float) -> Question:
    return Question(question.base_rate, lift, question.share, question.power, question.significance)


def _smallest(power_at: Callable[[float], float], wanted: float) -> int:
    low, high = 0.0, 2.0
    while power_at(high) < wanted and high < _MOST_UNITS:
        low, high = high, high * 2
    while high - low > 0.5:
        middle = (low + high) / 2
        low, high = (low, middle) if power_at(middle) >= wanted else (middle, high)
    return ceil(high)
