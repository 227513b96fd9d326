"""Walking forward through history: at each period's end train on what was known then, and score who comes next.

Several policies of what to train on walk side by side and score the same leads. How good the scores were is said in
`backtest_figures.py`; nothing is registered, deployed or written.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from lead_scoring_assets.errors import TrainingError
from lead_scoring_assets.labels.maturity import first_rows, labels_known_at
from lead_scoring_assets.lakehouse.names import quoted
from lead_scoring_assets.lakehouse.query import query
from lead_scoring_assets.models.candidate import train_candidate
from lead_scoring_assets.models.encoder import Encoder
from lead_scoring_assets.models.recipe import Recipe
from lead_scoring_assets.models.scorer import Scorer
from lead_scoring_assets.models.training import refuse_to_train
from lead_scoring_assets.models.training_set import TrainingWindow, build_training_set
from lead_scoring_assets.periods import Period
from lead_scoring_assets.settings import Algorithm, Settings

Floats = npt.NDArray[np.float64]
Policy = Literal["frozen", "expanding", "sliding"]
"""frozen: the first model that could be trained is kept. expanding: each period again, on all matured leads. sliding:
each period again, on those of the last months."""
POLICIES: tuple[Policy, ...] = get_args(Policy)


@dataclass(frozen=True)
class Walked:
    """Leads that arrived in the judged periods and have matured, each scored by the models of the period before.

    Arrays have shape (n,), in order of period and lead id. `trained`: for each policy the periods at whose end it
    trained a model. `unlabelled`: leads left out because their label is not there.
    """

    periods: npt.NDArray[np.object_]
    labels: Floats
    scores: Mapping[Policy, Floats]
    trained: Mapping[Policy, Sequence[str]]
    unlabelled: int


@dataclass
class _Walker:
    """One policy on its way: the model that it has, and when it trained."""

    policy: Policy
    months: int | None
    scorer: Scorer | None = None
    trained: list[str] = field(default_factory=list)
    refusal: str = ""
    scores: list[Floats] = field(default_factory=list)

    @property
    def last_recipe(self) -> Recipe | None:
        return self.scorer.recipe if self.scorer else None


def silent(_words: str) -> None:
    """Tells nobody."""


def training_settings(settings: Settings, algorithm: Algorithm | None, *, is_tuned: bool) -> Settings:
    """How a model of the backtest is trained: by the settings' search, or (a search of one) by the first known recipe.

    That recipe is the documented one, or where `algorithm` names another one its default; calibration is the same.
    """
    training = settings.training
    changes: dict[str, Any] = {} if algorithm is None else {"algorithms": (algorithm,)}
    if not is_tuned:
        changes["tuning"] = training.tuning.model_copy(update={"trials": 1})
    return settings.model_copy(update={"training": training.model_copy(update=changes)})


def walk_forward(
    features: Any,
    labels: Any,
    settings: Settings,
    judged: Sequence[Period],
    as_of: datetime,
    policies: Collection[Policy] = POLICIES,
    window_months: int | None = None,
    tell: Callable[[str], None] = silent,
) -> Walked:
    """Train as of the end of the period before each judged one, with its leads unseen, and score those that arrive in it.

    A policy that cannot train at a period's end keeps the model it has. Leads count from the first period on in which
    every policy has one, so that all are judged on the same.

    Args:
        features: `lead_features`, as an Arrow table or a scan.
        labels: `ground_truth_labels`, likewise.
        settings: see `training_settings`.
        judged: periods in order of time.
        as_of: labels count as they were known then.
        policies: which to compare.
        window_months: of the sliding window; None: expanding as well.
        tell: is called with a few words at each step, `len(judged)` times.

    Raises:
        TrainingError: a policy could never train, or nobody could be scored; the message says what was missing.
    """
    calendar = settings.calendar
    walkers = [_Walker(name, window_months if name == "sliding" else None) for name in POLICIES if name in policies]
    encoder = Encoder.from_registry(settings.registry)
    arrived: list[pd.DataFrame] = []
    for period in judged:
        tell(f"training for {period}")
        before = calendar.previous(period)
        models: dict[int | None, Scorer] = {}  # frozen and expanding begin with the same model
        for walker in walkers:
            if walker.policy != "frozen" or walker.scorer is None:
                _train(walker, before, features, labels, settings, encoder, models)
        if all(walker.scorer is not None for walker in walkers):
            leads = _arrivals(period, features, labels, as_of, settings)
            known = leads[leads["label"].notna()]
            arrived.append(leads[["period", "label"]])
            for walker in walkers:
                assert walker.scorer is not None  # noqa: S101  # narrows the type
                walker.scores.append(walker.scorer.probabilities(known))
    whole = pd.concat(arrived) if arrived else pd.DataFrame({"period": [], "label": []})
    known = whole[whole["label"].notna()]
    if known.empty:
        told = "; ".join(f"{w.policy}: {w.refusal}" for w in walkers if w.scorer is None) or "no lead arrived later"
        raise TrainingError(
            f"nothing to judge in {judged[0]} to {judged[-1]}: expected a model of each policy and leads that arrived "
            f"after it was trained, found {told}. Materialise more periods, or lower training.minimum_… in the settings."
        )
    return Walked(
        periods=known["period"].to_numpy(dtype=object),
        labels=known["label"].to_numpy(dtype=np.float64),
        scores={walker.policy: np.concatenate(walker.scores) for walker in walkers},
        trained={walker.policy: tuple(walker.trained) for walker in walkers},
        unlabelled=len(whole) - len(known),
    )


def _train(
    walker: _Walker,
    period: Period,
    features: Any,
    labels: Any,
    settings: Settings,
    encoder: Encoder,
    models: dict[int | None, Scorer],
) -> None:
    """Give `walker` the model as of the end of `period`, or note why it keeps the one it has."""
    if walker.months not in models:
        conversion_window = timedelta(days=settings.labels.conversion_window_days)
        window = TrainingWindow.of(period, conversion_window, walker.months)
        rows = build_training_set(period, window, features, labels, settings.registry).to_pandas()
        refusal = refuse_to_train(rows, settings.training)
        if refusal is not None:
            walker.refusal = f"{period}: {refusal}"
            return
        found = train_candidate(rows, encoder, settings, walker.last_recipe, silent)
        models[walker.months] = Scorer(found.learner, encoder, found.recipe, found.calibrator)
    walker.scorer = models[walker.months]
    walker.trained.append(period.key)


def _arrivals(period: Period, features: Any, labels: Any, as_of: datetime, settings: Settings) -> pd.DataFrame:
    """The leads that were first known in `period`, as they came, with the label known at `as_of` (NaN: none)."""
    columns = ", ".join(f"f.{quoted(name)}" for name in settings.registry.features)
    found: pd.DataFrame = query(
        f"""
        SELECT f.period, f.lead_id, l.label, {columns}
        FROM {first_rows("features", "known_at")} f LEFT JOIN {labels_known_at("labels", "$2")} l USING (lead_id)
        WHERE f.period = $1 ORDER BY f.lead_id
        """,  # noqa: S608  # names are quoted, values bound
        {"features": features, "labels": labels},
        [period.key, as_of],
    ).to_pandas()
    return found
