"""Candidate, champion and best so far on the same holdout rows: loads the models and gathers what the gate looks at."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from lead_scoring_assets.errors import LakehouseError
from lead_scoring_assets.evaluation.bootstrap import Bootstrap
from lead_scoring_assets.evaluation.metrics import Floats, Metric
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.models.bundle import load_scorer
from lead_scoring_assets.models.registry import RegisteredModel
from lead_scoring_assets.models.scorer import Scorer
from lead_scoring_assets.promotion.best_so_far import Row, best_so_far
from lead_scoring_assets.promotion.deployments import Deployment, newest_of
from lead_scoring_assets.promotion.fallback import LiveScorer, load_or_fall_back
from lead_scoring_assets.promotion.gate import Comparison, Evidence, compare
from lead_scoring_assets.promotion.lifecycle import lifecycle_of
from lead_scoring_assets.promotion.traceability import why_untraceable


def gather(
    installation: Installation,
    candidate: RegisteredModel,
    metrics: Mapping[str, Metric],
    holdout: pd.DataFrame,
    history: Sequence[Deployment],
    decisions: Sequence[Row],
) -> Evidence:
    """What the gate looks at for `candidate`.

    Args:
        installation: whose models are loaded.
        candidate: the model that would go live.
        metrics: its own figures on the holdout, by name.
        holdout: the rows on which all are compared: features and `label`.
        history: what had gone live before it.
        decisions: rows of `promotion_decision` of earlier periods.

    Raises:
        LakehouseError: the candidate is damaged, or the champion and there is nothing to fall back to.
    """
    settings = installation.settings
    bootstrap = Bootstrap(len(holdout), settings.evaluation.bootstrap_samples, settings.training.seed)
    labels = holdout["label"].to_numpy(dtype=np.float64)
    scores = _scores(installation, candidate, holdout)

    def against(version: int, scorer: Scorer) -> Comparison:
        return compare(version, labels, scores, scorer.probabilities(holdout), bootstrap)

    newest = newest_of(history)
    live = load_or_fall_back(installation, newest) if newest else None
    champion = against(live.deployment.version, live.scorer) if live else None
    best = _best(installation, history, decisions)
    return Evidence(
        auc=metrics["auc"],
        brier=metrics["brier"],
        precision=metrics["precision_at_10_percent"],
        champion=champion,
        best=champion
        if best is None or (champion and best.deployment.version == champion.version)
        else against(best.deployment.version, best.scorer),
        untraceable=why_untraceable(installation.home.data / candidate.bundle, candidate.fingerprint),
    )


def _best(installation: Installation, history: Sequence[Deployment], decisions: Sequence[Row]) -> LiveScorer | None:
    """The best so far that loads: a damaged one can be compared with nobody, and the one before it takes its place."""
    without = set(lifecycle_of(history).left)
    while (best := best_so_far(history, decisions, without)) is not None:
        try:
            return LiveScorer(best, load_scorer(best.folder(installation.home.data), best.fingerprint))
        except LakehouseError:
            without.add(best.version)
    return None


def _scores(installation: Installation, candidate: RegisteredModel, holdout: pd.DataFrame) -> Floats:
    scorer = load_scorer(installation.home.data / candidate.bundle, candidate.fingerprint)
    return scorer.probabilities(holdout)
