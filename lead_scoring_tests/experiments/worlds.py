"""Made-up experiments whose truth is known: who was answered, in which arm, and what came of it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from lead_scoring_assets.experiments.assignment import assign
from lead_scoring_assets.experiments.experiment import Experiment
from lead_scoring_assets.experiments.reading import Tables

START = datetime(2026, 1, 5, tzinfo=UTC)
_MOMENT = pa.timestamp("us", tz="UTC")
SERVED = pa.schema(
    {
        "lead_id": pa.string(),
        "at": _MOMENT,
        "experiment_id": pa.string(),
        "arm": pa.string(),
        "unit_id": pa.string(),
        "propensity": pa.float64(),
        "explored": pa.bool_(),
        "score": pa.float64(),
        "model_version": pa.int64(),
        "latency_us": pa.int64(),
        "status": pa.int64(),
        "source": pa.string(),
    }
)
LABELS = pa.schema(
    {
        "period": pa.string(),
        "lead_id": pa.string(),
        "label_known_at": _MOMENT,
        "label": pa.int8(),
        "deal_value": pa.float64(),
        "currency": pa.string(),
        "rep": pa.string(),
    }
)
PLAN = Experiment(
    experiment_id="v2-against-champion",
    salt="test/v2-against-champion",
    unit="lead",
    control="champion",
    control_version=1,
    treatment_version=2,
    share_bp=5_000,
    exploration_bp=0,
    base_rate=0.125,
    minimum_lift=0.2,
    significance=0.05,
    power=0.8,
    planned_units=13_000,
    minimum_units=1_000,
    minimum_days=14,
    age_days=30,
)


def plan(**changes: Any) -> Experiment:
    return replace(PLAN, **changes)


def answer(lead: str, at: datetime, experiment: Experiment = PLAN, **changes: Any) -> dict[str, Any]:
    """One row of `served_predictions`, drawn as the API draws."""
    unit = changes.pop("unit_id", lead)
    drawn = assign(experiment.traffic, unit)
    row = {
        "lead_id": lead,
        "at": at,
        "experiment_id": experiment.experiment_id,
        "arm": drawn.arm,
        "unit_id": unit,
        "propensity": drawn.propensity,
        "explored": drawn.explored,
        "score": 0.2,
        "model_version": experiment.treatment_version if drawn.arm == "challenger" else experiment.control_version,
        "latency_us": 9_000,
        "status": 200,
        "source": "model",
    }
    return row | changes


def served(rows: Sequence[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=SERVED)


def labels(rows: Sequence[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist([{"period": "2026-01", **row} for row in rows], schema=LABELS)


def world(
    experiment: Experiment,
    leads: int,
    days: int,
    control_rate: float,
    treatment_rate: float,
    seed: int = 1,
    reps: int = 0,
) -> Tables:
    """`leads` answered evenly over `days`, converting at the rate of their arm, known after an exponential delay of some ten
    days, else lost at 30 days. `reps`: who work them, each lead one (0: nobody is named)."""
    random = np.random.default_rng(seed)
    answers, told = [], []
    for number in range(leads):
        at = START + timedelta(days=days * number / leads)
        rep = f"rep {random.integers(reps)}" if reps else None
        unit = {"unit_id": rep} if experiment.unit == "rep" else {}
        row = answer(f"lead {number}", at, experiment, latency_us=int(random.integers(5_000, 15_000)), **unit)
        won = random.random() < (treatment_rate if row["arm"] == "challenger" else control_rate)
        delay = timedelta(days=min(float(random.exponential(10)), 29.9) if won else 30)
        value = {"deal_value": float(random.lognormal(7, 1)), "currency": "AED"} if won else {}
        row["score"] = float(np.clip(random.normal(0.4 if won else 0.3, 0.1), 0, 1))
        answers.append(row)
        told.append({"lead_id": row["lead_id"], "label_known_at": at + delay, "label": int(won), "rep": rep, **value})
    return Tables(served(answers), labels(told), labels_until=START + timedelta(days=days + 31))
