"""The leads that a champion is watched on: its holdout, and the newest that matured, both scored by itself. Nothing is
judged here."""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from lead_scoring_assets.errors import LakehouseError
from lead_scoring_assets.installation import Installation
from lead_scoring_assets.labels.maturity import first_rows, labels_known_at, matured_cohort
from lead_scoring_assets.lakehouse.names import quoted
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.models.bundle import load_scorer
from lead_scoring_assets.models.scorer import Scorer
from lead_scoring_assets.models.training_set import HOLDOUT
from lead_scoring_assets.monitoring.drift.outcomes import Outcomes
from lead_scoring_assets.periods import Period
from lead_scoring_assets.promotion.deployments import Deployment


@dataclass(frozen=True)
class ScoredLeads:
    """Leads with a known label: their features, one row a lead in the order of `outcomes`."""

    features: pd.DataFrame
    outcomes: Outcomes


@dataclass(frozen=True)
class Watched:
    """A champion, loaded, with its holdout."""

    champion: Deployment
    scorer: Scorer
    holdout: ScoredLeads


def load_watched(installation: Installation, champion: Deployment) -> Watched:
    """The champion and its holdout.

    Raises:
        LakehouseError: the model is damaged, or its holdout is gone.
    """
    scorer = load_scorer(champion.folder(installation.home.data), champion.fingerprint)
    rows = installation.lakehouse.read("training_set", periods=[champion.period])
    holdout = rows.filter(pc.equal(rows["split"], HOLDOUT)).to_pandas()
    if holdout.empty:
        raise LakehouseError(
            f"the holdout of champion v{champion.version} is gone: expected rows of {champion.period} in training_set, "
            "found none. Materialise training_set of that period."
        )
    return Watched(champion, scorer, _scored(holdout, scorer))


def newly_matured(installation: Installation, period: Period, scorer: Scorer) -> ScoredLeads:
    """The leads whose conversion window closed in `period`, with the label known at its end, as `scorer` scores them.

    By the features of a lead's first row, which a score of its arrival is made from. Who was live when it arrived does
    not matter: the question is whether the model that is live now is right about the newest leads that can be judged.

    Raises:
        LakehouseError: a table is missing, or lacks a column that the model reads.
    """
    settings, lakehouse = installation.settings, installation.lakehouse
    since, until = matured_cohort(period, timedelta(days=settings.labels.conversion_window_days))
    calendar = settings.calendar
    keys = [past.key for past in calendar.through(period, calendar.containing(max(since, calendar.start)))]
    features = lakehouse.scan("lead_features", periods=keys)
    _refuse_missing(features.schema.names, scorer)
    chosen = "(SELECT * FROM features WHERE created_at >= $1 AND created_at < $2 AND known_at <= $3)"
    rows = query(
        f"SELECT f.*, l.label FROM {first_rows(chosen, 'known_at')} f "  # noqa: S608  # only our own names
        f"LEFT JOIN {labels_known_at('labels', '$3')} l USING (lead_id) ORDER BY f.lead_id",
        {"features": features, "labels": lakehouse.scan("ground_truth_labels", periods=keys)},
        [since, until, period.end],
    ).to_pandas()
    return _scored(rows, scorer)


def scored_in(installation: Installation, period: Period, scorer: Scorer, leads: int) -> pd.DataFrame:
    """The features of up to `leads` of the leads that `scorer` scored in `period`: those whose hashed names come first.

    Raises:
        LakehouseError: lead_features is missing, or lacks a column that the model reads.
    """
    features = installation.lakehouse.scan("lead_features", periods=[period.key])
    _refuse_missing(features.schema.names, scorer)
    chosen = ", ".join(quoted(name) for name in scorer.columns)
    found: pd.DataFrame = query(
        f"SELECT {chosen} FROM features ORDER BY md5(lead_id), lead_id LIMIT $1",  # noqa: S608  # quoted names
        {"features": features},
        [leads],
    ).to_pandas()
    return found


def _refuse_missing(names: list[str], scorer: Scorer) -> None:
    if missing := [name for name in scorer.columns if name not in names]:
        raise LakehouseError(f"lead_features has no column {missing}, which the model reads; materialise it again.")


def _scored(rows: pd.DataFrame, scorer: Scorer) -> ScoredLeads:
    known = rows[rows["label"].notna()].reset_index(drop=True)
    scores = scorer.probabilities(known) if len(known) else np.empty(0)
    return ScoredLeads(known, Outcomes(known["label"].to_numpy(dtype=np.float64), scores, len(rows)))
