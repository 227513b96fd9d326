"""Which model scores: the one that was live at a moment, or one that is named. Both are loaded and verified."""

from dataclasses import dataclass
from datetime import datetime

from lead_scoring_assets.errors import ScoringError
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.models.bundle import load_scorer
from lead_scoring_assets.models.registry import ModelRegistry, RegisteredModel
from lead_scoring_assets.models.scorer import Scorer
from lead_scoring_assets.promotion.deployments import Deployments
from lead_scoring_assets.promotion.fallback import live_scorer

PRODUCTION = "production"


@dataclass(frozen=True)
class LoadedModel:
    """A registered version and its scorer."""

    version: int
    scorer: Scorer


def live_model(installation: Installation, moment: datetime) -> LoadedModel | None:
    """The model that was live at `moment`, or what was fallen back to when it was found damaged; None before the first.

    Raises:
        LakehouseError: it is damaged, and nothing may or can take its place.
    """
    live = live_scorer(installation, moment)
    return None if live is None else LoadedModel(live.deployment.version, live.scorer)


def named_model(installation: Installation, name: str) -> LoadedModel:
    """The model called `name`: a version's number (with or without v), or `production`, what is live now.

    Raises:
        ScoringError: there is no such version, or nothing is live.
        LakehouseError: its folder is damaged.
    """
    if name == PRODUCTION:
        live = live_model(installation, installation.clock.now())
        if live is None:
            raise ScoringError(
                "no model is live: expected a deployed version, found none. Materialise until one is promoted "
                "(`lead-scoring status`), or name a version."
            )
        return live
    known = _known_to_tables(installation)
    number = name.removeprefix("v")
    found = (known.get(int(number)) or _known_to_mlflow(installation, int(number))) if number.isdecimal() else None
    if found is None:
        told = ", ".join(f"v{version}" for version in sorted(known)) or "none"
        raise ScoringError(
            f"there is no model {name!r}: expected {PRODUCTION!r} or one of the versions trained, such as {told}."
        )
    return LoadedModel(found.version, load_scorer(installation.home.data / found.bundle, found.fingerprint))


def _known_to_tables(installation: Installation) -> dict[int, RegisteredModel]:
    """Versions that stand in `trained_model` or went through promotion: without MLflow, which is slow to import."""
    found = {}
    if installation.lakehouse.exists("trained_model"):
        columns = ["version", "run_id", "bundle", "fingerprint"]
        for row in installation.lakehouse.read("trained_model", columns=columns).to_pylist():
            if row["version"] is not None:
                found[row["version"]] = RegisteredModel(**row)
    for step in Deployments(installation.lakehouse).steps():
        found.setdefault(step.version, RegisteredModel(step.version, "", step.bundle, step.fingerprint))
    return found


def _known_to_mlflow(installation: Installation, number: int) -> RegisteredModel | None:
    """A version whose period was trained again since, so that no table has it."""
    # Asking would make a store where there is none.
    if not installation.home.mlflow.exists() and installation.settings.mlflow.tracking_uri is None:
        return None
    found = ModelRegistry(installation.home).find_version(number)
    return None if found is None else found[0]
