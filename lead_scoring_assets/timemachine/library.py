"""Every model that a replay trained, each once: many policies train at the same moments. Training itself is in `models/`."""

import os
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from lead_scoring_assets.backtesting.walk_forward import silent
from lead_scoring_assets.evaluation.bootstrap import Bootstrap
from lead_scoring_assets.evaluation.judge import judge
from lead_scoring_assets.evaluation.metrics import Metric, auc_difference, brier_difference, evaluate
from lead_scoring_assets.models import learners
from lead_scoring_assets.models.candidate import train_candidate
from lead_scoring_assets.models.encoder import Encoder
from lead_scoring_assets.models.recipe import Recipe
from lead_scoring_assets.models.training import refuse_to_train
from lead_scoring_assets.models.training_set import HOLDOUT, TRAIN
from lead_scoring_assets.promotion.gate import Comparison, compare
from lead_scoring_assets.settings import Settings
from lead_scoring_assets.timemachine.recorded import Floats, Positions, Recorded

_AT_ONCE = 4


@dataclass(frozen=True, eq=False)
class Model:
    """A candidate as of the end of `periods[place]`; one is equal only to itself, so that it can be a key.

    probabilities: of every row that was known after the oldest lead of its holdout was created, NaN before; shape (rows,).
    train_rows, holdout: positions. figures: on the holdout, by name.
    """

    place: int
    recipe: Recipe
    probabilities: Floats
    train_rows: Positions
    holdout: Positions
    holdout_labels: Floats
    figures: dict[str, Metric]


class Judging(Protocol):
    """How a candidate is judged on its holdout."""

    def figures(self, labels: Floats, scores: Floats) -> list[Metric]:
        """The figures that the gate looks at, among others."""

    def compare(self, version: int, labels: Floats, candidate: Floats, other: Floats) -> Comparison:
        """Candidate minus another version on the same rows."""


@dataclass(frozen=True)
class Resampled:
    """As the product judges: by bootstrap. Takes seconds."""

    settings: Settings

    def figures(self, labels: Floats, scores: Floats) -> list[Metric]:
        return judge(labels, scores, self.settings.evaluation, self.settings.training.seed)

    def compare(self, version: int, labels: Floats, candidate: Floats, other: Floats) -> Comparison:
        evaluation, seed = self.settings.evaluation, self.settings.training.seed
        return compare(version, labels, candidate, other, Bootstrap(len(labels), evaluation.bootstrap_samples, seed))


@dataclass(frozen=True)
class ClosedForm:
    """The same figures with intervals in closed form (DeLong et al. 1988), in milliseconds."""

    def figures(self, labels: Floats, scores: Floats) -> list[Metric]:
        return evaluate(labels, scores)

    def compare(self, version: int, labels: Floats, candidate: Floats, other: Floats) -> Comparison:
        auc, brier = auc_difference(labels, candidate, other), brier_difference(labels, candidate, other)
        return Comparison(version, len(labels), auc, brier)


@dataclass
class Library:
    """Trains on demand and remembers: models by period and the recipe they began from, comparisons by pair."""

    recorded: Recorded
    settings: Settings  # how is trained
    judging: Judging
    tell: Callable[[str], None] = silent
    _models: dict[tuple[int, str], Model | str] = field(default_factory=dict)
    _compared: dict[tuple[Model, Model], Comparison] = field(default_factory=dict)

    @property
    def is_searched(self) -> bool:
        """Whether a training depends on the one before it: a search tries the last recipe as well."""
        return self.settings.training.tuning.trials > 1

    def train_ahead(self, places: Iterable[int]) -> list[Model | str]:
        """What `candidate` gives for each of `places`, several at a time: the learners let go of Python while they fit."""
        # Two fits at once would each restore the other's warning filters.
        with warnings.catch_warnings(), ThreadPoolExecutor(min(_AT_ONCE, os.cpu_count() or 1)) as pool:
            return list(pool.map(self.candidate, places))

    def candidate(self, place: int, last: Recipe | None = None) -> Model | str:
        """The model as of the end of `periods[place]`, or why none can be trained."""
        last = last if self.is_searched else None
        key = (place, last.to_json() if last else "")
        if key not in self._models:
            self._models[key] = self._train(place, last)
        return self._models[key]

    def comparison(self, version: int, candidate: Model, other: Model) -> Comparison:
        """`candidate` against `other`, which the policy that asks calls `version`, on the candidate's holdout."""
        key = (candidate, other)
        if key not in self._compared:
            rows = candidate.holdout
            scores = (candidate.probabilities[rows], other.probabilities[rows])
            self._compared[key] = self.judging.compare(version, candidate.holdout_labels, *scores)
        return replace(self._compared[key], version=version)

    def _train(self, place: int, last: Recipe | None) -> Model | str:
        recorded, period = self.recorded, self.recorded.periods[place]
        self.tell(f"training a model as of the end of {period}")
        rows, positions = recorded.training_rows(period)
        refusal = refuse_to_train(rows, self.settings.training)
        if refusal is not None:
            return refusal
        encoder = Encoder.from_registry(self.settings.registry)
        found = train_candidate(rows, encoder, self.settings, last, silent)
        is_holdout = (rows["split"] == HOLDOUT).to_numpy()
        # All that this model may ever be asked for: its holdout, and the rows of later periods.
        asked = recorded.known_at >= recorded.created_at[positions[is_holdout]].min()
        probabilities = np.full(len(asked), np.nan)
        # Read back as the product's are: the same bits, and quicker than what was fitted.
        learner = learners.load(found.recipe.algorithm, found.learner.to_bytes())
        probabilities[asked] = found.calibrator.probabilities(learner.margins(recorded.matrix[asked]))
        holdout = positions[is_holdout]
        labels = rows["label"].to_numpy(dtype=np.float64)[is_holdout]
        figures = self.judging.figures(labels, probabilities[holdout])
        return Model(
            place=place,
            recipe=found.recipe,
            probabilities=probabilities,
            train_rows=positions[(rows["split"] == TRAIN).to_numpy()],
            holdout=holdout,
            holdout_labels=labels,
            figures={figure.name: figure for figure in figures},
        )
