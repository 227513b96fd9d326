"""One reading of an experiment: from the tables to the evidence, the verdict and everything that is told with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lead_scoring_assets.evaluation.metrics import Floats
from lead_scoring_assets.experiments.always_valid import lift_sequence, share_bounds
from lead_scoring_assets.experiments.experiment import Experiment
from lead_scoring_assets.experiments.exposures import exposed_leads, exposures
from lead_scoring_assets.experiments.figures import (
    Figure,
    always_valid_figure,
    counts_of,
    figures,
    guardrail_figures,
    sample_ratio_figure,
)
from lead_scoring_assets.experiments.outcomes import Outcomes, outcomes_at_age
from lead_scoring_assets.experiments.reps import shared_reps
from lead_scoring_assets.experiments.sample_ratio import check_sample_ratio
from lead_scoring_assets.experiments.verdict import Evidence, ExperimentDecision, decide_experiment
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.rollout.guards import Answers, judge_errors, judge_latency, p95_of
from lead_scoring_assets.settings import RolloutPolicy

# Where a model fails, another one answers: the API never fails a lead. To the arm it is an error all the same.
_ANSWERS = """
WITH answered AS (
    SELECT arm, "at", source, status, latency_us, model_version,
           CASE arm WHEN 'challenger' THEN $3 ELSE $4 END AS planned,
           planned IS NOT NULL AND source = 'model' AND model_version IS DISTINCT FROM planned AS is_by_another
    FROM served WHERE experiment_id = $1 AND "at" <= $2 AND arm IS NOT NULL
)
SELECT arm, count(*) AS n, count(*) FILTER (source = 'fallback' OR status >= 500 OR is_by_another) AS errors,
       list(latency_us / 1000.0 ORDER BY "at")
         FILTER (source = 'model' AND NOT is_by_another AND latency_us IS NOT NULL) AS milliseconds,
       list(DISTINCT model_version ORDER BY model_version) FILTER (is_by_another AND model_version IS NOT NULL) AS others,
       count(*) FILTER (is_by_another) AS by_others
FROM answered GROUP BY arm
"""


# As a share of those that count.
_MANY_TOO_LATE = 0.1
_NO_LABELS = "no label is known yet: who was exposed, in which ratio, and the guardrails are all that can be told"


@dataclass(frozen=True)
class Tables:
    """What is read: served_predictions; ground_truth_labels, complete up to `labels_until`, and raw_activities, if there are
    any."""

    served: Any
    labels: Any | None
    labels_until: datetime
    activities: Any | None = None


@dataclass(frozen=True)
class ByDay:
    """The always-valid interval after each day since the start, each array of shape (days,)."""

    ratio: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class Reading:
    """An experiment as of a moment. `exposed`: units that got an answer; `warnings`: what weakens the comparison."""

    experiment: Experiment
    as_of: datetime
    labels_until: datetime
    exposed: int
    evidence: Evidence
    figures: tuple[Figure, ...]
    decision: ExperimentDecision
    warnings: tuple[str, ...]
    by_day: ByDay | None


def read_experiment(
    experiment: Experiment,
    started_at: datetime,
    now: datetime,
    tables: Tables,
    guards: RolloutPolicy,
    minimum_effective_leads: int,
    feedback: Sequence[str] = (),
) -> Reading:
    """What `tables` say of `experiment` at `now`.

    Arms and guardrails are told up to `now`, outcomes up to the moment for which labels are complete.

    Args:
        experiment: as it was settled.
        started_at: when it began; what was answered before has no `experiment_id`.
        now: the moment of the reading.
        tables: where it is read.
        guards: limits of errors and latency, those of a rollout.
        minimum_effective_leads: before conversions under one arm for all are told.
        feedback: what salespeople said.
    """
    until = min(now, tables.labels_until)
    units = exposures(tables.served, experiment, now)
    exposed = exposed_leads(tables.served, experiment, until)
    outcomes = outcomes_at_age(exposed, tables.labels, tables.activities, experiment.age_days, until)
    is_by_rep = experiment.unit == "rep"
    told = tuple(figures(outcomes, is_by_rep=is_by_rep, minimum_effective_leads=minimum_effective_leads))
    treated = int(pc.sum(pc.equal(units["arm"], "challenger")).as_py() or 0)
    counts = counts_of(outcomes)
    of_treatment, of_control = counts.treatment_conversions, counts.control_conversions
    share, strength = experiment.treatment_share, experiment.strength
    ratio = check_sample_ratio(len(units) - treated, treated, share)
    sequence = None if is_by_rep else lift_sequence(of_treatment, of_control, share, strength, experiment.significance)
    asked = [experiment.experiment_id, now, experiment.treatment_version, experiment.control_version]
    by_rep = next(figure.effect for figure in told if figure.metric == "conversion_difference") if is_by_rep else None
    answers = {row["arm"]: row for row in query(_ANSWERS, {"served": tables.served}, asked).to_pylist()}
    control, treatment = _answers(answers.get(experiment.control)), _answers(answers.get("challenger"))
    evidence = Evidence(
        days=(now - started_at).total_seconds() / 86_400,
        control=counts.control,
        treatment=counts.treatment,
        conversions=of_treatment + of_control,
        conversions_too_late=int(outcomes.converted_too_late.sum()),
        sample_ratio=ratio,
        sequence=sequence,
        by_rep=by_rep,
        guards=(judge_errors(treatment, guards), judge_latency(treatment, control, guards)),
        secondary=[figure for figure in told if figure.role == "secondary"],
        feedback=feedback,
    )
    return Reading(
        experiment=experiment,
        as_of=now,
        labels_until=until,
        exposed=len(units),
        evidence=evidence,
        figures=(
            *([always_valid_figure(sequence, counts)] if sequence else []),
            *told,
            *guardrail_figures(control, treatment),
            sample_ratio_figure(ratio, len(units) - treated, treated),
        ),
        decision=decide_experiment(evidence, experiment),
        warnings=(
            *(() if tables.labels is not None else (_NO_LABELS,)),
            *_warnings(experiment, units, outcomes, answers),
        ),
        by_day=None if is_by_rep else sequence_by_day(outcomes, experiment, started_at, until),
    )


def sequence_by_day(outcomes: Outcomes, experiment: Experiment, started_at: datetime, until: datetime) -> ByDay:
    """The interval as it stood after each whole day: what whoever looked then would have seen."""
    days = max((until - started_at).days, 0)
    start = np.datetime64(started_at.replace(tzinfo=None), "us")
    after = (outcomes.counted_at.astype("datetime64[us]") - start) // np.timedelta64(1, "D")
    which = np.clip(after, 0, None).astype(int)
    in_time = which < days
    won, share = outcomes.converted, experiment.treatment_share

    def after_each_day(arm: Any) -> Floats:
        return np.cumsum(np.bincount(which[arm & in_time], weights=won[arm & in_time], minlength=days)[:days])

    treated, control = after_each_day(outcomes.is_treatment), after_each_day(~outcomes.is_treatment)
    low, high = share_bounds(treated, treated + control, share, experiment.strength, experiment.significance)
    with np.errstate(divide="ignore", invalid="ignore"):
        odds = (1 - share) / share
        return ByDay(odds * treated / control, odds * low / (1 - low), odds * high / (1 - high))


def _answers(row: dict[str, Any] | None) -> Answers:
    if row is None:
        return Answers()
    return Answers(row["n"], row["errors"], p95_of(np.array(row["milliseconds"] or [], dtype=np.float64)))


def _warnings(experiment: Experiment, units: pa.Table, outcomes: Outcomes, answers: dict[str, Any]) -> list[str]:
    """What a person should know before believing the figures."""
    told = []
    if crossed := pc.sum(units["crossed"]).as_py():
        told.append(f"{crossed:,} of {len(units):,} units saw both arms; each is counted in its first one")
    too_late, in_time = int(outcomes.converted_too_late.sum()), int(outcomes.converted.sum())
    if too_late > _MANY_TOO_LATE * in_time:
        told.append(
            f"{too_late:,} conversions became known after their lead was {experiment.age_days} days old and do not count; "
            f"{in_time:,} were known by then"
        )
    if experiment.unit == "lead" and (shared := shared_reps(outcomes.rep, outcomes.is_treatment).sentence):
        told.append(shared)
    for arm, row in sorted(answers.items()):
        if row["by_others"]:
            names = ", ".join(f"v{version}" for version in row["others"] or ())
            told.append(
                f"{row['by_others']:,} of {row['n']:,} answers of the {arm} came from {names or 'an unnamed model'} instead; "
                "each lead is compared as it was drawn"
            )
    if len(units):
        is_treatment = np.array(units["arm"].to_pylist()) == "challenger"
        should = np.where(is_treatment, experiment.treatment_share, 1 - experiment.treatment_share)
        wrong = int((np.abs(units["propensity"].to_numpy() - should) > 1e-9).sum())
        if wrong:
            told.append(f"{wrong:,} of {len(units):,} units were drawn with another probability than was planned")
    return told
