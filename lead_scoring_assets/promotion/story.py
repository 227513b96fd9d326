"""One model version in sentences: what it was made of, why, how it did, and where it was live. Only reads."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from lead_scoring_assets.errors import LakehouseError, LeadScoringError
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.models.recipe import Recipe
from lead_scoring_assets.models.record import RECORD, TrainingRecord, read_record
from lead_scoring_assets.models.registry import ModelRegistry, RegisteredModel
from lead_scoring_assets.promotion.deployments import Deployments

_DECISIONS = "promotion_decision"


@dataclass(frozen=True)
class KnownVersion:
    """A registered version, its period, and the file of its record."""

    model: RegisteredModel
    period: str
    record_file: Path


def find_version(installation: Installation, number: int) -> KnownVersion:
    """The version of this number.

    Raises:
        LeadScoringError: there is none.
    """
    found = ModelRegistry(installation.home).find_version(number)
    if found is None:
        raise LeadScoringError(f"there is no model version {number}: expected one that `lead-scoring models` lists.")
    return _known(installation, *found)


def story(installation: Installation, known: KnownVersion) -> list[tuple[str, str]]:
    """Pairs of a name and a sentence, in the order in which a person asks."""
    try:
        told = list(_of_record(read_record(known.record_file)))
    except LakehouseError as problem:
        told = [("record", str(problem))]
    registry, stages = ModelRegistry(installation.home), Deployments(installation.lakehouse).lifecycle()
    stage = stages.stage(known.model.version)
    return [
        ("version", f"v{known.model.version}, trained at the end of {known.period}"),
        ("registry", f"version {known.model.version} of {registry.name!r} in MLflow, stage {stage}"),
        *told,
        ("fingerprint", known.model.fingerprint),
        ("model", str(installation.home.data / known.model.bundle)),
        ("run", known.model.run_id),
        *_of_decisions(installation, known),
        *_of_deployments(installation, known),
    ]


def summaries(installation: Installation) -> list[dict[str, str]]:
    """One row a version, in order of number, for a table."""
    live: dict[int, str] = {}
    stages = Deployments(installation.lakehouse).lifecycle()
    for step in Deployments(installation.lakehouse).history():
        live[step.version] = f"{step.effective_at:%Y-%m-%d}"
    return [
        {
            "version": f"v{model.version}",
            "period": period,
            "stage": stages.stage(model.version),
            "live since": live.get(model.version, ""),
            **_in_short(_known(installation, model, period).record_file),
        }
        for model, period in ModelRegistry(installation.home).versions()
    ]


def live_at(installation: Installation, moment: datetime) -> str:
    """Which version was live at `moment`, since when and why, in a sentence."""
    live = Deployments(installation.lakehouse).champion_at(moment)
    told = f"at {moment:%Y-%m-%d %H:%M} UTC"
    if live is None:
        return f"no version was live {told}."
    since = f"since {live.effective_at:%Y-%m-%d %H:%M}, {live.action} by {live.actor}: {live.reason}"
    return f"v{live.version}, trained at the end of {live.period}, was live {told} ({since})."


def _known(installation: Installation, model: RegisteredModel, period: str) -> KnownVersion:
    return KnownVersion(model, period, (installation.home.data / model.bundle).with_name(RECORD))


def _in_short(record_file: Path) -> dict[str, str]:
    try:
        told = read_record(record_file)
    except LakehouseError:
        return {"algorithm": "no record", "AUC": "", "trigger": "", "commit": ""}
    return {
        "algorithm": Recipe.from_json(told.recipe).algorithm,
        "AUC": f"{told.metrics['auc']:.3f}" if "auc" in told.metrics else "",
        "trigger": told.trigger,
        "commit": f"{told.provenance.git_commit[:8]}{' dirty' if told.provenance.git_dirty else ''}",
    }


def _of_record(told: TrainingRecord) -> Iterator[tuple[str, str]]:
    recipe, where = Recipe.from_json(told.recipe), told.provenance
    changed = f" in {where.git_changed_files:,} file(s)" if where.git_changed_files else ""
    state = {True: f", with changes{changed} that no commit has", False: "", None: ", whether with changes is unknown"}
    # The reason of recorded causes names each of them.
    is_named = told.trigger_reason.startswith(told.trigger.split("+")[0])
    yield "trigger", told.trigger_reason if is_named else f"{told.trigger}: {told.trigger_reason}"
    yield "data", f"content hash {told.content_hash}, in {told.snapshot}"
    yield "inputs", ", ".join(f"{table} at version {version}" for table, version in sorted(told.inputs.items()))
    yield "commit", f"{where.git_commit} ({where.git_branch}{state[where.git_dirty]}) of {where.repository}"
    packages = ", ".join(f"{name} {version}" for name, version in sorted(where.packages.items()))
    yield "environment", f"Python {where.python} on {where.platform}, {packages}; lock {where.lock_sha256}"
    yield "settings", f"SHA-256 {where.settings_sha256}"
    parameters = ", ".join(f"{name} {value}" for name, value in recipe.parameters.items())
    yield "recipe", f"{recipe.algorithm} ({parameters}), class weight {recipe.class_weight}, seed {recipe.seed}"
    yield "holdout", ", ".join(f"{name} {value:.4f}" for name, value in sorted(told.metrics.items()))


def _of_decisions(installation: Installation, known: KnownVersion) -> Iterator[tuple[str, str]]:
    lakehouse = installation.lakehouse
    if not lakehouse.exists(_DECISIONS):
        return
    rows = lakehouse.read(_DECISIONS, columns=["period", "candidate_version", "verdict", "reason"])
    for row in rows.to_pylist():
        if row["candidate_version"] == known.model.version:
            yield "decision", f"{row['period']}: {row['verdict']}: {row['reason']}"


def _of_deployments(installation: Installation, known: KnownVersion) -> Iterator[tuple[str, str]]:
    steps = [step for step in Deployments(installation.lakehouse).steps() if step.version == known.model.version]
    for step in steps:
        yield "deployment", f"{step.effective_at:%Y-%m-%d %H:%M}: {step.action} by {step.actor}: {step.reason}"
    if not any(step.went_live for step in steps):
        yield "deployment", "never live"
