"""The live model for scoring, and what happens when its artefact is damaged: the version before it goes live instead.

The step is an event as well, of which `alerts` makes a critical alert.
"""

from dataclasses import dataclass
from datetime import datetime

from lead_scoring_assets.errors import LakehouseError, PromotionError
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.models.bundle import load_scorer
from lead_scoring_assets.models.scorer import Scorer
from lead_scoring_assets.promotion.deployments import Deployment, Deployments
from lead_scoring_assets.promotion.transitions import go_back

_ACTOR = "fallback"


@dataclass(frozen=True)
class LiveScorer:
    """The deployment that scores, and its scorer, verified."""

    deployment: Deployment
    scorer: Scorer


def live_scorer(installation: Installation, moment: datetime) -> LiveScorer | None:
    """The model that was live at `moment`, or what was fallen back to in its place; None before the first.

    Falls back only from what is live now. An older champion that is damaged is history: scoring its period with another
    model would rewrite it.

    Raises:
        LakehouseError: the model is damaged, and it is not live any more or no earlier one loads.
    """
    champion = Deployments(installation.lakehouse).champion_at(moment)
    return None if champion is None else load_or_fall_back(installation, champion)


def load_or_fall_back(installation: Installation, deployment: Deployment) -> LiveScorer:
    """The deployment with its scorer, or, where it is live and damaged, what takes its place.

    Raises:
        LakehouseError: as for `live_scorer`.
    """
    try:
        return LiveScorer(deployment, load_scorer(deployment.folder(installation.home.data), deployment.fingerprint))
    except LakehouseError as problem:
        stand_in = _fall_back(installation, deployment, problem)
    return load_or_fall_back(installation, stand_in)


def _fall_back(installation: Installation, damaged: Deployment, problem: LakehouseError) -> Deployment:
    deployments = Deployments(installation.lakehouse)
    with deployments.one_at_a_time():
        # Another process may have fallen back while this one waited; and the same champion is asked for again.
        if (stand_in := stand_in_for(damaged, deployments.history())) is not None:
            return stand_in
        live = deployments.newest()
        if live is None or live.version != damaged.version:
            raise problem
        try:
            return go_back(installation, deployments, live, "fell_back", _ACTOR, str(problem))
        except PromotionError as nowhere:
            raise LakehouseError(f"{problem} {nowhere}") from problem


def stand_in_for(damaged: Deployment, history: list[Deployment]) -> Deployment | None:
    """What was fallen back to from this deployment of the `history`, if that happened."""
    since = history[history.index(damaged) + 1 :]
    return next((s for s in since if (s.action, s.champion_version) == ("fell_back", damaged.version)), None)
