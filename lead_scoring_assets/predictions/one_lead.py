"""Why one lead has its score: exact contributions, and for comparison a local surrogate in the manner of LIME."""

from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from lead_scoring_assets.assessment.explanations import LeadExplanation, explain_lead
from lead_scoring_assets.assessment.reasons import typical_values
from lead_scoring_assets.assessment.surrogate import Surrogate, agreement, explain_locally
from lead_scoring_assets.errors import ScoringError
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.predictions.model import LoadedModel, live_model, named_model

COMPARED_FEATURES = 3


@dataclass(frozen=True)
class Comparison:
    """The surrogate, and the share of the strongest features on which it and the exact contributions agree."""

    surrogate: Surrogate
    agreement: float


@dataclass(frozen=True)
class ExplainedLead:
    """One lead's score by one model. `values`: its features. `typical`: medians of the leads of its period."""

    lead_id: str
    period: str
    version: int
    values: dict[str, object]
    typical: dict[str, float]
    explanation: LeadExplanation
    comparison: Comparison | None


def explain_one(installation: Installation, lead_id: str, model: str | None, *, compare: bool) -> ExplainedLead:
    """The newest row of `lead_id` in lead_features, scored and explained by `model`; None: by what was live then.

    `compare`: fit the surrogate as well, on leads drawn from its period.

    Raises:
        ScoringError: there is no such lead, no such model, or none was live when the lead came.
        LakehouseError: the model's folder is damaged.
    """
    settings = installation.settings
    features = installation.lakehouse.scan("lead_features")
    found = query(
        "SELECT period FROM features WHERE lead_id = $1 ORDER BY known_at DESC LIMIT 1",
        {"features": features},
        [lead_id],
    ).to_pylist()
    if not found:
        raise ScoringError(
            f"no lead {lead_id!r} in lead_features: expected a lead_id such as `lead-scoring worklist` shows. Was its "
            "period materialised?"
        )
    period = settings.calendar.period(str(found[0]["period"]))
    loaded = _model(installation, model, period.start)
    rows: pd.DataFrame = installation.lakehouse.read("lead_features", periods=[period.key]).to_pandas()
    lead = rows[rows["lead_id"] == lead_id].tail(1)
    typical = typical_values(rows, settings.registry)
    explanation = explain_lead(loaded.scorer, lead, settings.registry, typical)
    comparison = None
    if compare:
        surrogate = explain_locally(loaded.scorer, lead, rows, settings.training.seed)
        agreed = agreement(surrogate, explanation.contributions, COMPARED_FEATURES)
        comparison = Comparison(surrogate, agreed)
    values = {name: lead[name].iloc[0] for name in loaded.scorer.columns}
    return ExplainedLead(lead_id, period.key, loaded.version, values, typical, explanation, comparison)


def _model(installation: Installation, name: str | None, moment: datetime) -> LoadedModel:
    if name is not None:
        return named_model(installation, name)
    live = live_model(installation, moment)
    if live is None:
        raise ScoringError("no model was live when this lead came: name one with --model (`lead-scoring models`).")
    return live
