"""What a plan starts from and comes to: how many leads come in and convert, and how alike those of one rep are."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lead_scoring_assets.errors import ExperimentError
from lead_scoring_assets.experiments.looking import LABELS
from lead_scoring_assets.experiments.planning import Plan, Question, design_effect, plan_experiment
from lead_scoring_assets.experiments.reps import correlation_within_reps
from lead_scoring_assets.experiments.transitions import age_days as usual_age_days
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.labels.maturity import days_after
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.rollout.traffic import Unit

_COVERAGE = "label_coverage"
_COHORTS = 6
_NEWEST_COHORTS = f"""
SELECT cohort, leads, positive FROM (
    SELECT * FROM coverage WHERE status = 'complete'
    QUALIFY row_number() OVER (PARTITION BY cohort ORDER BY as_of DESC) = 1
) ORDER BY cohort DESC LIMIT {_COHORTS}
"""  # noqa: S608  # only a constant is pasted in
# Of those that a test would count: what becomes known after that age is held against both arms alike.
_CONVERTED_AT_AGE = f"""
SELECT count(*) FILTER (label = 1) AS converted FROM (
    SELECT l.lead_id, l.label FROM labels l JOIN cohorts c ON l.created_at >= c.begins AND l.created_at < c.ends
    WHERE l.label_known_at <= {days_after("l.created_at", "$1")}
    QUALIFY row_number() OVER (PARTITION BY l.lead_id ORDER BY l.label_known_at DESC) = 1
)
"""  # noqa: S608  # only our own names are pasted in
_BY_REP = """
SELECT rep, (label = 1)::DOUBLE AS converted FROM (
    SELECT * FROM labels QUALIFY row_number() OVER (PARTITION BY lead_id ORDER BY label_known_at DESC) = 1
) WHERE rep IS NOT NULL AND label IS NOT NULL
"""


@dataclass(frozen=True)
class Flow:
    """Leads of the newest cohorts of which every label is known. `conversion_rate`: of conversions that were known when their
    lead was `age_days` old; `final_rate`: of all."""

    leads_a_day: float
    conversion_rate: float
    final_rate: float
    age_days: int
    leads: int
    first_cohort: str
    last_cohort: str

    @property
    def sentence(self) -> str:
        return (
            f"observed: {self.leads_a_day:,.1f} leads a day, {self.final_rate:.2%} converted{self._at_age} "
            f"({self.leads:,} leads of {self.first_cohort} to {self.last_cohort}, all labels known)"
        )

    @property
    def _at_age(self) -> str:
        if self.conversion_rate == self.final_rate:
            return ""
        return f", {self.conversion_rate:.2%} were known to have when {self.age_days} days old, which is what counts"


def observed_flow(installation: Installation, age_days: int) -> Flow | None:
    """The newest cohorts, their conversions as known at that age; None while none is complete."""
    if not (installation.lakehouse.exists(_COVERAGE) and installation.lakehouse.exists(LABELS)):
        return None
    rows = query(_NEWEST_COHORTS, {"coverage": installation.lakehouse.scan(_COVERAGE)}).to_pylist()
    leads = sum(row["leads"] for row in rows)
    if not leads:
        return None
    periods = [installation.settings.calendar.period(row["cohort"]) for row in rows]
    days = sum((period.end - period.start).days for period in periods)
    cohorts = pa.table({"begins": [period.start for period in periods], "ends": [period.end for period in periods]})
    labels = installation.lakehouse.scan(LABELS)
    [at_age] = query(_CONVERTED_AT_AGE, {"labels": labels, "cohorts": cohorts}, [age_days])["converted"].to_pylist()
    return Flow(
        leads_a_day=leads / days,
        conversion_rate=at_age / leads,
        final_rate=sum(row["positive"] for row in rows) / leads,
        age_days=age_days,
        leads=leads,
        first_cohort=rows[-1]["cohort"],
        last_cohort=rows[0]["cohort"],
    )


@dataclass(frozen=True)
class RepFlow:
    """Over labelled leads with a known rep: how many each works, and their intraclass correlation."""

    reps: int
    leads_a_rep: float
    correlation: float

    @property
    def sentence(self) -> str:
        return (
            f"observed: {self.reps:,} reps with {self.leads_a_rep:,.0f} leads each on average, whose outcomes are alike by "
            f"{self.correlation:.3f} (intraclass correlation)"
        )


def observed_reps(installation: Installation) -> RepFlow | None:
    """None while no label names a rep, or only one."""
    if not installation.lakehouse.exists(LABELS):
        return None
    found = query(_BY_REP, {"labels": installation.lakehouse.scan(LABELS)})
    reps = np.array(found["rep"].to_pylist(), dtype=object)
    correlation = correlation_within_reps(found["converted"].to_numpy(), reps)
    if np.isnan(correlation):
        return None
    return RepFlow(len(set(reps)), len(reps) / len(set(reps)), correlation)


@dataclass(frozen=True)
class Given:
    """What a person says of the test; None: as the settings have it, or as it was observed."""

    lift: float | None = None
    share: float | None = None
    base_rate: float | None = None
    leads_a_day: float | None = None


def cost_of(installation: Installation, given: Given, unit: Unit, age_days: int | None) -> tuple[Plan, list[str]]:
    """How long the test takes, and what was observed, in sentences.

    Raises:
        ExperimentError: nothing was observed and nothing is given; or a figure that cannot be.
    """
    policy, told = installation.settings.experiments, list[str]()
    age = age_days or usual_age_days(installation)
    seen = observed_flow(installation, age)
    base_rate, leads_a_day = given.base_rate, given.leads_a_day
    if seen is not None:
        told.append(seen.sentence)
        if base_rate is None and not seen.conversion_rate:
            raise ExperimentError(
                f"no conversion of {seen.first_cohort} to {seen.last_cohort} was known when its lead was {age} days old, "
                "expected some, as nothing else tells the arms apart. Count leads later with --age-days, or give --base-rate."
            )
        base_rate, leads_a_day = base_rate or seen.conversion_rate, leads_a_day or seen.leads_a_day
    if base_rate is None or leads_a_day is None:
        raise ExperimentError(
            "no cohort of leads is completely labelled yet, so that nobody knows how many come and convert: give --base-rate and "
            "--leads-per-day."
        )
    inflation = None
    if unit == "rep":
        reps = observed_reps(installation)
        if reps is None:
            raise ExperimentError(
                "no label names the rep who worked the lead, or all name the same: expected at least two, because reps cannot be "
                "drawn otherwise. Let the outcomes tell the rep, or draw by lead."
            )
        told.append(reps.sentence)
        inflation = design_effect(reps.leads_a_rep, reps.correlation)
    lift, share = given.lift or policy.minimum_lift, given.share or policy.treatment_share
    question = Question(base_rate, lift, share, policy.power, policy.significance)
    return plan_experiment(question, leads_a_day, age, policy.maximum_days, policy.minimum_units, inflation), told
