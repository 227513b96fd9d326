"""Dagster shell of the readings. Not cut into periods: an experiment is read as of now, for as long as it runs."""

from typing import Any

import dagster as dg

from lead_scoring_assets.experiments.looking import LABELS, SERVED, look, what_is_missing, why_overtaken
from lead_scoring_assets.experiments.pictures import interval_plot
from lead_scoring_assets.experiments.reading import Reading
from lead_scoring_assets.experiments.records import Experiments
from lead_scoring_assets.experiments.results import TABLE, keep
from lead_scoring_assets.experiments.transitions import block, conclude
from lead_scoring_assets.installation import Installation


@dg.asset(
    deps=[SERVED, LABELS],
    group_name="experiments",
    owners=["team:machine-learning"],
    kinds={"duckdb", "deltalake"},
)
def experiment_results(installation: dg.ResourceParam[Installation]) -> dg.MaterializeResult[None]:
    """What the running experiment shows, every figure with its interval, and the verdict, which is carried out."""
    running = Experiments(installation.lakehouse).running()
    if running is None:
        return dg.MaterializeResult(metadata={"status": "no experiment runs"})
    if (why := why_overtaken(installation, running)) is not None:
        return dg.MaterializeResult(
            metadata={"state": block(installation, running.experiment, why).state, "status": why}
        )
    if (missing := what_is_missing(installation)) is not None:
        return dg.MaterializeResult(metadata={"status": missing})
    reading = look(installation, running)
    is_new = keep(installation.lakehouse, reading)
    status = conclude(installation, reading)
    return dg.MaterializeResult(
        metadata={
            **_told(reading),
            "state": status.state,
            "is_new": is_new,
            "dagster/uri": str(installation.lakehouse.path(TABLE)),
        }
    )


def _told(reading: Reading) -> dict[str, Any]:
    evidence, decision = reading.evidence, reading.decision
    told: dict[str, Any] = {
        "experiment": reading.experiment.experiment_id,
        "verdict": decision.verdict,
        "reason": decision.reason,
        "units_exposed": reading.exposed,
        "leads_counted_control": evidence.control,
        "leads_counted_treatment": evidence.treatment,
        "labels_until": str(reading.labels_until),
        "checklist": dg.MetadataValue.md(
            "\n".join(f"- {check.point}: **{check.answer}**, {check.sentence}" for check in decision.checklist)
        ),
    }
    if reading.warnings:
        told["warnings"] = dg.MetadataValue.md("\n".join(f"- {warning}" for warning in reading.warnings))
    if reading.by_day is not None and len(reading.by_day.ratio):
        told["over_days"] = dg.MetadataValue.md(interval_plot(reading.by_day))
    return told
